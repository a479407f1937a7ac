# SPDX-License-Identifier: EUPL-1.2
"""The route of the inbox."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import SIGNALS_READ, SUPERVISION_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.notices.reading import inbox
from verwijsindex.notices.schemas import NoticesOut
from verwijsindex.paging import Page
from verwijsindex.parsing import parsed
from verwijsindex.web import API_PREFIX, answer, problem_responses

api = APIBlueprint(
    "notices",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="notices", description="The inbox of a reporter, or of a municipality's supervision.")],
    abp_security=[{"oauth2": [SIGNALS_READ]}, {"oauth2": [SUPERVISION_READ]}],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@api.get("/notices", operation_id="listNotices", summary="Read the inbox", responses={200: NoticesOut})
@parsed
def list_notices(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, ("machine", SIGNALS_READ), ("case_supervisor", SUPERVISION_READ)) as act:
        notices = inbox(act.connection, query)
        act.tell(events.NOTICES_LISTED, count=len(notices.items))
    return answer(notices)
