# SPDX-License-Identifier: EUPL-1.2
"""Routes of what is done with a placed signal, by its reporter or by a coordinator on the reporter's behalf."""

from functools import partial

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import INSTITUTION_READ, INSTITUTION_WRITE, SIGNALS_WRITE
from verwijsindex.acting import ActHeaders, OnBehalfOf, acting, reading
from verwijsindex.ledger import events
from verwijsindex.paging import Page
from verwijsindex.parsing import ParseContext, parsed
from verwijsindex.problems import INVALID_INPUT, Problem
from verwijsindex.settings import API_PREFIX
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
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "acts",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="signals", description="Statements of concern about a youngster.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)
ACTORS = (SIGNALS_WRITE, INSTITUTION_WRITE)
_REFUSALS = problem_responses(404, 413, 415, 422)


@api.post(
    "/signals/<signalId>/withdrawal",
    operation_id="withdrawSignal",
    summary="Withdraw a signal",
    description="It has ended at that moment: it is gone from every list and match.",
    security=needs(*ACTORS),
    responses={201: WithdrawalOut, **_REFUSALS},
)
@parsed
def withdraw_signal(header: ActHeaders, path: SignalPath, body: WithdrawalIn) -> Response:
    with acting(header, *ACTORS) as act:
        withdraw = partial(acts.withdraw, act.connection, act.actor, act.now, path.signal_id, body.reason)
        done = act.once(header, body, withdraw)
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/informing",
    operation_id="recordInforming",
    summary="Write down that the family was informed, or that it is postponed",
    description="The age group is stated for this act and not kept. Once informed is informed.",
    security=needs(*ACTORS),
    responses={201: InformingRecorded, **_REFUSALS, **problem_responses(409)},
)
@parsed
def record_informing(header: ActHeaders, path: SignalPath, body: InformingIn, context: ParseContext) -> Response:
    with acting(header, *ACTORS) as act:

        def record() -> InformingRecorded:
            if context.clock_faults:  # not before: a repeat gets its first answer, however late it is
                raise Problem(INVALID_INPUT, errors=context.clock_faults)
            return acts.record_informing(act.connection, act.actor, act.now, path.signal_id, body.informing)

        done = act.once(header, body, record)
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/move",
    operation_id="tellMoveOfSignal",
    summary="Tell that the youngster moved",
    description="On this signal at once; soon on all signals of the youngster, whose other reporters are told. The"
    " supervision of the new residence takes over.",
    security=needs(*ACTORS),
    responses={201: MoveOut, **_REFUSALS},
)
@parsed
def tell_move(header: ActHeaders, path: SignalPath, body: MoveIn) -> Response:
    with acting(header, *ACTORS) as act:
        residence = body.residence_municipality
        done = act.once(
            header, body, partial(acts.tell_move, act.connection, act.actor, act.now, path.signal_id, residence)
        )
    return answer(done.body, done.status)


@api.post(
    "/signals/<signalId>/handover",
    operation_id="handOverSignal",
    summary="Give a signal to a colleague of its reporter",
    description="Under an agreement of today, chosen as for a new signal. The giver's case reference goes, and so do"
    " parents where that agreement does not allow them.",
    security=needs(INSTITUTION_WRITE),
    responses={201: HandoverOut, **_REFUSALS},
)
@parsed
def hand_over_signal(header: ActHeaders, path: SignalPath, body: HandoverIn) -> Response:
    with acting(header, INSTITUTION_WRITE) as act:
        hand_over = partial(acts.hand_over, act.connection, act.actor, act.now, path.signal_id, body.to)
        done = act.once(header, body, hand_over)
    return answer(done.body, done.status)


@api.get(
    "/orphaned-signals",
    operation_id="listOrphanedSignals",
    summary="List the own institution's signals whose reporter left, or whose agreement ended",
    description="To be handed over or withdrawn; until then their parties stand in their matches.",
    security=needs(INSTITUTION_READ),
    responses={200: OrphanedSignalsOut},
)
@parsed
def list_orphaned_signals(header: OnBehalfOf, query: Page) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = orphaned_signals(act.connection, query)
        act.tell(events.ORPHANED_SIGNALS_LISTED, count=len(found.items))
    return answer(found)
