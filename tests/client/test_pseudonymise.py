# SPDX-License-Identifier: EUPL-1.2
"""A key, a list or a proof that does not fit at the client: a clear error, and nothing is sent (issue's bad input)."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from client.services import NOW, Services, bsns, draft
from joserfc.jwk import OKPKey

from verwijsindex.client import Accepted, PseudonymError
from verwijsindex.keyfiles import encode_base64url, write_public_key
from verwijsindex.pseudonyms.key_list import KeyVersion, sign_key_list
from verwijsindex.pseudonyms.voprf import Evaluator, generate_secret

Body = dict[str, Any]


def expect_nothing_is_sent(services: Services, says: str) -> None:
    """Submitting ends in a PseudonymError that says so, holds nothing secret, and nothing reached the index."""
    [reporter] = services.register(["Anna de Vries"])
    people = bsns(3)
    with services.client() as client, pytest.raises(PseudonymError, match=says) as caught:
        list(client.submit([draft(reporter, bsn) for bsn in people]))
    assert services.posted() == []
    assert services.index_database.scalar("SELECT count(*) FROM signal") == 0
    assert not [bsn for bsn in people if bsn in f"{caught.value!r}"]


def change_evaluation(services: Services, change: Callable[[Body], None]) -> None:
    """The service's evaluations come with a change."""

    def intervene(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/api/v1/evaluations":
            return None
        response = httpx.WSGITransport(app=services.pseudonyms.wsgi_app).handle_request(request)
        body = json.loads(response.read())
        change(body)
        return httpx.Response(200, json=body)

    services.intervene = intervene


def swap(body: Body) -> None:
    elements = body["evaluatedElements"]
    elements[0], elements[1] = elements[1], elements[0]


def flip(text: str) -> str:
    data = bytearray(base64.urlsafe_b64decode(text + "=="))
    data[5] ^= 1
    return encode_base64url(bytes(data))


CHANGES: dict[str, Callable[[Body], None]] = {
    "proof flipped": lambda body: body.update(proof=flip(body["proof"])),
    "proof short": lambda body: body.update(proof=body["proof"][:80]),
    "proof of zeros": lambda body: body.update(proof=encode_base64url(bytes(64))),
    "elements swapped": swap,
    "one element flipped": lambda body: body["evaluatedElements"].__setitem__(0, flip(body["evaluatedElements"][0])),
    "one element missing": lambda body: body["evaluatedElements"].pop(),
    "one element more": lambda body: body["evaluatedElements"].append(body["evaluatedElements"][0]),
    "the identity": lambda body: body["evaluatedElements"].__setitem__(0, encode_base64url(bytes(32))),
    "no elements": lambda body: body.update(evaluatedElements=[]),
    "no proof": lambda body: body.pop("proof"),
    "numbers": lambda body: body.update(evaluatedElements=[1, 2, 3]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_evaluation_that_was_changed_is_not_used(services: Services, name: str) -> None:
    """Without the check of the proof all of these but the last two ended in another way."""
    change_evaluation(services, CHANGES[name])
    expect_nothing_is_sent(services, "not proved for the public key of version 1")


def test_an_evaluation_under_another_key_is_not_used(services: Services) -> None:
    """A service that marks one sender with a key of its own, and proves for that key."""

    def another_key(body: Body) -> None:
        request = json.loads(services.requests[-1].content)
        elements = [base64.urlsafe_b64decode(text + "=") for text in request["blindedElements"]]
        evaluation = Evaluator(generate_secret()).evaluate(elements)
        body["evaluatedElements"] = [encode_base64url(element) for element in evaluation.elements]
        body["proof"] = encode_base64url(evaluation.proof)

    change_evaluation(services, another_key)
    expect_nothing_is_sent(services, "not proved")


def test_while_the_signer_turns_a_list_by_either_is_believed(services: Services) -> None:
    """And by no third. Seen failing when only the first pinned key was tried."""
    [reporter] = services.register(["Anna de Vries"])
    people = bsns(3)
    pinned = services.folder / "next.pub.json"
    config = services.config()
    config = config.model_copy(update={"key_list_signer": (*config.key_list_signer, pinned)})
    signers = [services.signer, OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")]
    write_public_key(pinned, signers[1])
    for number, signer in enumerate(signers):
        serve_list(services, sign_key_list(services.versions, NOW, signer), by="index.example pseudonyms.example")
        with services.client(config) as client:
            if number == 2:
                with pytest.raises(PseudonymError, match="no valid signature"):
                    list(client.submit([draft(reporter, people[number])]))
            else:
                [outcome] = client.submit([draft(reporter, people[number])])
                assert isinstance(outcome, Accepted)


def test_a_list_by_another_signer_is_not_believed(services: Services) -> None:
    """Both operators serve it, and it is well signed: but not by the key that was pinned."""
    (services.folder / "signer.pub.json").unlink()
    write_public_key(services.folder / "signer.pub.json", OKPKey.generate_key("Ed25519", private=False))
    expect_nothing_is_sent(services, "https://index.example: .*no valid signature.*key_list_signer")


def serve_list(services: Services, text: str, *, by: str) -> None:
    """One of the services has another list; `by` names its host."""

    def intervene(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/api/v1/key-versions" and request.url.host in by:
            return httpx.Response(200, json={"keyList": text})
        return None

    services.intervene = intervene


def other_versions() -> list[KeyVersion]:
    public_key = Evaluator(generate_secret()).public_key
    return [KeyVersion(version=1, public_key=public_key, accepted_from=NOW, accepted_until=None)]


@pytest.mark.parametrize("by", ["index.example", "pseudonyms.example"])
def test_two_lists_that_differ_are_not_believed_though_both_are_signed(services: Services, by: str) -> None:
    serve_list(services, sign_key_list(other_versions(), NOW, services.signer), by=by)
    expect_nothing_is_sent(services, "do not serve the same list")


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text[:-4] + "AAAA",
        lambda text: ".".join((encode_base64url(b'{"alg":"none"}'), text.split(".")[1], "")),
        lambda text: "",
        lambda text: "x" * 100_000,
    ],
)
def test_a_list_without_a_good_signature_is_not_believed(services: Services, alter: Callable[[str], str]) -> None:
    text = alter((services.folder / "list.jws").read_text())
    serve_list(services, text, by="index.example pseudonyms.example")
    expect_nothing_is_sent(services, "no valid signature")


def test_a_list_with_no_version_for_now_says_so(services: Services) -> None:
    services.add_key_version(accepted_until=NOW + timedelta(days=1))
    text = sign_key_list(services.versions[:1], NOW, services.signer)
    services.now = NOW + timedelta(days=2)
    serve_list(services, text, by="index.example pseudonyms.example")
    expect_nothing_is_sent(services, "none that is accepted now; check the clock")


@pytest.mark.parametrize("answer", [{"list": "x"}, {"keyList": 7}, []])
def test_what_is_no_list_at_all_says_to_check_the_address(services: Services, answer: object) -> None:
    def intervene(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json=answer) if request.url.path == "/api/v1/key-versions" else None

    services.intervene = intervene
    expect_nothing_is_sent(services, "check the address")


def test_the_list_is_fetched_once_in_ten_minutes(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])

    def fetched() -> int:
        return len([r for r in services.requests if r.url.path == "/api/v1/key-versions"])

    with services.client() as client:
        list(client.submit([draft(reporter, bsn) for bsn in bsns(120)]))
        assert fetched() == 2
        services.now += timedelta(minutes=10)
        list(client.submit([draft(reporter)]))
        assert fetched() == 4


def test_a_list_older_than_one_seen_before_is_not_used(services: Services) -> None:
    """Rolled back at both services. Seen accepted when the look at the time of issue was taken out."""
    [reporter] = services.register(["Anna de Vries"])
    with services.client() as client:
        list(client.submit([draft(reporter)]))
        services.now += timedelta(minutes=10)
        older = sign_key_list(services.versions, NOW - timedelta(days=1), services.signer)
        serve_list(services, older, by="index.example pseudonyms.example")
        with pytest.raises(PseudonymError, match="older than one seen before"):
            list(client.submit([draft(reporter)]))


def test_a_clock_that_is_ahead_does_not_stop_a_sender_when_a_version_begins(services: Services) -> None:
    """The key turns "and senders notice nothing": also not who is twenty seconds early. Seen failing (ClientProblem, of
    the service) when the services went by their own clock to the second."""
    [reporter] = services.register(["Anna de Vries"])
    services.add_key_version(accepted_until=None)
    services.versions[1] = services.versions[1].model_copy(update={"accepted_from": NOW + timedelta(seconds=10)})
    (services.folder / "list.jws").write_text(sign_key_list(services.versions, NOW, services.signer))
    services.start_index()
    services.start_pseudonyms()
    with services.client() as client:
        client._channel.clock = lambda: services.now + timedelta(seconds=20)
        [outcome] = client.submit([draft(reporter)])
    assert isinstance(outcome, Accepted)
    assert services.items()[0]["signal"]["pseudonym"]["keyVersion"] == 2
