# SPDX-License-Identifier: EUPL-1.2
"""What happened in six days at invented institutions: the rows of their exports, good ones and faulty ones."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from verwijsindex.demo.exports_faults import SPOILED, Cells, Spoiled

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
FAULTY = 0.03
"""The part of all rows that is faulty; where that is enough rows, every kind of fault is among them."""
SHARED = 0.07
"""The part of all rows that begins a youngster whom two to four reporters signal."""
SECOND = 0.015
"""The part of all rows that is a reporter's second signal on the same youngster (R9)."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """An institution: its client, its reporters and the municipalities whose youngsters it knows."""

    client_id: str
    reporters: tuple[UUID, ...]
    municipalities: tuple[str, ...]


def known_test_bsns() -> list[str]:
    """Every number of nine digits that starts with 9999 and passes the 11-test: some nine thousand."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2)
    firsts = map(str, range(99990000, 100000000))
    lasts = ((first, sum(w * int(d) for w, d in zip(weights, first, strict=True)) % 11) for first in firsts)
    return [f"{first}{last}" for first, last in lasts if last < 10]


class Day:
    """What happened at these institutions: a stream of rows from one source of chance."""

    def __init__(self, institutions: Sequence[ExportPlan], seed: int, now: datetime) -> None:
        self.random = random.Random(seed)  # noqa: S311 (it plays, it protects nothing)
        self.now = now.astimezone(UTC)
        bsns = known_test_bsns()
        self.random.shuffle(bsns)
        self._institutions = institutions
        self.bsns = iter(bsns)
        self._cases: Counter[str] = Counter()

    def rows(self, count: int) -> Iterator[tuple[ExportPlan, Cells, Spoiled | None]]:
        """`count` rows: youngsters known to several reporters, to one twice, to one once, and faulty rows."""
        faulty = max(1, round(count * FAULTY))
        for number in range(faulty):
            plan, cells = self._signal(*self._anyone())
            spoil = SPOILED[number % len(SPOILED)](cells, self.random, self.now)
            yield plan, cells, spoil
        left = count - faulty
        shared, second = round(count * SHARED / 3), round(count * SECOND / 2)
        stories = [self._shared] * shared + [self._twice] * second
        self.random.shuffle(stories)
        while left:
            story = stories.pop() if stories and left >= 4 else self._once
            for plan, cells in story():
                left -= 1
                yield plan, cells, None

    def _once(self) -> Iterator[tuple[ExportPlan, Cells]]:
        yield self._signal(*self._anyone())

    def _twice(self) -> Iterator[tuple[ExportPlan, Cells]]:
        """One reporter signals twice, and sometimes another one too (R9)."""
        plan, reporter = self._anyone()
        child = self._youngster(plan)
        yield self._signal(plan, reporter, child)
        yield self._signal(plan, reporter, child)
        if self.random.random() < 0.5:
            yield from self._others([reporter], child, 1)

    def _shared(self) -> Iterator[tuple[ExportPlan, Cells]]:
        """Two to four reporters, now and then of one institution, now and then with another residence (R8)."""
        plan, reporter = self._anyone()
        child = self._youngster(plan)
        yield self._signal(plan, reporter, child)
        yield from self._others([reporter], child, self.random.choice((1, 1, 1, 2, 2, 3)))

    def _others(self, known: list[UUID], child: Cells, count: int) -> Iterator[tuple[ExportPlan, Cells]]:
        near = [
            (plan, reporter)
            for plan in self._institutions
            for reporter in plan.reporters
            if child["residence_municipality"] in plan.municipalities and reporter not in known
        ]
        for plan, reporter in self.random.sample(near, min(count, len(near))):
            moved = self.random.random() < 0.1
            residence = self.random.choice(plan.municipalities) if moved else child["residence_municipality"]
            yield self._signal(plan, reporter, {**child, "residence_municipality": residence})

    def _anyone(self) -> tuple[ExportPlan, UUID]:
        plan = self.random.choices(self._institutions, [len(p.reporters) for p in self._institutions])[0]
        return plan, self.random.choice(plan.reporters)

    def _youngster(self, plan: ExportPlan) -> Cells:
        """A youngster of 0 to 22 who turns 23 no sooner than in two months."""
        age_in_days = self.random.randrange(20, 23 * 365 - 60)
        return {
            "bsn": next(self.bsns),
            "birth_date": str(self.now.date() - timedelta(days=age_in_days)),
            "residence_municipality": self.random.choice(plan.municipalities),
        }

    def _signal(self, plan: ExportPlan, reporter: UUID, child: Cells | None = None) -> tuple[ExportPlan, Cells]:
        made_at = self.now - timedelta(minutes=self.random.randrange(10, 6 * 24 * 60))
        self._cases[plan.client_id] += 1
        with_case = self.random.random() < 0.9
        cells = {
            "case_reference": f"Z{made_at:%y}-{self._cases[plan.client_id]:05d}" if with_case else "",
            **(child or self._youngster(plan)),
            "reporter": str(reporter),
            "made_at": _as_written(made_at, self._institutions.index(plan)),
            "informed_on": "",
            "informed_to": "",
            "postponed_ground": "",
            "review_date": "",
            "reasonable_suspicion": "yes",
        }
        return plan, cells | self._informing(made_at.date())

    def _informing(self, made_on: date) -> Cells:
        if self.random.random() < 0.8:
            told_on = made_on - timedelta(days=self.random.randrange(6))
            to = self.random.choice(("youngster", "representative", "both"))
            return {"informed_on": str(told_on), "informed_to": to}
        review = made_on + timedelta(days=self.random.randrange(14, 29))
        ground = self.random.choice(("safety", "investigation", "unreachable"))
        return {"postponed_ground": ground, "review_date": str(review)}


def _as_written(made_at: datetime, style: int) -> str:
    """As the case systems of three makers write a moment; with the offset where the clock was changed."""
    local = made_at.astimezone(AMSTERDAM)
    changed = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    match style % 3:
        case 0:
            return local.isoformat(timespec="seconds")
        case 1:
            return made_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        case _:
            return local.isoformat(" ", "seconds") if changed else f"{local:%Y-%m-%d %H:%M:%S}"
