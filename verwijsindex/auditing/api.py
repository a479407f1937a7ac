# SPDX-License-Identifier: EUPL-1.2
"""Routes of the privacy officer's desk: searching the ledger within a scope (R25, R28)."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import LEDGER_AUDIT
from verwijsindex.acting import OnBehalfOf
from verwijsindex.auditing.officer import auditing
from verwijsindex.auditing.schemas import LedgerEventOut, LedgerEventsOut, LedgerSearch
from verwijsindex.auditing.searching import search
from verwijsindex.ledger import events
from verwijsindex.ledger.base64 import encode
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

TAG = Tag(name="audit", description="What a privacy officer reads of the ledger, with two factors and for a purpose.")
api = APIBlueprint(
    "audit",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[TAG],
    abp_security=needs(LEDGER_AUDIT),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@api.post(
    "/ledger-searches",
    operation_id="searchLedger",
    summary="Search the ledger, for a purpose",
    description="Of an institution: what its people and machines did and what others did that concerns its reporters or"
    " signals. Of a municipality: what its people did and what was told its supervision. It makes nothing but the event"
    " of the search, so it takes no Idempotency-Key: a repeat is another look, and another event.",
    responses={200: LedgerEventsOut, **problem_responses(413, 415)},
)
@parsed
def search_ledger(header: OnBehalfOf, body: LedgerSearch) -> Response:
    with auditing(header) as act:
        rows, cursor = body.cut(search(act.connection, body), "at")
        act.tell(events.LEDGER_SEARCHED, **_criteria(body), count=len(rows))
    items = [LedgerEventOut(event=encode(bytes(row.body)), place=row.place) for row in rows]
    return answer(LedgerEventsOut(items=items, next_cursor=cursor))


def _criteria(asked: LedgerSearch) -> dict[str, str]:
    """As the event says them: what was looked for, for what, and nothing of what was found but how much."""
    said = {
        "purpose": asked.purpose,
        "personId": asked.person,
        "institution": asked.institution,
        "signalId": asked.signal_id,
        "matchId": asked.match_id,
        "eventIds": asked.event_ids and " ".join(map(str, asked.event_ids)),
        "from": asked.from_ and events.says_when(asked.from_),
        "until": asked.until and events.says_when(asked.until),
        "kinds": asked.kinds and " ".join(asked.kinds),
        "havingOutcome": asked.outcome,
    }
    return {name: str(value) for name, value in said.items() if value is not None}
