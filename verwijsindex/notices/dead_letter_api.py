# SPDX-License-Identifier: EUPL-1.2
"""Routes of dead letters: the coordinator of an institution lists those of its clients and has them sent again."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import INSTITUTION_READ, INSTITUTION_WRITE
from verwijsindex.acting import ActHeaders, OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.notices import dead_letters
from verwijsindex.notices.dead_letter_schemas import DeadLetterReplayIn, DeadLetterReplayOut, DeadLettersOut
from verwijsindex.paging import Page
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "dead_letters",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="dead-letters", description="Webhooks of the own institution that no try could deliver.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@api.get(
    "/dead-letters",
    operation_id="listDeadLetters",
    summary="List webhooks that no try could deliver",
    description="Of all clients of the institution. Each is kept until it is sent again.",
    security=needs(INSTITUTION_READ),
    responses={200: DeadLettersOut},
)
@parsed
def list_dead_letters(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = dead_letters.dead_letters(act.connection, query)
        act.tell(events.DEAD_LETTERS_LISTED, count=len(found.items))
    return answer(found)


@api.post(
    "/dead-letter-replays",
    operation_id="replayDeadLetters",
    summary="Send dead letters again: one, or all",
    description="Each with the webhook-id that it had. One that fails for its whole schedule is a dead letter again.",
    security=needs(INSTITUTION_WRITE),
    responses={201: DeadLetterReplayOut, **problem_responses(404, 413, 415, 422)},
)
@parsed
def replay_dead_letters(header: ActHeaders, body: DeadLetterReplayIn) -> Response:
    with reading(header, INSTITUTION_WRITE) as act:

        def replay() -> DeadLetterReplayOut:
            again = dead_letters.replay(act.connection, body.delivery, act.now)
            act.tell(events.DEAD_LETTERS_REPLAYED, count=again.count)
            return again

        done = act.once(header, body, replay)
    return answer(done.body, done.status)
