# SPDX-License-Identifier: EUPL-1.2
"""What the owner of the database changes in a sealed ledger is found offline: every time, in every row (R25).

With the triggers put aside, as their owner can. Each attempt is undone before the next.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from ledger.ledgers import exported, fill, verified
from sqlalchemy import Connection
from support import Database

from verwijsindex.ledger.checkpoint import Checkpoint

EVENTS = 1_000
FAR = 1_000_000
EVERY = 1 if os.environ.get("TEST_LONG") else 100
"""Each way is tried on every so many rows, others each day; with TEST_LONG=1 on all of them."""
FIRST = datetime.now(UTC).date().toordinal() % EVERY
COLUMNS = (
    *("at", "kind", "outcome", "signal_id", "match_id", "reporter_id", "oin", "municipality_code", "client_id"),
    *("person", "concerned_oin"),
)
_OTHER = {
    "at": "at + interval '1 hour'",
    "kind": "'match.ended'",
    "outcome": "CASE outcome WHEN 'success' THEN 'refused' ELSE 'success' END",
    "oin": "'00000009999999999000'",
    "concerned_oin": "'00000009999999999000'",
    "municipality_code": "'9999'",
    "client_id": "'somebody'",
}
_OF = "(SELECT event_id FROM leaf WHERE place = {place})"


def _event(change: str) -> Callable[[int], str]:
    return lambda place: f"UPDATE event SET {change} WHERE id = {_OF.format(place=place)}"


def _column(place: int) -> str:
    name = COLUMNS[place // EVERY % len(COLUMNS)]
    return _event(f"{name} = {_OTHER.get(name, 'gen_random_uuid()')}")(place)


WAYS: dict[str, Callable[[int], str]] = {
    "a bit of a body": _event("body = set_bit(body, 100, 1 - get_bit(body, 100))"),
    "a body that is longer": _event("body = body || ' '"),
    "a nonce": _event("nonce = set_bit(nonce, 0, 1 - get_bit(nonce, 0))"),
    "a column for searching": _column,
    "a leaf": lambda place: f"UPDATE leaf SET hash = set_bit(hash, 7, 1 - get_bit(hash, 7)) WHERE place = {place}",
    "a body with its leaf": lambda place: (
        _event("body = body || ' '")(place)
        + f"; UPDATE leaf l SET hash = sha256('\\x00' || e.nonce || e.body) FROM event e WHERE e.id = l.event_id"
        f" AND place = {place}"
    ),
    "an event taken out": lambda place: f"DELETE FROM event WHERE id = {_OF.format(place=place)}",
    "a leaf taken out": lambda place: f"DELETE FROM leaf WHERE place = {place}",
    "both taken out": lambda place: (
        f"DELETE FROM event WHERE id = {_OF.format(place=place)}; DELETE FROM leaf WHERE place = {place}"
    ),
    "both taken out, and the rest moved up": lambda place: (
        f"DELETE FROM event WHERE id = {_OF.format(place=place)}; DELETE FROM leaf WHERE place = {place};"
        f"UPDATE leaf SET place = place + {FAR} WHERE place > {place};"
        f"UPDATE leaf SET place = place - {FAR} - 1 WHERE place > {FAR}"
    ),
    "an event put in past the queue": lambda place: (
        f"INSERT INTO event SELECT gen_random_uuid(), at, kind, outcome, signal_id, match_id, reporter_id, oin,"
        f" municipality_code, client_id, body, nonce FROM event WHERE id = {_OF.format(place=place)}"
    ),
    "an event put in at its place": lambda place: (
        f"UPDATE leaf SET place = place + {FAR} WHERE place >= {place};"
        f"UPDATE leaf SET place = place - {FAR} + 1 WHERE place >= {FAR};"
        f"INSERT INTO leaf SELECT {place}, gen_random_uuid(), sha256('')"
    ),
    "two events in each other's place": lambda place: (
        f"UPDATE leaf SET place = {FAR} WHERE place = {place}; UPDATE leaf SET place = {place} WHERE place ="
        f" {(place + 1) % EVENTS}; UPDATE leaf SET place = {(place + 1) % EVENTS} WHERE place = {FAR}"
    ),
    "the bodies of two events in each other's place": lambda place: (
        "UPDATE event a SET body = b.body, nonce = b.nonce FROM event b WHERE"
        f" (a.id, b.id) IN (({_OF.format(place=place)}, {_OF.format(place=(place + 1) % EVENTS)}),"
        f" ({_OF.format(place=(place + 1) % EVENTS)}, {_OF.format(place=place)}))"
    ),
    "all from there on cut off": lambda place: (
        f"DELETE FROM event WHERE id IN (SELECT event_id FROM leaf WHERE place >= {place});"
        f"DELETE FROM leaf WHERE place >= {place}"
    ),
    "the checkpoints from there on cut off as well": lambda place: (
        f"DELETE FROM event WHERE id IN (SELECT event_id FROM leaf WHERE place >= {place});"
        f"DELETE FROM leaf WHERE place >= {place}; DELETE FROM checkpoint WHERE size > greatest({place}, 100)"
    ),
    "the beginning said to be dropped": lambda place: (
        f"DELETE FROM event WHERE id IN (SELECT event_id FROM leaf WHERE place <= {place});"
        f"INSERT INTO dropped_events SELECT {place + 1}, {EVENTS}, now()"
    ),
}


NAMED = set(WAYS) - {
    "a body with its leaf",
    "both taken out, and the rest moved up",
    "an event put in past the queue",
    "an event put in at its place",
    "two events in each other's place",
    "all from there on cut off",
    "the checkpoints from there on cut off as well",
    "the beginning said to be dropped",
}
"""Ways of which the finding names the very event; of the others it says how many are missing, or between which of the
kept checkpoints it is."""


@pytest.fixture(scope="module")
def ledger(_migrated_index: Database) -> Iterator[tuple[Connection, list[Checkpoint]]]:
    """A thousand events with five checkpoints kept outside, and its owner with the triggers put aside."""
    _migrated_index.empty()
    kept = fill(_migrated_index, 100, 250, 1, 399, 250)
    connection = _migrated_index.engine("owner").connect()
    for table in ("event", "leaf", "checkpoint", "dropped_events", "tree_node"):
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield connection, kept
    connection.rollback()
    connection.close()


def test_the_ledger_itself_is_as_it_was_sealed(ledger: tuple[Connection, list[Checkpoint]]) -> None:
    connection, kept = ledger
    for public in (False, True):
        verdict = verified(exported(connection, public=public), kept)
        assert (verdict.findings, verdict.size, verdict.dropped) == ([], EVENTS, 0)
        assert set(verdict.agrees) == set(kept)
        assert verdict.whole is not public


@pytest.mark.parametrize("way", WAYS)
def test_what_the_owner_changes_in_any_row_is_found(ledger: tuple[Connection, list[Checkpoint]], way: str) -> None:
    """All of them: none is missed. Seen failing, of their ways: without the comparison of columns, of leaves with
    bodies, of roots with checkpoints, of the size, and with whatever is missing taken for dropped."""
    connection, kept = ledger
    places = range(FIRST, EVENTS, EVERY)
    found = Counter[str]()
    named = 0
    for place in places:
        with connection.begin_nested() as attempt:
            connection.execute(sa.text(WAYS[way](place).replace(":", "\\:")))
            try:
                verdict = verified(exported(connection), kept)
            finally:
                attempt.rollback()
        found["found" if verdict.count else "missed"] += 1
        named += any(finding.place == place for finding in verdict.findings)
    assert found == {"found": len(places)}
    if way in NAMED:  # but the last place taken out: that is cut off, and how many are missing is said
        cut_off = way in {"a leaf taken out", "both taken out"} and EVENTS - 1 in places
        assert named == len(places) - cut_off


def test_between_which_two_checkpoints_it_is_when_all_hashes_were_made_anew(
    ledger: tuple[Connection, list[Checkpoint]],
) -> None:
    connection, kept = ledger
    with connection.begin_nested() as attempt:
        connection.execute(sa.text(WAYS["a body with its leaf"](351)))
        verdict = verified(exported(connection), kept)
        attempt.rollback()
    assert [checkpoint.size for checkpoint in verdict.agrees] == [100, 350, 351]
    assert "at a place from 351 to 749" in str(verdict.findings[0])
