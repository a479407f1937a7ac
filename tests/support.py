# SPDX-License-Identifier: EUPL-1.2
"""What tests of many rooms share besides fixtures."""

import json
import os
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask_openapi3.openapi import OpenAPI
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from werkzeug.test import TestResponse

from verwijsindex import database, keyfiles
from verwijsindex.access.caller import SCOPES, PersonRole
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.app import document_app, furnish
from verwijsindex.demo.exports_day import known_test_bsns
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.ledger.events import Actor
from verwijsindex.matching.service import match_waiting, only_in_the_database
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.key_list import KeyVersion, sign_key_list
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.pseudonyms.voprf import Evaluator, blind, unblind, voprf_input
from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import (
    AgreementEntry,
    CaseSupervisorEntry,
    ContactPointEntry,
    CoordinatorEntry,
    Entry,
    InstitutionEntry,
    MunicipalityEntry,
    NamedOfficerEntry,
    PrivacyOfficerEntry,
    ReporterEntry,
    RightsDeskOfficerEntry,
)
from verwijsindex.settings import IndexSettings, TrustedIssuer
from verwijsindex.signals.dates import amsterdam_date, two_years_after
from verwijsindex.signals.ending import Bury

_NOT_GENERATED = sa.text(
    "SELECT c.relname, string_agg(quote_ident(a.attname), ', ')"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relname = ANY(:tables) AND c.relnamespace = CAST('public' AS regnamespace)"
    " AND a.attnum > 0 AND a.attgenerated = '' AND NOT a.attisdropped GROUP BY c.relname"
)
_ROWS_READ = sa.text("SELECT coalesce(sum(seq_tup_read) + sum(idx_tup_fetch), 0) FROM pg_stat_xact_user_tables")
_MEGABYTES = (
    "SELECT sum(pg_relation_size(oid)) / 1000000 FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace)"
)


@dataclass(eq=False)
class Database:
    """A migrated database, with an engine for each of its roles."""

    branch: str
    urls: dict[str, SecretStr]
    superuser: sa.Engine
    filled: "tuple[dict[str, Any], dict[str, str]] | None" = None
    """Who is in the register of an Index, and its rows by table: made by the services once, and then put back."""
    _left_at: tuple[str, int] | None = None
    _engines: dict[str, sa.Engine] = field(default_factory=dict)

    def engine(self, role: str, *, autocommit: bool = False) -> sa.Engine:
        """Connections of a role: `intake`, `index`, `worker`, `registrar`, `auditor`, `owner`, `issuer`..."""
        name = f"{role} {autocommit}"
        if name not in self._engines:
            url = self.urls[f"verwijsindex_{role}"]
            self._engines[name] = database.engine(url, pool_size=40, autocommit=autocommit)
        return self._engines[name]

    def scalar(self, statement: str, **values: object) -> Any:
        """One value, read as superuser: what is really there."""
        with self.superuser.connect() as connection:
            return connection.execute(sa.text(statement), values).scalar_one()

    def rows(self, statement: str, **values: object) -> list[sa.Row[Any]]:
        """Rows, read as superuser: what is really there."""
        with self.superuser.connect() as connection:
            return list(connection.execute(sa.text(statement), values).all())

    def tables(self) -> list[str]:
        """All but those whose rows the migrations put there."""
        found = self.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT IN ('alembic_version', 'category', 'index_key_version')"
        )
        return [row.tablename for row in found]

    def all_rows(self) -> dict[str, str]:
        """The rows of each table that has any, as JSON."""
        looks = (
            f"SELECT '{table}' AS tablename, CAST(json_agg(t) AS text) AS rows FROM {table} t"
            for table in self.tables()
        )
        return {row.tablename: row.rows for row in self.rows(" UNION ALL ".join(looks)) if row.rows}

    def put_back(self, rows: Mapping[str, str]) -> None:
        """Insert what `all_rows` gave, past every rule, into empty tables."""
        with self.superuser.begin() as connection:
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            for table, named in connection.execute(_NOT_GENERATED, {"tables": list(rows)}).all():
                insert = f"INSERT INTO {table} ({named}) OVERRIDING SYSTEM VALUE SELECT {named}"
                of = f" FROM json_populate_recordset(CAST(NULL AS {table}), :rows)"
                connection.execute(sa.text(insert + of), {"rows": rows[table]})

    def leave(self, what: str) -> None:
        """Remember that only `what` is here now; `has_only` then spares the work of bringing it here again."""
        self._left_at = what, self.next_transaction()

    def has_only(self, what: str) -> bool:
        """Whether nobody wrote anything since it was left so."""
        return self._left_at == (what, self.next_transaction())

    def next_transaction(self) -> int:
        """A number that goes up with each transaction that writes, in the whole cluster."""
        return int(self.scalar("SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"))

    def empty(self) -> None:
        """Delete everything but what the migrations put there."""
        if self.has_only("nothing"):
            return
        tables = self.tables()
        # To truncate makes a file anew for each table and index, which takes longer than most tests.
        little = self.scalar(_MEGABYTES) < 20
        empty = "; ".join(f"DELETE FROM {table}" for table in tables) if little else f"TRUNCATE {', '.join(tables)}"
        with self.superuser.begin() as connection:
            connection.execute(sa.text("SET session_replication_role = replica"))  # the ledger's trigger
            connection.exec_driver_sql(empty)
            if self.branch == "index":
                connection.execute(sa.text("UPDATE category SET designated = true WHERE NOT designated"))
                connection.execute(sa.text("DELETE FROM index_key_version"))
                connection.execute(sa.text("INSERT INTO index_key_version VALUES (1, 'sealing', true)"))
        self.leave("nothing")

    def forget_signals(self) -> None:
        """Delete signals and all that came of them, and keep the register."""
        with self.superuser.begin() as connection:
            connection.execute(sa.text("SET session_replication_role = replica"))
            connection.execute(sa.text(f"TRUNCATE {OF_SIGNALS} CASCADE"))

    def close(self) -> None:
        """Let go of every connection."""
        for engine in (*self._engines.values(), self.superuser):
            engine.dispose()


OF_SIGNALS = (
    "signal, work, death, tombstone, idempotency_record, event, youngster, parent, standing, match, party, supervision,"
    " told, told_circle, told_supervision, notice"
)
"""The tables of signals and of all that comes of them, but for those that refer to these by a foreign key."""

only_long = pytest.mark.skipif(not os.environ.get("TEST_LONG"), reason="with TEST_LONG=1: make test-long")
PASSWORDS = dict.fromkeys(database.ROLES, "only-in-tests")
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ISSUER, INDEX = "https://issuer.test", "https://index.test"
WESTERVELD, DORDRECHT, STEIN = "1701", "0505", "0971"
SCHOOL, CLINIC, POLICE = "00000001111111111000", "00000002222222222000", "00000003333333333000"
PSEUDONYM_SECRET = (7).to_bytes(32, "little")
PSEUDONYM_KEY = Evaluator(PSEUDONYM_SECRET)


def rows_read(connection: sa.Connection) -> int:
    """How many rows this session has read from tables in its transaction so far: no other session's are counted."""
    return int(connection.execute(_ROWS_READ).scalar_one())


class Logged:
    """What is logged during a test: our own lines on standard error, and besides all that libraries say."""

    def __init__(self, stderr: pytest.CaptureFixture[str], libraries: pytest.LogCaptureFixture) -> None:
        self._stderr, self._libraries, self._ours = stderr, libraries, ""
        libraries.set_level("DEBUG")

    @property
    def text(self) -> str:
        """Everything, down to the lowest level."""
        self._ours += self._stderr.readouterr().err
        return self._ours + self._libraries.text + "\n".join(repr(vars(r)) for r in self._libraries.records)

    def lines(self, *events: str) -> list[dict[str, Any]]:
        """Our lines, as they were written; of these events only, if any is named."""
        _ = self.text
        lines = [json.loads(line) for line in self._ours.splitlines() if line.startswith("{")]
        return [line for line in lines if not events or line["event"] in events]


class MovableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Forward (or back) by a timedelta's arguments."""
        self.now += timedelta(**by)


def bsn(number: int) -> Bsn:
    """The test BSN 9999xxxxx for a number from 0 up: the next ones that pass the 11-test."""
    return Bsn.parse(_test_bsns()[number])


_test_bsns = cache(known_test_bsns)


def pseudonym(number: int, kind: Kind = "youngster") -> Pseudonym:
    """N of the number-th test BSN under the tests' pseudonym key, by the real protocol."""
    blinded = blind([voprf_input(kind, bsn(number))])
    evaluation = PSEUDONYM_KEY.evaluate(blinded.elements)
    return Pseudonym(unblind(evaluation.elements, blinded.blinds)[0], 1)


def parents(*numbers: int) -> list[dict[str, Any]]:
    """What a signal says of these parents: each the person with that test BSN."""
    return [{"keyVersion": 1, "value": pseudonym(number, "parent").to_text()} for number in numbers]


class Answer(TestResponse):
    """An answer of the test client, whose JSON a test looks into without asking first."""

    json: Any


def headers(answer: TestResponse) -> list[tuple[str, str]]:
    """The headers of an answer but its own random id: what may depend on anything."""
    return [(name, value) for name, value in answer.headers if name != "Request-Id"]


_routes = cache(document_app)


def index_app(settings: IndexSettings, clock: Callable[[], datetime]) -> OpenAPI:
    """What `create_app` makes. To compile the routes takes longer than most tests: each app is a copy of one that
    serves nobody, with state of its own in `extensions`."""
    app = copy(_routes(settings.base_url, settings.issuers[0].issuer))
    app.extensions = {"clock": clock}
    furnish(app, settings, clock)
    return app


class Silence:
    """A bell that nobody hears."""

    def ring(self) -> None:
        """Does nothing: these tests call the matcher themselves."""


PEOPLE = ("reporters", "supervisors", "coordinators", "officers", "desk_officers", "privacy_officers")
OPERATOR = "operator"
"""Whose privacy officer audits the whole index."""


class People:
    """Who act and read in three municipalities with contact points, and their tokens, signed with a key of the test's.

    A school, a clinic and the police, each with an agreement with Westerveld, a coordinator, a named officer and three
    reporters; a case supervisor and an officer of the rights desk in each municipality; a privacy officer of each of
    them and of the operator.
    """

    def __init__(self, signer: TokenSigner, audience: str, clock: Callable[[], datetime]) -> None:
        self.signer, self._audience, self.clock = signer, audience, clock
        self.reporters: dict[str, list[UUID]] = {}
        self.supervisors: dict[str, UUID] = {}
        self.coordinators: dict[str, UUID] = {}
        self.officers: dict[str, UUID] = {}
        self.desk_officers: dict[str, UUID] = {}
        self.privacy_officers: dict[str, UUID] = {}

    def fill(self, connection: sa.Connection) -> None:
        """Fill an empty register with them, as of the day of NOW."""
        today = NOW.date()

        def add(entry: Entry) -> UUID | None:
            return getattr(registry.add(connection, ADMINISTRATOR, NOW, entry), "id", None)

        person = {"telephone": "0612345678", "email": "someone@example.org"}
        for code, name in ((WESTERVELD, "Westerveld"), (DORDRECHT, "Dordrecht"), (STEIN, "Stein")):
            add(MunicipalityEntry(code=code, name=name))
            point = ContactPointEntry(
                municipality_code=code, kind="access_team", name=f"Toegangsteam {name}", telephone="14 0521"
            )
            registry.set_contact_point(connection, ADMINISTRATOR, NOW, point)
            supervisor = add(CaseSupervisorEntry(municipality_code=code, name=f"Regie {name}", **person))
            desk = add(RightsDeskOfficerEntry(municipality_code=code, name=f"Loket {name}", **person))
            assert supervisor
            assert desk
            self.supervisors[code], self.desk_officers[code] = supervisor, desk
        for oin, name, category in (
            (SCHOOL, "Het Kompas", "primary_education"),
            (CLINIC, "De Linde", "mental_health_care"),
            (POLICE, "Noord", "police"),
        ):
            add(InstitutionEntry(oin=oin, name=name, category_code=category))
            until = today + timedelta(days=3650)
            add(AgreementEntry(oin=oin, municipality_code=WESTERVELD, valid_from=today, valid_until=until))
            coordinator = add(CoordinatorEntry(oin=oin, name=f"Coördinator {name}", **person))
            officer = add(NamedOfficerEntry(oin=oin, name=f"Functionaris {name}", **person))
            assert coordinator
            assert officer
            self.coordinators[oin], self.officers[oin] = coordinator, officer
            reporters = [
                add(ReporterEntry(oin=oin, name=f"{name} {n}", position="medewerker", designated_from=today, **person))
                for n in range(3)
            ]
            self.reporters[oin] = [reporter for reporter in reporters if reporter]
        scopes = {code: {"municipality_code": code} for code in (WESTERVELD, DORDRECHT, STEIN)}
        scopes |= {oin: {"oin": oin} for oin in (SCHOOL, CLINIC, POLICE)} | {OPERATOR: {}}
        for name, scope in scopes.items():
            privacy_officer = add(PrivacyOfficerEntry(name=f"FG {name}", **person, **scope))
            assert privacy_officer
            self.privacy_officers[name] = privacy_officer

    def machine(self, oin: str = SCHOOL, *scopes: str) -> dict[str, str]:
        """Headers with the token of an institution's client."""
        terms = Terms(self._audience, frozenset(scopes or SCOPES["machine"]), timedelta(minutes=10))
        return {"Authorization": "Bearer " + self.signer.machine_token(f"client-{oin}", oin, terms, self.clock())}

    def supervisor(self, municipality: str = WESTERVELD, person: UUID | None = None) -> dict[str, str]:
        """Headers with the token of a municipality's case supervisor."""
        return self._person("case_supervisor", person or self.supervisors[municipality], municipality)

    def coordinator(self, oin: str = SCHOOL, person: UUID | None = None) -> dict[str, str]:
        """Headers with the token of an institution's coordinator."""
        return self._person("coordinator", person or self.coordinators[oin], oin)

    def officer(self, oin: str = SCHOOL, person: UUID | None = None) -> dict[str, str]:
        """Headers with the token of an institution's named officer."""
        return self._person("named_officer", person or self.officers[oin], oin)

    def desk(self, municipality: str = WESTERVELD, person: UUID | None = None) -> dict[str, str]:
        """Headers with the token of an officer of a municipality's rights desk."""
        return self._person("rights_desk", person or self.desk_officers[municipality], municipality)

    def privacy_officer(
        self, of: str = SCHOOL, person: UUID | None = None, signed_in: Mapping[str, object] | None = None
    ) -> dict[str, str]:
        """Headers with the token of a privacy officer of an institution, a municipality or the OPERATOR, who signed in
        with two factors unless said otherwise."""
        person = person or self.privacy_officers[of]
        signed_in = {"amr": ["pwd", "otp", "mfa"]} if signed_in is None else signed_in
        return self._person("privacy_officer", person, None if of == OPERATOR else of, signed_in)

    def _person(
        self, role: PersonRole, person: UUID, of: str | None, signed_in: Mapping[str, object] | None = None
    ) -> dict[str, str]:
        terms = Terms(self._audience, SCOPES[role], timedelta(minutes=10))
        token = self.signer.person_token(role, person, of, "console", terms, self.clock(), signed_in)
        return {"Authorization": f"Bearer {token}"}

    def reader(self, oin: str = SCHOOL, n: int = 0) -> dict[str, str]:
        """Headers with which an institution's client reads for its n-th reporter."""
        return self.machine(oin) | {"On-Behalf-Of": str(self.reporters[oin][n])}


class Index(People):
    """The index in this process, on a real database with nothing but these people in it, with an issuer whose key the
    test holds."""

    clock: MovableClock

    def __init__(self, database: Database, folder: Path, clock: MovableClock) -> None:
        super().__init__(TokenSigner(OKPKey.generate_key("Ed25519"), ISSUER), INDEX, clock)
        self.folder = folder
        keyfiles.write_secret(folder / "index-1.key", bytes(range(32)))
        signer = OKPKey.generate_key("Ed25519")
        keyfiles.write_public_key(folder / "list-signer.pub.json", signer)
        accepted = KeyVersion(
            version=1, public_key=PSEUDONYM_KEY.public_key, accepted_from=NOW - timedelta(days=1), accepted_until=None
        )
        (folder / "key-list.jws").write_text(sign_key_list([accepted], NOW, signer))
        self.open(database)
        if not database.filled:
            database.empty()
            with database.engine("registrar").begin() as connection:
                self.fill(connection)
            database.filled = {name: vars(self)[name] for name in PEOPLE}, database.all_rows()
        elif not database.has_only("the register"):
            database.empty()
            database.put_back(database.filled[1])
        database.leave("the register")
        vars(self).update(deepcopy(database.filled[0]))

    def open(self, database: Database) -> None:
        """Serve this database from now on, with the same keys and clients."""
        self.database, folder, clock = database, self.folder, self.clock
        trusted = [TrustedIssuer(issuer=ISSUER, jwks_url=f"{ISSUER}/jwks.json")]
        self.app = index_app(
            IndexSettings(
                base_url=INDEX,
                intake_database_url=database.urls["verwijsindex_intake"],
                index_database_url=database.urls["verwijsindex_index"],
                auditor_database_url=database.urls["verwijsindex_auditor"],
                broker_url=SecretStr("redis://127.0.0.1:1/0"),
                keys=folder,
                key_list=folder / "key-list.jws",
                key_list_signer=folder / "list-signer.pub.json",
                issuers=trusted,
                signals_per_reporter=100_000,
                signals_per_institution=100_000,
                signals_per_country=100_000,
                webhook_changes_per_client=100_000,
            ),
            clock,
        )
        keys = json.dumps(self.signer.key_set()).encode()
        verifier = TokenVerifier(trusted, INDEX, clock, fetch=lambda _: keys)
        self.app.extensions |= {"token_verifier": verifier, "match_bell": Silence()}
        self.http = self.app.test_client()

    def signal(self, youngster: int = 0, oin: str = SCHOOL, n: int = 0, **changes: Any) -> dict[str, Any]:
        """The body of a signal that is right in everything, with some of its fields changed (None: left out)."""
        made_at = self.clock().replace(microsecond=0)
        body = {
            "reporter": str(self.reporters[oin][n]),
            "pseudonym": {"keyVersion": 1, "value": pseudonym(youngster).to_text()},
            "residenceMunicipality": WESTERVELD,
            "madeAt": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "removalDate": two_years_after(amsterdam_date(made_at)).isoformat(),
            "reasonableSuspicion": True,
            "informing": {"status": "informed", "on": amsterdam_date(made_at).isoformat(), "to": "both"},
        }
        return {name: value for name, value in (body | changes).items() if value is not None}

    def allow_parents(self, *oins: str) -> None:
        """The agreements of these institutions say from now on that they may send parents (R10)."""
        with self.database.superuser.begin() as connection:
            allow = sa.text("UPDATE agreement SET may_send_parents = true WHERE oin = ANY(:oins)")
            connection.execute(allow, {"oins": list(oins)})

    def post(self, body: object, oin: str = SCHOOL, key: str | None = None, **headers: str) -> Answer:
        """Send a signal as an institution's client, with a new idempotency key unless given."""
        answer = self.http.post(
            "/api/v1/signals",
            data=body if isinstance(body, bytes | str) else json.dumps(body),
            content_type="application/json",
            headers=self.machine(oin) | {"Idempotency-Key": key or str(uuid4())} | headers,
        )
        return cast(Answer, answer)

    def place(self, youngster: int = 0, oin: str = SCHOOL, n: int = 0, **changes: Any) -> UUID:
        """Send a signal that must be accepted; its id."""
        answer = self.post(self.signal(youngster, oin, n, **changes), oin)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json["id"])

    def act(self, path: str, body: object, headers: dict[str, str], key: str | None = None) -> Answer:
        """Do something with a signal or a match, with a new idempotency key unless given."""
        keyed = headers | {"Idempotency-Key": key or str(uuid4())}
        return cast(Answer, self.http.post(f"/api/v1{path}", json=body, headers=keyed))

    def get(self, path: str, headers: dict[str, str]) -> Answer:
        """Read something."""
        return cast(Answer, self.http.get(f"/api/v1{path}", headers=headers))

    def match(self, bury: Bury = only_in_the_database) -> None:
        """Run the matcher until no work is waiting."""
        keys, worker = self.app.extensions["index_keys"], self.database.engine("worker")
        while match_waiting(worker, self.clock(), self.clock(), keys=keys, bury=bury).more:
            pass


ADMINISTRATOR = Actor(role="administrator", person="test")
