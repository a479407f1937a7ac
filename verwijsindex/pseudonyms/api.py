# SPDX-License-Identifier: EUPL-1.2
"""Routes of the pseudonym service. It keeps nothing but counters for its limits (R37) and logs no element (I5)."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import Engine

from verwijsindex import metrics
from verwijsindex.access.caller import BURSTS_READ, PSEUDONYMS_EVALUATE
from verwijsindex.access.http import caller
from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.limits.service import Limiter, NationalLimits
from verwijsindex.parsing import ParseContext, parsed
from verwijsindex.problems import INVALID_INPUT, Fault, Problem
from verwijsindex.pseudonyms.bursts import Tally, bursts
from verwijsindex.pseudonyms.key_list import KeyList
from verwijsindex.pseudonyms.ristretto import check_point
from verwijsindex.pseudonyms.schemas import BurstOut, BurstsOut, EvaluationIn, EvaluationOut, KeyVersionsOut
from verwijsindex.pseudonyms.voprf import Evaluator
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals.dates import amsterdam_date
from verwijsindex.web import answer, needs, problem_responses

_MOST_FAULTS = 20
_TAG = Tag(name="pseudonyms", description="From a blinded BSN to a blinded pseudonym (RFC 9497).")


def evaluation_routes(
    evaluators: Mapping[int, Evaluator], key_list: KeyList, limits: NationalLimits, pool: Engine
) -> APIBlueprint:
    """Evaluation, for machines with a token; `evaluators` are the versions of the key that are held.

    `limits` are on elements; `pool` has connections in autocommit to the database with their counters.
    """
    limiter, tally = Limiter(), Tally()
    routes = APIBlueprint(
        "evaluations",
        __name__,
        url_prefix=API_PREFIX,
        abp_tags=[_TAG],
        abp_responses=problem_responses(400, 401, 403, 406, 413, 415, 429, 500, 503),
    )

    @routes.post(
        "/evaluations",
        operation_id="evaluate",
        summary="Have blinded elements evaluated",
        description="One proof shows that all were evaluated under the key of the version. Either all are within the"
        " limits, or none is evaluated and none counts.",
        security=needs(PSEUDONYMS_EVALUATE),
        responses={200: EvaluationOut},
    )
    @parsed
    def evaluate(body: EvaluationIn, context: ParseContext) -> Response:
        caller().require(PSEUDONYMS_EVALUATE)
        elements, faults = _elements(body.blinded_elements)
        evaluator = _evaluator(body.key_version, context.now)
        if evaluator is None:
            faults.insert(0, _VERSION_FAULT)
        if len(body.reporters) != len(body.blinded_elements):
            faults.append(_REPORTERS_FAULT)
        if evaluator is None or faults:
            raise Problem(INVALID_INPUT, errors=faults)
        oin, reporters = caller().oin or "", Counter(body.reporters)
        demands = limits.demands(oin, reporters)
        [reached] = limiter.take(pool.connect, [demands], context.now)
        if reached:
            raise reached.problem()
        with pool.connect() as connection:  # before anybody has what is counted
            tally.count(connection, oin, reporters, amsterdam_date(context.now))
        evaluation = evaluator.evaluate(elements)
        metrics.ELEMENTS.inc(len(elements))
        return answer(
            EvaluationOut(
                key_version=body.key_version,
                evaluated_elements=[encode_base64url(element) for element in evaluation.elements],
                proof=encode_base64url(evaluation.proof),
            )
        )

    @routes.get(
        "/bursts",
        operation_id="listBursts",
        summary="List who had far more evaluated on a day than in the own past",
        description="For the index's operator alone, who raises an alert about each (R37). Of the last four weeks, the"
        " newest first, at most a thousand.",
        security=needs(BURSTS_READ),
        responses={200: BurstsOut},
    )
    @parsed
    def list_bursts(context: ParseContext) -> Response:
        caller().require(BURSTS_READ)
        with pool.connect() as connection:
            found = bursts(connection, amsterdam_date(context.now))
        return answer(BurstsOut(items=[BurstOut.model_validate(one, from_attributes=True) for one in found]))

    def _evaluator(version: int, now: datetime) -> Evaluator | None:
        return evaluators.get(version) if key_list.accepted(version, now) else None

    return routes


def key_version_routes(signed_list: str) -> APIBlueprint:
    """The signed list, open to all: a sender checks it with the key that it has pinned."""
    routes = APIBlueprint("key-versions", __name__, url_prefix=API_PREFIX, abp_tags=[_TAG])
    versions = KeyVersionsOut(key_list=signed_list)

    @routes.get(
        "/key-versions",
        operation_id="listKeyVersions",
        summary="Get the signed list of key versions",
        responses={200: KeyVersionsOut, **problem_responses(406, 500)},
    )
    def list_key_versions() -> Response:
        return answer(versions)

    return routes


_VERSION_FAULT = Fault(
    "body", "#/keyVersion", "not_accepted", "Take a version of the signed list that is accepted now."
)


_REPORTERS_FAULT = Fault("body", "#/reporters", "not_parallel", "Send one reporter for each blinded element.")


def _elements(texts: list[str]) -> tuple[list[bytes], list[Fault]]:
    """The elements, and the first faults among them, each at its place."""
    elements, faults = [], []
    for place, text in enumerate(texts):
        try:
            elements.append(check_point(decode_base64url(text)))
        except ValueError:
            detail = "Send an element of ristretto255 other than the identity, in unpadded base64url."
            faults.append(Fault("body", f"#/blindedElements/{place}", "not_an_element", detail))
            if len(faults) == _MOST_FAULTS:
                break
    return elements, faults
