# SPDX-License-Identifier: EUPL-1.2
"""The matcher: level-triggered, one at a time (I2, I3; DESIGN.md, Matching).

Work says only "look at the youngster of this signal". What should be is computed from the live signals at this
moment, never from what happened; unique constraints make what is told once be told once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from verwijsindex.database import transaction
from verwijsindex.ledger import events
from verwijsindex.logs import WORK_PARKED, log
from verwijsindex.matching.aligning import align
from verwijsindex.notices import service as notices
from verwijsindex.pseudonyms.factors import KeyMissingError
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.signals.dates import amsterdam_date

BATCH = 500  # rows of work in one transaction

# The one matcher lock. It is tried, not waited for: a worker that finds it taken goes away, and nobody's wake-up is
# lost, since the holder looks for work once more after its commit has released the lock (docs/decisions/0003). It is
# taken by a statement of its own, so that the statements after it see everything committed before.
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('verwijsindex.matcher', 0))")
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

_ADD_YOUNGSTERS = text(
    "INSERT INTO youngster (id, key, key_version)"
    " SELECT gen_random_uuid(), sealed_pseudonym, CAST(:key_version AS integer) FROM signal"
    " WHERE id = ANY(:signals) AND sealed_pseudonym IS NOT NULL GROUP BY sealed_pseudonym ORDER BY sealed_pseudonym"
    " ON CONFLICT (key) DO NOTHING"
)
_ATTACH = text(
    "UPDATE signal s SET youngster_id = y.id, sealed_pseudonym = NULL FROM youngster y"
    " WHERE s.id = ANY(:signals) AND y.key = s.sealed_pseudonym"
)
_YOUNGSTERS = text(
    "SELECT DISTINCT coalesce(s.youngster_id, y.id) FROM signal s LEFT JOIN youngster y ON y.key = s.sealed_pseudonym"
    " WHERE s.id = ANY(:signals)"
)
_RECEIVED = text(
    "SELECT id, CASE WHEN youngster_id IS NULL THEN received_at END AS received_at FROM signal WHERE id = ANY(:signals)"
)

# Live reporters and residences of the youngsters in question: what should be (R8, R9, R14).
_LIVE = """
live AS (
    SELECT youngster_id, reporter_id, residence_municipality, id AS signal_id, received_at FROM signal
    WHERE youngster_id = ANY(:youngsters) AND removal_date > :today
), matched AS (
    SELECT youngster_id FROM live GROUP BY youngster_id HAVING count(DISTINCT reporter_id) > 1
)
"""
_END_MATCHES = text(
    f"WITH {_LIVE} UPDATE match SET ended_at = :now WHERE youngster_id = ANY(:youngsters) AND ended_at IS NULL"  # noqa: S608
    " AND youngster_id NOT IN (SELECT youngster_id FROM matched) RETURNING id"
)
_OPEN_MATCHES = text(
    f"WITH {_LIVE} INSERT INTO match (id, kind, youngster_id, opened_at, change)"  # noqa: S608
    " SELECT uuidv7(), 'youngster', youngster_id, :now, 0 FROM matched ORDER BY youngster_id"
    " ON CONFLICT (youngster_id) WHERE ended_at IS NULL DO NOTHING RETURNING id"
)
# The parties and the supervisions that no live signal supports, found from the youngsters and not from the whole table.
_LEAVE = text(
    f"WITH {_LIVE}, gone AS ("  # noqa: S608
    " SELECT p.id FROM match m JOIN party p ON p.match_id = m.id AND p.left_at IS NULL"
    " LEFT JOIN live l ON l.youngster_id = m.youngster_id AND l.reporter_id = p.reporter_id"
    " WHERE m.youngster_id = ANY(:youngsters) AND (m.ended_at IS NOT NULL OR l.signal_id IS NULL)"
    ") UPDATE party p SET left_at = :now FROM gone WHERE p.id = gone.id RETURNING p.match_id, p.reporter_id"
)
_STOP_SUPERVISING = text(
    f"WITH {_LIVE}, gone AS ("  # noqa: S608
    " SELECT v.id FROM match m JOIN supervision v ON v.match_id = m.id AND v.left_at IS NULL"
    " LEFT JOIN live l ON l.youngster_id = m.youngster_id AND l.residence_municipality = v.municipality_code"
    " WHERE m.youngster_id = ANY(:youngsters) AND (m.ended_at IS NOT NULL OR l.signal_id IS NULL)"
    ") UPDATE supervision v SET left_at = :now FROM gone WHERE v.id = gone.id"
)
_JOIN = text(
    f"WITH {_LIVE} INSERT INTO party (id, match_id, reporter_id, joined_at)"  # noqa: S608
    " SELECT uuidv7(), m.id, l.reporter_id, :now FROM match m JOIN live l USING (youngster_id)"
    " WHERE m.ended_at IS NULL GROUP BY m.id, l.reporter_id ORDER BY m.id, l.reporter_id"
    " ON CONFLICT (match_id, reporter_id) WHERE left_at IS NULL DO NOTHING RETURNING match_id, reporter_id"
)
_SUPERVISE = text(
    f"WITH {_LIVE} INSERT INTO supervision (id, match_id, municipality_code, joined_at)"  # noqa: S608
    " SELECT uuidv7(), m.id, l.residence_municipality, :now FROM match m JOIN live l USING (youngster_id)"
    " WHERE m.ended_at IS NULL GROUP BY m.id, l.residence_municipality ORDER BY m.id, l.residence_municipality"
    " ON CONFLICT (match_id, municipality_code) WHERE left_at IS NULL DO NOTHING RETURNING match_id, municipality_code"
)


_NO_KEYS: Mapping[int, IndexKey] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Done:
    """What one run of the matcher did; `more` says that there is work left."""

    taken: int
    notices: int
    more: bool


def match_waiting(
    pool: Engine,
    now: datetime,
    push_due_at: datetime,
    *,
    keys: Mapping[int, IndexKey] = _NO_KEYS,
    size: int = BATCH,
    lock: TextClause = _LOCK,
) -> Done:
    """Bring matches, parties and notices of one batch of work up to date, in a transaction of its own.

    Whoever does not get the matcher's lock does nothing: its holder will look again. A batch that fails is halved
    until the one row is found that makes it fail; that row is parked with an alarm and the rest goes on. One that takes
    longer than PostgreSQL allows is done in parts: what each signal tells grows with the parties that are there, so
    that whoever prepared hundreds of large matches, and let each grow at once, would else stop all matching.

    Args:
        pool: of the worker role.
        push_due_at: when webhooks for what is told now may leave (the next tick).
        keys: the versions of the index key that this process holds. They are used only while the key is turned.

    Raises:
        KeyMissingError: the key is being turned and this process lacks a version; the work waits for another.
    """
    done = Done(0, 0, more=False)
    try:
        with transaction(pool) as connection:
            if not connection.execute(lock).scalar_one():
                return done
            taken = connection.execute(_CLAIM, {"size": size}).all()
            told = _bring_up_to_date(connection, keys, [row.signal_id for row in taken], now, push_due_at)
            done = Done(len(taken), told, more=False)
    except Exception as error:
        if _took_too_long(error) and size > 1:
            part = -(-size // _PARTS)
            moments = [now + timedelta(microseconds=n) for n in range(_PARTS)]
            parts = [match_waiting(pool, at, push_due_at, keys=keys, size=part, lock=LOCK_WAITED_FOR) for at in moments]
            done = Done(sum(one.taken for one in parts), sum(one.notices for one in parts), more=False)
        elif _is_of_a_row(error):
            done = _match_or_park(pool, keys, now, push_due_at, size)
        else:
            raise
    with transaction(pool) as connection:
        return Done(done.taken, done.notices, more=connection.execute(_WAITING).scalar_one())


_PARTS = 8
_TOO_LONG = ("57014", "25P04")  # SQLSTATE of a statement's and of a transaction's time limit


def _took_too_long(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _TOO_LONG


# SQLSTATE classes: cardinality, data, integrity constraint, and what a trigger raises.
_OF_A_ROW = ("21", "22", "23", "P0")


def _is_of_a_row(error: Exception) -> bool:
    """Whether it is what a row says that cannot be dealt with. A database that is away or busy, a table or a privilege
    that is missing is the fault of none: the work waits until that is mended."""
    if isinstance(error, DBAPIError):
        return (getattr(error.orig, "sqlstate", None) or "").startswith(_OF_A_ROW)
    return not isinstance(error, SQLAlchemyError | KeyMissingError)


def unpark(connection: Connection, now: datetime) -> int:
    """Let what was parked over an hour ago be tried again: its cause may be mended. How many rows are still parked."""
    connection.execute(_UNPARK, {"before": now - timedelta(hours=1)})
    return int(connection.execute(_PARKED).scalar_one())


def _match_or_park(pool: Engine, keys: Mapping[int, IndexKey], now: datetime, push_due_at: datetime, size: int) -> Done:
    """All in one transaction that waits for the lock and keeps it, each half behind a savepoint. When each half had a
    transaction of its own, two workers with a steady stream of work took the lock from each other between the halves:
    neither ever came down to the one row, and nothing was matched any more."""
    taken, told, moment = 0, 0, now
    with transaction(pool) as connection:
        connection.execute(LOCK_WAITED_FOR)
        halves = [list(connection.execute(_WAITING_IDS, {"size": size}).scalars())]
        while halves:
            ids = halves.pop()
            moment += timedelta(microseconds=1)  # each half tells at a moment of its own, and in this order
            try:
                with connection.begin_nested():
                    rows = connection.execute(_CLAIM_THESE, {"ids": ids}).all()
                    told += _bring_up_to_date(connection, keys, [row.signal_id for row in rows], moment, push_due_at)
                    taken += len(rows)
            except Exception as error:
                if not _is_of_a_row(error):
                    raise
                if len(ids) > 1:
                    middle = len(ids) // 2
                    halves += [ids[middle:], ids[:middle]]
                    continue
                connection.execute(_PARK, {"ids": ids, "now": now})
                log(WORK_PARKED, error=error)
    return Done(taken, told, more=False)


def _bring_up_to_date(
    connection: Connection, keys: Mapping[int, IndexKey], signals: Sequence[UUID], now: datetime, push_due_at: datetime
) -> int:
    if not signals:
        return 0
    key_version = align(connection, keys, signals)
    today = amsterdam_date(now)
    youngsters: set[UUID] = set()
    for day, arrived in _by_day(connection, signals, today):
        # Before new signals are seen, what had ended when they came is ended: who signals again after that is a new
        # party, and all are told again (DOMAIN.md, Telling).
        connection.execute(_ADD_YOUNGSTERS, {"signals": arrived, "key_version": key_version})
        concerned = list(connection.execute(_YOUNGSTERS, {"signals": arrived}).scalars())
        _end(connection, concerned, day, now)
        connection.execute(_ATTACH, {"signals": arrived})
        youngsters |= set(concerned)
    asked = _end(connection, list(youngsters), today, now)
    opened = connection.execute(_OPEN_MATCHES, asked).scalars().all()
    joined = connection.execute(_JOIN, asked).all()
    supervising = connection.execute(_SUPERVISE, asked).all()
    events.append(connection, [_of_match(events.MATCH_OPENED, now, match) for match in opened])
    events.append(connection, [_of_match(events.PARTY_JOINED, now, *row) for row in joined])
    return notices.tell_of_matches(
        connection,
        changed_parties={row.match_id for row in joined},
        new_supervisions=[(row.match_id, row.municipality_code) for row in supervising],
        now=now,
        push_due_at=push_due_at,
    )


def _by_day(connection: Connection, signals: Sequence[UUID], today: date) -> list[tuple[date, list[UUID]]]:
    """New signals by the Amsterdam day on which they came; those looked at again by today. In the order of time."""
    days: dict[date, list[UUID]] = {}
    for row in connection.execute(_RECEIVED, {"signals": list(signals)}):
        day = min(amsterdam_date(row.received_at), today) if row.received_at else today
        days.setdefault(day, []).append(row.id)
    return sorted(days.items())


def _end(connection: Connection, youngsters: Sequence[UUID], today: date, now: datetime) -> dict[str, Any]:
    """End the matches, parties and supervisions that no signal live on the day `today` supports."""
    asked: dict[str, Any] = {"youngsters": youngsters, "now": now, "today": today}
    ended = connection.execute(_END_MATCHES, asked).scalars().all()
    left = connection.execute(_LEAVE, asked).all()
    connection.execute(_STOP_SUPERVISING, asked)
    events.append(connection, [_of_match(events.MATCH_ENDED, now, match) for match in ended])
    events.append(connection, [_of_match(events.PARTY_LEFT, now, *row) for row in left])
    return asked


def _of_match(kind: events.EventKind, now: datetime, match: UUID, reporter: UUID | None = None) -> events.Event:
    return events.Event(kind, now, events.MATCHER, says={"matchId": str(match)}, recipient_reporter=reporter)
