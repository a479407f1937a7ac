# SPDX-License-Identifier: EUPL-1.2
"""Limits on signals (R37): who has a key and fishes meets them; who repeats, or is refused for a fault, does not."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import uuid4

import pytest
from signals.evidence import slug
from support import CLINIC, POLICE, SCHOOL, Answer, Database, Index

from verwijsindex.access.caller import SCOPES, Caller
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.limiting import SignalLimits
from verwijsindex.signals.schemas import RegisteredSignal, SignalIn, Submission


@pytest.fixture
def index(index: Index) -> Index:
    """An index with limits of three, five and seven a day."""
    index.app.extensions["signal_limits"] = SignalLimits(reporter=3, institution=5, country=7)
    return index


def counters(database: Database) -> dict[str, int]:
    rows = database.rows("SELECT name, sum(taken) AS taken FROM limit_counter GROUP BY name")
    return {str(row.name).removeprefix("signals/"): int(row.taken) for row in rows}


def told(database: Database) -> list[dict[str, Any]]:
    rows = database.rows("SELECT body FROM event WHERE kind = 'limit.reached' ORDER BY at")
    return [json.loads(row.body) for row in rows]


def refused(answer: Answer) -> str:
    assert (answer.status_code, slug(answer)) == (429, "limit-reached")
    assert answer.headers["Retry-After"] == str(answer.json["retryAfter"]) == "50400"  # from ten to midnight in UTC
    return str(answer.json["detail"])


def batch(index: Index, *items: tuple[str, object], oin: str = SCHOOL) -> list[Any]:
    signals = [{"idempotencyKey": key, "signal": signal} for key, signal in items]
    answer = index.http.post(
        "/api/v1/signal-batches",
        data=json.dumps({"signals": signals}),
        headers=index.machine(oin),
        content_type="application/json",
    )
    assert answer.status_code == 200
    return list(cast(Answer, answer).json["items"])


def test_who_has_a_key_and_fishes_meets_every_limit(index: Index) -> None:
    """The story: one reporter, then all reporters of the school, then those of the clinic; at midnight it begins anew.
    Seen failing, with everything placed, when intake took nothing of the limits."""
    for youngster in range(3):
        index.place(youngster)
    assert refused(index.post(index.signal(3))).startswith("This reporter has reached the limit")
    index.place(3, n=1)
    index.place(4, n=2)
    assert refused(index.post(index.signal(5, n=1))).startswith("Your institution has reached the limit")
    index.place(5, CLINIC)
    index.place(6, CLINIC, n=1)
    assert refused(index.post(index.signal(7, CLINIC, n=2), CLINIC)).startswith("A limit was reached")
    assert index.database.scalar("SELECT count(*) FROM signal") == 7
    assert counters(index.database)["country"] == 7
    index.clock.move(hours=14)
    index.place(8)


def test_the_ledger_has_the_refusals_by_number_and_once_a_minute(index: Index) -> None:
    """I4, and not a row for each: an attack does not make the ledger its bottleneck. Seen failing, with a hundred and
    one events, when each was told by itself."""
    for youngster in range(3):
        index.place(youngster)
    for _ in range(100):
        refused(index.post(index.signal(9)))
    [first] = told(index.database)
    reporter = str(index.reporters[SCHOOL][0])
    assert first["actor"] == {
        "role": "machine",
        "clientId": f"client-{SCHOOL}",
        "institution": SCHOOL,
        "onBehalfOf": reporter,
    }
    assert (first["outcome"], first["limit"], first["count"]) == ("refused", "signals/reporter", 1)
    index.clock.move(minutes=1)
    batch(index, *((f"over-{n}", index.signal(9)) for n in range(10)))
    assert [event["count"] for event in told(index.database)] == [1, 109]


def test_a_repeat_gets_its_first_answer_and_costs_nothing_at_the_limit_too(index: Index) -> None:
    """Seen failing: each repeat took one away when it was not given back, and got 429 when it was not looked up."""
    body = index.signal(0)
    first = index.post(body, key="one")
    for _ in range(10):
        assert index.post(body, key="one").json == first.json
    index.place(1)
    index.place(2)
    refused(index.post(index.signal(3)))
    assert index.post(body, key="one").json == first.json
    assert index.post(index.signal(4), key="one").status_code == 422


def test_what_is_wrong_in_itself_costs_nothing_and_what_may_not_be_counts(index: Index) -> None:
    late = index.signal(0, madeAt="2026-11-01T10:00:00Z", removalDate="2028-11-01")
    unknown = index.signal(0, residenceMunicipality="9998")
    for body in (late, unknown, index.signal(0, reasonableSuspicion=False)):
        for _ in range(4):
            assert index.post(body).status_code == 400
    for _ in range(5):
        assert slug(index.post(index.signal(0, CLINIC), SCHOOL)) == "reporter-not-designated"
    assert refused(index.post(index.signal(0, CLINIC), SCHOOL)).startswith("Your institution")
    assert index.post(late).status_code == 400


def test_naming_others_reporters_makes_no_counter_and_spends_nothing_of_theirs(index: Index) -> None:
    """Seen failing, with a counter for each invented id and the clinic's reporter out, without the condition."""
    for _ in range(3):
        assert slug(index.post(index.signal(0, CLINIC), SCHOOL)) == "reporter-not-designated"
    assert slug(index.post(index.signal(0, reporter=str(uuid4())))) == "reporter-not-designated"
    assert counters(index.database) == {"country": 1, "institution": 4}  # of the country one, again and again
    for youngster in range(3):
        index.place(youngster, CLINIC)


def test_who_is_refused_spends_nothing_of_the_countrys(index: Index) -> None:
    """Else five clients that name others' reporters, a thousand in a batch, stopped everyone until midnight. Seen
    failing (429 for the clinic's third) when a refusal cost the country as well."""
    for _ in range(5):
        assert slug(index.post(index.signal(0, CLINIC), SCHOOL)) == "reporter-not-designated"
    refused(index.post(index.signal(0, CLINIC), SCHOOL))
    for youngster in range(5):
        index.place(youngster, CLINIC, n=youngster % 3)
    index.place(5, POLICE)
    index.place(6, POLICE)
    assert refused(index.post(index.signal(7, POLICE), POLICE)).startswith("A limit was reached")


def test_of_a_batch_each_item_over_the_limit_has_its_own_problem(index: Index) -> None:
    """In order; a key that comes twice is one signal and counts once, also where the limit is between the two."""
    one, two = index.signal(0), index.signal(1)
    items = [("a", one), ("b", two), ("c", index.signal(2)), ("d", index.signal(3)), ("a", one), ("e", index.signal(4))]
    answers = batch(index, *items, ("f", index.signal(5, n=1)), ("x", index.signal(6, CLINIC)))
    assert [answer["status"] for answer in answers] == [201, 201, 201, 429, 201, 429, 201, 403]
    assert answers[4] == answers[0]
    assert answers[3]["problem"]["retryAfter"] == 50400
    assert answers[3]["problem"]["detail"].startswith("This reporter")
    again = batch(index, *items)
    assert [answer["status"] for answer in again] == [201, 201, 201, 429, 201, 429]
    assert [answer["status"] for answer in batch(index, ("g", index.signal(7, n=2)))] == [429]


def test_the_normal_case_is_one_round_trip(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.app.extensions["signal_limits"] = SignalLimits(reporter=10_000, institution=10_000, country=10_000)
    index.place(0)
    limiter = index.app.extensions["signal_limits"]._limiter
    monkeypatch.setattr(limiter, "_lease", None)
    for youngster in range(1, 100):
        index.place(youngster)


def test_over_two_processes_exactly_as_many_are_placed(index: Index) -> None:
    """Of two processes' leases on one database, by 16 threads; in real processes it is tests/system/test_limits.py."""
    processes = [SignalLimits(reporter=50, institution=5, country=50) for _ in range(2)]
    pool = index.database.engine("intake", autocommit=True)
    keys = index.app.extensions["index_keys"]
    machine = Caller("client", "issuer", "token", "machine", SCOPES["machine"], oin=SCHOOL)
    signals = [SignalIn.model_validate_json(json.dumps(index.signal(n, n=n % 3))) for n in range(32)]

    def place(n: int) -> bool:
        with pool.connect() as connection:
            sent = [Submission(f"key-{n}", signals[n])]
            [outcome] = processes[n % 2].register(connection, keys, machine, sent, index.clock())
        return isinstance(outcome, RegisteredSignal)

    with ThreadPoolExecutor(16) as threads:
        placed = sum(threads.map(place, range(32)))
    assert placed == index.database.scalar("SELECT count(*) FROM signal") == 5


def test_what_waits_for_a_key_costs_nothing(index: Index) -> None:
    """A process that lacks a key while it turns answers 503, and senders come again and again: a file of an institution
    had used up the country's limit in minutes, with nothing placed. Seen failing (429) when what was taken was kept."""
    keys = index.app.extensions["index_keys"]
    index.app.extensions["index_keys"] = IndexKeys({2: bytes(32)})  # requests are known by version 1
    body = index.signal()
    for _ in range(8):
        assert index.post(body, key="one").status_code == 503
    index.app.extensions["index_keys"] = keys
    for youngster in range(3):
        index.place(youngster)
