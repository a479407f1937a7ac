# SPDX-License-Identifier: EUPL-1.2
"""Routes of the ledger: checkpoints and consistency for everybody, the own events for an institution (R25).

A checkpoint and the hashes of a proof hold nothing of anybody, so the first two are open to all: whoever keeps
checkpoints need not be known here. What sizes tell an observer stands in docs/trust-model.md.
"""

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import SIGNALS_READ
from verwijsindex.acting import own_client
from verwijsindex.database import transaction
from verwijsindex.ledger import events, reading
from verwijsindex.ledger.base64 import encode
from verwijsindex.ledger.schemas import (
    CheckpointOut,
    ConsistencyOut,
    ConsistencyQuery,
    OwnEventOut,
    OwnEventsOut,
    OwnEventsQuery,
)
from verwijsindex.ledger.tree import consistency_ranges
from verwijsindex.parsing import parsed
from verwijsindex.problems import INVALID_INPUT, NOT_FOUND, Fault, Problem
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

_TAG = Tag(name="ledger", description="Who did and saw what, provable from outside.")
open_api = APIBlueprint("ledger", __name__, url_prefix=API_PREFIX, abp_tags=[_TAG])
api = APIBlueprint(
    "own_events",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[_TAG],
    abp_security=needs(SIGNALS_READ),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@open_api.get(
    "/checkpoints/newest",
    operation_id="getNewestCheckpoint",
    summary="The newest signed checkpoint of the ledger",
    security=[],
    responses={200: CheckpointOut, **problem_responses(404, 406, 500, 503)},
)
def get_newest_checkpoint() -> Response:
    with transaction(current_app.extensions["index_pool"]) as connection:
        note = reading.newest_checkpoint(connection)
    if note is None:  # nothing was sealed yet
        raise Problem(NOT_FOUND)
    return answer(CheckpointOut(checkpoint=note))


@open_api.get(
    "/consistency-proofs",
    operation_id="getConsistencyProof",
    summary="Prove that the ledger of a newer checkpoint begins with that of an older one",
    security=[],
    responses={200: ConsistencyOut, **problem_responses(400, 406, 500, 503)},
)
@parsed
def get_consistency_proof(query: ConsistencyQuery) -> Response:
    with transaction(current_app.extensions["index_pool"]) as connection:
        _check_size("to", query.to, reading.size_of_newest(connection))
        _check_size("from", query.from_, query.to)
        found = reading.hashes(connection, consistency_ranges(query.from_, query.to))
    return answer(ConsistencyOut(proof=[encode(one) for one in found]))


@api.get(
    "/ledger-events",
    operation_id="listOwnLedgerEvents",
    summary="List what the own institution did with a signal, with the proof that it is in the ledger",
    responses={200: OwnEventsOut},
)
@parsed
def list_own_ledger_events(query: OwnEventsQuery) -> Response:
    with own_client(SIGNALS_READ) as act:
        _check_size("size", query.size, reading.size_of_newest(act.connection))
        found = reading.own_events(act.connection, query.signal_id, query.size)
        act.tell(events.OWN_EVENTS_READ, signalId=str(query.signal_id), count=len(found))
    items = [
        OwnEventOut(
            place=one.place,
            event=encode(one.event),
            nonce=encode(one.nonce),
            proof=[encode(part) for part in one.proof],
        )
        for one in found
    ]
    return answer(OwnEventsOut(items=items))


def _check_size(name: str, size: int, largest: int) -> None:
    if size > largest:
        fault = Fault("query", name, "too_large", "No checkpoint has this size yet, or it is the smaller one.")
        raise Problem(INVALID_INPUT, errors=[fault])
