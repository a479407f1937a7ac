# SPDX-License-Identifier: EUPL-1.2
"""One accepted lead or one running proposal for each open match, at every moment (R22; docs/decisions/0026).

Level-triggered, as matching is: who is not shown in a match any more leads it no more, and where nobody leads and
nobody is asked, the rule of the municipality proposes. Called by the matcher after matches and rounds are up to date.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.database import as_json
from verwijsindex.followup.leading import Candidate, propose
from verwijsindex.followup.working_days import working_days_after
from verwijsindex.ledger import events
from verwijsindex.notices.service import Wanted
from verwijsindex.registry.models import LEADING_DOMAINS
from verwijsindex.signals.dates import amsterdam_date

ANSWER_WITHIN = 3
"""Working days in which who is asked to lead answers (P)."""


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
class _Led:
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
# Who leads a match that ended leads the one that comes back. Who was asked there is asked no second time (R30), but who
# is newly told of somebody in it begins anew.
_COME_BACK = text(
    """
    UPDATE lead l SET match_id = b.match_id, answer_due_on = CASE WHEN l.answer_due_on IS NOT NULL THEN :due END
    FROM unnest(CAST(:matches AS uuid[]), CAST(:before AS uuid[])) AS b (match_id, before)
    WHERE l.match_id = b.before AND (l.state = 'accepted' OR NOT EXISTS (
        SELECT FROM unnest(CAST(:told_in AS uuid[]), CAST(:told AS uuid[])) AS t (match_id, reporter_id)
        WHERE t.match_id = b.match_id AND coalesce(t.reporter_id = l.reporter_id, true)))
    """
)
# The rule is that of the municipality that supervises a match longest.
_ORDERS = text(
    """
    SELECT m.id, (
        SELECT g.lead_order FROM supervision v JOIN municipality g ON g.code = v.municipality_code
        WHERE v.match_id = m.id AND v.left_at IS NULL ORDER BY v.joined_at, v.municipality_code LIMIT 1
    ) AS lead_order
    FROM match m WHERE m.id = ANY(:matches)
    """
)
_END = text("DELETE FROM lead WHERE id = ANY(:leads)")
_END_OPEN = text("DELETE FROM lead WHERE match_id = ANY(:matches) AND reporter_id IS NULL")
# The lead went: the parties have to agree on another.
_LOSE = text(
    "UPDATE round SET state = 'contacted' WHERE match_id = ANY(:matches) AND state = 'lead_agreed' AND ended_at IS NULL"
)
_AGREE = text(
    "UPDATE round SET state = 'lead_agreed' WHERE match_id = ANY(:matches) AND state = 'contacted' AND ended_at IS NULL"
)
_TOLD = text("UPDATE lead SET told_of = proposed_at WHERE id = ANY(:leads)")
_PLACE = text(
    """
    INSERT INTO lead (id, match_id, reporter_id, state, reason, proposed_at, told_of, answer_due_on)
    SELECT uuidv7(), i.match_id, i.reporter_id, i.state, i.reason, :now, :now, i.answer_due_on
    FROM json_to_recordset(CAST(:leads AS json)) AS i (match_id uuid, reporter_id uuid, state text, reason text,
        answer_due_on date)
    """
)


def bring_up_to_date(
    connection: Connection,
    shown: Sequence[Shown],
    youngsters: Collection[UUID],
    back: Mapping[UUID, UUID],
    told: Sequence[Wanted],
    now: datetime,
) -> list[Wanted]:
    """Let leads go whose reporters the matches of these youngsters do not show any more, and propose others.

    Args:
        shown: of all open matches of these youngsters, whom they show.
        back: of each match that came back, the one that had ended.
        told: what is told of these matches now.

    Returns:
        Notices: to who is asked, or to every party of a match whose lead is open to all.
    """
    matches = _matches(shown)
    missing = sorted(matches)
    today = amsterdam_date(now)
    if back:
        newly = [(one.match_id, one.reporter_id) for one in told if one.match_id in back and one.reporter_id]
        values: dict[str, Any] = {"matches": list(back), "before": list(back.values())}
        values |= {"told_in": [match for match, _ in newly], "told": [reporter for _, reporter in newly]}
        connection.execute(_COME_BACK, values | {"due": working_days_after(today, ANSWER_WITHIN)})
    ended = _read_leads(connection, matches, youngsters, today)
    missing = [match for match in missing if matches[match].running in (None, (None, "proposed"))]
    placed = _propose(connection, matches, missing, today)
    if ended:
        connection.execute(_END, {"leads": [row.id for row in ended]})
    lost = sorted({r.match_id for r in ended if r.state == "accepted"})
    if lost:
        connection.execute(_LOSE, {"matches": lost})
    if placed:
        connection.execute(_END_OPEN, {"matches": [lead["match_id"] for lead in placed]})
        connection.execute(_PLACE, {"leads": as_json(placed), "now": now})
    handed = [match.handed for match in matches.values() if match.handed]
    if handed:
        connection.execute(_TOLD, {"leads": [row.id for row in handed]})
    agreed = [lead["match_id"] for lead in placed if lead["state"] == "accepted"] + list(back)
    agreed = [match for match in agreed if (matches[match].running or (None, ""))[1] == "accepted"]
    if agreed:
        connection.execute(_AGREE, {"matches": agreed})
    events.append(
        connection,
        [
            *(_of_lead(events.LEAD_ENDED, now, row.match_id, row.reporter_id) for row in ended if row.reporter_id),
            *(_of_lead(events.LEAD_PROPOSED, now, lead["match_id"], lead["reporter_id"]) for lead in placed),
        ],
    )
    return _to_tell(matches, [*placed, *(dict(row._mapping) for row in handed)])


def _of_lead(kind: events.EventKind, now: datetime, match: UUID, reporter: UUID | None) -> events.Event:
    return events.Event(kind, now, events.MATCHER, says={"matchId": str(match)}, recipient_reporter=reporter)


def _to_tell(matches: Mapping[UUID, _Led], leads: Sequence[dict[str, Any]]) -> list[Wanted]:
    """Who is asked in a match that is not theirs reads it in the one of their own youngster: once. Who was asked
    beside it already knows."""
    told: set[Wanted] = set()
    for lead in leads:
        match_id, asked = lead["match_id"], lead["reporter_id"]
        shown = matches[match_id].shown
        if asked is None:
            told |= {_notice(match_id, one) for one in shown.values() if one.sibling_id is None}
        elif lead["reason"] not in ("leads_already", "asked_already"):
            one = shown[asked]
            own = [i for i, m in sorted(matches.items()) if m.youngster_id == one.sibling_id and m.kind == "family"]
            told.add(_notice(own[0] if own else match_id, one))
    return sorted(told, key=lambda one: (str(one.match_id), str(one.reporter_id), str(one.officer_oin)))


def _notice(match_id: UUID, to: Shown) -> Wanted:
    """Of who is shielded the named officer gets it (R36)."""
    reporter, officer = (None, to.oin) if to.shielded else (to.reporter_id, None)
    return Wanted("lead", reporter, None, officer, match_id)


def _matches(shown: Iterable[Shown]) -> dict[UUID, _Led]:
    found: dict[UUID, _Led] = {}
    for one in shown:
        match = found.setdefault(one.match_id, _Led(one.youngster_id, one.kind))
        before = match.shown.get(one.reporter_id)
        if before is None or (one.sibling_id is None, before.since) > (before.sibling_id is None, one.since):
            match.shown[one.reporter_id] = one
        if one.sibling_id:
            match.siblings.add(one.sibling_id)
    return found


def _read_leads(
    connection: Connection, matches: dict[UUID, _Led], youngsters: Collection[UUID], today: date
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
            match = matches.setdefault(row.match_id, _Led(row.youngster_id, row.kind))
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


def _propose(
    connection: Connection, matches: dict[UUID, _Led], missing: Sequence[UUID], today: date
) -> list[dict[str, Any]]:
    """A lead or a proposal for each of the matches that miss one, one after the other, so that those of one family get
    the same."""
    orders: dict[UUID, list[str] | None] = (
        {row.id: row.lead_order for row in connection.execute(_ORDERS, {"matches": list(missing)})} if missing else {}
    )
    beside = _beside(matches)
    placed = []
    for match_id in missing:
        match = matches[match_id]
        around = [matches[other].running for other in beside[match_id]]
        leads = {running[0] for running in around if running and running[1] == "accepted"}
        asked = {running[0] for running in around if running and running[1] == "proposed"}
        were_asked = {match.shown[one].place for one in match.asked if one in match.shown}
        candidates = [
            Candidate(
                one.reporter_id,
                one.domain,
                one.since,
                "leads_already" if reporter in leads else "asked_already" if reporter in asked else None,
                one.place,
            )
            for reporter, one in match.shown.items()
            if one.place not in were_asked and one.left_on is None
        ]
        reporter, reason = propose(candidates, orders[match_id] or LEADING_DOMAINS)
        if reporter is None and match.running is not None and not match.sought:
            continue  # it is open to every party already, who know it
        state = "accepted" if reason == "leads_already" else "proposed"
        match.running = (reporter, state)
        due = working_days_after(today, ANSWER_WITHIN) if reporter and state == "proposed" else None
        placed.append(
            {"match_id": match_id, "reporter_id": reporter, "state": state, "reason": reason, "answer_due_on": due}
        )
    return placed


def _beside(matches: Mapping[UUID, _Led]) -> dict[UUID, list[UUID]]:
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
