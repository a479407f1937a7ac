# SPDX-License-Identifier: EUPL-1.2
"""A death, told by a municipality (R14): one statement that only inserts, like intake (I1, I4, I7).

What is known of the youngster is not looked at, and the role of intake could not look: the answer and its time are the
same for anybody. What was told counts from that moment (`live_signals`, I6); the matcher ends what it ends.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from verwijsindex.access.caller import Caller
from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.problems import (
    IDEMPOTENCY_KEY_REUSED,
    INVALID_INPUT,
    NOT_A_MUNICIPALITY,
    UNAVAILABLE,
    Fault,
    Problem,
)
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeyMissingError, IndexKeys
from verwijsindex.signals.known_requests import AS_SENT, KNOWING, first_requests, is_repeat, known_by
from verwijsindex.signals.schemas import PseudonymIn

# Right when two run at once, as intake is: the second waits for the first one's idempotency record, and does nothing;
# and the record's key is the fingerprint under the version of the index key that the database says in this statement.
_TELL = text(
    f"""
WITH municipal AS (
    SELECT code FROM municipality WHERE oin = :oin
), request AS (
    SELECT knowing, (CAST(:keys AS text[]))[array_position(CAST(:held AS int[]), knowing)] AS key
    FROM {KNOWING} v
), claimed AS (
    INSERT INTO idempotency_record
        (client_id, key, key_version, body_fingerprint, pseudonym_fingerprint, pseudonym_version, signal_id,
         received_at)
    SELECT :client_id, key, :key_version, :body_fingerprint, :pseudonym_fingerprint, :pseudonym_version,
           CAST(:id AS uuid), :now
    FROM municipal, request
    WHERE :in_time AND key IS NOT NULL
      AND NOT EXISTS (SELECT FROM idempotency_record r
                      WHERE r.client_id = CAST(:client_id AS varchar) AND r.key = ANY(CAST(:keys AS text[])))
    ON CONFLICT (client_id, key) DO NOTHING
    RETURNING signal_id
), deaths AS (
    INSERT INTO death (id, key, key_version, told_at)
    SELECT claimed.signal_id, d.key, d.key_version, :now
    FROM claimed, json_to_recordset(CAST(:sealed AS json)) AS d (key bytea, key_version int)
), told AS (
    INSERT INTO event ({", ".join(events.COLUMNS)})
    SELECT {", ".join(f"e.{name}" for name in events.COLUMNS)}
    FROM claimed, json_to_recordset(CAST(:events AS json)) AS e ({", ".join(map(" ".join, events.COLUMNS.items()))})
)
SELECT EXISTS (SELECT FROM claimed) AS told, EXISTS (SELECT FROM municipal) AS municipal, knowing FROM request
"""  # noqa: S608 (names of columns from the table of events)
)


@dataclass(frozen=True, slots=True)
class Told:
    """A death as it was told, with its idempotency key, and what only the clock shows to be wrong with it."""

    key: str
    pseudonym: PseudonymIn
    clock_faults: list[Fault]
    id: UUID = field(default_factory=uuid4)


def tell(connection: Connection, keys: IndexKeys, caller: Caller, told: Told, now: datetime) -> datetime | None:
    """Write down that a youngster died, whether or not it is known; None when that is done, or the moment at which the
    same request was first received.

    Args:
        connection: of the intake role, in autocommit: the statement is the transaction.

    Raises:
        Problem: 400 for a key version that is not accepted, 403 for who is no municipality's machine, 422 for a key
            that was used for something else.
        IndexKeyMissingError: this process lacks the version of the index key by which requests are known.
    """
    current = keys.current
    actor = events.Actor(role=caller.role, client_id=caller.client_id, oin=caller.oin)
    body, pseudonym = _fingerprints(caller, told, current)
    # Of a version that is not accepted there may be nothing left that turns it; and nothing is told of it.
    usable = [] if told.clock_faults else keys.values()
    sealed = [
        {"key": key.seal_pseudonym("youngster", told.pseudonym.value), "key_version": key.version} for key in usable
    ]
    held = [AS_SENT, *keys]
    row = connection.execute(
        _TELL,
        {
            "oin": caller.oin,
            "client_id": caller.client_id,
            "keys": known_by(keys, caller, told.key),
            "held": held,
            "key_version": current.version,
            "body_fingerprint": body,
            "pseudonym_fingerprint": pseudonym,
            "pseudonym_version": told.pseudonym.key_version,
            "id": told.id,
            "now": now,
            "in_time": not told.clock_faults,
            "sealed": as_json(sealed),
            "events": as_json([events.row_of(events.Event(events.DEATH_TOLD, now, actor))]),
        },
    ).one()
    if row.knowing not in held:
        raise IndexKeyMissingError(row.knowing)
    if row.told:
        return None
    first = first_told(connection, keys, caller, told)
    if first:
        return first
    if told.clock_faults:
        raise Problem(INVALID_INPUT, errors=told.clock_faults)
    raise Problem(UNAVAILABLE if row.municipal else NOT_A_MUNICIPALITY)


def first_told(connection: Connection, keys: IndexKeys, caller: Caller, told: Told) -> datetime | None:
    """When the same request was first received, if it was. Raises Problem 422 where its key was used for another."""
    first = first_requests(connection, keys, caller, {0: told.key}).get(0)
    if first is None:
        return None
    if not is_repeat(first, keys, partial(_fingerprints, caller, told), told.pseudonym.key_version):
        raise Problem(IDEMPOTENCY_KEY_REUSED)
    received_at: datetime = first.received_at
    return received_at


def _fingerprints(caller: Caller, told: Told, key: IndexKey) -> tuple[bytes, bytes]:
    """Of what the request is, and of its pseudonym; bound to the one record that they stand in, as those of signals."""
    record = f"{caller.client_id}\0{told.key}\0death\0".encode()
    return key.fingerprint("body", record), key.fingerprint("pseudonyms", record + told.pseudonym.value.value)
