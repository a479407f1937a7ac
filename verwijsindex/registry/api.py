# SPDX-License-Identifier: EUPL-1.2
"""Routes of the register: a coordinator reads the people of the own institution (R20)."""

from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import INSTITUTION_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.paging import PageById
from verwijsindex.parsing import Strict, parsed
from verwijsindex.registry import reading as register
from verwijsindex.registry.schemas import CoordinatorsOut, ReporterOut, ReportersOut
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "registry",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="institution", description="Who may signal for the own institution, and who coordinates.")],
    abp_security=needs(INSTITUTION_READ),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class ReporterPath(Strict):
    """Which reporter."""

    reporter_id: UUID = Field(alias="reporterId")


@api.get(
    "/reporters",
    operation_id="listReporters",
    summary="List the reporters of the own institution",
    responses={200: ReportersOut},
)
@parsed
def list_reporters(header: OnBehalfOf, query: PageById) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = register.reporters(act.connection, query)
        act.tell(events.REPORTERS_LISTED, count=len(found.items))
    return answer(found)


@api.get(
    "/reporters/<reporterId>",
    operation_id="getReporter",
    summary="Read a reporter of the own institution",
    responses={200: ReporterOut, **problem_responses(404)},
)
@parsed
def get_reporter(header: OnBehalfOf, path: ReporterPath) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = register.reporter(act.connection, path.reporter_id)
        act.tell(events.REPORTER_READ, reporterId=str(found.id))
    return answer(found)


@api.get(
    "/coordinators",
    operation_id="listCoordinators",
    summary="List the coordinators of the own institution",
    responses={200: CoordinatorsOut},
)
@parsed
def list_coordinators(header: OnBehalfOf, query: PageById) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = register.coordinators(act.connection, query)
        act.tell(events.COORDINATORS_LISTED, count=len(found.items))
    return answer(found)
