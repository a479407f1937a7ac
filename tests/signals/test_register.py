# SPDX-License-Identifier: EUPL-1.2
"""Many signals in one statement: each is judged by itself, in order (R4; docs/decisions/0009)."""

import json
from typing import Any

from signals.evidence import counts, known_by, nothing_stored
from support import CLINIC, SCHOOL, Index

from verwijsindex.access.caller import SCOPES, Caller
from verwijsindex.problems import Fault, Problem
from verwijsindex.signals.schemas import RegisteredSignal, SignalIn, Submission
from verwijsindex.signals.service import register

MACHINE = Caller("client", "issuer", "token", "machine", SCOPES["machine"], oin=SCHOOL)


def _submission(index: Index, key: str, *, late: bool = False, oin: str = SCHOOL, **changes: Any) -> Submission:
    signal = SignalIn.model_validate_json(json.dumps(index.signal(oin=oin, **changes)))
    return Submission(key, signal, [Fault("body", "#/madeAt", "out_of_time", "")] if late else ())


def _register(index: Index, *submissions: Submission) -> list[RegisteredSignal | Problem]:
    with index.database.engine("intake", autocommit=True).connect() as connection:
        return register(connection, index.app.extensions["index_keys"], MACHINE, submissions, index.clock())


def _slugs(outcomes: list[RegisteredSignal | Problem]) -> list[str]:
    return [outcome.type.slug if isinstance(outcome, Problem) else "placed" for outcome in outcomes]


def test_each_of_a_batch_gets_its_own_answer(index: Index) -> None:
    before = counts(index.database)
    said: list[tuple[str, dict[str, Any]]] = [
        ("z", {}),
        ("b", {"oin": CLINIC}),
        ("a", {"youngster": 1}),
        ("z", {}),
        ("z", {"caseReference": "other"}),
        ("c", {"residenceMunicipality": "9998"}),
        ("d", {"late": True}),
    ]
    batch = [_submission(index, key, **how) for key, how in said]
    outcomes = _register(index, *batch)
    assert _slugs(outcomes) == [
        "placed",
        "reporter-not-designated",
        "placed",
        "placed",
        "idempotency-key-reused",
        "invalid-input",
        "invalid-input",
    ]
    assert outcomes[0] == outcomes[3] != outcomes[2]
    made = {"signal": 2, "work": 2, "idempotency_record": 2, "event": before["event"] + 3}  # type: ignore[operator]
    assert counts(index.database) == before | made
    with nothing_stored(index.database, events=1):  # the refusal, anew
        again = _register(index, *[_submission(index, key, **how | {"late": key != "b"}) for key, how in said])
    assert [again[0], again[2], again[3]] == [outcomes[0], outcomes[2], outcomes[3]]
    assert _slugs(again) == _slugs(outcomes)


def test_work_waits_in_the_order_of_the_batch_and_records_are_made_in_that_of_their_keys(index: Index) -> None:
    """So that two batches with the same keys in another order cannot deadlock. What stands there is a fingerprint."""
    outcomes = _register(index, *[_submission(index, key, youngster=n) for n, key in enumerate("dbca")])
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, RegisteredSignal)]
    assert [row[0] for row in index.database.rows("SELECT signal_id FROM work ORDER BY id")] == ids
    made = [row[0] for row in index.database.rows("SELECT key FROM idempotency_record ORDER BY ctid")]
    assert (
        made
        == sorted(known_by(index, "client", key) for key in "dbca")
        != [known_by(index, "client", k) for k in "dbca"]
    )


def test_an_empty_batch_is_nothing(index: Index) -> None:
    with nothing_stored(index.database):
        assert _register(index) == []
