# SPDX-License-Identifier: EUPL-1.2
"""A revoked client is out within a minute though its token lives on; and what happens when its issuer is away."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from access.conftest import INDEX, ISSUER, NOW
from joserfc.jwk import OKPKey

from verwijsindex.access.key_sets import FetchError
from verwijsindex.access.revocations import digest_of
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.issuer.signing import TokenSigner
from verwijsindex.problems import Problem
from verwijsindex.settings import TrustedIssuer

JWKS, LIST = f"{ISSUER}/jwks.json", f"{ISSUER}/revocations.json"


class Issuer:
    """Answers with the list as it is, unless it is away or told to answer something else."""

    def __init__(self, key: OKPKey, clock: Any) -> None:
        self.signer, self.clock = TokenSigner(key, ISSUER), clock
        self.revoked: list[str] = []
        self.away = False
        self.fetches = 0
        self.text: Callable[[], str] = lambda: self.signer.revocations(self.revoked, self.clock())

    def fetch(self, url: str) -> bytes:
        if self.away:
            raise FetchError("ConnectError")
        if url == JWKS:
            return json.dumps(self.signer.key_set()).encode()
        assert url == LIST
        self.fetches += 1
        return json.dumps({"revocations": self.text()}).encode()


@pytest.fixture
def issuer(key: OKPKey, clock: Any) -> Issuer:
    return Issuer(key, clock)


@pytest.fixture
def verifier(issuer: Issuer, clock: Any) -> TokenVerifier:
    trusted = TrustedIssuer(issuer=ISSUER, jwks_url=JWKS, revocations_url=LIST)
    return TokenVerifier([trusted], INDEX, clock, issuer.fetch)


def test_a_revoked_client_is_out_within_a_minute_and_no_other(
    verifier: TokenVerifier, issuer: Issuer, clock: Any, sign: Any
) -> None:
    """Seen failing, with the token good for its ten minutes, without the look at the list."""
    token, another = sign(), sign({"sub": "clinic-3", "client_id": "clinic-3"})
    verifier.verify(token)
    issuer.revoked.append("school-17")
    for seconds in range(20):
        clock.now = NOW + timedelta(seconds=seconds)
        verifier.verify(token)
    for seconds in range(21, 61):
        clock.now = NOW + timedelta(seconds=seconds)
        verifier.verify(another)
        with pytest.raises(Problem, match="not-authenticated"):
            verifier.verify(token)
    assert issuer.fetches == 3


def test_a_token_that_claims_to_be_issued_later_is_refused_as_well(
    verifier: TokenVerifier, issuer: Issuer, sign: Any
) -> None:
    """No client comes back, so the clocks of issuer and administrator do not matter."""
    issuer.revoked.append("school-17")
    with pytest.raises(Problem, match="not-authenticated"):
        verifier.verify(sign({"iat": int(NOW.timestamp()) + 20}))


def test_while_the_issuer_is_away_the_list_serves_for_five_minutes(
    verifier: TokenVerifier, issuer: Issuer, clock: Any, sign: Any
) -> None:
    """Then nobody knows whether a caller was revoked: 503. Seen going on for ever without the bound."""
    verifier.verify(sign())
    issuer.away = True
    clock.now = NOW + timedelta(seconds=300)
    verifier.verify(sign())
    clock.now = NOW + timedelta(seconds=301)
    with pytest.raises(Problem, match="unavailable") as caught:
        verifier.verify(sign())
    assert caught.value.headers["Retry-After"] == "10"
    assert not verifier.ready()
    issuer.away = False
    clock.now += timedelta(seconds=10)
    verifier.verify(sign())


def test_without_a_list_ever_nobody_is_believed_and_it_is_not_ready(
    verifier: TokenVerifier, issuer: Issuer, sign: Any
) -> None:
    issuer.text = lambda: "x"
    with pytest.raises(Problem, match="unavailable"):
        verifier.verify(sign())
    assert not verifier.ready()


def test_an_issuer_without_a_list_is_believed_as_before(issuer: Issuer, clock: Any, sign: Any) -> None:
    """An existing OAuth server has none: its revoked clients go on until their tokens expire."""
    issuer.revoked.append("school-17")
    verifier = TokenVerifier([TrustedIssuer(issuer=ISSUER, jwks_url=JWKS)], INDEX, clock, issuer.fetch)
    verifier.verify(sign())
    assert verifier.ready()
    assert issuer.fetches == 0


def test_lists_that_are_not_the_issuers_own_of_now_are_not_believed(
    verifier: TokenVerifier, issuer: Issuer, key: OKPKey, clock: Any, sign: Any
) -> None:
    """Another's key, another issuer's, old ones played back, a token in its place: the list that was had goes on. Each
    but the last two was seen believed without its check."""
    signer = issuer.signer
    issuer.revoked.append("school-17")
    with pytest.raises(Problem, match="not-authenticated"):
        verifier.verify(sign())
    forged = {
        "another key": lambda: TokenSigner(OKPKey.generate_key("Ed25519"), ISSUER).revocations([], clock()),
        "another issuer": lambda: TokenSigner(key, "https://other.example").revocations([], clock()),
        "an old one": lambda: signer.revocations([], clock() - timedelta(seconds=61)),
        "one of later": lambda: signer.revocations([], clock() + timedelta(seconds=61)),
        "a token": lambda: sign({"revoked": [], "iat": int(clock().timestamp())}).removeprefix("Bearer "),
        "no signature": lambda: signer.revocations([], clock()).rpartition(".")[0] + ".",
        "nothing": lambda: "",
    }
    for name, text in forged.items():
        clock.now += timedelta(seconds=30)
        issuer.text = text
        fetches = issuer.fetches
        with pytest.raises(Problem, match="not-authenticated"):
            verifier.verify(sign())
        assert issuer.fetches == fetches + 1, name
    issuer.text = lambda: signer.revocations([], clock())
    clock.now += timedelta(seconds=30)
    verifier.verify(sign())


def test_a_token_is_no_list_and_a_list_is_no_token(verifier: TokenVerifier, issuer: Issuer) -> None:
    with pytest.raises(Problem, match="not-authenticated"):
        verifier.verify("Bearer " + issuer.signer.revocations([], NOW))


def test_one_thread_fetches_and_the_others_go_on_with_the_list_that_is_there(
    verifier: TokenVerifier, issuer: Issuer, clock: Any, sign: Any
) -> None:
    """Up to a minute; then they wait for it."""
    verifier.verify(sign())
    begun, go_on = threading.Event(), threading.Event()
    plain = issuer.text

    def slowly() -> str:
        begun.set()
        assert go_on.wait(10)
        return plain()

    issuer.text = slowly
    clock.now += timedelta(seconds=30)
    waiting = threading.Thread(target=verifier.verify, args=[sign()])
    waiting.start()
    assert begun.wait(10)
    for _ in range(20):
        verifier.verify(sign())
    go_on.set()
    waiting.join()
    assert issuer.fetches == 2


def test_the_list_names_nobody(issuer: Issuer) -> None:
    """Anyone may fetch it: what is on it are digests, of this issuer only."""
    text = issuer.signer.revocations(["school-17"], NOW)
    assert "school" not in json.dumps(text)
    assert digest_of(ISSUER, "school-17") != digest_of("https://other.example", "school-17")
    assert len(digest_of(ISSUER, "school-17")) == 22
