# SPDX-License-Identifier: EUPL-1.2
"""Routes of signals: register one or many, list and read one's own or, as a coordinator, the institution's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from flask import Response, current_app, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from sqlalchemy import Engine

from verwijsindex import metrics
from verwijsindex.access.caller import INSTITUTION_READ, SIGNALS_READ, SIGNALS_WRITE
from verwijsindex.access.http import caller
from verwijsindex.acting import IdempotencyKey, OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.paging import Page
from verwijsindex.parsing import ParseContext, Strict, parsed
from verwijsindex.problems import INVALID_INPUT, Fault, Problem
from verwijsindex.pseudonyms.key_list import KeyList
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals import reading as own
from verwijsindex.signals.batch import MAX_BATCH_BYTES, BatchIn, BatchOut
from verwijsindex.signals.limiting import SignalLimits
from verwijsindex.signals.schemas import (
    RegisteredSignal,
    SignalIn,
    SignalOut,
    SignalsOut,
    Submission,
)
from verwijsindex.web import answer, needs, problem_responses

_TAGS = [Tag(name="signals", description="Statements of concern about a youngster.")]
_RESPONSES = problem_responses(400, 401, 403, 406, 500, 503)
api = APIBlueprint("signals", __name__, url_prefix=API_PREFIX, abp_tags=_TAGS, abp_responses=_RESPONSES)
batch_api = APIBlueprint("signal_batches", __name__, url_prefix=API_PREFIX, abp_tags=_TAGS, abp_responses=_RESPONSES)


@batch_api.before_request
def allow_more() -> None:
    """Larger bodies than elsewhere: before they are read (access/http)."""
    request.max_content_length = MAX_BATCH_BYTES


READERS = (SIGNALS_READ, INSTITUTION_READ)
_ONE_READER = Fault("query", "reporter", "not_allowed", "Name the reporter in On-Behalf-Of; this is for coordinators.")


class SignalsQuery(Page):
    """Which page of signals, and whose."""

    reporter: UUID | None = Field(
        default=None, description="For a coordinator: only those of this reporter. A machine names one in On-Behalf-Of."
    )
    informing: Literal["overdue"] | None = Field(
        default=None, description="overdue: only those whose family should have been informed by now."
    )


class SignalPath(Strict):
    """Which signal."""

    signal_id: UUID = Field(alias="signalId")


@api.post(
    "/signals",
    operation_id="registerSignal",
    summary="Register a signal",
    description="The answer is the same whether or not anything is known about the youngster.",
    security=needs(SIGNALS_WRITE),
    responses={201: RegisteredSignal, **problem_responses(413, 415, 422, 429)},
)
@parsed
def register_signal(header: IdempotencyKey, body: SignalIn, context: ParseContext) -> Response:
    caller().require(SIGNALS_WRITE)
    [outcome] = _register([Submission(header.idempotency_key, body, context.clock_faults)], context.now)
    if isinstance(outcome, Problem):
        return outcome.response()
    return answer(outcome, 201, {"Location": f"{API_PREFIX}/signals/{outcome.id}"})


@batch_api.post(
    "/signal-batches",
    operation_id="registerSignalBatch",
    summary="Register up to 1,000 signals, each accepted or refused by itself",
    description="The items of the answer stand in the order of the signals; each is what `POST /signals` would have"
    " answered. A problem for the whole: mend it, or after a 5xx repeat it, with the same idempotency keys.",
    security=needs(SIGNALS_WRITE),
    responses={200: BatchOut, **problem_responses(413, 415)},
)
@parsed
def register_signal_batch(body: BatchIn, context: ParseContext) -> Response:
    caller().require(SIGNALS_WRITE)
    outcomes = iter(_register([item for item in body.signals if isinstance(item, Submission)], context.now))
    return answer(BatchOut.of(item if isinstance(item, Problem) else next(outcomes) for item in body.signals))


def _register(sent: Sequence[Submission], now: datetime) -> list[RegisteredSignal | Problem]:
    submissions = _with_key_faults(sent, now)
    pool: Engine = current_app.extensions["intake_pool"]
    limits: SignalLimits = current_app.extensions["signal_limits"]
    with pool.connect() as connection:
        outcomes = limits.register(connection, current_app.extensions["index_keys"], caller(), submissions, now)
    accepted = sum(isinstance(outcome, RegisteredSignal) for outcome in outcomes)
    metrics.SIGNALS.inc(accepted)
    if accepted:
        current_app.extensions["match_bell"].ring()
    return outcomes


KEY_FAULT = Fault(
    "body",
    "#/pseudonym/keyVersion",
    "not_accepted",
    "This key version is not accepted now; see key-versions and compute the pseudonym anew.",
)
"""Of a pseudonym that came."""


def _with_key_faults(sent: Sequence[Submission], now: datetime) -> list[Submission]:
    key_list: KeyList = current_app.extensions["key_list"]
    versions = {one.signal.pseudonym.key_version for one in sent}
    wrong = {version for version in versions if not key_list.accepted(version, now)}
    return [
        replace(one, clock_faults=[*one.clock_faults, KEY_FAULT]) if one.signal.pseudonym.key_version in wrong else one
        for one in sent
    ]


@api.get(
    "/signals",
    operation_id="listSignals",
    summary="List the signals of a reporter, or of the own institution, that have not ended",
    security=needs(*READERS),
    responses={200: SignalsOut},
)
@parsed
def list_signals(header: OnBehalfOf, query: SignalsQuery) -> Response:
    with reading(header, *READERS) as act:
        if act.caller.role == "coordinator":
            signals = own.institutions_signals(act.connection, query, query.reporter, overdue=bool(query.informing))
        elif query.reporter:
            raise Problem(INVALID_INPUT, errors=[_ONE_READER])
        else:
            keys = current_app.extensions["index_keys"]
            signals = own.own_signals(act.connection, keys, query, overdue=bool(query.informing))
        act.tell(events.SIGNALS_LISTED, count=len(signals.items))
    return answer(signals)


@api.get(
    "/signals/<signalId>",
    operation_id="getSignal",
    summary="Read a signal of a reporter, or of the own institution",
    security=needs(*READERS),
    responses={200: SignalOut, **problem_responses(404)},
)
@parsed
def get_signal(header: OnBehalfOf, path: SignalPath) -> Response:
    with reading(header, *READERS) as act:
        if act.caller.role == "coordinator":
            signal = own.institutions_signal(act.connection, path.signal_id)
        else:
            signal = own.own_signal(act.connection, current_app.extensions["index_keys"], path.signal_id)
        act.tell(events.SIGNAL_READ, signalId=str(signal.id))
    return answer(signal)
