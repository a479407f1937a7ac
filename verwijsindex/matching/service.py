# SPDX-License-Identifier: EUPL-1.2
"""The matcher: level-triggered, one at a time (I2, I3; docs/decisions/0003).

Work says only "look at the youngster of this signal". What should be is computed from the live signals at this
moment, never from what happened; unique constraints make what is told once be told once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

from verwijsindex.database import sqlstate, transaction
from verwijsindex.logs import WORK_PARKED, log
from verwijsindex.matching import looking
from verwijsindex.matching.looking import Looked, is_of_a_row
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.signals.ending import Bury

BATCH = 500  # rows of work in one transaction

# The one matcher lock. It is tried, not waited for: a worker that finds it taken goes away, and nobody's wake-up is
# lost, since the holder looks for work once more after its commit has released the lock (docs/decisions/0003). It is
# taken by a statement of its own, so that the statements after it see everything committed before.
LOCK_TRIED = text("SELECT pg_try_advisory_xact_lock(hashtextextended('verwijsindex.matcher', 0))")
LOCK_WAITED_FOR = text("SELECT true FROM pg_advisory_xact_lock(hashtextextended('verwijsindex.matcher', 0))")
_WAITING_IDS = text("SELECT id FROM work WHERE parked_at IS NULL ORDER BY id LIMIT :size")
_WAITING = text("SELECT EXISTS (SELECT FROM work WHERE parked_at IS NULL)")
_CLAIM = text(
    "DELETE FROM work WHERE id IN (SELECT id FROM work WHERE parked_at IS NULL ORDER BY id LIMIT :size)"
    " RETURNING id, signal_id"
)
_CLAIM_THESE = text("DELETE FROM work WHERE id = ANY(:ids) RETURNING id, signal_id")
_UNPARK = text("UPDATE work SET parked_at = NULL WHERE parked_at < :before")
_PARKED = text("SELECT count(*) FROM work WHERE parked_at IS NOT NULL")
_PARK = text("UPDATE work SET parked_at = :now WHERE id = ANY(:ids)")


def only_in_the_database(_: Sequence[UUID], __: Mapping[UUID, datetime]) -> bool:
    """Tombstones stand in the database; a worker writes them outside of it as well."""
    return True


@dataclass(frozen=True, slots=True)
class Done:
    """What one run of the matcher did: so many rows of work, and what the look at them did; `more` says that there is
    work left."""

    taken: int = 0
    looked: Looked = field(default_factory=Looked)
    more: bool = False


def match_waiting(
    pool: Engine,
    now: datetime,
    push_due_at: datetime,
    *,
    keys: Mapping[int, IndexKey],
    bury: Bury = only_in_the_database,
    size: int = BATCH,
    lock: TextClause = LOCK_TRIED,
) -> Done:
    """Bring matches, parties and notices of one batch of work up to date, in a transaction of its own.

    Whoever does not get the matcher's lock does nothing: its holder will look again. A batch that fails is halved
    until the one row is found that makes it fail; that row is parked with an alarm and the rest goes on. One that takes
    longer than PostgreSQL allows is done in parts: what each signal tells grows with the parties that are there, so
    that whoever prepared hundreds of large matches, and let each grow at once, would else stop all matching.

    Args:
        pool: of the worker role.
        push_due_at: when webhooks for what is told now may leave (the next tick).
        keys: the versions of the index key that this process holds: a 23rd birthday bounds the archive, and while the
            key is turned a youngster is looked for under each.
        bury: writes down outside the database what is about to be destroyed (R16).

    Raises:
        KeyMissingError: the key is being turned and this process lacks a version; the work waits for another.
    """
    done = Done()
    try:
        with transaction(pool) as connection:
            if not connection.execute(lock).scalar_one():
                return done
            taken = connection.execute(_CLAIM, {"size": size}).all()
            signals = [row.signal_id for row in taken]
            done = Done(len(taken), looking.at_signals(connection, keys, signals, now, push_due_at, bury))
    except Exception as error:
        if took_too_long(error) and size > 1:
            part = -(-size // _PARTS)
            moments = [now + timedelta(microseconds=n) for n in range(_PARTS)]
            parts = [
                match_waiting(pool, at, push_due_at, keys=keys, bury=bury, size=part, lock=LOCK_WAITED_FOR)
                for at in moments
            ]
            done = Done(sum(one.taken for one in parts), sum((one.looked for one in parts), Looked()))
        elif took_too_long(error):
            _park_first(pool, now, error)
        elif is_of_a_row(error):
            done = _match_or_park(pool, keys, now, push_due_at, bury, size)
        else:
            raise
    with transaction(pool) as connection:
        return replace(done, more=connection.execute(_WAITING).scalar_one())


_PARTS = 8
_TOO_LONG = ("57014", "25P04")  # SQLSTATE of a statement's and of a transaction's time limit


def took_too_long(error: Exception) -> bool:
    """Whether PostgreSQL's limit of time ended it."""
    return isinstance(error, DBAPIError) and sqlstate(error) in _TOO_LONG


def unpark(connection: Connection, now: datetime) -> int:
    """Let what was parked over an hour ago be tried again: its cause may be mended. How many rows are still parked."""
    connection.execute(_UNPARK, {"before": now - timedelta(hours=1)})
    return int(connection.execute(_PARKED).scalar_one())


def _park_first(pool: Engine, now: datetime, error: Exception) -> None:
    """One row that takes longer than PostgreSQL allows must not stop all others for ever."""
    with transaction(pool) as connection:
        connection.execute(LOCK_WAITED_FOR)
        connection.execute(_PARK, {"ids": list(connection.execute(_WAITING_IDS, {"size": 1}).scalars()), "now": now})
    log(WORK_PARKED, error=error)


def _match_or_park(
    pool: Engine, keys: Mapping[int, IndexKey], now: datetime, push_due_at: datetime, bury: Bury, size: int
) -> Done:
    """All in one transaction that waits for the lock and keeps it, each half behind a savepoint. When each half had a
    transaction of its own, two workers with a steady stream of work took the lock from each other between the halves:
    neither ever came down to the one row, and nothing was matched any more."""
    taken, looked, moment = 0, Looked(), now
    with transaction(pool) as connection:
        connection.execute(LOCK_WAITED_FOR)
        halves = [list(connection.execute(_WAITING_IDS, {"size": size}).scalars())]
        while halves:
            ids = halves.pop()
            moment += timedelta(microseconds=1)  # each half tells at a moment of its own, and in this order
            try:
                with connection.begin_nested():
                    rows = connection.execute(_CLAIM_THESE, {"ids": ids}).all()
                    signals = [row.signal_id for row in rows]
                    looked += looking.at_signals(connection, keys, signals, moment, push_due_at, bury)
                    taken += len(rows)
            except Exception as error:
                if not is_of_a_row(error):
                    raise
                if len(ids) > 1:
                    middle = len(ids) // 2
                    halves += [ids[middle:], ids[:middle]]
                    continue
                connection.execute(_PARK, {"ids": ids, "now": now})
                log(WORK_PARKED, error=error)
    return Done(taken, looked)
