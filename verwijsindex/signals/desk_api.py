# SPDX-License-Identifier: EUPL-1.2
"""Routes of the rights desk: a signal is restricted, revived, or destroyed (R15, R30)."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from verwijsindex.access.caller import RIGHTS_DECIDE
from verwijsindex.acting import ActHeaders, OnBehalfOf, acting
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals.api import SignalPath
from verwijsindex.signals.desk import DestructionOut, RestrictionOut, decide
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "desk",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="rights", description="What a municipality's rights desk decides of a signal.")],
    abp_security=needs(RIGHTS_DECIDE),
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)


@api.post(
    "/signals/<signalId>/restriction",
    operation_id="restrictSignal",
    summary="Restrict a signal during an objection",
    description="Its party is hidden at that moment and nobody is told. May be repeated: it then stays as it is.",
    responses={200: RestrictionOut},
)
@parsed
def restrict_signal(header: OnBehalfOf, path: SignalPath) -> Response:
    with acting(header, RIGHTS_DECIDE) as act:
        decide(act.connection, act.actor, act.now, path.signal_id, "restrict")
    return answer(RestrictionOut(restricted=True))


@api.delete(
    "/signals/<signalId>/restriction",
    operation_id="liftRestriction",
    summary="Lift the restriction of a signal",
    description="Its party is there again; only those are told who were never told of each other. May be repeated.",
    responses={200: RestrictionOut},
)
@parsed
def lift_restriction(header: OnBehalfOf, path: SignalPath) -> Response:
    with acting(header, RIGHTS_DECIDE) as act:
        decide(act.connection, act.actor, act.now, path.signal_id, "lift")
    return answer(RestrictionOut(restricted=False))


@api.post(
    "/signals/<signalId>/destruction",
    operation_id="destroySignal",
    summary="Destroy a signal on an upheld request",
    description="It has ended at that moment, is never archived, and nobody is told.",
    responses={201: DestructionOut, **problem_responses(422)},
)
@parsed
def destroy_signal(header: ActHeaders, path: SignalPath) -> Response:
    with acting(header, RIGHTS_DECIDE) as act:

        def destroy() -> DestructionOut:
            decide(act.connection, act.actor, act.now, path.signal_id, "destroy")
            return DestructionOut(ended_at=act.now)

        done = act.once(header, None, destroy)
    return answer(done.body, done.status)
