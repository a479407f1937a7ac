# SPDX-License-Identifier: EUPL-1.2
"""The real issuer, pseudonym service and index behind one transport, for the tests of the client."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import UUID

import httpx
from flask import Flask
from joserfc.jwk import OKPKey
from pseudonyms.test_factors import factor
from pydantic import SecretStr
from support import Database, index_app

from verwijsindex.access.caller import SCOPES
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.client import Bsn, ClientConfig, Informed, SignalDraft, VerwijsindexClient
from verwijsindex.issuer.app import create_app as create_issuer
from verwijsindex.issuer.service import register_client
from verwijsindex.keyfiles import read_secret, write_public_key, write_secret, write_signing_key
from verwijsindex.ledger.events import Actor
from verwijsindex.pseudonyms.app import create_app as create_pseudonyms
from verwijsindex.pseudonyms.key_list import KeyVersion, sign_key_list
from verwijsindex.pseudonyms.voprf import Evaluator, generate_secret
from verwijsindex.registry import schemas, service
from verwijsindex.registry.models import Municipality
from verwijsindex.settings import IndexSettings, IssuerSettings, PseudonymSettings, TrustedIssuer

INDEX, PSEUDONYMS, ISSUER = "https://index.example", "https://pseudonyms.example", "https://issuer.example"
OIN, OTHER_OIN = "00000001003214345000", "00000001812579446000"
CLIENT_ID = "jeugdzorg-stein"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)

Answer = Callable[[httpx.Request], httpx.Response | None]


def bsns(count: int) -> list[str]:
    """The first test BSNs."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    found = (
        text
        for text in map(str, range(999900000, 1000000000))
        if sum(w * int(d) for w, d in zip(weights, text, strict=True)) % 11 == 0
    )
    return [next(found) for _ in range(count)]


class Silence:
    """A bell that nobody hears."""

    def ring(self) -> None:
        """Does nothing: these tests call the matcher themselves."""


@dataclass
class Services(httpx.BaseTransport):
    """Routes requests to the services and keeps them. `intervene` may answer in a service's place."""

    folder: Path
    index_database: Database
    issuer_database: Database
    pseudonyms_database: Database
    now: datetime = NOW
    requests: list[httpx.Request] = field(default_factory=list)
    intervene: Answer = lambda request: None
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = Lock()
        self.key = OKPKey.generate_key("Ed25519")
        self.signer = OKPKey.generate_key("Ed25519")
        issuer_key = OKPKey.generate_key("Ed25519")
        write_signing_key(self.folder / "issuer.key.json", issuer_key)
        write_public_key(self.folder / "signer.pub.json", self.signer)
        write_signing_key(self.folder / "client.key.json", self.key)
        for name in ("index", "pseudonyms"):
            (self.folder / name).mkdir()
        write_secret(self.folder / "index" / "index-1.key", bytes(range(32)))
        self.versions: list[KeyVersion] = []
        self.add_key_version(accepted_until=None)
        self._start_issuer()
        self.start_index()
        self.start_pseudonyms()

    def add_key_version(self, accepted_until: datetime | None) -> None:
        """A new version of the pseudonym key, which the index can turn; the one before it is accepted until then."""
        secret = generate_secret()
        version = len(self.versions) + 1
        write_secret(self.folder / "pseudonyms" / f"pseudonym-{version}.key", secret)
        if self.versions:
            old = read_secret(self.folder / "pseudonyms" / f"pseudonym-{version - 1}.key")
            factor(version - 1, old, version, secret).write(self.folder / "index")
            self.versions[-1] = self.versions[-1].model_copy(update={"accepted_until": accepted_until})
        entry = KeyVersion(
            version=version,
            public_key=Evaluator(secret).public_key,
            accepted_from=NOW - timedelta(days=1),
            accepted_until=None,
        )
        self.versions.append(entry)
        (self.folder / "list.jws").write_text(sign_key_list(self.versions, NOW, self.signer))

    def _trusted(self) -> list[TrustedIssuer]:
        return [TrustedIssuer(issuer=ISSUER, jwks_url=f"{ISSUER}/jwks.json")]

    def _verifier(self, audience: str) -> TokenVerifier:
        def fetch(url: str) -> bytes:
            body: bytes = self.issuer.test_client().get(url.removeprefix(ISSUER)).data
            return body

        return TokenVerifier(self._trusted(), audience, lambda: self.now, fetch)

    def _start_issuer(self) -> None:
        settings = IssuerSettings(
            base_url=ISSUER,
            issuer_database_url=self.issuer_database.urls["verwijsindex_issuer"],
            signing_key=self.folder / "issuer.key.json",
            resources=[INDEX, PSEUDONYMS],
        )
        self.issuer: Flask = create_issuer(settings, lambda: self.now)
        with self.issuer_database.engine("issuer_owner").begin() as connection:
            register_client(
                connection,
                client_id=CLIENT_ID,
                name="Jeugdzorg Stein",
                oin=OIN,
                public_key=OKPKey.import_key(self.key.as_dict(private=False)),
                scopes=SCOPES["machine"],
                now=self.now,
            )

    def start_index(self, **limits: Any) -> None:
        """The index, with the list of key versions that is signed now."""
        settings = IndexSettings(
            base_url=INDEX,
            intake_database_url=self.index_database.urls["verwijsindex_intake"],
            index_database_url=self.index_database.urls["verwijsindex_index"],
            auditor_database_url=self.index_database.urls["verwijsindex_auditor"],
            broker_url=SecretStr("redis://127.0.0.1:1/0"),
            keys=self.folder / "index",
            key_list=self.folder / "list.jws",
            key_list_signer=self.folder / "signer.pub.json",
            issuers=self._trusted(),
            **limits,
        )
        self.index: Flask = index_app(settings, lambda: self.now)
        self.index.extensions |= {"token_verifier": self._verifier(INDEX), "match_bell": Silence()}

    def start_pseudonyms(self, **limits: Any) -> None:
        """The pseudonym service, with the keys and the list that are there now."""
        settings = PseudonymSettings(
            base_url=PSEUDONYMS,
            pseudonyms_database_url=self.pseudonyms_database.urls["verwijsindex_pseudonyms"],
            keys=self.folder / "pseudonyms",
            key_list=self.folder / "list.jws",
            key_list_signer=self.folder / "signer.pub.json",
            issuers=self._trusted(),
            **limits,
        )
        self.pseudonyms: Flask = create_pseudonyms(settings, lambda: self.now)
        self.pseudonyms.extensions["token_verifier"] = self._verifier(PSEUDONYMS)

    def register(self, reporters: Sequence[str], oin: str = OIN, municipality: str = "0971") -> list[UUID]:
        """A municipality, an institution with an agreement, and its reporters."""
        actor, today = Actor(role="administrator"), self.now.date()
        with self.index_database.engine("registrar").begin() as connection:

            def add(entry: schemas.Entry) -> UUID:
                found: UUID | None = getattr(service.add(connection, actor, self.now, entry), "id", None)
                return found or UUID(int=0)

            if not service.entries(connection, Municipality, code=municipality):
                add(schemas.MunicipalityEntry(code=municipality, name="Stein"))
            add(schemas.InstitutionEntry(oin=oin, name="Jeugdzorg Stein", category_code="youth_care_provider"))
            until = date(today.year + 1, 12, 31)
            add(schemas.AgreementEntry(oin=oin, municipality_code=municipality, valid_from=today, valid_until=until))
            return [
                add(
                    schemas.ReporterEntry(
                        oin=oin,
                        name=name,
                        position="jeugdzorgwerker",
                        telephone="046 000 0000",
                        email="post@instelling.example",
                        designated_from=today,
                    )
                )
                for name in reporters
            ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's transport."""
        request.read()
        with self._lock:
            self.requests.append(request)
        answer = self.intervene(request)
        return self.answer(request) if answer is None else answer

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What the service says."""
        apps = {INDEX: self.index, PSEUDONYMS: self.pseudonyms, ISSUER: self.issuer}
        app = apps[f"https://{request.url.host}"]
        return httpx.WSGITransport(app=app.wsgi_app).handle_request(request)

    def items(self) -> list[dict[str, Any]]:
        """What was posted to the index, item by item."""
        return [item for request in self.posted() for item in json.loads(request.content)["signals"]]

    def posted(self) -> list[httpx.Request]:
        """What was posted to the index."""
        return [r for r in self.requests if r.method == "POST" and r.url.host == "index.example"]

    def config(self) -> ClientConfig:
        """Of the one client that is registered."""
        return ClientConfig(
            index=INDEX,
            pseudonyms=PSEUDONYMS,
            issuer=ISSUER,
            client_id=CLIENT_ID,
            key_file=self.folder / "client.key.json",
            key_list_signer=(self.folder / "signer.pub.json",),
        )

    def client(self, config: ClientConfig | None = None, **how: Any) -> VerwijsindexClient:
        """A client of these services, which waits for nothing."""

        def wait(_: Event, seconds: float) -> None:
            self.waits.append(seconds)

        return VerwijsindexClient(config or self.config(), transport=self, clock=lambda: self.now, wait=wait, **how)


def draft(reporter: UUID, bsn: str = "", **changes: object) -> SignalDraft:
    """A signal that the index takes."""
    parts: dict[str, object] = {
        "reporter": reporter,
        "bsn": Bsn.parse(bsn or bsns(1)[0]),
        "birth_date": date(2012, 5, 5),
        "residence_municipality": "0971",
        "made_at": NOW - timedelta(hours=2),
        "reasonable_suspicion": True,
        "informing": Informed(date(2026, 11, 21), "both"),
        "case_reference": "Z-2026-0007",
    }
    return SignalDraft(**{**parts, **changes})  # type: ignore[arg-type]
