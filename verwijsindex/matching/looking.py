# SPDX-License-Identifier: EUPL-1.2
"""What a look at some youngsters does: matches, parties and what is told follow what is live, and what ended leaves
(I2, I3, I6). All of it in one transaction, under the matcher's lock, whoever asked for it: work, or the sweep of ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from verwijsindex.database import sqlstate
from verwijsindex.followup import leads, rounds
from verwijsindex.matching import arriving, families, parties, telling, telling_withdrawals
from verwijsindex.matching.aligning import align, waiting
from verwijsindex.notices import service as notices
from verwijsindex.notices.service import Wanted
from verwijsindex.pseudonyms.factors import KeyMissingError
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.signals.dates import amsterdam_date
from verwijsindex.signals.ending import Bury, settle

# A batch is one youngster or hundreds of them. A statement that was prepared for any number of them took a minute for
# what takes a second, once a session had run it often enough to be given such a plan.
_PLANNED_FOR_WHAT_IS_ASKED = text("SET LOCAL plan_cache_mode TO force_custom_plan")


@dataclass(frozen=True, slots=True)
class Looked:
    """What it did: notices placed, signals archived, signals destroyed."""

    notices: int = 0
    archived: int = 0
    destroyed: int = 0

    def __add__(self, other: "Looked") -> "Looked":
        return Looked(self.notices + other.notices, self.archived + other.archived, self.destroyed + other.destroyed)


def at_signals(
    connection: Connection,
    keys: Mapping[int, IndexKey],
    signals: Sequence[UUID],
    now: datetime,
    push_due_at: datetime,
    bury: Bury,
) -> Looked:
    """Look at the youngsters of these signals, and at who died."""
    attached = _attach(connection, keys, signals)
    dead = arriving.end_by_death(connection)
    youngsters = sorted(arriving.youngsters_of(connection, signals) | dead.keys())
    looked = Looked()
    if youngsters:
        looked = at_youngsters(connection, keys, youngsters, now, push_due_at, bury, attached, dead)
    arriving.forget_deaths(connection, now)
    return looked


def _attach(connection: Connection, keys: Mapping[int, IndexKey], signals: Sequence[UUID]) -> list[UUID]:
    if not signals:
        return []
    arriving.hold_new(connection, signals)
    return arriving.attach(connection, signals, align(connection, keys, signals))


# SQLSTATE classes: cardinality, data, integrity constraint, and what a trigger raises.
_OF_A_ROW = ("21", "22", "23", "P0")


def is_of_a_row(error: Exception) -> bool:
    """Whether it is what a row says that cannot be dealt with. A database that is away or busy, a table or a privilege
    that is missing is the fault of none: the work waits until that is mended."""
    if isinstance(error, DBAPIError):
        return sqlstate(error).startswith(_OF_A_ROW)
    return not isinstance(error, SQLAlchemyError | KeyMissingError)


def _attach_waiting(connection: Connection, keys: Mapping[int, IndexKey], youngsters: Sequence[UUID]) -> list[UUID]:
    """Where one of them fails, they are left to their own work, which finds out which and parks it."""
    signals = waiting(connection, keys, youngsters)
    if not signals:
        return []
    try:
        with connection.begin_nested():
            return _attach(connection, keys, signals)
    except Exception as error:
        if not is_of_a_row(error):
            raise
        return []


def at_youngsters(
    connection: Connection,
    keys: Mapping[int, IndexKey],
    youngsters: Sequence[UUID],
    now: datetime,
    push_due_at: datetime,
    bury: Bury,
    attached: Sequence[UUID] = (),
    dead: Mapping[UUID, datetime] | None = None,
) -> Looked:
    """Look at these youngsters.

    Args:
        attached: their signals that are new, as far as they were found by their work.
        dead: who of them died, and when that was told.
    """
    connection.execute(_PLANNED_FOR_WHAT_IS_ASKED)
    # What ended by now is known; and what was received before that is seen after it.
    arriving.hold(connection, youngsters)
    new = [*attached, *_attach_waiting(connection, keys, youngsters)]
    wanted = follow(connection, youngsters, now)
    settled = settle(connection, keys, youngsters, now, bury, dead)
    wanted += telling.of_archive(connection, new + arriving.lifted(connection, youngsters), amsterdam_date(now))
    return Looked(notices.place(connection, wanted, now, push_due_at), settled.archived, settled.destroyed)


def follow(connection: Connection, youngsters: Sequence[UUID], now: datetime) -> list[Wanted]:
    """Bring standings, moves, families and matches to what is live now; who has to be told of it. The signals of these
    youngsters are held."""
    today = amsterdam_date(now)
    connection.execute(_PLANNED_FOR_WHAT_IS_ASKED)
    parted_or_joined = families.judge_crowds(connection, youngsters, today)
    concerned = families.concerned(connection, sorted({*youngsters, *parted_or_joined}))
    # Also of their siblings, whom they see: one may have been handed over, and its work still wait.
    seen = concerned
    if set(concerned) != set(youngsters):
        seen = families.concerned(connection, concerned)
        arriving.hold(connection, seen)
    arriving.give_standings(connection, seen)
    moved = arriving.move(connection, youngsters)
    wanted = telling_withdrawals.of_withdrawals(connection, youngsters, today)
    families.bring_up_to_date(connection, concerned, now, today)
    matched = parties.bring_up_to_date(connection, concerned, now, today)
    told = telling.of_matches(connection, matched, today)
    newly = sorted({one.match_id for one in told if one.match_id and not one.municipality_code})
    back = rounds.bring_up_to_date(connection, concerned, newly, now)
    shown = families.shown(connection, concerned, today)
    asked = leads.bring_up_to_date(connection, shown, concerned, back, told, now)
    # Who is told of a match just now reads there who is asked to lead it; of whom the mail of that waits (R23), the
    # question does not.
    know = {replace(one, kind="lead") for one in told} if asked else set()
    wanted += told + [one for one in asked if one not in know]
    return wanted + telling.of_moves(connection, [m.youngster_id for m in moved], [m.reporter_id for m in moved], today)
