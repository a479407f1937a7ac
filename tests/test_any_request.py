# SPDX-License-Identifier: EUPL-1.2
"""Whatever is sent: no 500, a documented status, the documented form, and a refusal of what is wrong (schemathesis).

Over the whole documents of index, pseudonym service and issuer, against the real apps and databases, with the tokens of
those who may. Half of the requests fit the document (and half of these are about things that exist), half do not. A
thousand for each operation with TEST_LONG=1; the short run repeats the same few, so that it does not fail at random.
"""

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from access.examples import EXAMPLES, Asked, fill
from access.matrix import CALLERS, Caller, Operation, expected, operations
from access.services import PSEUDONYMS, issuer, pseudonyms
from access.test_matrix import OPERATIONS, credentials
from flask_openapi3.openapi import OpenAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks
from support import INDEX, ISSUER, SCHOOL, Database, Index, MovableClock, bsn

from verwijsindex.access.caller import SCOPES
from verwijsindex.issuer.service import register_client
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.voprf import blind, voprf_input
from verwijsindex.web import openapi

LONG = bool(os.environ.get("TEST_LONG"))
EXAMPLES_EACH = 1000 if LONG else 20


def refuses_what_is_wrong(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """Schemathesis' own check, which does not take 413 for a refusal; and an item of a batch is refused by itself."""
    if response.status_code == 413:
        return None
    if response.status_code == 200 and case.operation.path == "/signal-batches":
        assert not _is_wrong(case) or any("problem" in item for item in response.json()["items"])
        return None
    return checks.negative_data_rejection(ctx, response, case)


CHECKED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    refuses_what_is_wrong,
    checks.missing_required_header,
]
ANY_REQUEST = settings(
    max_examples=EXAMPLES_EACH,
    deadline=None,
    derandomize=not LONG,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(3600 if LONG else 300)
Ask = Callable[[Caller], Asked]


@pytest.fixture(scope="module")
def index(_migrated_index: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """One index for all requests of this file, with the matrix's matter in it."""
    made = Index(_migrated_index, tmp_path_factory.mktemp("index"), MovableClock())
    fill(made)
    yield made
    for pool in ("intake_pool", "index_pool", "auditor_pool"):
        made.app.extensions[pool].dispose()


_document = cache(openapi)


def send_anything(app: OpenAPI, operation: Operation, who: list[Caller], headers: Any, ask: Ask) -> None:
    """Send requests of one operation, made of its document, and check each answer.

    Args:
        who: callers who may.
        headers: (caller) to the headers that say so.
        ask: (caller) to a request that is right in everything.
    """
    document = deepcopy(_document(app))
    document["servers"] = operation.says.get("servers", document["servers"])  # schemathesis reads only these
    schema = schemathesis.openapi.from_dict(document)
    schema.app = app
    one = schema[operation.path][operation.method.upper()]
    modes = [one.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    @ANY_REQUEST
    @given(case=st.one_of(modes), caller=st.sampled_from(who), data=st.data())
    def check(case: Case[Any], caller: Caller, data: st.DataObject) -> None:
        believed = dict(headers(caller))
        if not _is_wrong(case):
            _make_real(case, ask(caller), data)
        behalf = believed.pop("On-Behalf-Of", None)
        if not _is_wrong(case, ParameterLocation.HEADER):
            case.headers.pop("On-Behalf-Of", None)
            if behalf:
                believed["On-Behalf-Of"] = behalf
        case.call_and_validate(headers=believed, checks=CHECKED)

    check()


def _is_wrong(case: Case[Any], *where: ParameterLocation) -> bool:
    """Whether the case breaks the document, there or anywhere."""
    assert case.meta is not None
    parts = case.meta.components
    return any(parts[one].mode.is_negative for one in where or parts if one in parts)


def _make_real(case: Case[Any], asked: Asked, data: st.DataObject) -> None:
    """Half of the time about what exists, and with a body of which one part at most is made up."""
    if data.draw(st.booleans(), label="about what exists"):
        case.path_parameters = {name: str(value) for name, value in asked.path.items()}
    if isinstance(asked.body, dict) and data.draw(st.booleans(), label="a good body"):
        made_up = case.body if isinstance(case.body, dict) else {}
        kept = data.draw(st.none() | st.sampled_from([None, *sorted(made_up)]), label="but for")
        case.body = asked.body | ({kept: made_up[kept]} if kept else {})


def _who_may(operation: Operation) -> list[Caller]:
    material = EXAMPLES[operation.id]
    callers = [caller for kind in CALLERS.values() for caller in kind]
    return [one for one in callers if expected(operation, one, material.owned, material.refused) == "served"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.id for operation in OPERATIONS])
def test_the_index_answers_any_request_as_its_document_says(index: Index, operation: Operation) -> None:
    who = _who_may(operation)
    headers = {caller: credentials(index, caller, operation) for caller in who}
    reporter = index.reporters[SCHOOL][0]
    send_anything(
        index.app, operation, who, headers.__getitem__, lambda _: EXAMPLES[operation.id].make(index, reporter)
    )


def test_the_pseudonym_service_answers_any_request_as_its_document_says(
    index: Index, pseudonyms_database: Database
) -> None:
    app = pseudonyms(index, pseudonyms_database.urls["verwijsindex_pseudonyms"])
    element = encode_base64url(blind([voprf_input("youngster", bsn(0))]).elements[0])
    asked = Asked(body={"keyVersion": 1, "blindedElements": [element], "reporters": [str(index.reporters[SCHOOL][0])]})
    machine = CALLERS["machine"][0]
    for operation in operations(openapi(app)):
        headers = credentials(index, machine, operation, PSEUDONYMS)
        send_anything(app, operation, [machine], lambda _, sent=headers: sent, lambda _: asked)


def test_the_issuer_answers_any_request_as_its_document_says(index: Index, issuer_database: Database) -> None:
    """Among them token requests that are right, of a registered machine."""
    app = issuer(index, issuer_database.urls["verwijsindex_issuer"])
    key, machine = OKPKey.generate_key("Ed25519"), CALLERS["nobody"][0]
    with issuer_database.engine("issuer_owner").begin() as connection:
        scopes = SCOPES["machine"]
        register_client(
            connection, client_id="school", name="-", oin=SCHOOL, public_key=key, scopes=scopes, now=index.clock()
        )

    def ask(_: Caller) -> Asked:
        now = int(index.clock().timestamp())
        claims = {"iss": "school", "sub": "school", "aud": ISSUER, "jti": str(uuid4()), "iat": now, "exp": now + 60}
        assertion = jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=["Ed25519"])
        assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {"grant_type": "client_credentials", "client_assertion_type": assertion_type, "resource": INDEX}
        return Asked(body=form | {"client_assertion": assertion})

    for operation in operations(openapi(app)):
        real = ask if operation.id == "createToken" else lambda _: Asked()
        send_anything(app, operation, [machine], lambda _: {}, real)
