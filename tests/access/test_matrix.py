# SPDX-License-Identifier: EUPL-1.2
"""Every cell of the matrix of operation and caller, against the real app and database; deny by default (I8)."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from access.examples import EXAMPLES, LEFT, Asked, Example, fill
from access.matrix import CALLERS, OPEN, SERVED, Caller, Operation, expected, operations, scopes_of, table
from access.services import PSEUDONYMS, REVOKED, issuer, pseudonyms, verifier
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey
from signals.evidence import slug
from support import (
    DORDRECHT,
    INDEX,
    ISSUER,
    OPERATOR,
    POLICE,
    SCHOOL,
    WESTERVELD,
    Answer,
    Database,
    Index,
    MovableClock,
    bsn,
)
from support import headers as own_headers

from verwijsindex.access.caller import PERSON_OF, SCOPES, PersonRole
from verwijsindex.app import document_app
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.problems import CATALOGUE
from verwijsindex.pseudonyms.voprf import blind, voprf_input
from verwijsindex.web import openapi

OPERATIONS = list(operations(openapi(document_app())))
OINS = {"own": SCHOOL, "another": POLICE, "unregistered": "00000009999999999000"}
MUNICIPALITIES = {"own": WESTERVELD, "another": DORDRECHT}
TEN_MINUTES = timedelta(minutes=10)
MATTER: dict[str, str] = {}
"""The rows that `fill` made, put back for each test: that takes a tenth of the time."""
ADD = (
    "the operation {0} has no example for the matrix of access: add one to EXAMPLES in tests/access/examples.py, with a"
    " request that is right in everything and who owns what it is about"
)


def example(operation: Operation) -> Example:
    """The operation's example; fails with what to do where there is none."""
    if operation.id not in EXAMPLES:
        pytest.fail(ADD.format(operation.id))
    return EXAMPLES[operation.id]


@pytest.fixture
def world(index_database: Database, tmp_path: Path) -> Iterator[Callable[[], Index]]:
    """Makes an index with the examples' matter in it, anew at each call."""
    made: list[Index] = []
    numbers = count()

    def make() -> Index:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        made.append(Index(index_database, folder, MovableClock()))
        made[-1].app.extensions["token_verifier"] = verifier(made[-1], INDEX)
        if MATTER:
            index_database.empty()
            index_database.put_back(MATTER)
        else:
            fill(made[-1])
            MATTER.update(index_database.all_rows())
        return made[-1]

    yield make
    for index in made:
        for pool in ("intake_pool", "index_pool", "auditor_pool"):
            index.app.extensions[pool].dispose()


def reporter_of(index: Index, caller: Caller) -> UUID:
    """The reporter whom the caller names; where it names none, the one whose the matter is."""
    school = index.reporters[SCHOOL]
    named = {"own": school[0], "colleague": school[1], "left": school[2], "another's": index.reporters[POLICE][0]}
    return uuid4() if caller.names == "unknown" else named[caller.names or "own"]


def credentials(index: Index, caller: Caller, operation: Operation, audience: str = INDEX) -> dict[str, str]:
    """The headers that say who asks, and for whom."""
    terms, now, signer = Terms(audience, scopes_of(caller, operation), TEN_MINUTES), index.clock(), index.signer
    oin, place = OINS[caller.institution], MUNICIPALITIES[caller.municipality]
    if caller.role is None:
        authorization = _not_believed(index, caller.name, terms)
    elif caller.role == "machine":
        client = f"client-{oin}" + ("-2" if caller.client == "another" else "")
        authorization = signer.machine_token(client, oin, terms, now)
    else:
        persons = _register(index)[caller.role]
        claim = caller.audits if PERSON_OF[caller.role] == "either or none" else PERSON_OF[caller.role]
        of, another = {
            "oin": (oin, POLICE),
            "municipality": (place, DORDRECHT),
            "none": (OPERATOR, POLICE),
        }[claim]
        person = persons[of] if caller.in_register else LEFT if caller.name == "who left" else persons[another]
        named, signed_in = None if of == OPERATOR else of, {"amr": ["pwd", "mfa"][: caller.factors]}
        authorization = signer.person_token(caller.role, person, named, "console", terms, now, signed_in)
    headers = {"Authorization": f"Bearer {authorization}"} if authorization else {}
    return headers | ({"On-Behalf-Of": str(reporter_of(index, caller))} if caller.names else {})


def _register(index: Index) -> dict[PersonRole, dict[str, UUID]]:
    """The persons of each role, by what they are of."""
    return {
        "case_supervisor": index.supervisors,
        "coordinator": index.coordinators,
        "named_officer": index.officers,
        "rights_desk": index.desk_officers,
        "privacy_officer": index.privacy_officers,
    }


def _not_believed(index: Index, what: str, terms: Terms) -> str:
    signer, now = index.signer, index.clock()
    if what == "a forged token":
        signer = TokenSigner(OKPKey.generate_key("Ed25519"), ISSUER)
    elif what == "a token for another service":
        terms = Terms("http://another.test", terms.scopes, TEN_MINUTES)
    elif what == "a token of another issuer":
        signer = TokenSigner(signer._key, "http://other.test")
    elif what == "an expired token":
        now -= timedelta(hours=1)
    elif what == "a token not valid yet":
        now += timedelta(hours=1)
    elif what == "a token with another role":
        return signer._sign("administrator", {"sub": "x", "client_id": "x", "oin": SCHOOL}, terms, now)  # type: ignore[arg-type]
    client = REVOKED if what == "a token of a revoked client" else f"client-{SCHOOL}"
    token = signer.machine_token(client, SCHOOL, terms, now)
    return {"no token": "", "what is no token": "letters"}.get(what, token)


def send(http: FlaskClient, operation: Operation, asked: Asked, headers: dict[str, str]) -> Answer:
    """The answer to a request of an operation."""
    path = operation.path.format(**asked.path) + asked.query
    body: dict[str, Any] = {} if asked.body is None else {"json": asked.body}
    answer = http.open(f"/api/v1{path}", method=operation.method.upper(), headers=headers | asked.headers, **body)
    return cast(Answer, answer)


def outcome(answer: Answer, operation: Operation) -> str:
    """SERVED, or the slug of the problem; an item of a batch counts as if it had come alone."""
    if answer.status_code != operation.success:
        return slug(answer)
    items = answer.json.get("items") if operation.method == "post" else None
    if items and "problem" in items[0]:
        return str(items[0]["problem"]["type"]).rpartition(":")[2]
    return SERVED


@contextmanager
def nothing_changed(database: Database, events: int) -> Iterator[None]:
    """Within it no row comes, goes or changes, but for so many events: the refusals (and what limits count, R37)."""
    before, events_before = _rows(database, database.next_transaction())
    yield
    after, events_after = _rows(database, database.next_transaction())
    assert after == before
    assert events_after == events_before + events


@lru_cache(maxsize=1)
def _rows(database: Database, _: int) -> tuple[set[tuple[Any, ...]], Any]:
    """All rows but of events, and how many events. What was looked at is looked at again when anybody wrote since."""
    tables = database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    looks = [
        f"SELECT '{name}', count(*), sum(hashtextextended(CAST(t AS text), 0)) FROM \"{name}\" t"
        for (name,) in tables
        if name not in {"event", "unsealed_event", "limit_counter"}
    ]
    rows = {tuple(row) for row in database.rows(" UNION ALL ".join(looks))}  # sums: to sort them takes the longest
    return rows, database.scalar("SELECT count(*) FROM event")


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.id for operation in OPERATIONS])
def test_every_caller_gets_the_answer_that_the_document_says(
    world: Callable[[], Index], operation: Operation, subtests: pytest.Subtests
) -> None:
    """R19, R20, I8. Refused callers leave nothing but their refusal in the ledger (I4).

    Seen failing without the look into the register for coordinators, with a scope believed whatever the role, and with
    policies of row-level security that were true for all.
    """
    material, index = example(operation), world()
    for kind, callers in CALLERS.items():
        for caller in callers:
            with subtests.test(f"{kind} {caller.name}"):
                wanted = expected(operation, caller, material.owned, material.refused, material.absent)
                if wanted == SERVED and material.spends:
                    index = world()
                asked = material.make(index, reporter_of(index, caller))
                headers = credentials(index, caller, operation)
                if wanted == SERVED:
                    answer = send(index.http, operation, asked, headers)
                    assert outcome(answer, operation) == SERVED, answer.text
                    seen = [str(one) in answer.text for one in asked.shows]
                    assert all(seen) if material.owned(caller) else not any(seen)
                    continue
                events = int(CATALOGUE[wanted].status in {403, 404})
                with nothing_changed(index.database, events):
                    answer = send(index.http, operation, asked, headers)
                assert outcome(answer, operation) == wanted, answer.text
                assert not any(str(one) in answer.text for one in asked.shows)
                if wanted == material.absent:
                    unknown = Asked(dict.fromkeys(asked.path, uuid4()), asked.body, asked.headers)
                    other = send(index.http, operation, unknown, headers)
                    assert (answer.data, own_headers(answer)) == (other.data, own_headers(other))


def test_what_declares_no_security_is_open_on_purpose_or_fails() -> None:
    """Deny by default: a new operation says what it needs, or stands on the short list."""
    assert sum(map(len, SCOPES.values())) == len(set().union(*SCOPES.values())), "a scope that two roles can hold"
    for operation in OPERATIONS:
        is_open = not operation.scopes
        assert is_open == (operation.id in OPEN), f"{operation.id} declares no security; open ones stand in OPEN"
        known: set[str] = set().union(*SCOPES.values())
        assert set(operation.scopes or []) <= known, f"{operation.id} needs a scope that no role can hold"


def test_an_operation_without_an_example_fails_and_says_what_to_add() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"add one to EXAMPLES in tests/access/examples\.py"):
        example(Operation("newOperation", "get", "/new", {}, {}))
    unused = EXAMPLES.keys() - {operation.id for operation in OPERATIONS}
    assert not unused, "examples of operations that are gone"


def test_no_other_method_answers(world: Callable[[], Index]) -> None:
    """What is not in the document does not exist, whoever asks."""
    index = world()
    owners = [CALLERS["machine"][0], CALLERS["case supervisor"][0], CALLERS["coordinator"][0]]
    for operation in OPERATIONS:
        documented = {other.method for other in OPERATIONS if other.path == operation.path}
        asked = example(operation).make(index, index.reporters[SCHOOL][0])
        for caller in owners:
            headers = credentials(index, caller, operation)
            for method in {"get", "post", "put", "patch", "delete"} - documented:
                other = replace(operation, method=method)
                assert send(index.http, other, asked, headers).status_code == 405, (operation.id, method)


def test_the_pseudonym_service_evaluates_for_machines_only(
    index: Index, pseudonyms_database: Database, subtests: pytest.Subtests
) -> None:
    """Each operation and caller of its own document."""
    app = pseudonyms(index, pseudonyms_database.urls["verwijsindex_pseudonyms"])
    elements = [encode_base64url(element) for element in blind([voprf_input("youngster", bsn(0))]).elements]
    asked = {
        "evaluate": Asked(body={"keyVersion": 1, "blindedElements": elements, "reporters": [str(uuid4())]}),
        "listKeyVersions": Asked(),
        "listBursts": Asked(),
    }
    for operation in operations(openapi(app)):
        assert (not operation.scopes) == (operation.id in OPEN)
        assert operation.id in asked, f"the operation {operation.id} has no example for the matrix of access: add one"
        for kind, callers in CALLERS.items():
            for caller in callers:
                with subtests.test(f"{operation.id} {kind} {caller.name}"):
                    headers = credentials(index, caller, operation, PSEUDONYMS)
                    answer = send(app.test_client(), operation, asked[operation.id], headers)
                    assert outcome(answer, operation) == expected(operation, caller, lambda _: True), answer.text


def test_the_issuer_is_open_and_serves_nothing_else(index: Index, issuer_database: Database) -> None:
    """What a token request must prove is in tests/issuer."""
    document = openapi(issuer(index, issuer_database.urls["verwijsindex_issuer"]))
    assert {operation.id for operation in operations(document)} <= OPEN


DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "access.md"
MARKS = ("<!-- the matrix: made by tests/access/test_matrix.py -->\n", "<!-- end of the matrix -->\n")


def _cell(operation: Operation, caller: Caller) -> str:
    material = example(operation)
    answer = expected(operation, caller, material.owned, material.refused, material.absent)
    if answer != SERVED:
        return f"{CATALOGUE[answer].status} `{answer}`"
    return "**yes**" if material.owned(caller) else "only what is theirs"


def _tables() -> str:
    guarded = [operation for operation in OPERATIONS if operation.scopes]
    scopes = [f"| `{role}` | {', '.join(f'`{one}`' for one in sorted(held))} |" for role, held in SCOPES.items()]
    roles = "\n".join(["| Role in the token | Scopes it can hold |", "|---|---|", *scopes]) + "\n\n"
    return roles + "\n".join(
        table(kind, {one.id: [_cell(one, caller) for caller in callers] for one in guarded}) + "\n"
        for kind, callers in CALLERS.items()
        if kind != "nobody"
    )


def test_the_matrix_in_the_documents_is_the_one_that_is_tested() -> None:
    """WRITE_DOCS=1 writes it anew."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(MARKS[0])
    shown, _, after = rest.partition(MARKS[1])
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(before + MARKS[0] + "\n" + _tables() + "\n" + MARKS[1] + after)
    else:
        assert shown.strip() == _tables().strip(), "run this test with WRITE_DOCS=1, and read what it changed"
