# SPDX-License-Identifier: EUPL-1.2
"""Routes of matches: list and read those in which the reader is a party or stands in for one (R34, R36), or of the own
municipality (R19)."""

from uuid import UUID

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import INSTITUTION_READ, SHIELDED_READ, SIGNALS_READ, SUPERVISION_READ, Role
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.matching import reading as matches
from verwijsindex.matching.schemas import MatchesOut, MatchOut
from verwijsindex.paging import Page
from verwijsindex.parsing import Strict, parsed
from verwijsindex.web import API_PREFIX, answer, problem_responses

READERS: tuple[tuple[Role, str], ...] = (
    ("machine", SIGNALS_READ),
    ("case_supervisor", SUPERVISION_READ),
    ("coordinator", INSTITUTION_READ),
    ("named_officer", SHIELDED_READ),
)
api = APIBlueprint(
    "matches",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="matches", description="Who else is concerned, and how to reach them.")],
    abp_security=[{"oauth2": [scope]} for _, scope in READERS],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class MatchPath(Strict):
    """Which match."""

    match_id: UUID = Field(alias="matchId")


@api.get("/matches", operation_id="listMatches", summary="List open matches", responses={200: MatchesOut})
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
    responses={200: MatchOut, **problem_responses(404)},
)
@parsed
def get_match(header: OnBehalfOf, path: MatchPath) -> Response:
    with reading(header, *READERS) as act:
        match = matches.open_match(act.connection, current_app.extensions["index_keys"], path.match_id)
        act.tell(events.MATCH_READ, matchId=str(match.id))
    return answer(match)
