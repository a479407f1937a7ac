# SPDX-License-Identifier: EUPL-1.2
"""The register's administration: `verwijsindex admin ...`, with the rights of the role registrar."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from sqlmodel import SQLModel

from verwijsindex import database
from verwijsindex.ledger.events import Actor
from verwijsindex.registry import models, schemas, service
from verwijsindex.settings import Settings, utc_now

app = typer.Typer(no_args_is_help=True, help="Keep the register: who may signal, and whom to call.")
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"])]
Oin = Annotated[str, typer.Argument(help="The institution's OIN: twenty digits.")]
Code = Annotated[str, typer.Argument(help="The municipality's CBS code: four digits.")]
Telephone = Annotated[str, typer.Argument()]
Email = Annotated[str, typer.Argument()]


WIDE = 170
"""Columns that a table takes also where the terminal has fewer: a wrapped line loses nothing, a cut one does."""


class RegistrarSettings(Settings):
    """Where the commands find the database (VERWIJSINDEX_REGISTRAR_DATABASE_URL)."""

    registrar_database_url: SecretStr


@contextmanager
def _registrar() -> Iterator[Connection]:
    pool = database.engine(RegistrarSettings().registrar_database_url, pool_size=1)
    try:
        with database.transaction(pool) as connection:
            yield connection
    except service.RegistryError as error:
        raise typer.BadParameter(str(error)) from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}" for e in error.errors())
        raise typer.BadParameter(faults) from None
    finally:
        pool.dispose()


def _actor() -> Actor:
    """The administrator, by the name of the account that runs the command."""
    return Actor(role="administrator", person=getpass.getuser())


def _add(entry: type[schemas.Entry], **values: Any) -> None:
    with _registrar() as connection:
        row = service.add(connection, _actor(), utc_now(), entry(**values))
    typer.echo(getattr(row, "id", None) or getattr(row, "oin", None) or row.code)


def _list(table: type[SQLModel], **equal: str | None) -> None:
    with _registrar() as connection:
        rows = service.entries(connection, table, **equal)
    names = list(table.model_fields)
    shown = Table()
    for name in names:
        shown.add_column(name, no_wrap=name in {"id", "code", "oin"}, overflow="fold")
    for row in rows:
        shown.add_row(*("" if getattr(row, name) is None else str(getattr(row, name)) for name in names))
    Console(width=max(Console().width, WIDE)).print(shown)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=about)
    app.add_typer(group, name=name)
    return group


municipality = _group("municipality", "Municipalities that take part, and their legal ground (R35).")
contact_point = _group("contact-point", "Where parties of a match reach a municipality (R12).")
category = _group("category", "Categories of institutions, and whether the law designates them (R1).")
institution = _group("institution", "Organisations in a designated category.")
agreement = _group("agreement", "Agreements of institutions with municipalities (R1).")
reporter = _group("reporter", "Persons whom an institution has designated to signal.")
coordinator = _group("coordinator", "Who manages an institution's contact data and signals.")
supervisor = _group("supervisor", "Case supervisors of a municipality (R19).")
officer = _group("officer", "Named officers of an institution, for its shielded signals (R36).")
desk = _group("desk", "Officers of a municipality's rights desk (R28).")


@municipality.command("add")
def add_municipality(code: Code, name: str, legal_ground: str = "duty") -> None:
    """Add a municipality. Legal ground: duty, agreement, consent or off."""
    _add(schemas.MunicipalityEntry, code=code, name=name, legal_ground=legal_ground)


@municipality.command("ground")
def set_legal_ground(code: Code, legal_ground: str) -> None:
    """Set the legal ground: duty, agreement, consent or off (off: no new signals)."""
    with _registrar() as connection:
        schemas.MunicipalityEntry(code=code, name="-", legal_ground=legal_ground)  # type: ignore[arg-type]
        service.set_legal_ground(connection, _actor(), utc_now(), code, legal_ground)


@municipality.command("oin")
def set_oin(code: Code, oin: Annotated[str, typer.Argument(help="The municipality's own OIN: twenty digits.")]) -> None:
    """Set the municipality's own OIN: a client of the issuer with it and the scope deaths:write may tell deaths."""
    with _registrar() as connection:
        service.set_oin(connection, _actor(), utc_now(), schemas.MunicipalityOin(code=code, oin=oin))


@municipality.command("list")
def list_municipalities() -> None:
    """Show all municipalities."""
    _list(models.Municipality)


@contact_point.command("set")
def set_contact_point(code: Code, kind: str, name: str, telephone: Telephone, email: str | None = None) -> None:
    """Set a contact point. Kind: access_team, crisis_line or veilig_thuis."""
    with _registrar() as connection:
        entry = schemas.ContactPointEntry(
            municipality_code=code,
            kind=kind,  # type: ignore[arg-type]
            name=name,
            telephone=telephone,
            email=email,
        )
        service.set_contact_point(connection, _actor(), utc_now(), entry)


@contact_point.command("list")
def list_contact_points(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the contact points of one municipality or of all."""
    _list(models.ContactPoint, municipality_code=code)


@category.command("list")
def list_categories() -> None:
    """Show all categories with their domain."""
    _list(models.Category)


@category.command("designate")
def set_designated(code: str, designated: Annotated[bool, typer.Option("--yes/--no")] = True) -> None:
    """Say whether the law designates a category: institutions of another may not signal."""
    with _registrar() as connection:
        service.set_designated(connection, _actor(), utc_now(), code, designated)


@institution.command("add")
def add_institution(
    oin: Oin, name: str, category_code: Annotated[str, typer.Argument(help="One of `admin category list`.")]
) -> None:
    """Add an institution. Of a category in person it stands for the one person with an own agreement (R2)."""
    _add(schemas.InstitutionEntry, oin=oin, name=name, category_code=category_code)


@institution.command("list")
def list_institutions() -> None:
    """Show all institutions."""
    _list(models.Institution)


@agreement.command("add")
def add_agreement(
    oin: Oin,
    code: Code,
    valid_from: Day,
    valid_until: Day,
    may_send_parents: Annotated[
        bool, typer.Option("--may-send-parents", help="Signals under it may name parents, for family matches (R10).")
    ] = False,
) -> None:
    """Add an agreement; it is valid on its first and on its last day. Prints its id."""
    _add(
        schemas.AgreementEntry,
        oin=oin,
        municipality_code=code,
        valid_from=valid_from.date(),
        valid_until=valid_until.date(),
        may_send_parents=may_send_parents,
    )


@agreement.command("end")
def end_agreement(agreement_id: UUID, last_day: Day) -> None:
    """Set the last day of an agreement: no new signals after it."""
    with _registrar() as connection:
        service.end_agreement(connection, _actor(), utc_now(), agreement_id, last_day.date())


@agreement.command("list")
def list_agreements(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the agreements of one institution or of all."""
    _list(models.Agreement, oin=oin)


@reporter.command("add")
def add_reporter(
    oin: Oin,
    name: str,
    position: Annotated[str, typer.Argument(help="As a colleague would be asked for: school social worker.")],
    telephone: Telephone,
    email: Email,
    designated_from: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
) -> None:
    """Designate a reporter of an institution, from today unless said otherwise. Prints the reporter's id."""
    _add(
        schemas.ReporterEntry,
        oin=oin,
        name=name,
        position=position,
        telephone=telephone,
        email=email,
        designated_from=(designated_from or utc_now()).date(),
    )


@reporter.command("end")
def end_designation(reporter_id: UUID, last_day: Day) -> None:
    """Set the last day on which a reporter may signal and read."""
    with _registrar() as connection:
        service.end_designation(connection, _actor(), utc_now(), reporter_id, last_day.date())


@reporter.command("list")
def list_reporters(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the reporters of one institution or of all."""
    _list(models.Reporter, oin=oin)


@coordinator.command("add")
def add_coordinator(oin: Oin, name: str, telephone: Telephone, email: Email) -> None:
    """Add a coordinator of an institution. Prints the id that a token names (`verwijsindex issuer mint`)."""
    _add(schemas.CoordinatorEntry, oin=oin, name=name, telephone=telephone, email=email)


@coordinator.command("end")
def end_coordinator(coordinator_id: UUID, last_day: Day) -> None:
    """Set the last day on which a coordinator reads and stands in matches; make sure there is another first."""
    with _registrar() as connection:
        service.end_service(connection, _actor(), utc_now(), models.Coordinator, coordinator_id, last_day.date())


@coordinator.command("list")
def list_coordinators(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the coordinators of one institution or of all."""
    _list(models.Coordinator, oin=oin)


@supervisor.command("add")
def add_supervisor(code: Code, name: str, telephone: Telephone, email: Email) -> None:
    """Add a case supervisor of a municipality. Prints the id that a token names (`verwijsindex issuer mint`)."""
    _add(schemas.CaseSupervisorEntry, municipality_code=code, name=name, telephone=telephone, email=email)


@supervisor.command("end")
def end_supervisor(supervisor_id: UUID, last_day: Day) -> None:
    """Set the last day on which a case supervisor reads."""
    with _registrar() as connection:
        service.end_service(connection, _actor(), utc_now(), models.CaseSupervisor, supervisor_id, last_day.date())


@supervisor.command("list")
def list_supervisors(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the case supervisors of one municipality or of all."""
    _list(models.CaseSupervisor, municipality_code=code)


@officer.command("add")
def add_officer(oin: Oin, name: str, telephone: Telephone, email: Email) -> None:
    """Add a named officer of an institution. Prints the id that a token names (`verwijsindex issuer mint`)."""
    _add(schemas.NamedOfficerEntry, oin=oin, name=name, telephone=telephone, email=email)


@officer.command("end")
def end_officer(officer_id: UUID, last_day: Day) -> None:
    """Set the last day of a named officer; the last one stays while the institution has shielded signals."""
    with _registrar() as connection:
        service.end_service(connection, _actor(), utc_now(), models.NamedOfficer, officer_id, last_day.date())


@officer.command("list")
def list_officers(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the named officers of one institution or of all."""
    _list(models.NamedOfficer, oin=oin)


@desk.command("add")
def add_desk_officer(code: Code, name: str, telephone: Telephone, email: Email) -> None:
    """Add an officer of a municipality's rights desk. Prints the id that a token names (`verwijsindex issuer mint`)."""
    _add(schemas.RightsDeskOfficerEntry, municipality_code=code, name=name, telephone=telephone, email=email)


@desk.command("end")
def end_desk_officer(officer_id: UUID, last_day: Day) -> None:
    """Set the last day on which an officer decides for the rights desk."""
    with _registrar() as connection:
        service.end_service(connection, _actor(), utc_now(), models.RightsDeskOfficer, officer_id, last_day.date())


@desk.command("list")
def list_desk_officers(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the officers of one municipality's rights desk or of all."""
    _list(models.RightsDeskOfficer, municipality_code=code)
