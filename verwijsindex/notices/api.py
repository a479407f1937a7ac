# SPDX-License-Identifier: EUPL-1.2
"""The routes of the inbox: the list, and one notice, which says whom to ask (R37)."""

from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import INSTITUTION_READ, SHIELDED_READ, SIGNALS_READ, SUPERVISION_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.notices.reading import inbox, one_notice
from verwijsindex.notices.schemas import NoticesOut, OneNoticeOut
from verwijsindex.paging import Page
from verwijsindex.parsing import Strict, parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

READERS = (SIGNALS_READ, SUPERVISION_READ, INSTITUTION_READ, SHIELDED_READ)
api = APIBlueprint(
    "notices",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[
        Tag(
            name="notices",
            description="The inbox of a reporter, of a municipality's supervision, of an institution's named officers,"
            " or of its coordinators: with, for them, those of its reporters who left.",
        )
    ],
    abp_security=needs(*READERS),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class NoticePath(Strict):
    """Which notice."""

    notice_id: UUID = Field(alias="noticeId")


@api.get("/notices", operation_id="listNotices", summary="Read the inbox", responses={200: NoticesOut})
@parsed
def list_notices(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, *READERS) as act:
        notices = inbox(act.connection, query, of_others=act.caller.role == "coordinator")
        act.tell(events.NOTICES_LISTED, count=len(notices.items))
    return answer(notices)


@api.get(
    "/notices/<noticeId>",
    operation_id="getNotice",
    summary="Read a notice: of a withdrawal whom to ask, of an escalation whose signals it is about",
    responses={200: OneNoticeOut, **problem_responses(404)},
)
@parsed
def get_notice(header: OnBehalfOf, path: NoticePath) -> Response:
    with reading(header, *READERS) as act:
        notice = one_notice(act.connection, path.notice_id, of_others=act.caller.role == "coordinator")
        act.tell(events.NOTICE_READ, noticeId=str(notice.id))
    return answer(notice)
