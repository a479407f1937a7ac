# SPDX-License-Identifier: EUPL-1.2
"""Writing the ledger to a file that an auditor verifies elsewhere: whole, or without bodies (docs/ledger.md)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO

from pydantic_core import from_json
from sqlalchemy import Connection, Row, text

from verwijsindex.ledger.checkpoint import LedgerError
from verwijsindex.ledger.events import COLUMNS
from verwijsindex.ledger.reading import newest_checkpoint
from verwijsindex.ledger.verification import Header

CHUNK = 5_000
_COLUMNS = (*COLUMNS, "person", "concerned_oin")
_DROPPED = text(
    "SELECT d.before, c.note FROM dropped_events d JOIN checkpoint c ON c.size = d.covered"
    " ORDER BY d.before DESC LIMIT 1"
)
# A chunk at a time, so that nothing grows with the ledger; each event by its key (OFFSET 0), since a planner without
# statistics would read the whole table for every chunk. A place is a bigint, and said to be: a small number is sent as
# a smallint, which overflows when it is added to.
_CHUNK = "place >= CAST(:first AS bigint) AND place < CAST(:first AS bigint) + :chunk"
_LEAVES = text(f"SELECT place, hash FROM leaf WHERE {_CHUNK} ORDER BY place")  # noqa: S608 (a constant)
_EVENTS = text(
    f"SELECT l.place, l.hash, l.event_id, {', '.join(f'e.{name}' for name in _COLUMNS)} FROM leaf l"  # noqa: S608
    " LEFT JOIN LATERAL (SELECT * FROM event WHERE id = l.event_id OFFSET 0) e ON true"
    f" WHERE {_CHUNK} ORDER BY place"
)
_LAST = text("SELECT coalesce(max(place), -1) FROM leaf")
# Events that no sealer will ever see: put in past the trigger.
_OUTSIDE = text(
    "SELECT e.body, e.nonce FROM event e WHERE NOT EXISTS (SELECT FROM leaf l WHERE l.event_id = e.id)"
    " AND NOT EXISTS (SELECT FROM unsealed_event u WHERE u.event_id = e.id) ORDER BY e.id"
)


def export(
    connection: Connection, file: BinaryIO, *, public: bool, step: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Write the ledger as it is at this moment; how many events.

    Args:
        connection: of the owner, in a transaction with one snapshot (REPEATABLE READ).
        public: leaves and checkpoints alone, which tell nothing of anybody.
        step: hears now and then how many of how many events are written.

    Raises:
        LedgerError: nothing was sealed yet.
    """
    newest = newest_checkpoint(connection)
    if newest is None:
        raise LedgerError("nothing was sealed yet: look whether a worker runs, and come again in a minute")
    dropped = connection.execute(_DROPPED).one_or_none()
    part = "public" if public else "whole"
    file.write((Header(part, newest, dropped.before, dropped.note) if dropped else Header(part, newest)).line())
    end = int(connection.execute(_LAST).scalar_one()) + 1
    for first in range(0, end, CHUNK):
        rows = connection.execute(_LEAVES if public else _EVENTS, {"first": first, "chunk": CHUNK})
        file.writelines(_public(rows) if public else _whole(rows))
        step(min(first + CHUNK, end), end)
    if not public:
        for row in connection.execute(_OUTSIDE):
            file.write(b"\t".join((b"-", b"", bytes(row.nonce).hex().encode(), _one_line(bytes(row.body)))) + b"\n")
    return end


def _public(rows: Iterable[Row[Any]]) -> Iterator[bytes]:
    for row in rows:
        yield f"{row.place}\t{row.hash.hex()}\n".encode()


def _whole(rows: Iterable[Row[Any]]) -> Iterator[bytes]:
    for row in rows:
        line = f"{row.place}\t{row.hash.hex()}".encode()
        if row.body is not None:
            line += b"\t" + row.nonce.hex().encode() + b"\t" + _one_line(row.body)
            if other := other_than_said(row):
                line += b"\t" + ",".join(other).encode()
        yield line + b"\n"


def _one_line(body: bytes) -> bytes:
    """Canonical JSON has neither of these characters; a body that has is wrong already, and stays one line."""
    return body.replace(b"\n", b" ").replace(b"\t", b" ")


def other_than_said(row: "Row[Any]") -> list[str]:
    """The columns for searching that are not what the sealed bytes say; they are in no hash of their own."""
    try:
        said = from_json(row.body)
        actor = said["actor"]
        named = said.get("reporterId")
        reporter = said.get("reporter") or actor.get("onBehalfOf") or named
        wanted = {
            "id": said["id"],
            "at": datetime.fromisoformat(said["at"]),
            "kind": said["kind"],
            "outcome": said["outcome"],
            "signal_id": said.get("signalId"),
            "match_id": said.get("matchId"),
            "reporter_id": reporter,
            "oin": actor.get("institution"),
            "municipality_code": said.get("municipality") or actor.get("municipality"),
            "client_id": actor.get("clientId"),
            "person": actor.get("person") or (named if named != reporter else None),
            "concerned_oin": said.get("coordinatorsOf") or said.get("officersOf"),
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return []  # the bytes themselves are wrong, and are told of as such
    found = row._mapping
    return [
        name
        for name, value in wanted.items()
        if (found[name] if value is None or name == "at" else str(found[name])) != value
    ]
