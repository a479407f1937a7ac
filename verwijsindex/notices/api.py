# SPDX-License-Identifier: EUPL-1.2
"""The route of the inbox."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import INSTITUTION_READ, SHIELDED_READ, SIGNALS_READ, SUPERVISION_READ, Role
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.notices.reading import inbox
from verwijsindex.notices.schemas import NoticesOut
from verwijsindex.paging import Page
from verwijsindex.parsing import parsed
from verwijsindex.web import API_PREFIX, answer, problem_responses

READERS: tuple[tuple[Role, str], ...] = (
    ("machine", SIGNALS_READ),
    ("case_supervisor", SUPERVISION_READ),
    ("coordinator", INSTITUTION_READ),
    ("named_officer", SHIELDED_READ),
)
api = APIBlueprint(
    "notices",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[
        Tag(
            name="notices",
            description="The inbox of a reporter, of a municipality's supervision, of an institution's named officers,"
            " or, for its coordinator, of its reporters who left.",
        )
    ],
    abp_security=[{"oauth2": [scope]} for _, scope in READERS],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@api.get("/notices", operation_id="listNotices", summary="Read the inbox", responses={200: NoticesOut})
@parsed
def list_notices(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, *READERS) as act:
        notices = inbox(act.connection, query, of_others=act.caller.role == "coordinator")
        act.tell(events.NOTICES_LISTED, count=len(notices.items))
    return answer(notices)
