# SPDX-License-Identifier: EUPL-1.2
"""The route of management figures, for a municipality's case supervisors (R19, R32)."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import SUPERVISION_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.figures.quarters import Quarter
from verwijsindex.figures.reading import follow_up_figures
from verwijsindex.figures.schemas import FiguresAsked, FollowUpFiguresOut
from verwijsindex.ledger import events
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "figures",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="figures", description="How a municipality's matches were followed up; nobody is in them.")],
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)


@api.get(
    "/follow-up-figures",
    operation_id="getFollowUpFigures",
    summary="Read how the matches of a quarter were followed up, by institution",
    security=needs(SUPERVISION_READ),
    responses={200: FollowUpFiguresOut},
)
@parsed
def get_follow_up_figures(header: OnBehalfOf, query: FiguresAsked) -> Response:
    quarter = Quarter.parse(query.quarter)
    with reading(header, SUPERVISION_READ) as act:
        found = follow_up_figures(act.connection, quarter)
        act.tell(events.FIGURES_READ, quarter=str(quarter))
    return answer(found)
