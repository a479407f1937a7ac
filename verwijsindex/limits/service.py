# SPDX-License-Identifier: EUPL-1.2
"""Limits of R37, kept in PostgreSQL and spent in memory: a process leases a block of a counter and spends it.

One row counts one limit of one subject in one window. A process adds a block to it by one statement, spends the block
without a round trip, and forgets what is left of it when the window is over or the process ends: what was leased counts
as used. So over any number of processes never more than the limit is spent, and at most a block of each less. A block
is a hundredth of its limit; of the last block each gets what there is.

Windows are fixed: whole days, from midnight UTC, or whole hours. Redis has no part in it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Lock
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.problems import LIMIT_REACHED, Problem

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = timedelta(days=2)
_TIDIED_EVERY = timedelta(minutes=10)
_MOST_LEASES = 100_000
_REACHED = {
    "reporter": "This reporter has reached the limit of a day",
    "institution": "Your institution has reached the limit of a day",
    "": "A limit was reached",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so much for each subject in a window of time."""

    name: str
    most: int
    window: timedelta = DAY
    whose: Literal["reporter", "institution", ""] = ""
    """Who has reached it, as told to a caller whose own it is; empty where it tells of others."""

    @property
    def block(self) -> int:
        """How much is leased at once: of a small limit one, so that no process keeps it from the others."""
        return max(1, self.most // 100)

    def begins(self, now: datetime) -> datetime:
        """When the window that `now` is in began."""
        return now - (now - _EPOCH) % self.window


@dataclass(frozen=True, slots=True)
class Demand:
    """So much of a limit for one subject."""

    limit: Limit
    subject: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that stands in the way, and in how many whole seconds its next window begins."""

    limit: Limit
    subject: str
    retry_after: int

    def problem(self) -> Problem:
        """The refusal. It names the limit only where it is the caller's own (R37)."""
        detail = f"{_REACHED[self.limit.whose]}; send the same request again after the seconds in Retry-After."
        headers = {"Retry-After": str(self.retry_after)}
        return Problem(LIMIT_REACHED, detail=detail, headers=headers, limit=self.limit.whose)


@dataclass(frozen=True, slots=True)
class NationalLimits:
    """The three limits of R37 on one thing, a day."""

    reporter: Limit
    institution: Limit
    country: Limit

    @classmethod
    def on(cls, what: str, *, reporter: int, institution: int, country: int) -> "NationalLimits":
        """Limits named `{what}/reporter`, `{what}/institution` and `{what}/country`."""
        return cls(
            Limit(f"{what}/reporter", reporter, whose="reporter"),
            Limit(f"{what}/institution", institution, whose="institution"),
            Limit(f"{what}/country", country),
        )

    def demands(self, oin: str, reporters: Mapping[UUID, int]) -> list[Demand]:
        """What is asked for so many by each of these reporters of an institution."""
        total = sum(reporters.values())
        each = [Demand(self.reporter, f"{oin}/{reporter}", count) for reporter, count in reporters.items()]
        return [*each, Demand(self.institution, oin, total), Demand(self.country, "all", total)]


_Key = tuple[str, str, datetime]
"""Name of the limit, subject, begin of the window."""
_Bill = dict[_Key, Demand]
Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(slots=True)
class _Lease:
    ends: datetime
    left: int = 0
    dry: bool = False
    """The counter has nothing left in this window."""


# Right when two run at once: ON CONFLICT locks the row, and `c.taken` and `old.taken` are what the one before left
# behind, so that of the last block each gets what there is. Who leases several rows locks them in the one order.
_LEASE = """
WITH asked AS (
    SELECT * FROM unnest(CAST(:names AS text[]), CAST(:subjects AS text[]), CAST(:begins AS timestamptz[]),
                         CAST(:counts AS bigint[]), CAST(:most AS bigint[]))
        AS a (name, subject, window_start, count, most)
)
INSERT INTO limit_counter AS c (name, subject, window_start, taken)
SELECT a.name, a.subject, a.window_start, least(a.count, a.most) FROM asked a WHERE {only}
ORDER BY a.window_start, a.name, a.subject
ON CONFLICT (window_start, name, subject) DO UPDATE SET taken = greatest(c.taken, least(c.taken + excluded.taken, (
    SELECT a.most FROM asked a
    WHERE a.name = c.name AND a.subject = c.subject AND a.window_start = c.window_start)))
RETURNING c.name, c.subject, c.window_start, new.taken - coalesce(old.taken, 0) AS granted
"""
# One process at a time, without waiting.
_FORGET = text(
    "DELETE FROM limit_counter WHERE (SELECT pg_try_advisory_xact_lock(hashtext('limit_counter')))"
    " AND (window_start, name, subject) IN (SELECT window_start, name, subject FROM limit_counter"
    " WHERE window_start < :before ORDER BY window_start, name, subject LIMIT 5000)"
)


class Limiter:
    """The leases of one process. May be used by many threads at once.

    Args:
        only: a condition in SQL on `a.name` and `a.subject`. A subject for which it does not hold gets no counter and
            is not limited: what is asked for it is refused anyway.
    """

    def __init__(self, only: str = "true") -> None:
        self._statement = text(_LEASE.format(only=only))
        self._leases: dict[_Key, _Lease] = {}
        self._lock = Lock()
        self._tidy_at = _EPOCH

    def take(self, connect: Connect, asked: Sequence[Collection[Demand]], now: datetime) -> list[Reached | None]:
        """Spend all the demands of each that is asked, or none of them; in order.

        Args:
            connect: gives a connection in autocommit, when there is something to lease (one round trip). What is rolled
                back after it was spent would be given out twice.
            asked: no two demands of one have the same limit and subject. Those that are alike are best given as one and
                the same object.

        Returns:
            For each: None when it was spent, else a limit that stands in the way.
        """
        each = {id(demands): demands for demands in asked}
        of = {which: _bill(demands, now) for which, demands in each.items()}
        bills = [of[id(demands)] for demands in asked]
        with self._lock:
            if self._pay(_together(bills), set()):  # as nearly always: there is enough for all
                return [None] * len(bills)
        unpaid = list(range(len(bills)))
        wanted: dict[_Key, Demand] = {}
        granted: dict[_Key, int] = {}
        void: set[_Key] = set()
        while True:
            with self._lock:  # what was leased is spent before another thread sees it
                self._credit(wanted, granted)
                unpaid = [i for i in unpaid if not self._pay(bills[i], void)]
                wanted = self._wanted([bills[i] for i in unpaid], void)
                if not wanted:
                    reached = {i: self._in_the_way(bills[i], now) for i in unpaid}
                    return [reached.get(i) for i in range(len(bills))]
            with connect() as connection:
                granted = self._lease(connection, wanted)
                if self._is_tidying_due(now):
                    connection.execute(_FORGET, {"before": now - _KEPT})
            void |= wanted.keys() - granted.keys()

    def give_back(self, demands: Iterable[Demand], now: datetime) -> None:
        """What was taken at `now` for something that turned out to cost nothing."""
        with self._lock:
            for key, demand in _bill(demands, now).items():
                if key in self._leases:
                    self._leases[key].left += demand.count

    def in_the_way(self, demands: Iterable[Demand], now: datetime) -> Reached | None:
        """A limit that this process knows to be reached for these demands; asks nobody and spends nothing."""
        with self._lock:
            return self._in_the_way(_bill(demands, now), now)

    def _pay(self, bill: _Bill, void: set[_Key]) -> bool:
        due = {key: demand.count for key, demand in bill.items() if key not in void}
        if any(key not in self._leases or self._leases[key].left < count for key, count in due.items()):
            return False
        for key, count in due.items():
            self._leases[key].left -= count
        return True

    def _wanted(self, bills: Sequence[_Bill], void: set[_Key]) -> dict[_Key, Demand]:
        """What to lease so that those bills can be paid that no dry counter stands in the way of."""
        total = _together(
            [bill for bill in bills if not any(self._is_spent(key, demand) for key, demand in bill.items())]
        )
        return {
            key: Demand(demand.limit, demand.subject, max(demand.count, demand.limit.block))
            for key, demand in total.items()
            if key not in void and not self._covers(key, demand)
        }

    def _covers(self, key: _Key, demand: Demand) -> bool:
        lease = self._leases.get(key)
        return lease is not None and (lease.dry or lease.left >= demand.count)

    def _is_spent(self, key: _Key, demand: Demand) -> bool:
        lease = self._leases.get(key)
        return lease is not None and lease.dry and lease.left < demand.count

    def _in_the_way(self, bill: _Bill, now: datetime) -> Reached | None:
        for key, demand in bill.items():
            if self._is_spent(key, demand):
                return Reached(demand.limit, demand.subject, ceil((self._leases[key].ends - now).total_seconds()))
        return None

    def _lease(self, connection: Connection, wanted: dict[_Key, Demand]) -> dict[_Key, int]:
        values = {
            "names": [name for name, _, _ in wanted],
            "subjects": [subject for _, subject, _ in wanted],
            "begins": [begins for _, _, begins in wanted],
            "counts": [demand.count for demand in wanted.values()],
            "most": [demand.limit.most for demand in wanted.values()],
        }
        rows = connection.execute(self._statement, values)
        return {(row.name, row.subject, row.window_start): row.granted for row in rows}

    def _credit(self, wanted: dict[_Key, Demand], granted: dict[_Key, int]) -> None:
        for key, count in granted.items():
            demand = wanted[key]
            lease = self._leases.setdefault(key, _Lease(key[2] + demand.limit.window))
            lease.left += count
            lease.dry |= count < demand.count

    def _is_tidying_due(self, now: datetime) -> bool:
        """Once in a while; then what is left of windows that are over is dropped from memory as well."""
        with self._lock:
            if now < self._tidy_at and len(self._leases) < _MOST_LEASES:
                return False
            self._tidy_at = now + _TIDIED_EVERY
            # Too many are dropped while they count: what is left of them is used, and the rows are asked anew.
            keep = len(self._leases) < _MOST_LEASES
            self._leases = {key: lease for key, lease in self._leases.items() if keep and lease.ends > now}
            return True


def _bill(demands: Iterable[Demand], now: datetime) -> _Bill:
    return {(demand.limit.name, demand.subject, demand.limit.begins(now)): demand for demand in demands}


def _together(bills: Sequence[_Bill]) -> _Bill:
    """One bill for all of them."""
    times = Counter(map(id, bills))
    total: _Bill = {}
    for bill in {id(bill): bill for bill in bills}.values():
        for key, demand in bill.items():
            before = total[key].count if key in total else 0
            total[key] = Demand(demand.limit, demand.subject, before + demand.count * times[id(bill)])
    return total
