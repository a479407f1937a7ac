# SPDX-License-Identifier: EUPL-1.2
"""Routes of the follow-up of a match: for its parties, and for who stands in a party's place (R21, R22, R34, R36). A
case supervisor reads it (R19)."""

from functools import partial

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import INSTITUTION_WRITE, SHIELDED_WRITE, SIGNALS_WRITE, SUPERVISION_READ
from verwijsindex.acting import ActHeaders, OnBehalfOf, acting, reading
from verwijsindex.followup import acts
from verwijsindex.followup.schemas import (
    ClosingIn,
    ContactIn,
    FollowUpOut,
    FollowUpsAsked,
    FollowUpsOut,
    LeadAnswerIn,
    LeadHandoverIn,
)
from verwijsindex.followup.states import Act
from verwijsindex.ledger import events
from verwijsindex.matching.api import READERS, MatchPath
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "follow_up",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[
        Tag(name="follow-up", description="From match to coordinated help: contact, lead, coordination, closing.")
    ],
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)
ACTORS = (SIGNALS_WRITE, INSTITUTION_WRITE, SHIELDED_WRITE)
_REFUSALS = problem_responses(409, 413, 415, 422)


@api.get(
    "/matches/<matchId>/follow-up",
    operation_id="getFollowUp",
    summary="Read where the follow-up of a match stands",
    security=needs(*READERS),
    responses={200: FollowUpOut},
)
@parsed
def get_follow_up(header: OnBehalfOf, path: MatchPath) -> Response:
    with reading(header, *READERS) as act:
        found = acts.follow_up(act.connection, path.match_id)
        act.tell(events.FOLLOW_UP_READ, matchId=str(path.match_id))
    return answer(found)


@api.get(
    "/follow-ups",
    operation_id="listFollowUps",
    summary="List where the matches of the municipality stand, the next deadline first",
    security=needs(SUPERVISION_READ),
    responses={200: FollowUpsOut},
)
@parsed
def list_follow_ups(header: OnBehalfOf, query: FollowUpsAsked) -> Response:
    with reading(header, SUPERVISION_READ) as act:
        found = acts.supervised(act.connection, query)
        act.tell(events.FOLLOW_UPS_LISTED, count=len(found.items))
    return answer(found)


@api.post(
    "/matches/<matchId>/contact",
    operation_id="recordContact",
    summary="Record that the parties had contact",
    security=needs(*ACTORS),
    responses={201: FollowUpOut, **_REFUSALS},
)
@parsed
def record_contact(header: ActHeaders, path: MatchPath, body: ContactIn) -> Response:
    with acting(header, *ACTORS) as act:
        record = partial(acts.record_contact, act.connection, act.actor, act.now, path.match_id, body)
        done = act.once(header, body, record)
    return answer(done.body, done.status)


@api.post(
    "/matches/<matchId>/coordination",
    operation_id="recordCoordination",
    summary="Say that help is coordinated",
    security=needs(*ACTORS),
    responses={201: FollowUpOut, **_REFUSALS},
)
@parsed
def record_coordination(header: ActHeaders, path: MatchPath) -> Response:
    with acting(header, *ACTORS) as act:
        coordinate = partial(acts.move, act.connection, act.actor, act.now, path.match_id, "coordinate")
        done = act.once(header, None, coordinate)
    return answer(done.body, done.status)


@api.post(
    "/matches/<matchId>/closing",
    operation_id="closeFollowUp",
    summary="Close the round, with its outcome",
    description='"already_together" (we already work together on this youngster) closes it from any state, and from now'
    " on the actor's mail of those who are shown in the match waits for the digest (R23), also where another closed the"
    " round before. `listMutes` shows it, `undoMute` undoes it.",
    security=needs(*ACTORS),
    responses={201: FollowUpOut, **_REFUSALS},
)
@parsed
def close_follow_up(header: ActHeaders, path: MatchPath, body: ClosingIn) -> Response:
    with acting(header, *ACTORS) as act:
        how: Act = "close_at_once" if body.outcome == "already_together" else "close"
        close = partial(acts.move, act.connection, act.actor, act.now, path.match_id, how, outcome=body.outcome)
        done = act.once(header, body, close)
    return answer(done.body, done.status)


@api.post(
    "/matches/<matchId>/lead-answer",
    operation_id="answerLead",
    summary="Accept or decline the lead",
    description="Accept also takes a lead that is open to every party.",
    security=needs(*ACTORS),
    responses={201: FollowUpOut, **_REFUSALS},
)
@parsed
def answer_lead(header: ActHeaders, path: MatchPath, body: LeadAnswerIn) -> Response:
    with acting(header, *ACTORS) as act:
        do = partial(acts.answer_lead, act.connection, act.actor, act.now, path.match_id, body)
        done = act.once(header, body, do)
    return answer(done.body, done.status)


@api.post(
    "/matches/<matchId>/lead-handover",
    operation_id="handOverLead",
    summary="Ask another party to take over the lead",
    security=needs(*ACTORS),
    responses={201: FollowUpOut, **_REFUSALS},
)
@parsed
def hand_over_lead(header: ActHeaders, path: MatchPath, body: LeadHandoverIn) -> Response:
    with acting(header, *ACTORS) as act:
        do = partial(acts.act_on_lead, act.connection, act.actor, act.now, path.match_id, "hand_over", to=body.to)
        done = act.once(header, body, do)
    return answer(done.body, done.status)
