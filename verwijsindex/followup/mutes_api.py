# SPDX-License-Identifier: EUPL-1.2
"""Routes of mutes: what a party said, "we already work together on this youngster" (R23), and undoing it. It is said by
closing a round so."""

from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import INSTITUTION_READ, SHIELDED_READ, SIGNALS_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.followup import mutes
from verwijsindex.followup.api import ACTORS
from verwijsindex.followup.mutes_schemas import MutesOut, MuteUndone
from verwijsindex.ledger import events
from verwijsindex.paging import PageById
from verwijsindex.parsing import Strict, parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

READERS = (SIGNALS_READ, INSTITUTION_READ, SHIELDED_READ)
api = APIBlueprint(
    "mutes",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="mutes", description="Of whom mail waits for the digest.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class MutePath(Strict):
    """Which of them."""

    mute_id: UUID = Field(alias="muteId")


@api.get(
    "/mutes",
    operation_id="listMutes",
    summary="List with whom the reader said to work together already",
    security=needs(*READERS),
    responses={200: MutesOut},
)
@parsed
def list_mutes(header: OnBehalfOf, query: PageById) -> Response:
    with reading(header, *READERS) as act:
        found = mutes.own_mutes(act.connection, query)
        act.tell(events.MUTES_LISTED, count=len(found.items))
    return answer(found)


@api.delete(
    "/mutes/<muteId>",
    operation_id="undoMute",
    summary="Have mail of that party as before",
    security=needs(*ACTORS),
    responses={200: MuteUndone, **problem_responses(404)},
)
@parsed
def undo_mute(header: OnBehalfOf, path: MutePath) -> Response:
    with reading(header, *ACTORS) as act:
        undone = MuteUndone(match=mutes.undo(act.connection, path.mute_id))
        act.tell(events.MUTE_UNDONE, matchId=str(undone.match))
    return answer(undone)
