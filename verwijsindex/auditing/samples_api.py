# SPDX-License-Identifier: EUPL-1.2
"""Routes of the monthly sample: what is to be signed off, and what was found (R25, R28)."""

from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from verwijsindex.access.caller import LEDGER_AUDIT, Caller
from verwijsindex.acting import ActHeaders, OnBehalfOf
from verwijsindex.auditing.api import TAG
from verwijsindex.auditing.officer import auditing
from verwijsindex.auditing.samples import read_sample, sign_off
from verwijsindex.auditing.samples_schemas import MonthAsked, SampleOut, SignOffs, SignOffsOut
from verwijsindex.ledger import events
from verwijsindex.ledger.sampling import Month, Scope
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "samples",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[TAG],
    abp_security=needs(LEDGER_AUDIT),
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)


@api.get(
    "/samples/<month>",
    operation_id="getSample",
    summary="Read the accesses of a month that chance chose to be signed off",
    responses={200: SampleOut},
)
@parsed
def get_sample(header: OnBehalfOf, path: MonthAsked) -> Response:
    with auditing(header) as act:
        found = read_sample(
            *(act.connection, Month.parse(path.month), scope_of(act.caller), officer_of(act.caller), act.now)
        )
        act.tell(events.SAMPLE_READ, month=path.month, count=len(found.items))
    return answer(found)


@api.post(
    "/samples/<month>/sign-offs",
    operation_id="signOffSample",
    summary="Say of accesses in a sample whether they are as expected",
    responses={201: SignOffsOut, **problem_responses(409, 413, 415, 422)},
)
@parsed
def sign_off_sample(header: ActHeaders, path: MonthAsked, body: SignOffs) -> Response:
    with auditing(header) as act:

        def sign() -> SignOffsOut:
            done = sign_off(
                *(act.connection, Month.parse(path.month), scope_of(act.caller), officer_of(act.caller), act.now),
                body.sign_offs,
            )
            for one in body.sign_offs:
                said = {"sampledEvent": str(one.event_id), "finding": one.finding}
                act.tell(events.SAMPLE_SIGNED_OFF, month=path.month, **said)
            return done

        done = act.once(header, body, sign)
    return answer(done.body, done.status)


def scope_of(caller: Caller) -> Scope:
    """Whose accesses a privacy officer looks at."""
    return Scope(oin=caller.oin, municipality=caller.municipality)


def officer_of(caller: Caller) -> UUID:
    """Who the officer is; a token of theirs always says so."""
    if caller.person_id is None:
        raise TypeError("a privacy officer is a person")
    return caller.person_id
