# SPDX-License-Identifier: EUPL-1.2
"""A repeat is the same signal and gets its first answer, byte for byte (R9; docs/protocol.md)."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

from signals.evidence import counts, nothing_stored, places, slug
from support import ADMINISTRATOR, CLINIC, SCHOOL, Index, headers, parents, pseudonym

from verwijsindex.database import transaction
from verwijsindex.issuer.signing import Terms
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.registry import service as registry
from verwijsindex.registry.models import Agreement
from verwijsindex.signals.known_requests import KEPT, forget_old_requests
from verwijsindex.signals.schemas import SignalIn, Submission
from verwijsindex.signals.service import _fingerprints

KEY = "the-key"


def test_a_repeat_gets_the_first_answer(index: Index) -> None:
    """Whatever the server's own time zone is: seen failing (`+01:00` for `Z`) without `timezone=UTC` in `engine`."""
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("ALTER ROLE verwijsindex_intake SET timezone = 'Europe/Amsterdam'")
    index.app.extensions["intake_pool"].dispose()
    try:
        index.clock.move(microseconds=123456)
        body = index.signal()
        first = index.post(body, key=KEY)
        index.clock.move(hours=3)
        with nothing_stored(index.database):
            repeat = index.post(body, key=KEY)
    finally:
        with index.database.superuser.begin() as connection:
            connection.exec_driver_sql("ALTER ROLE verwijsindex_intake RESET timezone")
    assert first.status_code == repeat.status_code == 201
    assert first.data == repeat.data
    assert headers(first) == headers(repeat)
    assert first.headers["Location"] == f"/api/v1/signals/{first.json['id']}"


def test_the_same_content_written_otherwise_is_a_repeat(index: Index) -> None:
    body = index.signal()
    first = index.post(body, key=KEY)
    with nothing_stored(index.database):
        again = index.post(dict(reversed(body.items())) | {"reporter": body["reporter"].upper()}, key=KEY)
    assert again.data == first.data


def test_a_repeat_gets_the_first_answer_when_it_has_become_too_old(index: Index) -> None:
    body = index.signal()
    first = index.post(body, key=KEY)
    index.clock.move(days=7, seconds=1)
    with nothing_stored(index.database):
        assert index.post(body, key=KEY).data == first.data
        assert places(index.post(body, key="another")) == {"#/madeAt"}


def test_a_repeat_gets_the_first_answer_when_nobody_may_any_more(index: Index) -> None:
    """The agreement has ended, the reporter has left, the category is off, the ground is off, the youngster is 23."""
    tomorrow = (index.clock() + timedelta(days=1)).date()
    body = index.signal(turns23On=tomorrow.isoformat(), removalDate=tomorrow.isoformat())
    first = index.post(body, key=KEY)
    today = index.clock().date()
    with index.database.engine("registrar").begin() as connection:
        for row in registry.entries(connection, Agreement, oin=SCHOOL):
            registry.end_agreement(connection, ADMINISTRATOR, index.clock(), row.id, today)
        registry.end_designation(connection, ADMINISTRATOR, index.clock(), index.reporters[SCHOOL][0], today)
        registry.set_designated(connection, ADMINISTRATOR, index.clock(), "primary_education", False)
        registry.set_legal_ground(connection, ADMINISTRATOR, index.clock(), "1701", "off")
    index.clock.move(days=2)
    with nothing_stored(index.database):
        assert index.post(body, key=KEY).data == first.data


def test_a_key_with_other_content_is_refused(index: Index) -> None:
    body = index.signal()
    first = index.post(body, key=KEY)
    others = [
        body | {"caseReference": "a"},
        body | {"reporter": str(index.reporters[SCHOOL][1])},
        body | {"pseudonym": {"keyVersion": 1, "value": pseudonym(1).to_text()}},
        index.signal(reporter=str(uuid4())),
    ]
    with nothing_stored(index.database):
        for other in others:
            answer = index.post(other, key=KEY)
            assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused")
            assert first.json["id"] not in answer.text
        index.clock.move(days=8)
        assert index.post(others[0], key=KEY).status_code == 422  # too old besides


def test_parents_and_a_shield_are_part_of_what_was_sent(index: Index) -> None:
    """And in no order: the same two parents are the same request. An empty list is none, `false` is nothing.

    Seen failing without the parents in the fingerprint, and without their order taken away."""
    index.allow_parents(SCHOOL)
    body = index.signal(parents=parents(1, 2), shielded=True)
    body["informing"]["ageGroup"] = "12_to_15"
    first = index.post(body, key=KEY)
    plain = index.post(index.signal(), key="plain")
    with nothing_stored(index.database):
        assert index.post(body | {"parents": parents(2, 1)}, key=KEY).data == first.data
        assert index.post(index.signal(parents=[], shielded=False), key="plain").data == plain.data
        others: list[dict[str, Any]] = [
            {"parents": parents(1, 3)},
            {"parents": parents(1)},
            {"parents": []},
            {"shielded": False},
        ]
        others.append({"informing": index.signal()["informing"]})
        for other in others:
            assert slug(index.post(body | other, key=KEY)) == "idempotency-key-reused"


def test_what_0_2_0_was_sent_has_the_fingerprints_that_it_made() -> None:
    """A repeat across the upgrade is a repeat. The values are those that 0.2.0 computed. Seen failing when a signal
    that is not shielded said so."""
    body: dict[str, object] = {
        "reporter": "7b0f3c66-3b0e-4c53-9d6e-2f6f1f0b8a11",
        "pseudonym": {"keyVersion": 1, "value": "CHRaCes-Al5agkZcjYNmkLGk_6eD3bA9QaUTH2F8iTg"},
        "residenceMunicipality": "1701",
        "madeAt": "2026-11-22T10:00:00Z",
        "removalDate": "2028-11-22",
        "reasonableSuspicion": True,
    }
    more: list[dict[str, object]] = [
        {
            "informing": {"status": "informed", "on": "2026-11-20", "to": "both"},
            "turns23On": "2030-05-05",
            "caseReference": "Z-7",
        },
        {"informing": {"status": "postponed", "ground": "safety", "reviewDate": "2026-12-20"}},
    ]
    made = []
    for one in more:
        signal = SignalIn.model_validate_json(json.dumps(body | one))
        made.append(_fingerprints("client-1", Submission("key-1", signal), IndexKey(1, bytes(range(32)))))
    assert [body.hex()[:16] for body, _ in made] == ["994292c05f0d838a", "d1f4b4acebbcbeef"]
    assert {pseudonym.hex()[:16] for _, pseudonym in made} == {"f45739b9699634c0"}


def test_the_same_key_of_another_client_is_another_request(index: Index) -> None:
    index.place()
    first = index.post(index.signal(), SCHOOL, key=KEY)
    other = index.post(index.signal(oin=CLINIC), CLINIC, key=KEY)
    terms = Terms("https://index.test", frozenset({"signals:write"}), timedelta(minutes=10))
    token = index.signer.machine_token("second-client", SCHOOL, terms, index.clock())
    sent = {"Authorization": f"Bearer {token}", "Idempotency-Key": KEY}
    third = index.http.post("/api/v1/signals", json=index.signal(), headers=sent)
    assert {first.status_code, other.status_code, third.status_code} == {201}
    assert len({first.json["id"], other.json["id"], third.json["id"]}) == 3  # type: ignore[index]


def test_a_refused_request_uses_up_no_key(index: Index) -> None:
    assert index.post(index.signal(oin=CLINIC), SCHOOL, key=KEY).status_code == 403
    assert index.post(index.signal(residenceMunicipality="9998"), key=KEY).status_code == 400
    assert index.post(index.signal(), key=KEY).status_code == 201


def test_a_repeat_is_forgotten_only_when_it_is_too_old_to_be_a_new_signal(index: Index) -> None:
    """Seen failing as the worker: `FOR UPDATE` asked for a privilege that it has not. Seen failing with a record
    kept for seven days only: a signal made five minutes ahead could be placed twice."""
    body = index.signal(madeAt="2026-11-22T10:05:00Z")
    first = index.post(body, key=KEY)
    start = index.clock()
    for moment in (start + timedelta(days=7), start + KEPT):
        index.clock.now = moment
        with transaction(index.database.engine("worker")) as connection:
            forget_old_requests(connection, moment)
        assert index.post(body, key=KEY).data == first.data
    index.clock.move(seconds=1)
    with transaction(index.database.engine("worker")) as connection:
        forget_old_requests(connection, index.clock())
    assert index.database.scalar("SELECT count(*) FROM idempotency_record") == 0
    assert places(index.post(body, key=KEY)) == {"#/madeAt"}


def test_equal_simultaneous_posts_make_one_signal_and_equal_answers(index: Index) -> None:
    """32 threads. Seen failing without `ON CONFLICT DO NOTHING`: one 201 and 31 times 500."""
    body, at_once = index.signal(), Barrier(32)
    before = counts(index.database)

    def post(_: int) -> tuple[int, bytes, list[tuple[str, str]]]:
        at_once.wait()
        answer = index.post(body, key=KEY)
        return answer.status_code, answer.data, headers(answer)

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(post, range(32)))
    assert [answer[0] for answer in answers] == [201] * 32, answers
    assert all(answer == answers[0] for answer in answers)
    made = dict.fromkeys(("signal", "work", "idempotency_record"), 1) | {"event": before["event"] + 1}  # type: ignore[operator]
    assert counts(index.database) == before | made


def test_equal_simultaneous_keys_with_other_content_let_one_through(index: Index) -> None:
    """The others get 422, whoever is first."""
    at_once = Barrier(16)

    def post(n: int) -> int:
        body = index.signal(n % 2)
        at_once.wait()
        return index.post(body, key=KEY).status_code

    pseudonym(0), pseudonym(1)
    with ThreadPoolExecutor(16) as threads:
        answers = sorted(threads.map(post, range(16)))
    assert answers == [201] * 8 + [422] * 8
    assert index.database.scalar("SELECT count(*) FROM signal") == 1


def test_the_answer_has_one_form(index: Index) -> None:
    answer = index.post(index.signal())
    assert re.fullmatch(r'\{"id":"[0-9a-f-]{36}","receivedAt":"2026-11-22T10:00:00Z"\}', answer.text)
