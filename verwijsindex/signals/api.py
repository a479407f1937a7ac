# SPDX-License-Identifier: EUPL-1.2
"""Routes of signals: register one, list and read one's own or, as a coordinator, the institution's."""

import re
from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, field_validator
from sqlalchemy import Engine

from verwijsindex.access.caller import INSTITUTION_READ, SIGNALS_READ, SIGNALS_WRITE, Role
from verwijsindex.access.http import caller
from verwijsindex.acting import OnBehalfOf, reading
from verwijsindex.ledger import events
from verwijsindex.paging import Page
from verwijsindex.parsing import ParseContext, Strict, parsed
from verwijsindex.problems import INVALID_INPUT, Fault, Problem
from verwijsindex.pseudonyms.bsn import hides_bsn
from verwijsindex.signals import reading as own
from verwijsindex.signals import service
from verwijsindex.signals.schemas import RegisteredSignal, SignalIn, SignalOut, SignalsOut
from verwijsindex.web import API_PREFIX, answer, problem_responses

api = APIBlueprint(
    "signals",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="signals", description="Statements of concern about a youngster.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class IdempotencyKey(Strict):
    """The sender's own key of this request; a repeat with the same key and content gets the first answer."""

    idempotency_key: str = Field(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="New for each new signal, a UUID for instance. One in which a BSN may hide is refused.",
    )

    @field_validator("idempotency_key")
    @classmethod
    def _hides_no_bsn(cls, key: str) -> str:
        if hides_bsn(key) and not _UUID.fullmatch(key):
            raise ValueError(
                "a run of eight or nine digits in it passes the 11-test, as a BSN does: use a UUID, or make it anew"
            )
        return key


READERS: tuple[tuple[Role, str], ...] = (("machine", SIGNALS_READ), ("coordinator", INSTITUTION_READ))
_FOR_READERS: list[dict[str, list[Any]]] = [{"oauth2": [SIGNALS_READ]}, {"oauth2": [INSTITUTION_READ]}]


_ONE_READER = Fault("query", "reporter", "not_allowed", "Name the reporter in On-Behalf-Of; this is for coordinators.")


class SignalsQuery(Page):
    """Which page of signals, and whose."""

    reporter: UUID | None = Field(
        default=None, description="For a coordinator: only those of this reporter. A machine names one in On-Behalf-Of."
    )


class SignalPath(Strict):
    """Which signal."""

    signal_id: UUID = Field(alias="signalId")


@api.post(
    "/signals",
    operation_id="registerSignal",
    summary="Register a signal",
    description="The answer is the same whether or not anything is known about the youngster.",
    security=[{"oauth2": [SIGNALS_WRITE]}],
    responses={201: RegisteredSignal, **problem_responses(413, 415, 422)},
)
@parsed
def register_signal(header: IdempotencyKey, body: SignalIn, context: ParseContext) -> Response:
    caller().require(SIGNALS_WRITE, "machine")
    submission = service.Submission(header.idempotency_key, body, [*context.clock_faults, *_key_faults(body, context)])
    pool: Engine = current_app.extensions["intake_pool"]
    with pool.connect() as connection:
        [outcome] = service.register(
            connection, current_app.extensions["index_keys"], caller(), [submission], context.now
        )
    if isinstance(outcome, Problem):
        return outcome.response()
    current_app.extensions["match_bell"].ring()
    return answer(outcome, 201, {"Location": f"{API_PREFIX}/signals/{outcome.id}"})


def _key_faults(body: SignalIn, context: ParseContext) -> list[Fault]:
    if current_app.extensions["key_list"].accepted(body.pseudonym.key_version, context.now):
        return []
    detail = "This key version is not accepted now; see key-versions and compute the pseudonym anew."
    return [Fault("body", "#/pseudonym/keyVersion", "not_accepted", detail)]


@api.get(
    "/signals",
    operation_id="listSignals",
    summary="List the live signals of a reporter, or of the own institution",
    security=_FOR_READERS,
    responses={200: SignalsOut},
)
@parsed
def list_signals(header: OnBehalfOf, query: SignalsQuery) -> Response:
    with reading(header, *READERS) as act:
        if act.caller.role == "coordinator":
            signals = own.institutions_signals(act.connection, query, query.reporter)
        elif query.reporter:
            raise Problem(INVALID_INPUT, errors=[_ONE_READER])
        else:
            signals = own.own_signals(act.connection, current_app.extensions["index_keys"], query)
        act.tell(events.SIGNALS_LISTED, count=len(signals.items))
    return answer(signals)


@api.get(
    "/signals/<signalId>",
    operation_id="getSignal",
    summary="Read a live signal of a reporter, or of the own institution",
    security=_FOR_READERS,
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
