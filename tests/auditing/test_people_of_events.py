# SPDX-License-Identifier: EUPL-1.2
"""Whom an event names stands in columns, also of events that were there before the upgrade (migration 0032, R25)."""

import importlib
import json
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from support import CLINIC, NOW, Database

_INSERT = sa.text(
    "INSERT INTO event (id, at, kind, outcome, reporter_id, body, nonce)"
    " VALUES (:id, :at, 'match.read', 'success', :reporter, :body, :nonce)"
)
A, B, OFFICER = uuid4(), uuid4(), uuid4()


def _body(reporter_id: UUID | None = None, says: dict[str, str] | None = None, **actor: object) -> bytes:
    said = (
        {"actor": {"role": "x", **actor}, "act": "x"}
        | (says or {})
        | ({"reporterId": str(reporter_id)} if reporter_id else {})
    )
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


CASES: dict[str, tuple[UUID | None, bytes, UUID | None, str | None, str | None]] = {
    "a machine's for a reporter": (A, _body(onBehalfOf=str(A)), A, None, None),
    "a person's": (None, _body(person=str(OFFICER)), None, str(OFFICER), None),
    "a person's about a reporter": (None, _body(A, person=str(OFFICER)), A, str(OFFICER), None),
    "an administrator's": (None, _body(person="root"), None, "root", None),
    "a handover by a machine": (A, _body(B, onBehalfOf=str(A)), A, str(B), None),
    "one that names its reporter twice": (A, _body(A), A, None, None),
    "nobody's": (None, _body(), None, None, None),
    "what is no event": (None, b'\xff"person":"\\"reporterId":"17","officersOf":"17"', None, None, None),
    "what was told named officers": (None, _body(says={"officersOf": CLINIC}), None, None, CLINIC),
    "what was told coordinators": (None, _body(says={"coordinatorsOf": CLINIC}), None, None, CLINIC),
    "a coordinator's choice": (
        *(None, _body(says={"coordinatorsOf": CLINIC}, person=str(OFFICER)), None, str(OFFICER), CLINIC),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_event_says_whom_it_names(index_database: Database, case: str) -> None:
    given, body, *names = CASES[case]
    event = {"id": uuid4(), "at": NOW, "reporter": given, "body": body, "nonce": bytes(16)}
    with index_database.engine("owner").begin() as connection:
        connection.execute(_INSERT, event)
    found = index_database.rows("SELECT reporter_id, person, concerned_oin FROM event")
    assert [list(row) for row in found] == [names]


def test_events_of_before_say_so_too_and_the_ledger_stays_append_only(index_database: Database) -> None:
    """The version before wrote them without the trigger. Filled twice, they are as filled once."""
    migration = importlib.import_module("verwijsindex.migrations.index.0032_privacy_officer")
    owner = index_database.engine("owner")
    with owner.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event DISABLE TRIGGER event_says_people")
        for given, body, *_ in CASES.values():
            connection.execute(_INSERT, {"id": uuid4(), "at": NOW, "reporter": given, "body": body, "nonce": bytes(16)})
        connection.exec_driver_sql("ALTER TABLE event ENABLE TRIGGER event_says_people")
    for _ in range(2):
        with owner.connect() as connection:
            migration.fill(connection)
        rows = index_database.rows("SELECT body, reporter_id, person, concerned_oin FROM event")
        assert {bytes(row.body): tuple(row)[1:] for row in rows} == {
            body: tuple(names) for _, body, *names in CASES.values()
        }
    with owner.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="append-only"):
        connection.exec_driver_sql("UPDATE event SET kind = 'x'")
