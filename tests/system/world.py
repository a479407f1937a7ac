# SPDX-License-Identifier: EUPL-1.2
"""The whole system for tests: its processes, a filled register, signals by the thousand, and what is then true."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from notices.mailing import Got
from pydantic import SecretStr
from support import ADMINISTRATOR, DORDRECHT, STEIN, WESTERVELD, bsn

from verwijsindex import database
from verwijsindex.access.caller import SCOPES
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import read_signing_key
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.ristretto import multiply_base, random_scalar
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.pseudonyms.voprf import blind, load_evaluators, unblind, voprf_input
from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import (
    AgreementEntry,
    InstitutionEntry,
    MunicipalityEntry,
    NamedOfficerEntry,
    PrivacyOfficerEntry,
    ReporterEntry,
)
from verwijsindex.signals.dates import amsterdam_date, two_years_after

MUNICIPALITIES = {WESTERVELD: "Westerveld", DORDRECHT: "Dordrecht", STEIN: "Stein"}
CATEGORIES = ("primary_education", "mental_health_care", "police", "youth_care_provider")
INSTITUTIONS = tuple(f"0000000{n}00000000{n}000" for n in range(1, 1 + len(CATEGORIES)))
NO_LIMITS = {
    f"VERWIJSINDEX_{what}_PER_{whose}": "1000000000"
    for what, subjects in {
        "SIGNALS": ("REPORTER", "INSTITUTION", "COUNTRY"),
        "ELEMENTS": ("REPORTER", "INSTITUTION", "COUNTRY"),
        "TOKENS": ("CLIENT", "INSTITUTION", "ISSUER"),
    }.items()
    for whose in subjects
}
SETTINGS = {"VERWIJSINDEX_SWEEP_SECONDS": "1", "VERWIJSINDEX_PUSH_TICK_SECONDS": "1", **NO_LIMITS}

Json = dict[str, Any]


@dataclass(frozen=True)
class Reporter:
    """A reporter in the register."""

    id: UUID
    oin: str


@dataclass(frozen=True)
class Placed:
    """A signal that got its 201."""

    id: UUID
    youngster: int
    reporter: UUID
    residence: str


@dataclass
class System:
    """The running system. Each test takes youngsters and reporters of its own (`youngsters`, `reporters`).

    `fill`: whether its register is to be filled with municipalities and institutions.
    """

    stack: Stack
    fill: bool = True
    mails: list[Got] = field(default_factory=list)
    """What the mail server took, if the system was told of one."""
    _youngsters: int = 0
    _strangers: int = 1_000_000
    _pseudonyms: dict[int, Pseudonym] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.superuser = sa.create_engine(self.stack.postgres.url("verwijsindex"), pool_pre_ping=True)
        self.signer = TokenSigner(read_signing_key(self.stack.keys / "issuer.jwk"), self.stack.issuer)
        self._evaluator = load_evaluators(self.stack.keys)[1]
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self.http = httpx.Client(base_url=self.stack.index, timeout=30, trust_env=False, limits=limits)
        self._registrar = database.engine(SecretStr(self.stack.environment["VERWIJSINDEX_REGISTRAR_DATABASE_URL"]))
        if self.fill:
            self._fill()

    def _fill(self) -> None:
        now = datetime.now(UTC)
        today = now.date()
        with self._registrar.begin() as connection:
            for code, name in MUNICIPALITIES.items():
                registry.add(connection, ADMINISTRATOR, now, MunicipalityEntry(code=code, name=name))
            for oin, category in zip(INSTITUTIONS, CATEGORIES, strict=True):
                entry = InstitutionEntry(oin=oin, name=f"De {category}", category_code=category)
                registry.add(connection, ADMINISTRATOR, now, entry)
                agreement = AgreementEntry(
                    oin=oin,
                    municipality_code=WESTERVELD,
                    valid_from=today - timedelta(days=1),
                    valid_until=today + timedelta(days=365),
                    may_send_parents=True,
                )
                registry.add(connection, ADMINISTRATOR, now, agreement)
                officer = NamedOfficerEntry(
                    oin=oin, name="Functionaris", telephone="0612345678", email="officer@example.org"
                )
                registry.add(connection, ADMINISTRATOR, now, officer)

    def disconnect(self) -> None:
        """Forget the tests' own connections to PostgreSQL, which was started anew."""
        self.superuser.dispose()
        self._registrar.dispose()

    def close(self) -> None:
        """Let go of every connection."""
        self.http.close()
        self.disconnect()

    def youngsters(self, count: int) -> list[int]:
        """Numbers of test BSNs that no other test has, with their pseudonyms worked out."""
        fresh = list(range(self._youngsters, self._youngsters + count))
        self._youngsters += count
        for start in range(0, count, 32):
            numbers = fresh[start : start + 32]
            blinded = blind([voprf_input("youngster", bsn(number)) for number in numbers])
            unblinded = unblind(self._evaluator.evaluate(blinded.elements).elements, blinded.blinds)
            self._pseudonyms.update((n, Pseudonym(one, 1)) for n, one in zip(numbers, unblinded, strict=True))
        return fresh

    def strangers(self, count: int) -> list[int]:
        """Numbers of youngsters with pseudonyms out of the air, for who needs more than there are test BSNs."""
        fresh = list(range(self._strangers, self._strangers + count))
        self._strangers += count
        self._pseudonyms.update((number, Pseudonym(multiply_base(random_scalar()), 1)) for number in fresh)
        return fresh

    def remember(self, youngsters: list[int]) -> None:
        """Make them known already, without a live signal: as who was signalled long ago."""
        key = IndexKeys.load(self.stack.keys).current
        with self.superuser.begin() as connection:
            connection.exec_driver_sql("SET LOCAL verwijsindex.matcher = 'circles'")
            connection.execute(
                sa.text("INSERT INTO youngster (id, key, key_version) VALUES (:id, :key, :version)"),
                [
                    {"id": uuid4(), "key": key.seal_pseudonym("youngster", self.pseudonym(n)), "version": key.version}
                    for n in youngsters
                ],
            )

    def pseudonym(self, youngster: int) -> Pseudonym:
        """N of one of `youngsters`."""
        return self._pseudonyms[youngster]

    def reporters(self, count: int, oins: tuple[str, ...] = INSTITUTIONS) -> list[Reporter]:
        """New reporters, in turn at each institution, with empty inboxes."""
        now = datetime.now(UTC)
        made = []
        with self._registrar.begin() as connection:
            for n in range(count):
                entry = ReporterEntry(
                    oin=oins[n % len(oins)],
                    name=f"Reporter {n}",
                    position="medewerker",
                    telephone="0612345678",
                    email="someone@example.org",
                    designated_from=now.date() - timedelta(days=1),
                )
                made.append(Reporter(registry.add(connection, ADMINISTRATOR, now, entry).id, entry.oin))
        return made

    def subscription(self, oin: str, method: str, path: str = "", body: Json | None = None) -> Json:
        """Ask something about the institution's webhook subscription, which must be answered well."""
        headers = self.headers(oin) | {"Idempotency-Key": str(uuid4())}
        answer = self.http.request(method, f"/api/v1/webhook-subscriptions{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def subscribe(self, oin: str, address: str) -> str:
        """Where an institution's machine gets its webhooks, its receiver confirmed; their secret. A subscription and
        deliveries that another test left go."""
        self.change("DELETE FROM subscription WHERE oin = :oin", oin=oin)
        made = self.subscription(oin, "POST", body={"address": address})
        until(lambda: self.subscription(oin, "GET", f"/{made['id']}")["state"] == "active", 15)
        return str(made["secret"])

    def headers(self, oin: str) -> dict[str, str]:
        """The token of an institution's machine, good for an hour."""
        terms = Terms(self.stack.index, frozenset(SCOPES["machine"]), timedelta(minutes=55))
        token = self.signer.machine_token(f"client-{oin}", oin, terms, datetime.now(UTC))
        return {"Authorization": f"Bearer {token}"}

    def privacy_officer(self) -> dict[str, str]:
        """The token of a new privacy officer of the operator, good for an hour."""
        entry = PrivacyOfficerEntry(name="Functionaris", telephone="0612345678", email="fg@example.org")
        with self._registrar.begin() as connection:
            person = registry.add(connection, ADMINISTRATOR, datetime.now(UTC), entry).id
        terms = Terms(self.stack.index, SCOPES["privacy_officer"], timedelta(minutes=55))
        signed_in = {"amr": ["pwd", "mfa"]}
        token = self.signer.person_token(
            "privacy_officer", person, None, "console", terms, datetime.now(UTC), signed_in
        )
        return {"Authorization": f"Bearer {token}"}

    def body(self, youngster: int, reporter: Reporter, residence: str = WESTERVELD) -> Json:
        """A signal that is made now."""
        made_at = datetime.now(UTC).replace(microsecond=0)
        today = amsterdam_date(made_at)
        return {
            "reporter": str(reporter.id),
            "pseudonym": {"keyVersion": 1, "value": self.pseudonym(youngster).to_text()},
            "residenceMunicipality": residence,
            "madeAt": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "removalDate": two_years_after(today).isoformat(),
            "reasonableSuspicion": True,
            "informing": {"status": "informed", "on": today.isoformat(), "to": "both"},
        }

    def post(
        self, youngster: int, reporter: Reporter, residence: str = WESTERVELD, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send one signal, whatever the answer."""
        headers = (headers or self.headers(reporter.oin)) | {"Idempotency-Key": str(uuid4())}
        return self.http.post("/api/v1/signals", json=self.body(youngster, reporter, residence), headers=headers)

    def place(
        self, youngster: int, reporter: Reporter, residence: str = WESTERVELD, *, headers: dict[str, str] | None = None
    ) -> Placed:
        """Send one signal that must be accepted; as any sender does, repeated where PostgreSQL was away (503)."""
        headers = (headers or self.headers(reporter.oin)) | {"Idempotency-Key": str(uuid4())}
        body = self.body(youngster, reporter, residence)
        for _ in range(5):
            answer = self.http.post("/api/v1/signals", json=body, headers=headers)
            if answer.status_code != 503:
                break
            time.sleep(0.2)
        assert answer.status_code == 201, answer.text
        return Placed(UUID(answer.json()["id"]), youngster, reporter.id, residence)

    def get(self, path: str, reporter: Reporter, **parameters: str) -> httpx.Response:
        """Read something for a reporter."""
        headers = self.headers(reporter.oin) | {"On-Behalf-Of": str(reporter.id)}
        return self.http.get(f"/api/v1{path}", headers=headers, params=parameters)

    def listed(self, path: str, reporter: Reporter) -> list[Json]:
        """All items of a paged list, read for a reporter."""
        items: list[Json] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.get(path, reporter, limit="200", **cursor)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            if "nextCursor" not in page:
                return items
            cursor = {"cursor": page["nextCursor"]}

    def rows(self, statement: str, **values: object) -> list[sa.Row[Any]]:
        """Rows, read as superuser: what is really there."""
        with self.superuser.connect() as connection:
            return list(connection.execute(sa.text(statement), values).all())

    def change(self, statement: str, **values: object) -> None:
        """Change something as superuser, past every rule."""
        with self.superuser.begin() as connection:
            connection.execute(sa.text(statement), values)

    def waiting(self) -> int:
        """Rows of work that no matcher has done; a parked one is a failure."""
        [row] = self.rows("SELECT count(*) AS waiting, count(parked_at) AS parked FROM work")
        assert row.parked == 0
        return int(row.waiting)

    def until_no_work(self, seconds: float = 60) -> None:
        """Wait until no work is waiting."""
        until(lambda: self.waiting() == 0, seconds)

    def check_truth(self, signals: list[Placed]) -> None:
        """Compare what the system holds of these signals with a plain model of R8 and R9; they must be all the
        signals on their youngsters, and all have been given time (`until_no_work`)."""
        found = self._found(signals)
        assert found == model(signals)
        self._check_told(found)

    def _found(self, signals: list[Placed]) -> "dict[int, Expected]":
        numbers = {str(signal.id): signal.youngster for signal in signals}
        stored = self.rows(
            "SELECT CAST(id AS text) AS id, youngster_id, sealed_pseudonym IS NULL AS attached FROM signal"
            " WHERE id = ANY(CAST(:ids AS uuid[]))",
            ids=list(numbers),
        )
        assert len(stored) == len(signals), "a signal that got its 201 is gone (I1)"
        assert all(row.attached for row in stored)
        youngsters = {row.youngster_id: numbers[row.id] for row in stored}
        assert len(youngsters) == len(set(numbers.values())), "one youngster is two, or two are one"
        found: dict[int, Expected] = {}
        for table, column in (("party", "reporter_id"), ("supervision", "municipality_code")):
            for row in self.rows(
                f"SELECT m.youngster_id, m.id, x.{column} AS who, x.joined_at FROM match m JOIN {table} x"
                " ON x.match_id = m.id WHERE m.youngster_id = ANY(:youngsters)"
                " AND m.ended_at IS NULL AND x.left_at IS NULL",
                youngsters=list(youngsters),
            ):
                match = found.setdefault(youngsters[row.youngster_id], Expected(match=row.id))
                assert match.match == row.id, "two open matches on one youngster"
                (match.parties if table == "party" else match.supervising)[row.who] = row.joined_at
        return found

    def _check_told(self, found: "dict[int, Expected]") -> None:
        """Each run of the matcher that brought a party told everyone in the match then, once; a municipality that
        came without one was told alone (R8, I3)."""
        told = self.rows(
            "SELECT match_id, change, coalesce(CAST(reporter_id AS text), municipality_code) AS who, placed_at, kind"
            " FROM notice WHERE match_id = ANY(:matches) ORDER BY match_id, change",
            matches=[match.match for match in found.values()],
        )
        for match in found.values():
            changes: dict[int, list[sa.Row[Any]]] = {}
            for row in told:
                if row.match_id == match.match:
                    changes.setdefault(row.change, []).append(row)
            assert list(changes) == list(range(1, 1 + len(changes)))
            present: set[str] = set()
            for all_rows in changes.values():
                rows = [row for row in all_rows if row.kind == "match"]
                if not rows:  # a lead, of a match that the version before opened without one
                    assert {row.kind for row in all_rows} == {"lead"}
                    continue
                [moment] = {row.placed_at for row in rows}
                parties = {str(who) for who, since in match.parties.items() if since == moment}
                municipalities = {who for who, since in match.supervising.items() if since == moment}
                assert parties | municipalities, "a change without a newcomer"
                present |= parties | municipalities
                assert Counter(row.who for row in rows) == Counter(present if parties else municipalities)
            assert present == {str(who) for who in match.parties} | set(match.supervising), "someone was never told"


_NONE = UUID(int=0)


@dataclass
class Expected:
    """Who is in a match and which municipalities supervise it. In what was found: since when."""

    parties: dict[UUID, datetime] = field(default_factory=dict)
    supervising: dict[str, datetime] = field(default_factory=dict)
    match: UUID = _NONE

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Expected)
        return self.parties.keys() == other.parties.keys() and self.supervising.keys() == other.supervising.keys()

    __hash__ = None  # type: ignore[assignment]


def model(signals: list[Placed]) -> dict[int, Expected]:
    """What R8 and R9 say of live signals: by youngster with two or more reporters, its parties and residences."""
    by_youngster: dict[int, Expected] = {}
    for signal in signals:
        match = by_youngster.setdefault(signal.youngster, Expected())
        match.parties[signal.reporter] = match.supervising[signal.residence] = datetime.min.replace(tzinfo=UTC)
    return {number: match for number, match in by_youngster.items() if len(match.parties) > 1}


def until(true: Callable[[], bool], seconds: float, *, every: float = 0.05) -> None:
    """Wait until it is true, at most so long; look again `every` so many seconds."""
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, f"not true within {seconds:g} seconds"
        time.sleep(every)
