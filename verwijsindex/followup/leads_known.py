# SPDX-License-Identifier: EUPL-1.2
"""What is known of who leads these matches: whom they show, who leads or is asked now, and who was asked (R22)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.signals.dates import amsterdam_date


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody whom an open match shows: a party, or in a family match also who stands on a sibling (`sibling_id`)."""

    match_id: UUID
    youngster_id: UUID
    kind: Literal["youngster", "family"]
    reporter_id: UUID
    sibling_id: UUID | None
    domain: str
    since: datetime
    shielded: bool
    oin: str
    left_on: date | None
    """The last day of a reporter who left: nobody to propose."""

    def leads(self, proposed_at: datetime) -> bool:
        """Whether who was asked then leads, or is asked, still: of who left since nobody waits for an answer. A lead
        taken after that is of who stands in the place."""
        return self.left_on is None or amsterdam_date(proposed_at) > self.left_on

    @property
    def place(self) -> UUID | str:
        """Whom its readers see there: behind one named officer nobody counts how many stand (R36)."""
        return self.oin if self.shielded else self.reporter_id


@dataclass(slots=True)
class Led:
    """What is known of one open match: who is shown in it, who was asked to lead, and who leads or is asked now."""

    youngster_id: UUID
    kind: str
    shown: dict[UUID, Shown] = field(default_factory=dict)
    siblings: set[UUID] = field(default_factory=set)
    asked: set[UUID] = field(default_factory=set)
    running: tuple[UUID | None, str] | None = None
    sought: bool = False
    """It is open to every party for as long as nobody looked for the next: they were not told of it."""
    handed: Any = None
    """The lead to which another party asked somebody, who was not told of it yet."""


_LEADS = text(
    """
    SELECT l.match_id, m.youngster_id, m.kind, m.ended_at IS NOT NULL AS over, l.id, l.reporter_id, l.state,
           l.reason, l.proposed_at, l.told_of IS DISTINCT FROM l.proposed_at AS untold,
           m.ended_at IS NOT NULL AND EXISTS (
               SELECT FROM signal s WHERE s.youngster_id = m.youngster_id AND s.removal_date > :today
                 AND s.ended_at IS NULL AND coalesce(s.reporter_id = l.reporter_id, true)) AS may_come_back
    FROM lead l JOIN match m ON m.id = l.match_id WHERE m.youngster_id = ANY(:around)
    """
)


def matches_of(shown: Iterable[Shown]) -> dict[UUID, Led]:
    found: dict[UUID, Led] = {}
    for one in shown:
        match = found.setdefault(one.match_id, Led(one.youngster_id, one.kind))
        before = match.shown.get(one.reporter_id)
        if before is None or (one.sibling_id is None, before.since) > (before.sibling_id is None, one.since):
            match.shown[one.reporter_id] = one
        if one.sibling_id:
            match.siblings.add(one.sibling_id)
    return found


def read_leads(
    connection: Connection, matches: dict[UUID, Led], youngsters: Collection[UUID], today: date
) -> list[Any]:
    """Put who was asked and who leads into `matches`; also of matches beside them, whose leads are to lead here too.
    The rows of who is not shown any more; those of a match that ended stay as long as it may come back."""
    looked_at = set(youngsters)
    around = looked_at.union(*(match.siblings for match in matches.values()))
    there = {(match.youngster_id, match.kind) for match in matches.values()}
    ended = []
    for row in connection.execute(_LEADS, {"around": list(around), "today": today}):
        match = matches.get(row.match_id)
        if row.youngster_id not in looked_at:  # nobody looks at it now: it is not known whom it shows
            if row.over:
                continue
            match = matches.setdefault(row.match_id, Led(row.youngster_id, row.kind))
        elif row.over and row.may_come_back and (row.youngster_id, row.kind) not in there:
            continue
        elif match is None or row.over or (row.reporter_id and not _stays(match.shown.get(row.reporter_id), row)):
            ended.append(row)
            continue
        if row.reporter_id:
            match.asked.add(row.reporter_id)
        if row.state in ("proposed", "accepted"):
            match.running, match.sought = (row.reporter_id, row.state), row.reason == "next_is_sought"
            if row.untold and row.state == "proposed" and row.reporter_id in match.shown:
                match.handed = row
    return ended


def _stays(one: Shown | None, row: Any) -> bool:
    """What somebody answered stays as long as the match shows this person; that somebody leads or is asked, no longer
    than until this person leaves."""
    return one is not None and (row.state not in ("proposed", "accepted") or one.leads(row.proposed_at))


def beside(matches: Mapping[UUID, Led]) -> dict[UUID, list[UUID]]:
    """Of each match the others of its youngster, and of a sibling the one of its family: where that one shows somebody
    whom this one does not, or nobody looks at it now, who leads there would tell of another sibling (R10)."""
    of_youngster: dict[UUID, list[UUID]] = defaultdict(list)
    for match_id, match in matches.items():
        of_youngster[match.youngster_id].append(match_id)
    return {
        match_id: [
            *(other for other in of_youngster[match.youngster_id] if other != match_id),
            *(
                other
                for sibling in sorted(match.siblings)
                for other in of_youngster[sibling]
                if matches[other].kind == "family"
                and matches[other].shown
                and matches[other].shown.keys() <= match.shown.keys()
            ),
        ]
        for match_id, match in matches.items()
    }
