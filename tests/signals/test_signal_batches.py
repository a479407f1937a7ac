# SPDX-License-Identifier: EUPL-1.2
"""Many signals in one request: each is answered as if it had come alone (R4, I7)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from threading import Barrier
from typing import Any, cast
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signals.evidence import counts, known_by, nothing_stored, places, silent_about, slug
from support import CLINIC, POLICE, SCHOOL, Answer, Index, Logged, bsn, headers, pseudonym

Item = dict[str, Any]
CANARY = "Kanarie7f3a"


def _item(signal: object, key: object = None) -> Item:
    return {"idempotencyKey": str(uuid4()) if key is None else key, "signal": signal}


def _send(index: Index, body: object, oin: str = SCHOOL, **headers: str) -> Answer:
    answer = index.http.post(
        "/api/v1/signal-batches",
        data=body if isinstance(body, bytes) else json.dumps(body),
        content_type="application/json",
        headers=index.machine(oin) | headers,
    )
    return cast(Answer, answer)


def _batch(index: Index, *items: object, oin: str = SCHOOL) -> list[Any]:
    answer = _send(index, {"signals": items}, oin)
    assert answer.status_code == 200, answer.text
    assert len(answer.json["items"]) == len(items)
    return cast(list[Any], answer.json["items"])


def _faults(item: Any) -> set[str]:
    assert item["status"] == item["problem"]["status"] == 400
    return {fault["location"]["pointer"] for fault in item["problem"]["errors"]}


def test_each_item_gets_its_own_answer_in_order(index: Index) -> None:
    before = counts(index.database)
    items = [
        _item(index.signal(0), "z"),
        _item(index.signal(1, CLINIC)),
        _item(index.signal(2, reasonableSuspicion=False)),
        _item(index.signal(3), "a"),
        _item(index.signal(4, madeAt="2026-11-01T10:00:00Z", removalDate="2028-11-01")),
        _item(index.signal(0), "z"),
        _item(index.signal(5), "a"),
    ]
    answers = _batch(index, *items)
    assert [one["status"] for one in answers] == [201, 403, 400, 201, 400, 201, 422]
    assert answers[0] == answers[5]
    assert answers[0]["signal"].keys() == {"id", "receivedAt"}
    assert answers[1]["problem"]["type"].endswith(":reporter-not-designated")
    assert _faults(answers[2]) == {"#/reasonableSuspicion"}
    assert _faults(answers[4]) == {"#/madeAt"}
    assert answers[6]["problem"]["type"].endswith(":idempotency-key-reused")
    made = {"signal": 2, "work": 2, "idempotency_record": 2, "event": before["event"] + 3}  # type: ignore[operator]
    assert counts(index.database) == before | made
    with nothing_stored(index.database, events=1):  # the refusal, anew
        again = _batch(index, *items)
    assert [one.get("signal") for one in again] == [one.get("signal") for one in answers]
    events = index.database.rows("SELECT kind, outcome, reporter_id FROM event WHERE kind = 'signal.refused'")
    assert events == [("signal.refused", "refused", index.reporters[CLINIC][0])] * 2


def test_a_key_counts_whether_it_was_sent_alone_or_in_a_batch(index: Index) -> None:
    alone, together = index.signal(0), index.signal(1)
    first = index.post(alone, key="one")
    [repeat, placed] = _batch(index, _item(alone, "one"), _item(together, "two"))
    assert repeat == {"status": 201, "signal": first.json}
    assert index.post(together, key="two").json == placed["signal"]
    assert index.post(alone, key="two").status_code == 422


# Each as a reader of the API may send it: what a signal is made of, and under which of few keys.
KINDS: dict[str, Item] = {
    "good": {},
    "another youngster": {"youngster": 1},
    "another reporter": {"n": 1},
    "another institution's reporter": {"oin": CLINIC},
    "nobody's reporter": {"reporter": str(uuid4())},
    "too late": {"madeAt": "2026-11-01T10:00:00Z", "removalDate": "2028-11-01"},
    "not informed yet": {"informing": {"status": "informed", "on": "2026-11-23", "to": "both"}},
    "late in two ways": {"madeAt": "2026-11-23T10:00:00Z", "removalDate": "2028-11-23", "turns23On": "2026-11-22"},
    "an unknown municipality": {"residenceMunicipality": "9998"},
    "a version not accepted": {"pseudonym": {"keyVersion": 9, "value": pseudonym(0).to_text()}},
    "no pseudonym": {"pseudonym": {"keyVersion": 1, "value": CANARY}},
    "the version is 1.0": {"pseudonym": {"keyVersion": 1.0, "value": pseudonym(0).to_text()}},
    "a huge version": {"pseudonym": {"keyVersion": 10**400, "value": pseudonym(0).to_text()}},
    "suspicion as the number 1": {"reasonableSuspicion": 1},
    "informing in no known way": {"informing": {"status": CANARY}},
    "an unknown field": {CANARY: 1, "caseReference": bsn(0).digits.decode()},
    "no fields": dict.fromkeys(("reporter", "pseudonym", "madeAt", "removalDate", "informing")),
    "a number": {"whole": 7},
    "a list": {"whole": []},
    "null": {"whole": None},
}
KEYS = ["a", "b", "c", "a", "b", "a b", "", "999900006", None]


def _alone(index: Index, item: Item) -> Item:
    """What `POST /signals` answers to an item, in the form of a batch's."""
    key = item["idempotencyKey"]
    with_key = {} if key is None else {"Idempotency-Key": str(key)}
    body = json.dumps(item["signal"])
    answer = index.http.post(
        "/api/v1/signals", data=body, content_type="application/json", headers=index.machine() | with_key
    )
    what = "signal" if answer.status_code == 201 else "problem"
    return {"status": answer.status_code, what: answer.json}


def _unnamed(answers: list[Item]) -> list[Item]:
    """The same answers with ids numbered as they first came, faults in no order and without what they say of a key,
    which in a batch stands elsewhere."""
    ids: dict[str, int] = {}
    for one in answers:
        if one["status"] == 201:
            one["signal"]["id"] = ids.setdefault(one["signal"]["id"], len(ids))
        faults = one.get("problem", {}).get("errors", [])
        for fault in faults:
            if fault["location"] in ({"name": "Idempotency-Key"}, {"pointer": "#/idempotencyKey"}):
                fault |= {"in": "key", "location": "key", "code": "key", "detail": ""}
        faults.sort(key=lambda fault: json.dumps(fault, sort_keys=True))
    return answers


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(KEYS)), min_size=1, max_size=12))
def test_a_batch_is_answered_as_its_items_are_alone(index: Index, sent: list[tuple[str, Any]]) -> None:
    """Whatever is mixed, and with the same keys again and again. Seen failing: a late item, or one of another
    institution, with the key of an item placed before it got 400 or 403 in a batch and 422 alone, as long as only
    what was good enough to be placed was compared with what was placed before it in the batch."""
    items = []
    for kind, key in sent:
        changes = dict(KINDS[kind])
        signal = changes.pop("whole") if "whole" in changes else index.signal(**changes)
        items.append({"idempotencyKey": key, "signal": signal})
    answers = []
    for one_by_one in (True, False):
        index.database.forget_signals()
        answers.append([_alone(index, item) for item in items] if one_by_one else _batch(index, *items))
        answers[-1].append({"status": 0, "rows": counts(index.database)})
    assert _unnamed(answers[0]) == _unnamed(answers[1])


@pytest.mark.parametrize(
    "item",
    [
        7,
        None,
        [],
        {},
        {"idempotencyKey": "a", "signal": {}, CANARY: 1},
        {"idempotencyKey": "a"},
        {"signal": {}, "Idempotency-Key": "a"},
    ],
    ids=repr,
)
def test_an_item_that_is_none_is_refused_alone(index: Index, item: object) -> None:
    answers = _batch(index, _item(index.signal()), item, _item(index.signal(1)))
    assert [one["status"] for one in answers] == [201, 400, 201]
    assert _faults(answers[1]) <= {"#", "#/idempotencyKey"} | {f"#/{field}" for field in index.signal()}


@pytest.mark.parametrize("key", ["", "a" * 65, "a b", "ä", "999900006", 7, None, []], ids=repr)
def test_a_fault_of_a_key_is_named_as_such_beside_those_of_the_signal(index: Index, key: object) -> None:
    with nothing_stored(index.database):
        bad = {"idempotencyKey": key, "signal": index.signal(removalDate="2020-01-01")}
        assert _faults(_batch(index, bad)[0]) == {"#/idempotencyKey", "#/removalDate"}


def test_nothing_is_said_back(index: Index, logged: Logged) -> None:
    """I5."""
    digits = bsn(0).digits.decode()
    bad = index.signal(caseReference=digits, pseudonym={"keyVersion": 1, "value": digits}) | {CANARY: CANARY}
    answer = _send(index, {"signals": [_item(bad, digits), _item(index.signal())]})
    assert [one["status"] for one in answer.json["items"]] == [400, 201]
    silent_about(answer, logged, CANARY, digits, pseudonym(0).to_text())


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "#"),
        (b"[]", "#"),
        (b'{"signals": [', "#"),
        ({}, "#/signals"),
        ({"signals": []}, "#/signals"),
        ({"signals": {}}, "#/signals"),
        ({"signals": None}, "#/signals"),
        ({"signals": [7] * 1001}, "#/signals"),
        ({"signals": [7], CANARY: 1}, "#"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_envelope_is_refused_as_a_whole(index: Index, body: Any, place: str) -> None:
    if isinstance(body, dict) and body.get("signals") and isinstance(body["signals"], list):
        body["signals"] = [_item(index.signal()), *body["signals"][1:]]
    with nothing_stored(index.database):
        answer = _send(index, body)
    assert places(answer) == {place}
    assert CANARY not in answer.text


def test_the_body_has_a_bound_of_its_own(index: Index) -> None:
    """Two MiB, where others have 16 KiB; and an item that is only large in its faults is refused as too large."""
    item = _item(index.signal())
    padded = json.dumps({"signals": [item]}).encode()
    assert _send(index, padded + b" " * (2 * 1024 * 1024 - len(padded))).status_code == 200
    with nothing_stored(index.database):
        too_large = _send(index, padded + b" " * (2 * 1024 * 1024 - len(padded) + 1))
        assert (too_large.status_code, slug(too_large)) == (413, "content-too-large")
        many = {f"{n:x}": 1 for n in range(3000)}
        [refused] = _batch(index, _item(index.signal() | many))
        assert (refused["status"], refused["problem"]["type"][-17:]) == (413, "content-too-large")
        assert index.post(index.signal() | many).status_code == 413


def test_who_may_not_send_a_batch_sends_none(index: Index) -> None:
    body = {"signals": [_item(index.signal())]}
    with nothing_stored(index.database, events=2):
        assert slug(_send(index, body, **index.machine(SCHOOL, "signals:read"))) == "not-allowed"
        assert slug(_send(index, body, **index.supervisor())) == "not-allowed"
        assert _send(index, body, Authorization="Bearer no").status_code == 401
        text = index.http.post("/api/v1/signal-batches", data=json.dumps(body), headers=index.machine())
        assert text.status_code == 415


def test_a_full_batch_is_one_answer(index: Index) -> None:
    """As many as may be: every third refused."""
    items = [_item(index.signal(n % 7, n=n % 3, **({"caseReference": "-" * 37} if n % 3 else {}))) for n in range(1000)]
    answers = _batch(index, *items)
    assert [one["status"] for one in answers] == list(islice(cycle([201, 400, 400]), 1000))
    waiting = [row[0] for row in index.database.rows("SELECT signal_id FROM work ORDER BY id")]
    assert [str(signal) for signal in waiting] == [one["signal"]["id"] for one in answers if one["status"] == 201]


def test_batches_that_overlap_wait_for_each_other_and_never_for_ever(index: Index) -> None:
    """The first claims a key and waits for a request that holds the second; the other batch begins at the far end.
    Seen failing (deadlock detected, 503) without the order in which records are claimed."""
    client = f"client-{SCHOOL}"
    in_order = sorted("amz", key=lambda key: known_by(index, client, key))
    items = [_item(index.signal(n), key) for n, key in enumerate(in_order)]
    held = sa.text("INSERT INTO idempotency_record VALUES (:client, :key, 1, '', '', 1, gen_random_uuid(), now())")
    with ThreadPoolExecutor(2) as threads:
        with index.database.superuser.connect() as other:
            other.execute(held, {"client": client, "key": known_by(index, client, in_order[1])})
            batches = [threads.submit(_batch, index, *items)]
            _until_waiting(index, 1)
            batches.append(threads.submit(_batch, index, *items[::-1]))
            _until_waiting(index, 2)
            other.rollback()
        first, turned = (batch.result() for batch in batches)
    assert first == turned[::-1]
    assert [one["status"] for one in first] == [201] * 3
    assert index.database.scalar("SELECT count(*) FROM signal") == 3


def _until_waiting(index: Index, count: int) -> None:
    for _ in range(500):
        if index.database.scalar("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") == count:
            return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def test_equal_batches_at_once_make_each_signal_once_and_get_equal_answers(index: Index) -> None:
    """Six at once with the same 200 keys in other orders. Seen failing (500) without looking up what another batch
    placed meanwhile."""
    items = [_item(index.signal(n % 50), f"key-{n}") for n in range(200)]
    at_once = Barrier(6)

    def send(n: int) -> dict[str, Any]:
        turned = items[n * 30 :] + items[: n * 30]
        mine = turned if n % 2 else turned[::-1]
        at_once.wait()
        return {item["idempotencyKey"]: one for item, one in zip(mine, _batch(index, *mine), strict=True)}

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert all(one["status"] == 201 for one in answers[0].values())
    assert index.database.scalar("SELECT count(*) FROM signal") == 200


def test_the_answer_to_a_batch_depends_on_nothing_that_is_known(index: Index) -> None:
    """I7: youngsters unknown, waiting, known, matched and ended, in one batch: items of one form and one size, in any
    order. That it *cannot* depend on it is what tests/test_roles.py shows."""
    index.place(4, CLINIC)
    index.clock.move(days=731)
    index.match()
    for youngster, oin in ((2, CLINIC), (3, CLINIC), (3, SCHOOL)):
        index.place(youngster, oin)
    index.match()
    index.place(1, CLINIC)
    answer = _send(index, {"signals": [_item(index.signal(n, POLICE)) for n in range(5)]}, POLICE)
    assert len({json.dumps(one | {"signal": one["signal"] | {"id": ""}}) for one in answer.json["items"]}) == 1
    unknown = _send(index, {"signals": [_item(index.signal(n, POLICE)) for n in range(5, 10)]}, POLICE)
    assert len(unknown.data) == len(answer.data)
    assert headers(unknown) == headers(answer)
