# SPDX-License-Identifier: EUPL-1.2
"""Whom an event names stands in columns, also of events that were there before the upgrade (migration 0032, R25)."""

import importlib
import json
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from support import NOW, Database

_INSERT = sa.text(
    "INSERT INTO event (id, at, kind, outcome, reporter_id, body, nonce)"
    " VALUES (:id, :at, 'match.read', 'success', :reporter, :body, :nonce)"
)
A, B, OFFICER = uuid4(), uuid4(), uuid4()


def _body(reporter_id: UUID | None = None, **actor: object) -> bytes:
    said = {"actor": {"role": "x", **actor}, "act": "x"} | ({"reporterId": str(reporter_id)} if reporter_id else {})
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


CASES: dict[str, tuple[UUID | None, bytes, UUID | None, str | None]] = {
    "a machine's for a reporter": (A, _body(onBehalfOf=str(A)), A, None),
    "a person's": (None, _body(person=str(OFFICER)), None, str(OFFICER)),
    "a person's about a reporter": (None, _body(A, person=str(OFFICER)), A, str(OFFICER)),
    "an administrator's": (None, _body(person="root"), None, "root"),
    "a handover by a machine": (A, _body(B, onBehalfOf=str(A)), A, str(B)),
    "one that names its reporter twice": (A, _body(A), A, None),
    "nobody's": (None, _body(), None, None),
    "what is no event": (None, b'\xff"person":"\\"reporterId":"17"', None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_an_event_says_whom_it_names(index_database: Database, case: str) -> None:
    given, body, reporter, person = CASES[case]
    event = {"id": uuid4(), "at": NOW, "reporter": given, "body": body, "nonce": bytes(16)}
    with index_database.engine("owner").begin() as connection:
        connection.execute(_INSERT, event)
    assert [tuple(row) for row in index_database.rows("SELECT reporter_id, person FROM event")] == [(reporter, person)]


def test_events_of_before_say_so_too_and_the_ledger_stays_append_only(index_database: Database) -> None:
    """The version before wrote them without the trigger. Filled twice, they are as filled once."""
    migration = importlib.import_module("verwijsindex.migrations.index.0032_privacy_officer")
    owner = index_database.engine("owner")
    with owner.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event DISABLE TRIGGER event_says_people")
        for given, body, _, _ in CASES.values():
            connection.execute(_INSERT, {"id": uuid4(), "at": NOW, "reporter": given, "body": body, "nonce": bytes(16)})
        connection.exec_driver_sql("ALTER TABLE event ENABLE TRIGGER event_says_people")
    for _ in range(2):
        with owner.connect() as connection:
            migration.fill(connection)
        found = {bytes(row.body): (row.reporter_id, row.person) for row in index_database.rows("SELECT * FROM event")}
        assert found == {body: (reporter, person) for _, body, reporter, person in CASES.values()}
    with owner.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="append-only"):
        connection.exec_driver_sql("UPDATE event SET kind = 'x'")
