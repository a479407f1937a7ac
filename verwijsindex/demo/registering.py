# SPDX-License-Identifier: EUPL-1.2
"""Fills the register of a fresh system, and gives each institution a client with a key of its own."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from joserfc.jwk import OKPKey
from pydantic import SecretStr
from sqlalchemy import Connection

from verwijsindex import database
from verwijsindex.access.caller import USUAL
from verwijsindex.client import ClientConfig, VerwijsindexClient
from verwijsindex.demo.cast import PLACES, ROLES, Person, Place, Role, persons
from verwijsindex.demo.receiver import Receiver
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.service import register_client
from verwijsindex.keyfiles import write_public_key, write_signing_key
from verwijsindex.ledger.events import Actor
from verwijsindex.registry import service
from verwijsindex.registry.schemas import (
    AgreementEntry,
    CaseSupervisorEntry,
    ContactPointEntry,
    ContactPointKind,
    CoordinatorEntry,
    Entry,
    InstitutionEntry,
    MunicipalityEntry,
    ReporterEntry,
)

Say = Callable[[str], None]
PATIENCE = 20.0  # seconds, for the challenge of a subscription

ADMINISTRATOR = Actor(role="administrator", person="demo")
CONTACT_POINTS: dict[ContactPointKind, tuple[str, str, str]] = {
    "access_team": ("Jeugdteam", "000 0001", "team"),
    "crisis_line": ("Crisisdienst", "000 0002", "crisis"),
    "veilig_thuis": ("Veilig Thuis", "000 0003", "vt"),
}


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution that takes part: its coordinator and its reporters by their ids, its client's configuration."""

    role: Role
    coordinators: dict[UUID, Person]
    reporters: dict[UUID, Person]
    config: Path


@dataclass(frozen=True, slots=True)
class Register:
    """Who takes part."""

    institutions: tuple[Institution, ...]
    supervisors: dict[Place, tuple[UUID, Person]]

    def institution_of(self, reporter: UUID) -> Institution:
        """Whose reporter this is."""
        return next(one for one in self.institutions if reporter in one.reporters)

    def name_of(self, reporter: UUID) -> str:
        """A reporter's name."""
        return self.institution_of(reporter).reporters[reporter].name


def fill_register(stack: Stack, now: datetime) -> Register:
    """Municipalities with contact points and a case supervisor, institutions with agreements, coordinators and
    reporters: in one transaction, by the functions that `verwijsindex admin` calls."""
    people = persons()
    pool = database.engine(SecretStr(stack.environment["VERWIJSINDEX_REGISTRAR_DATABASE_URL"]), pool_size=1)
    with database.transaction(pool) as connection:
        supervisors = {place: _add_place(connection, now, place, next(people)) for place in PLACES}
        institutions = tuple(
            Institution(
                role,
                *_add_institution(connection, now, role, [next(people) for _ in range(role.reporters + 1)]),
                stack.folder / role.client_id / "client.toml",
            )
            for role in ROLES
        )
    pool.dispose()
    return Register(institutions, supervisors)


def _add(connection: Connection, now: datetime, entry: Entry) -> UUID | None:
    found: UUID | None = getattr(service.add(connection, ADMINISTRATOR, now, entry), "id", None)
    return found


def _add_place(connection: Connection, now: datetime, place: Place, supervisor: Person) -> tuple[UUID, Person]:
    _add(connection, now, MunicipalityEntry(code=place.code, name=place.name))
    for kind, (name, number, box) in CONTACT_POINTS.items():
        entry = ContactPointEntry(
            municipality_code=place.code,
            kind=kind,
            name=f"{name} {place.name}",
            telephone=f"{place.area_code} {number}",
            email=f"{box}@{place.name.lower()}.example",
        )
        service.set_contact_point(connection, ADMINISTRATOR, now, entry)
    return _person(
        connection, now, CaseSupervisorEntry(municipality_code=place.code, **_contact(supervisor))
    ), supervisor


def _add_institution(
    connection: Connection, now: datetime, role: Role, people: list[Person]
) -> tuple[dict[UUID, Person], dict[UUID, Person]]:
    coordinator, *reporters = people
    _add(connection, now, InstitutionEntry(oin=role.oin, name=role.name, category_code=role.category))
    for code in role.municipalities:
        _add(
            connection,
            now,
            AgreementEntry(
                oin=role.oin,
                municipality_code=code,
                valid_from=date(now.year - 1, 1, 1),
                valid_until=date(now.year + 3, 12, 31),
                may_send_parents=role.may_send_parents,
            ),
        )
    coordinates = _person(connection, now, CoordinatorEntry(oin=role.oin, **_contact(coordinator)))
    since = (now - timedelta(days=60)).date()
    return {coordinates: coordinator}, {
        _person(
            connection,
            now,
            ReporterEntry(oin=role.oin, position=role.position, designated_from=since, **_contact(person)),
        ): person
        for person in reporters
    }


def _person(connection: Connection, now: datetime, entry: Entry) -> UUID:
    found = _add(connection, now, entry)
    assert found  # noqa: S101 (these entries have ids)
    return found


def _contact(person: Person) -> dict[str, str]:
    return {"name": person.name, "telephone": person.telephone, "email": person.email}


def register_clients(stack: Stack, register: Register, now: datetime, say: Say) -> None:
    """A client for each institution: own key, registered with the issuer, and a `client.toml`.

    The first by the very commands that an institution and an administrator type; the others by the functions
    behind them, since each command takes a second to start.
    """
    first, *others = register.institutions
    for one in register.institutions:
        one.config.parent.mkdir(mode=0o700)
        one.config.write_text(_client_toml(stack, one.role.client_id))
    key = first.config.parent / "key.json"
    say(f"$ verwijsindex client keygen {key.name}")
    _run_as_institution("client", "keygen", str(key))
    arguments = ["--id", first.role.client_id, "--name", first.role.name, "--oin", first.role.oin]
    say(f"$ verwijsindex issuer client add --id {first.role.client_id} ... --public-key {key.name}.pub.json")
    say("  " + stack.run("issuer", "client", "add", *arguments, "--public-key", f"{key}.pub.json").strip())
    pool = database.engine(SecretStr(stack.environment["VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL"]), pool_size=1)
    with database.transaction(pool) as connection:
        for one in others:
            _register_client(connection, one, now)
    pool.dispose()
    say(f"  and {len(others)} more, each with a key of its own")


def _run_as_institution(*arguments: str) -> None:
    """A command that needs no settings of ours, as on an institution's own machine."""
    subprocess.run([sys.executable, "-m", "verwijsindex", *arguments], capture_output=True, check=True)  # noqa: S603


def _register_client(connection: Connection, one: Institution, now: datetime) -> None:
    key = OKPKey.generate_key("Ed25519")
    write_signing_key(one.config.parent / "key.json", key)
    write_public_key(one.config.parent / "key.json.pub.json", key)
    register_client(
        connection,
        client_id=one.role.client_id,
        name=one.role.name,
        oin=one.role.oin,
        public_key=OKPKey.import_key(key.as_dict(private=False)),
        scopes=USUAL,
        now=now,
    )


def _client_toml(stack: Stack, client_id: str) -> str:
    settings = {
        "index": stack.index,
        "pseudonyms": stack.pseudonyms,
        "issuer": stack.issuer,
        "client_id": client_id,
        "key_file": "key.json",
        "key_list_signer": str(stack.key_list_signer),
    }
    return "".join(f'{name} = "{value}"\n' for name, value in settings.items())


def subscribe(one: Institution, receiver: Receiver) -> None:
    """A webhook subscription of the institution's client, by the client, confirmed by its receiver."""
    with VerwijsindexClient(ClientConfig.load(one.config)) as client:
        made = client.subscriptions.create(receiver.address)
        receiver.secret = made["secret"]
        give_up_at = time.monotonic() + PATIENCE
        while made["state"] != "active" and time.monotonic() < give_up_at:
            time.sleep(0.1)
            made = client.subscriptions.read(UUID(made["id"]))
