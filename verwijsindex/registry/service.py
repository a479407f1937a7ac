# SPDX-License-Identifier: EUPL-1.2
"""Keeping the register: each change with its event in one transaction (R25)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, SQLModel, col, select

from verwijsindex.database import LOCK_NOT_AVAILABLE, sqlstate
from verwijsindex.ledger import events
from verwijsindex.registry.models import (
    Agreement,
    CaseSupervisor,
    Category,
    ContactPoint,
    Coordinator,
    Institution,
    Municipality,
    NamedOfficer,
    PrivacyOfficer,
    Reporter,
    RightsDeskOfficer,
    Serving,
)
from verwijsindex.registry.schemas import (
    AgreementEntry,
    CaseSupervisorEntry,
    ContactPointEntry,
    CoordinatorEntry,
    EmailEntry,
    Entry,
    FollowUpEntry,
    InstitutionEntry,
    MunicipalityEntry,
    MunicipalityOin,
    NamedOfficerEntry,
    PrivacyOfficerEntry,
    ReporterEntry,
    RightsDeskOfficerEntry,
)

_TABLES: dict[type[Entry], type[SQLModel]] = {
    MunicipalityEntry: Municipality,
    InstitutionEntry: Institution,
    AgreementEntry: Agreement,
    ReporterEntry: Reporter,
    CoordinatorEntry: Coordinator,
    CaseSupervisorEntry: CaseSupervisor,
    NamedOfficerEntry: NamedOfficer,
    RightsDeskOfficerEntry: RightsDeskOfficer,
    PrivacyOfficerEntry: PrivacyOfficer,
}
_REFUSED_MAIL = text(
    "SELECT recipient, person_id, municipality_code, oin, refused_on, outcome FROM refused_mail_of_offices()"
)
_SUBSCRIPTIONS = text("SELECT client_id, oin, state, address, created_at FROM subscription ORDER BY oin, client_id")
# Waits for the matcher, or for who delivers, to let go of it; what either places after that finds no subscription.
_END_SUBSCRIPTION = text("DELETE FROM subscription WHERE client_id = :client_id RETURNING id")


class RegistryError(Exception):
    """An entry that does not fit the register; its text says why and what to do."""


def add(connection: Connection, actor: events.Actor, now: datetime, entry: Entry) -> Any:
    """Add one entry and return its row.

    Raises:
        RegistryError: it exists already, or what it refers to does not.
    """
    row = _TABLES[type(entry)](**entry.model_dump())
    with Session(connection) as session:
        session.add(row)
        _flush(session)
        identity = str(getattr(row, "id", None) or getattr(row, "oin", None) or getattr(row, "code", ""))
        _tell(connection, actor, now, str(row.__tablename__), identity, "added")
        session.expunge(row)
    return row


def set_contact_point(connection: Connection, actor: events.Actor, now: datetime, entry: ContactPointEntry) -> None:
    """Set a municipality's contact point of this kind (R12). Raises RegistryError for an unknown municipality."""
    with Session(connection) as session:
        session.merge(ContactPoint(**entry.model_dump()))
        _flush(session)
    _tell(connection, actor, now, "contact_point", f"{entry.municipality_code} {entry.kind}", "set")


def set_legal_ground(connection: Connection, actor: events.Actor, now: datetime, code: str, ground: str) -> None:
    """Set a municipality's legal ground (R35). Raises RegistryError for an unknown municipality."""
    with Session(connection) as session:
        row = _get(session, Municipality, code)
        row.legal_ground = ground
        _flush(session)
    _tell(connection, actor, now, "municipality", code, f"legal ground {ground}")


def set_oin(connection: Connection, actor: events.Actor, now: datetime, entry: MunicipalityOin) -> None:
    """Set a municipality's own OIN (R14). Raises RegistryError: unknown municipality, or another one has this OIN."""
    with Session(connection) as session:
        row = _get(session, Municipality, entry.code)
        row.oin = entry.oin
        _flush(session)
    _tell(connection, actor, now, "municipality", entry.code, "oin")


def set_follow_up(connection: Connection, actor: events.Actor, now: datetime, entry: FollowUpEntry) -> None:
    """Set what of a municipality's deadlines and order of domains the entry names (R21, R22); rounds that run keep
    theirs. Raises RegistryError: unknown municipality, or coordination would be due before contact."""
    with Session(connection) as session:
        row = _get(session, Municipality, entry.code)
        for name, value in entry.model_dump(exclude={"code"}, exclude_none=True).items():
            setattr(row, name, list(value) if name == "lead_order" else value)
        _flush(session)
    _tell(connection, actor, now, "municipality", entry.code, "follow-up")


def set_designated(connection: Connection, actor: events.Actor, now: datetime, code: str, designated: bool) -> None:
    """Say whether the law designates a category (R1). Raises RegistryError for an unknown category."""
    with Session(connection) as session:
        row = _get(session, Category, code)
        row.designated = designated
        _flush(session)
    _tell(connection, actor, now, "category", code, "designated" if designated else "not designated")


def end_agreement(connection: Connection, actor: events.Actor, now: datetime, agreement: UUID, last: date) -> None:
    """Set the last day of an agreement (R1). Raises RegistryError: unknown, or it would end before it begins."""
    with Session(connection) as session:
        row = _get(session, Agreement, agreement)
        row.valid_until = last
        _flush(session)
    _tell(connection, actor, now, "agreement", str(agreement), "ended")


def end_designation(connection: Connection, actor: events.Actor, now: datetime, reporter: UUID, last: date) -> None:
    """Set the last day on which a reporter may signal (R34). Raises RegistryError for an unknown reporter."""
    with Session(connection) as session:
        row = _get(session, Reporter, reporter)
        row.designated_until = last
        _flush(session)
    _tell(connection, actor, now, "reporter", str(reporter), "ended")


def end_service(
    connection: Connection,
    actor: events.Actor,
    now: datetime,
    table: type[Serving],
    person: UUID,
    last: date,
) -> None:
    """Set the last day on which somebody who is no reporter serves (R19, R20, R28, R36).

    Raises RegistryError: unknown, or the last named officer of an institution whose shielded signals last longer.
    """
    with Session(connection) as session:
        row = _get(session, table, person)
        row.last_day = last
        _flush(session)
    _tell(connection, actor, now, str(table.__tablename__), str(person), "ended")


def set_email(
    connection: Connection,
    actor: events.Actor,
    now: datetime,
    table: type[Serving | Reporter | Municipality],
    identity: UUID | str,
    entry: EmailEntry | None,
) -> None:
    """Set where mail goes: to a person, or to a municipality's case supervision, which can be without an own address
    (None). Raises RegistryError for an unknown one, or for a person who left and whose contact data was destroyed."""
    with Session(connection) as session:
        row = _get(session, table, identity)
        row.email = entry.email if entry else None
        _flush(session)
    _tell(connection, actor, now, str(table.__tablename__), str(identity), "email")


def refused_mail(connection: Connection) -> Sequence[Row[Any]]:
    """The named officers, case supervisors and municipalities to whom mail does not come: kind, id, municipality,
    institution, since when, and the mail server's code. Of others their own coordinator is told."""
    return connection.execute(_REFUSED_MAIL).all()


def subscriptions(connection: Connection) -> Sequence[Row[Any]]:
    """Which clients are told by webhook: client id, institution, state, address, since when."""
    return connection.execute(_SUBSCRIPTIONS).all()


def end_subscription(connection: Connection, actor: events.Actor, now: datetime, client_id: str) -> None:
    """End a client's webhook subscription, and what waits for it. Raises RegistryError where it has none."""
    ended: UUID | None = connection.execute(_END_SUBSCRIPTION, {"client_id": client_id}).scalar_one_or_none()
    if ended is None:
        raise RegistryError("this client has no subscription; list them to see which have")
    _tell(connection, actor, now, "subscription", str(ended), "ended")


def entries(connection: Connection, table: type[SQLModel], **equal: str | None) -> list[Any]:
    """All rows of one table of the register, where columns equal what is asked (None: any)."""
    statement = select(table)
    for name, value in equal.items():
        if value is not None:
            statement = statement.where(col(getattr(table, name)) == value)
    with Session(connection) as session:
        rows = session.exec(statement).all()
        session.expunge_all()
    return list(rows)


def _get(session: Session, table: type[Any], key: Any) -> Any:
    row = session.get(table, key)
    if row is None:
        raise RegistryError(f"there is no such {table.__tablename__}; list them to see which there are")
    return row


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "a constraint"
        raise RegistryError(_WHY.get(constraint.rsplit("_", 1)[-1], f"it breaks {constraint}")) from None
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise RegistryError("others are writing just now; give the same command again") from None


_WHY = {
    "pkey": "it is there already",
    "key": "another municipality has this OIN",
    "person": "this institution is one person with an own agreement: one reporter at a time (end the designation first"
    " where another takes over), no coordinator and no named officer",
    "needed": "this is the last named officer, and the institution has shielded signals: add another first",
    "deadlines": "coordination is due on the day of contact or later",
    "gone": "the contact data of this person was destroyed after the last day: add the person anew",
    "fkey": "the municipality, institution or category that it names is not there; `list` shows which are",
}


def _tell(connection: Connection, actor: events.Actor, now: datetime, record: str, identity: str, change: str) -> None:
    says: dict[str, str | int] = {"record": record, "recordId": identity, "change": change}
    events.append(connection, [events.Event(events.REGISTRY_CHANGED, now, actor, says=says)])
