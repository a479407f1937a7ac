# SPDX-License-Identifier: EUPL-1.2
"""The route by which a municipality tells a death (R14)."""

from datetime import datetime

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from sqlalchemy import Engine

from verwijsindex.access.caller import DEATHS_WRITE
from verwijsindex.access.http import caller
from verwijsindex.acting import IdempotencyKey
from verwijsindex.parsing import Outgoing, ParseContext, Strict, parsed
from verwijsindex.pseudonyms.key_list import KeyList
from verwijsindex.settings import API_PREFIX
from verwijsindex.signals.api import KEY_FAULT
from verwijsindex.signals.deaths import Told
from verwijsindex.signals.limiting import SignalLimits
from verwijsindex.signals.schemas import PseudonymIn
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "deaths",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="deaths", description="That a youngster died, as a municipality tells it.")],
    abp_security=needs(DEATHS_WRITE),
    abp_responses=problem_responses(400, 401, 403, 406, 413, 415, 422, 429, 500, 503),
)


class DeathIn(Strict):
    """Somebody who died, by pseudonym; nothing else is asked."""

    pseudonym: PseudonymIn


class DeathOut(Outgoing):
    """That it was received; the same whether or not anything was known (I7)."""

    received_at: datetime = Field(description="From this moment nothing that was received before it shows any more.")


@api.post(
    "/deaths",
    operation_id="tellDeath",
    summary="Tell a death",
    description="For a machine of a municipality, of whoever died: what there is about them ends and is destroyed,"
    " and the answer never tells whether there was anything.",
    responses={202: DeathOut},
)
@parsed
def tell_death(header: IdempotencyKey, body: DeathIn, context: ParseContext) -> Response:
    asking = caller()
    asking.require(DEATHS_WRITE)
    key_list: KeyList = current_app.extensions["key_list"]
    accepted = key_list.accepted(body.pseudonym.key_version, context.now)
    told = Told(header.idempotency_key, body.pseudonym, [] if accepted else [KEY_FAULT])
    pool: Engine = current_app.extensions["intake_pool"]
    limits: SignalLimits = current_app.extensions["signal_limits"]
    with pool.connect() as connection:
        keys = current_app.extensions["index_keys"]
        received_at = limits.tell_death(connection, keys, asking, told, context.now)
    current_app.extensions["match_bell"].ring()
    return answer(DeathOut(received_at=received_at), 202)
