# SPDX-License-Identifier: EUPL-1.2
"""The route of an archived signal: read by who was told of it (R17), or stands in for one (R34, R36)."""

from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import INSTITUTION_READ, SHIELDED_READ, SIGNALS_READ
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.parsing import Strict, parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals import archived
from verwijsindex.signals.archived import ArchivedSignalOut
from verwijsindex.web import answer, needs, problem_responses

READERS = (SIGNALS_READ, INSTITUTION_READ, SHIELDED_READ)
api = APIBlueprint(
    "archived_signals",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="archived signals", description="Who signalled this youngster before.")],
    abp_security=needs(*READERS),
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)


class ArchivedSignalPath(Strict):
    """Which archived signal."""

    archived_signal_id: UUID = Field(alias="archivedSignalId")


@api.get(
    "/archived-signals/<archivedSignalId>",
    operation_id="getArchivedSignal",
    summary="Read who signalled this youngster before",
    responses={200: ArchivedSignalOut},
)
@parsed
def get_archived_signal(header: OnBehalfOf, path: ArchivedSignalPath) -> Response:
    with reading(header, *READERS) as act:
        found = archived.archived_signal(act.connection, path.archived_signal_id)
        act.tell(events.ARCHIVED_SIGNAL_READ, signalId=str(found.id))
    return answer(found)
