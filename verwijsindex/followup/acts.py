# SPDX-License-Identifier: EUPL-1.2
"""What parties do in the follow-up of a match (R21, R22, R23): each act moves the rounds by the one machine (`states`),
or is refused with what is possible.

The database's functions find the rows that the scope may move and lock them (migration 0023); of two at once the second
sees what the first left.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.followup import mutes, states
from verwijsindex.followup.leads import ANSWER_WITHIN
from verwijsindex.followup.schemas import (
    ContactIn,
    FollowUpLine,
    FollowUpOut,
    FollowUpsAsked,
    FollowUpsOut,
    FollowUpState,
    LeadAnswerIn,
    LeadOut,
    Possible,
)
from verwijsindex.followup.states import Act, Outcome, State
from verwijsindex.followup.working_days import working_days_after
from verwijsindex.ledger import events
from verwijsindex.problems import (
    CONTACT_BEFORE_MATCH,
    CONTACT_IN_THE_FUTURE,
    CONTACT_NOT_IN_MATCH,
    HANDOVER_TO_YOURSELF,
    LEAD_ACCEPTED_ALREADY,
    LEAD_NOT_YOURS,
    MATCH_NOT_FOUND,
    NOT_POSSIBLE_NOW,
    ROUND_ENDED,
    Problem,
)
from verwijsindex.registry.reading import in_danger_now
from verwijsindex.signals.dates import amsterdam_date

_MOVE = text("SELECT move_rounds(:match, CAST(:moves AS jsonb), :now, :contact, :outcome)")
_SUPERVISED = text(
    "SELECT * FROM supervised_follow_ups(CAST(:state AS varchar), :missed, CAST(:cursor_at AS timestamptz),"
    " CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_SEE = text("SELECT see_round(:match, CAST(:moves AS jsonb))")
_LEAD = text("SELECT act_on_lead(:match, :act, :handle, :due, CAST(:moves AS jsonb), :now)")
_OPENED = text("SELECT opened_at FROM visible_follow_up(:match)")
_SEEN = text("SELECT * FROM visible_follow_up(:match)")


def follow_up(connection: Connection, match_id: UUID) -> FollowUpOut:
    """Where it stands, for who may see the match. Raises Problem 404 for any other."""
    now_is = state(connection, match_id)
    if now_is is None:
        raise Problem(MATCH_NOT_FOUND)
    return FollowUpOut(in_danger_now=in_danger_now(connection, match=match_id), **now_is.model_dump())


def state(connection: Connection, match_id: UUID) -> FollowUpState | None:
    """Where it stands; None for who may not see the match, or before its first round has begun."""
    row = connection.execute(_SEEN, {"match": match_id}).one_or_none()
    return None if row is None else _state(row)


def _state(row: Row[Any]) -> FollowUpState:
    lead = None
    if row.lead_state:
        lead = LeadOut(
            state=row.lead_state,
            you=row.lead_is_you,
            contact=row.lead_contact,
            reason=row.lead_reason,
            answer_due_on=row.answer_due_on,
        )
    return FollowUpState(
        round=row.number,
        state=row.state,
        began_at=row.began_at,
        contacted_on=row.contacted_on,
        contact_due_on=row.contact_due_on,
        coordination_due_on=row.coordination_due_on,
        outcome=row.outcome,
        lead=lead,
        possible=_possible(row.state, lead) if row.seated else [],
    )


def _possible(state: State, lead: LeadOut | None) -> list[Possible]:
    """What a party may do with a round in this state, and with this lead."""
    can: list[Possible] = [act for act in states.PEOPLES if states.after(state, act)]
    if lead and lead.state == "proposed" and (lead.you or lead.open_to_all):
        can.append("accept_lead")
    if lead and lead.you:
        can.append("decline_lead" if lead.state == "proposed" else "hand_over_lead")
    return can


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
    asked = {"match": match_id, "moves": json.dumps(states.moves(act)), "now": now}
    moved = connection.execute(_MOVE, asked | {"contact": contacted_on, "outcome": outcome}).scalars().all()
    muted = act == "close_at_once" and mutes.mute_shown(connection, actor, now, match_id)
    if match_id not in moved and not muted:
        now_is = follow_up(connection, match_id)
        raise Problem(ROUND_ENDED if now_is.state in states.ENDED else NOT_POSSIBLE_NOW, possible=now_is.possible)
    _tell(connection, events.ROUND_MOVED, actor, now, moved, act=act)
    return follow_up(connection, match_id)


def record_contact(
    connection: Connection, actor: events.Actor, now: datetime, match_id: UUID, body: ContactIn
) -> FollowUpOut:
    """The parties had contact on this day. Raises as `move`; 400 for a day to come, or before the match opened."""
    if body.contacted_on > amsterdam_date(now):
        raise Problem(CONTACT_IN_THE_FUTURE)
    opened_at = connection.execute(_OPENED, {"match": match_id}).scalar_one_or_none()
    if opened_at is None:
        raise Problem(MATCH_NOT_FOUND)
    if body.contacted_on < amsterdam_date(opened_at):
        raise Problem(CONTACT_BEFORE_MATCH)
    return move(connection, actor, now, match_id, "record_contact", contacted_on=body.contacted_on)


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
        raise _not_with_the_lead(follow_up(connection, match_id), act, to)
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
    act = "take" if body.answer == "accept" and lead is not None and lead.open_to_all else body.answer
    return act_on_lead(connection, actor, now, match_id, act, reason=body.reason)


def _not_with_the_lead(now_is: FollowUpState, act: str, to: UUID | None) -> Problem:
    """Why it was refused: read after it was, so that it tells of what another did in between."""
    lead = now_is.lead
    why = NOT_POSSIBLE_NOW
    if lead is None or not lead.you:
        why = LEAD_NOT_YOURS
    elif lead.state == "accepted" and act in ("accept", "take"):
        why = LEAD_ACCEPTED_ALREADY
    elif lead.state == "accepted" and act == "hand_over":
        why = HANDOVER_TO_YOURSELF if to == lead.contact else CONTACT_NOT_IN_MATCH
    return Problem(why, possible=now_is.possible)


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
