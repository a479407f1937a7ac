# SPDX-License-Identifier: EUPL-1.2
"""Routes of matches: list and read those in which the reader is a party or stands in for one (R34, R36), or of the own
municipality (R19); tell of one that the youngster moved (R24)."""

from functools import partial
from uuid import UUID

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import (
    INSTITUTION_READ,
    SHIELDED_READ,
    SIGNALS_READ,
    SUPERVISION_READ,
    SUPERVISION_WRITE,
)
from verwijsindex.acting import ActHeaders, OnBehalfOf, acting, reading
from verwijsindex.followup import acts as follow_up
from verwijsindex.ledger import events
from verwijsindex.matching import moves
from verwijsindex.matching import reading as matches
from verwijsindex.matching.schemas import MatchesOut, MatchOut
from verwijsindex.paging import Page
from verwijsindex.parsing import Strict, parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals.acts_schemas import MoveIn, MoveOut
from verwijsindex.web import answer, needs, problem_responses

READERS = (SIGNALS_READ, SUPERVISION_READ, INSTITUTION_READ, SHIELDED_READ)
api = APIBlueprint(
    "matches",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="matches", description="Who else is concerned, and how to reach them.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class MatchPath(Strict):
    """Which match."""

    match_id: UUID = Field(alias="matchId")


@api.get(
    "/matches",
    operation_id="listMatches",
    summary="List open matches",
    security=needs(*READERS),
    responses={200: MatchesOut},
)
@parsed
def list_matches(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, *READERS) as act:
        found = matches.open_matches(act.connection, query)
        act.tell(events.MATCHES_LISTED, count=len(found.items))
    return answer(found)


@api.get(
    "/matches/<matchId>",
    operation_id="getMatch",
    summary="Read an open match: whom to call",
    security=needs(*READERS),
    responses={200: MatchOut, **problem_responses(404)},
)
@parsed
def get_match(header: OnBehalfOf, path: MatchPath) -> Response:
    with reading(header, *READERS) as act:
        match = matches.open_match(act.connection, current_app.extensions["index_keys"], path.match_id)
        follow_up.see(act.connection, match.id)
        match = match.model_copy(update={"follow_up": follow_up.state(act.connection, match.id)})
        act.tell(events.MATCH_READ, matchId=str(match.id))
    return answer(match)


@api.post(
    "/matches/<matchId>/move",
    operation_id="tellMoveOfMatch",
    summary="Tell that the youngster of a match moved",
    description="Soon on all signals of the youngster: its reporters are told, and the supervision of the new residence"
    " takes over.",
    security=needs(SUPERVISION_WRITE),
    responses={201: MoveOut, **problem_responses(404, 413, 415, 422)},
)
@parsed
def tell_move(header: ActHeaders, path: MatchPath, body: MoveIn) -> Response:
    with acting(header, SUPERVISION_WRITE) as act:
        residence = body.residence_municipality
        done = act.once(
            header, body, partial(moves.tell_move, act.connection, act.actor, act.now, path.match_id, residence)
        )
    return answer(done.body, done.status)
