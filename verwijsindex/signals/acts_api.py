# SPDX-License-Identifier: EUPL-1.2
"""Routes of what is done with a placed signal, by its reporter or by a coordinator on the reporter's behalf."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel
from sqlalchemy import Connection

from verwijsindex.access.caller import INSTITUTION_READ, INSTITUTION_WRITE, SIGNALS_WRITE, Role
from verwijsindex.acting import Act, ActHeaders, OnBehalfOf, acting, reading
from verwijsindex.ledger import events
from verwijsindex.paging import Page
from verwijsindex.parsing import Outgoing, ParseContext, parsed
from verwijsindex.problems import INVALID_INPUT, Problem
from verwijsindex.repeating import Answer
from verwijsindex.signals import acts
from verwijsindex.signals.acts_schemas import (
    HandoverIn,
    HandoverOut,
    InformingIn,
    InformingRecorded,
    MoveIn,
    MoveOut,
    OrphanedSignalsOut,
    WithdrawalIn,
    WithdrawalOut,
)
from verwijsindex.signals.api import SignalPath
from verwijsindex.signals.reading import orphaned_signals
from verwijsindex.web import API_PREFIX, answer, problem_responses

api = APIBlueprint(
    "acts",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="signals", description="Statements of concern about a youngster.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)
ACTORS: tuple[tuple[Role, str], ...] = (("machine", SIGNALS_WRITE), ("coordinator", INSTITUTION_WRITE))
_FOR_ACTORS: list[dict[str, list[Any]]] = [{"oauth2": [SIGNALS_WRITE]}, {"oauth2": [INSTITUTION_WRITE]}]
_REFUSALS = problem_responses(404, 413, 415, 422)


@api.post(
    "/signals/<signalId>/withdrawal",
    operation_id="withdrawSignal",
    summary="Withdraw a signal",
    description="It has ended at that moment: it is gone from every list and match.",
    security=_FOR_ACTORS,
    responses={201: WithdrawalOut, **_REFUSALS},
)
@parsed
def withdraw_signal(header: ActHeaders, path: SignalPath, body: WithdrawalIn) -> Response:
    with acting(header, *ACTORS) as act:
        done = _once(act, header, body, partial(acts.withdraw, signal_id=path.signal_id, reason=body.reason))
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/informing",
    operation_id="recordInforming",
    summary="Write down that the family was informed, or that it is postponed",
    description="The age group is stated for this act and not kept. Once informed is informed.",
    security=_FOR_ACTORS,
    responses={201: InformingRecorded, **_REFUSALS, **problem_responses(409)},
)
@parsed
def record_informing(header: ActHeaders, path: SignalPath, body: InformingIn, context: ParseContext) -> Response:
    with acting(header, *ACTORS) as act:

        def record(connection: Connection, actor: events.Actor, now: datetime) -> InformingRecorded:
            if context.clock_faults:  # not before: a repeat gets its first answer, however late it is
                raise Problem(INVALID_INPUT, errors=context.clock_faults)
            return acts.record_informing(connection, actor, now, path.signal_id, body.informing)

        done = _once(act, header, body, record)
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/move",
    operation_id="tellMoveOfSignal",
    summary="Tell that the youngster moved",
    description="On this signal at once; soon on all signals of the youngster, whose other reporters are told. The"
    " supervision of the new residence takes over.",
    security=_FOR_ACTORS,
    responses={201: MoveOut, **_REFUSALS},
)
@parsed
def tell_move(header: ActHeaders, path: SignalPath, body: MoveIn) -> Response:
    with acting(header, *ACTORS) as act:
        move = partial(acts.tell_move, signal_id=path.signal_id, municipality=body.residence_municipality)
        done = _once(act, header, body, move)
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/handover",
    operation_id="handOverSignal",
    summary="Give a signal to a colleague of its reporter",
    description="Under an agreement of today, chosen as for a new signal.",
    security=[{"oauth2": [INSTITUTION_WRITE]}],
    responses={201: HandoverOut, **_REFUSALS},
)
@parsed
def hand_over_signal(header: ActHeaders, path: SignalPath, body: HandoverIn) -> Response:
    with acting(header, ("coordinator", INSTITUTION_WRITE)) as act:
        done = _once(act, header, body, partial(acts.hand_over, signal_id=path.signal_id, receiver=body.to))
    return answer(done.body, done.status)


@api.get(
    "/orphaned-signals",
    operation_id="listOrphanedSignals",
    summary="List the own institution's signals whose reporter left, or whose agreement ended",
    description="To be handed over or withdrawn; until then their parties stand in their matches.",
    security=[{"oauth2": [INSTITUTION_READ]}],
    responses={200: OrphanedSignalsOut},
)
@parsed
def list_orphaned_signals(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, ("coordinator", INSTITUTION_READ)) as act:
        found = orphaned_signals(act.connection, query)
        act.tell(events.ORPHANED_SIGNALS_LISTED, count=len(found.items))
    return answer(found)


def _once(
    act: Act, header: ActHeaders, body: BaseModel, do: Callable[[Connection, events.Actor, datetime], Outgoing]
) -> Answer:
    """`do` with who acts and when; of a repeat the first answer."""
    return act.once(header, body, lambda: Answer.of(201, do(act.connection, act.actor, act.now)))
