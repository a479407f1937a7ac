# SPDX-License-Identifier: EUPL-1.2
"""One accepted lead or one running proposal for each open match, at every moment (R22; docs/decisions/0026).

Level-triggered, as matching is: who is not shown in a match any more leads it no more, and where nobody leads and
nobody is asked, the rule of the municipality proposes. Called by the matcher after matches and rounds are up to date.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.database import as_json
from verwijsindex.followup.leading import Candidate, propose
from verwijsindex.followup.leads_known import Led, Shown, beside, matches_of, read_leads
from verwijsindex.followup.working_days import working_days_after
from verwijsindex.ledger import events
from verwijsindex.notices.service import Wanted
from verwijsindex.registry.models import LEADING_DOMAINS
from verwijsindex.signals.dates import amsterdam_date

ANSWER_WITHIN = 3
"""Working days in which who is asked to lead answers (P)."""


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
    matches = matches_of(shown)
    missing = sorted(matches)
    today = amsterdam_date(now)
    if back:
        newly = [(one.match_id, one.reporter_id) for one in told if one.match_id in back and one.reporter_id]
        values: dict[str, Any] = {"matches": list(back), "before": list(back.values())}
        values |= {"told_in": [match for match, _ in newly], "told": [reporter for _, reporter in newly]}
        connection.execute(_COME_BACK, values | {"due": working_days_after(today, ANSWER_WITHIN)})
    ended = read_leads(connection, matches, youngsters, today)
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


def _to_tell(matches: Mapping[UUID, Led], leads: Sequence[dict[str, Any]]) -> list[Wanted]:
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


def _propose(
    connection: Connection, matches: dict[UUID, Led], missing: Sequence[UUID], today: date
) -> list[dict[str, Any]]:
    """A lead or a proposal for each of the matches that miss one, one after the other, so that those of one family get
    the same."""
    orders: dict[UUID, list[str] | None] = (
        {row.id: row.lead_order for row in connection.execute(_ORDERS, {"matches": list(missing)})} if missing else {}
    )
    around_of = beside(matches)
    placed = []
    for match_id in missing:
        match = matches[match_id]
        around = [matches[other].running for other in around_of[match_id]]
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
