# SPDX-License-Identifier: EUPL-1.2
"""The figures of a report on the ledger: how much was done, seen and refused, when, and how it was audited (R25, R28).

Counted are the events under an institution's OIN, or of a municipality's people and what was told its supervision; for
the operator all, which are tallied by the hour as they get their places (`ledger.tallying`): to read ten million of
them for one page would take minutes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from verwijsindex.auditing.reports_schemas import (
    AlertCount,
    Fixed,
    HourCount,
    KindCount,
    LedgerReportOut,
    PurposeCount,
    ReportScope,
    SampleCount,
    Sorts,
    WeekCount,
)
from verwijsindex.followup.working_days import is_working_day
from verwijsindex.ledger.base64 import encode
from verwijsindex.ledger.checkpoint import Checkpoint
from verwijsindex.ledger.kinds import KINDS, LEDGER_SEARCHED, SIGNAL_WITHDRAWN
from verwijsindex.ledger.sampling import AMSTERDAM, SETTLED, Month, Scope
from verwijsindex.problems import NOT_FOUND, Problem

OFFICE_HOURS = range(7, 19)
"""On working days. Wider than most people's, so that what is outside is worth a look."""
_SORTS = {"act": "acts", "read": "reads", "refusal": "refusals", "system": "system"}
_PART = timedelta(days=30)
# None of later than now: a clock that was ahead signed it, and not all of the period is before it.
_FIXING = text("SELECT size, note FROM checkpoint WHERE at >= :settles AND at <= :now ORDER BY at, size LIMIT 1")
_TALLIED = text("SELECT place FROM tallied_place")
# The function costs more than all else of a row: only what has a detail is asked for it.
_COUNTED = """
    SELECT date_trunc('hour', at, 'UTC') AS hour, kind, outcome,
           CASE WHEN kind IN ('ledger.searched', 'signal.withdrawn') THEN event_detail(kind, body) ELSE '' END
               AS detail,
           count(*) AS number
    FROM event WHERE {whose} AND at >= :begins AND at < :ends GROUP BY 1, 2, 3, 4
"""
_COUNTS = {
    "oin": text(_COUNTED.format(whose="oin = :oin")),
    "municipality": text(_COUNTED.format(whose="municipality_code = :municipality")),
    "all": text(
        "SELECT hour, kind, outcome, detail, count AS number FROM event_hour WHERE hour >= :begins AND hour < :ends"
    ),
}
_ALERTS = text(
    "SELECT kind, state, count(*) AS number FROM alert WHERE raised_at >= :begins AND raised_at < :ends"
    " GROUP BY kind, state ORDER BY kind, state"
)
# Only the scope's own, by row-level security.
_SAMPLES = text(
    """
    SELECT s.month, s.accesses, cardinality(s.events) AS size,
           count(*) FILTER (WHERE o.finding = 'as_expected') AS as_expected,
           count(*) FILTER (WHERE o.finding = 'asked_the_person') AS asked_the_person,
           count(*) FILTER (WHERE o.finding = 'not_explained') AS not_explained
    FROM sample s LEFT JOIN sign_off o ON o.sample_id = s.id
    WHERE s.month >= :since AND s.month <= :until GROUP BY s.id
    """
)
_DROPPED = text("SELECT coalesce(max(before), 0) FROM dropped_events")


def report(connection: Connection, scope: Scope, since: date, until: date, now: datetime) -> LedgerReportOut:
    """The figures of the days from `since` to `until`, both included.

    Args:
        connection: of the auditor's role, in the scope of the officer who asks.

    Raises:
        Problem: 404 where no checkpoint covers the period yet.
    """
    begins, ends = _midnight(since), _midnight(until + timedelta(days=1))
    fixed_by = _fixed_by(connection, scope, ends, now)
    period = {"begins": begins, "ends": ends}
    which = "oin" if scope.oin else "municipality" if scope.municipality else "all"
    tally = _Tally()
    whose = {"oin": scope.oin, "municipality": scope.municipality}
    for part in _parts(begins, ends):
        tally.add(connection.execute(_COUNTS[which], part | whose))
    alerts = connection.execute(_ALERTS, period)
    stated = Checkpoint.stated(fixed_by.note)
    return LedgerReportOut(
        scope=ReportScope(institution=scope.oin, municipality=scope.municipality),
        from_=since,
        until=until,
        made_at=now,
        checkpoint=Fixed(
            origin=stated.origin, size=stated.size, root=encode(stated.root), at=stated.at, note=fixed_by.note
        ),
        total=Sorts(**tally.total),
        weeks=tally.weeks(since, until),
        kinds=tally.kinds(),
        hours=tally.hours(),
        outside_office_hours=sum(tally.on_other_days.values())
        + sum(count for hour, count in tally.on_working_days.items() if hour not in OFFICE_HOURS),
        searches=[PurposeCount(purpose=name, count=count) for name, count in sorted(tally.purposes.items())],
        withdrawn=sum(tally.reasons.values()),
        withdrawn_as_unjustified=tally.reasons["unjustified"],
        alerts=[AlertCount(kind=row.kind, state=row.state, count=row.number) for row in alerts],
        samples=_samples(connection, since, until),
        dropped_before=connection.execute(_DROPPED).scalar_one(),
    )


@dataclass
class _Tally:
    """The events of a period, counted in the ways that a report shows."""

    total: Counter[str] = field(default_factory=Counter)
    by_week: defaultdict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_kind: Counter[tuple[str, str]] = field(default_factory=Counter)
    on_working_days: Counter[int] = field(default_factory=Counter)
    on_other_days: Counter[int] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Rows of an hour, a kind, an outcome and what is told apart of that kind, with their number."""
        for row in rows:
            here = row.hour.astimezone(AMSTERDAM)
            kind = KINDS.get(row.kind)
            refused = row.outcome == "refused"
            sort = "refusals" if refused else _SORTS[kind.sort] if kind else "system"
            self.total[sort] += row.number
            self.by_week[_monday(here.date())][sort] += row.number
            self.by_kind[row.kind, row.outcome] += row.number
            if sort == "reads":
                days = self.on_working_days if is_working_day(here.date()) else self.on_other_days
                days[here.hour] += row.number
            if not refused and row.kind == LEDGER_SEARCHED.name:
                self.purposes[row.detail] += row.number
            if not refused and row.kind == SIGNAL_WITHDRAWN.name:
                self.reasons[row.detail] += row.number

    def weeks(self, since: date, until: date) -> list[WeekCount]:
        """Each week that the period touches, also one of nothing."""
        mondays = [_monday(since)]
        while mondays[-1] + timedelta(weeks=1) <= until:
            mondays.append(mondays[-1] + timedelta(weeks=1))
        return [WeekCount(week=f"{day:%G-W%V}", monday=day, **self.by_week[day]) for day in mondays]

    def kinds(self) -> list[KindCount]:
        """In the order of the catalogue."""
        return [
            KindCount(kind=name, sort=kind.sort, success=success, refused=refused)
            for name, kind in KINDS.items()
            if (success := self.by_kind[name, "success"]) + (refused := self.by_kind[name, "refused"])
        ]

    def hours(self) -> list[HourCount]:
        """All of the day."""
        return [
            HourCount(hour=hour, on_working_days=self.on_working_days[hour], on_other_days=self.on_other_days[hour])
            for hour in range(24)
        ]


def _fixed_by(connection: Connection, scope: Scope, ends: datetime, now: datetime) -> Row[Any]:
    """The first checkpoint that covers all until then."""
    settles = ends + SETTLED
    found = connection.execute(_FIXING, {"settles": settles, "now": now}).one_or_none()
    if found and scope == Scope():
        tallied = connection.execute(_TALLIED).scalar_one_or_none() or 0
        found = found if tallied >= found.size else None
    if found is None:
        raise Problem(
            NOT_FOUND,
            detail=f"A report ends with the first checkpoint from {settles:%Y-%m-%dT%H:%M:%SZ} on, once all before it"
            " is counted: ask again after that. If that is past, ask again in a minute.",
        )
    return found


def _samples(connection: Connection, since: date, until: date) -> list[SampleCount]:
    """Those of the months whose last day is in the period."""
    months, month = [], Month(since.year, since.month)
    while month.next.first_day - timedelta(days=1) <= until:
        months.append(month)
        month = month.next
    if not months:
        return []
    rows = connection.execute(_SAMPLES, {"since": months[0].first_day, "until": months[-1].first_day})
    made = {row.month: row._asdict() for row in rows}
    nothing = dict.fromkeys(("accesses", "size", "as_expected", "asked_the_person", "not_explained"), 0)
    return [
        SampleCount(made=one.first_day in made, **(nothing | made.get(one.first_day, {}) | {"month": str(one)}))
        for one in months
    ]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _parts(begins: datetime, ends: datetime) -> Iterator[dict[str, datetime]]:
    """A month at a time: who has a million events a year is counted in statements that PostgreSQL lets end."""
    while begins < ends:
        part_ends = min(begins + _PART, ends)
        yield {"begins": begins, "ends": part_ends}
        begins = part_ends


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), AMSTERDAM).astimezone(UTC)
