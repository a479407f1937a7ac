# SPDX-License-Identifier: EUPL-1.2
"""What parties do in the follow-up of a match (R21, R22, R23): each act moves the rounds by the one machine (`states`),
or is refused with what is possible.

The database's functions find the rows that the scope may move and lock them (migration 0023); of two at once the second
sees what the first left.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.followup import mutes, states
from verwijsindex.followup.leads import ANSWER_WITHIN
from verwijsindex.followup.schemas import FollowUpLine, FollowUpOut, FollowUpsAsked, FollowUpsOut, LeadAnswerIn, LeadOut
from verwijsindex.followup.states import Act, Outcome
from verwijsindex.followup.working_days import working_days_after
from verwijsindex.ledger import events
from verwijsindex.problems import NOT_FOUND, NOT_POSSIBLE_NOW, Problem
from verwijsindex.signals.dates import amsterdam_date

_MOVE = text("SELECT move_rounds(:match, CAST(:moves AS jsonb), :now, :contact, :outcome)")
_SUPERVISED = text(
    "SELECT * FROM supervised_follow_ups(CAST(:state AS varchar), :missed, CAST(:cursor_at AS timestamptz),"
    " CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_SEE = text("SELECT see_round(:match, CAST(:moves AS jsonb))")
_LEAD = text("SELECT act_on_lead(:match, :act, :handle, :due, CAST(:moves AS jsonb), :now)")
_SEEN = text("SELECT * FROM visible_follow_up(:match)")


def follow_up(connection: Connection, match_id: UUID) -> FollowUpOut:
    """Where it stands, for who may see the match. Raises Problem 404 for any other."""
    row = connection.execute(_SEEN, {"match": match_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    lead = None
    if row.lead_state:
        lead = LeadOut(
            state=row.lead_state,
            you=row.lead_is_you,
            contact=row.lead_contact,
            reason=row.lead_reason,
            answer_due_on=row.answer_due_on,
        )
    return FollowUpOut(
        round=row.number,
        state=row.state,
        began_at=row.began_at,
        contacted_on=row.contacted_on,
        contact_due_on=row.contact_due_on,
        coordination_due_on=row.coordination_due_on,
        outcome=row.outcome,
        lead=lead,
        possible=[act for act in states.PEOPLES if states.after(row.state, act)],
    )


def supervised(connection: Connection, asked: FollowUpsAsked) -> FollowUpsOut:
    """A page of where the matches of the scope's municipality stand (R19)."""
    values = asked.parameters() | {"state": asked.state, "missed": asked.deadline == "missed"}
    rows, cursor = asked.cut(connection.execute(_SUPERVISED, values).all(), "due")
    items = [
        FollowUpLine(
            id=row.id,
            kind=row.kind,
            opened_at=row.opened_at,
            round=row.number,
            state=row.state,
            contact_due_on=row.contact_due_on,
            coordination_due_on=row.coordination_due_on,
            missed=row.missed,
            lead=row.lead_state,
        )
        for row in rows
    ]
    return FollowUpsOut(items=items, next_cursor=cursor)


def move(
    connection: Connection,
    actor: events.Actor,
    now: datetime,
    match_id: UUID,
    act: Act,
    *,
    contacted_on: date | None = None,
    outcome: Outcome | None = None,
) -> FollowUpOut:
    """Do what moves a round. `close_at_once` also makes quiet what the actor is told later of those who are shown in
    the match (`mutes`), and does that alone when another closed the round before (R23).

    Raises:
        Problem: 404 for a match that the scope does not see, 409 for what is not possible in its state.
    """
    before = follow_up(connection, match_id)
    asked = {"match": match_id, "moves": json.dumps(states.moves(act)), "now": now}
    moved = connection.execute(_MOVE, asked | {"contact": contacted_on, "outcome": outcome}).scalars().all()
    muted = act == "close_at_once" and mutes.mute_shown(connection, actor, now, match_id)
    if match_id not in moved and not muted:
        raise Problem(NOT_POSSIBLE_NOW, detail=_possible(before))
    _tell(connection, events.ROUND_MOVED, actor, now, moved, act=act)
    return follow_up(connection, match_id)


def act_on_lead(
    connection: Connection,
    actor: events.Actor,
    now: datetime,
    match_id: UUID,
    act: str,
    *,
    to: UUID | None = None,
    reason: str | None = None,
) -> FollowUpOut:
    """Accept, decline, take or hand over the lead.

    Raises:
        Problem: 404 as `move`, 409 where it is not the actor's to do.
    """
    before = follow_up(connection, match_id)
    round_act: Act = "lose_lead" if act in ("decline", "hand_over") else "agree_lead"
    values = {
        "match": match_id,
        "act": act,
        "handle": to,
        "due": working_days_after(amsterdam_date(now), ANSWER_WITHIN),
        "moves": json.dumps(states.moves(round_act)),
        "now": now,
    }
    changed = connection.execute(_LEAD, values).scalars().all()
    if not changed:
        raise Problem(NOT_POSSIBLE_NOW, detail=_possible(before))
    says = {"act": act} | ({"reason": reason} if reason else {})
    _tell(connection, events.LEAD_ANSWERED, actor, now, changed, **says)
    return follow_up(connection, match_id)


def see(connection: Connection, match_id: UUID) -> None:
    """A party reads the match: a round that was only told of is seen (R21). For a supervisor nothing happens. The read
    has its own event."""
    connection.execute(_SEE, {"match": match_id, "moves": json.dumps(states.moves("see"))})


def answer_lead(
    connection: Connection, actor: events.Actor, now: datetime, match_id: UUID, body: LeadAnswerIn
) -> FollowUpOut:
    """Accept or decline what was proposed to the actor, or accept what is open to all. Raises as `act_on_lead`."""
    lead = follow_up(connection, match_id).lead
    open_to_all = lead is not None and lead.contact is None
    act = "take" if body.answer == "accept" and open_to_all else body.answer
    return act_on_lead(connection, actor, now, match_id, act, reason=body.reason)


def _possible(now_is: FollowUpOut) -> str:
    can = ", ".join(now_is.possible) or "nothing: it has ended"
    lead = "nobody" if now_is.lead is None else "you" if now_is.lead.you else "another party"
    if now_is.lead and now_is.lead.contact is None:
        lead = "any party"
    state = now_is.lead.state if now_is.lead else "none"
    return f"The round is {now_is.state}; possible: {can}. The lead is {state}, for {lead}."


def _tell(
    connection: Connection,
    kind: events.EventKind,
    actor: events.Actor,
    now: datetime,
    matches: Sequence[UUID],
    **says: str,
) -> None:
    """One event for each match in which it counts (I4)."""
    events.append(
        connection,
        [events.Event(kind, now, actor, says={"matchId": str(match), **says}) for match in sorted(matches)],
    )
