# SPDX-License-Identifier: EUPL-1.2
"""The register's administration: `verwijsindex admin ...`, with the rights of the role registrar.

Who serves beside the reporters is in `serving_commands`.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from sqlmodel import SQLModel

from verwijsindex import database
from verwijsindex.arguments import day
from verwijsindex.ledger.events import Actor
from verwijsindex.registry import models, reading, schemas, service
from verwijsindex.settings import Settings, utc_now
from verwijsindex.written import fault_told

app = typer.Typer(no_args_is_help=True, help="Keep the register: who may signal, and whom to call.")
Day = Annotated[date, typer.Argument(parser=day, metavar="YYYY-MM-DD")]
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
def registrar() -> Iterator[Connection]:
    """A transaction of the role registrar. What the register refuses is told as a bad argument."""
    pool = database.engine(RegistrarSettings().registrar_database_url, pool_size=1)
    try:
        with database.transaction(pool) as connection:
            yield connection
    except service.RegistryError as error:
        raise typer.BadParameter(str(error)) from None
    except ValidationError as error:
        raise typer.BadParameter("; ".join(map(_fault, error.errors()))) from None
    finally:
        pool.dispose()


def _fault(fault: ErrorDetails) -> str:
    """Of which argument, by the name that it has on the command line, and what to do."""
    place = next((part.replace("_", "-") for part in fault["loc"] if isinstance(part, str)), "")
    return f"{place}: {fault_told(fault)}" if place else fault_told(fault)


def administrator() -> Actor:
    """The administrator, by the name of the account that runs the command."""
    return Actor(role="administrator", person=getpass.getuser())


def add(entry: type[schemas.Entry], **values: Any) -> None:
    """Add an entry, and print what it is known by."""
    with registrar() as connection:
        row = service.add(connection, administrator(), utc_now(), entry(**values))
    typer.echo(getattr(row, "id", None) or getattr(row, "oin", None) or row.code)


def show(table: type[SQLModel], **equal: str | None) -> None:
    """Print the rows of a table, where columns equal what is asked (None: any)."""
    with registrar() as connection:
        rows = service.entries(connection, table, **equal)
    names = list(table.model_fields)
    shown = Table()
    for name in names:
        shown.add_column(name, no_wrap=name in {"id", "code", "oin"}, overflow="fold")
    for row in rows:
        shown.add_row(*("" if getattr(row, name) is None else str(getattr(row, name)) for name in names))
    put(shown)


def put(table: Table) -> None:
    """Print a table as it is: what others wrote is no markup, and `[noord]` in a name is part of it."""
    Console(width=max(Console().width, WIDE), markup=False, emoji=False).print(table)


def group(of: typer.Typer, name: str, about: str) -> typer.Typer:
    """A new group of commands."""
    made = typer.Typer(no_args_is_help=True, help=about)
    of.add_typer(made, name=name)
    return made


municipality = group(app, "municipality", "Municipalities that take part, and their legal ground (R35).")
contact_point = group(app, "contact-point", "Where parties of a match reach a municipality (R12).")
category = group(app, "category", "Categories of institutions, and whether the law designates them (R1).")
institution = group(app, "institution", "Organisations in a designated category.")
agreement = group(app, "agreement", "Agreements of institutions with municipalities (R1).")
reporter = group(app, "reporter", "Persons whom an institution has designated to signal.")


@municipality.command("add")
def add_municipality(code: Code, name: str, legal_ground: str = "duty") -> None:
    """Add a municipality. Legal ground: duty, agreement, consent or off."""
    add(schemas.MunicipalityEntry, code=code, name=name, legal_ground=legal_ground)


@municipality.command("ground")
def set_legal_ground(code: Code, legal_ground: str) -> None:
    """Set the legal ground: duty, agreement, consent or off (off: no new signals)."""
    with registrar() as connection:
        schemas.MunicipalityEntry(code=code, name="-", legal_ground=legal_ground)  # type: ignore[arg-type]
        service.set_legal_ground(connection, administrator(), utc_now(), code, legal_ground)


@municipality.command("oin")
def set_oin(code: Code, oin: Annotated[str, typer.Argument(help="The municipality's own OIN: twenty digits.")]) -> None:
    """Set the municipality's own OIN: a client of the issuer with it and the scope deaths:write may tell deaths."""
    with registrar() as connection:
        service.set_oin(connection, administrator(), utc_now(), schemas.MunicipalityOin(code=code, oin=oin))


@municipality.command("list")
def list_municipalities() -> None:
    """Show all municipalities."""
    show(models.Municipality)


@contact_point.command("set")
def set_contact_point(code: Code, kind: str, name: str, telephone: Telephone, email: str | None = None) -> None:
    """Set a contact point. Kind: access_team, crisis_line or veilig_thuis."""
    with registrar() as connection:
        entry = schemas.ContactPointEntry(
            municipality_code=code,
            kind=kind,  # type: ignore[arg-type]
            name=name,
            telephone=telephone,
            email=email,
        )
        service.set_contact_point(connection, administrator(), utc_now(), entry)


@contact_point.command("list")
def list_contact_points(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the contact points of one municipality or of all."""
    show(models.ContactPoint, municipality_code=code)


@category.command("list")
def list_categories() -> None:
    """Show all categories with their domain."""
    show(models.Category)


@category.command("designate")
def set_designated(code: str, designated: Annotated[bool, typer.Option("--yes/--no")] = True) -> None:
    """Say whether the law designates a category: institutions of another may not signal."""
    with registrar() as connection:
        service.set_designated(connection, administrator(), utc_now(), code, designated)


@institution.command("add")
def add_institution(
    oin: Oin, name: str, category_code: Annotated[str, typer.Argument(help="One of `admin category list`.")]
) -> None:
    """Add an institution. Of a category in person it stands for the one person with an own agreement (R2)."""
    add(schemas.InstitutionEntry, oin=oin, name=name, category_code=category_code)


@institution.command("list")
def list_institutions() -> None:
    """Show all institutions."""
    show(models.Institution)


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
    add(
        schemas.AgreementEntry,
        oin=oin,
        municipality_code=code,
        valid_from=valid_from,
        valid_until=valid_until,
        may_send_parents=may_send_parents,
    )


@agreement.command("end")
def end_agreement(agreement_id: UUID, last_day: Day) -> None:
    """Set the last day of an agreement: no new signals after it."""
    with registrar() as connection:
        service.end_agreement(connection, administrator(), utc_now(), agreement_id, last_day)


@agreement.command("list")
def list_agreements(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the agreements of one institution or of all."""
    show(models.Agreement, oin=oin)


@reporter.command("add")
def add_reporter(
    oin: Oin,
    name: str,
    position: Annotated[str, typer.Argument(help="As a colleague would be asked for: school social worker.")],
    telephone: Telephone,
    email: Email,
    designated_from: Annotated[date | None, typer.Option("--from", parser=day, metavar="YYYY-MM-DD")] = None,
) -> None:
    """Designate a reporter of an institution, from today unless said otherwise. Prints the reporter's id."""
    add(
        schemas.ReporterEntry,
        oin=oin,
        name=name,
        position=position,
        telephone=telephone,
        email=email,
        designated_from=designated_from or utc_now().date(),
    )


@reporter.command("end")
def end_designation(reporter_id: UUID, last_day: Day) -> None:
    """Set the last day on which a reporter may signal and read."""
    with registrar() as connection:
        service.end_designation(connection, administrator(), utc_now(), reporter_id, last_day)


@reporter.command("list")
def list_reporters(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the reporters of one institution or of all."""
    show(models.Reporter, oin=oin)


@app.command("orphans")
def list_orphans(
    code: Annotated[str | None, typer.Argument(help="The contracting municipality; else all.")] = None,
) -> None:
    """Show the signals that wait though there is no coordinator to see it (R34): ids alone, in the ledger.

    Their reporter left or their agreement ended, and it is a person with an own agreement (R2), or an institution
    without coordinator: add one there. A person can withdraw, until the last day; after it nobody can, the access
    team of the municipality stands in, and the signal ends at its removal date.
    """
    with registrar() as connection:
        found = reading.orphans(connection, administrator(), utc_now(), code)
    shown = Table("municipality", "signal", "reporter", "reporter left", "agreement ended")
    for row in found:
        shown.add_row(*(("yes" if one else "") if isinstance(one, bool) else str(one) for one in row))
    put(shown)
