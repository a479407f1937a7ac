# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin coordinator | supervisor | officer | desk | privacy-officer`: who serves beside the reporters,
until a last day."""

from typing import Annotated
from uuid import UUID

import typer

from verwijsindex.registry import models, schemas, service
from verwijsindex.registry.commands import Code, Day, Email, Oin, Telephone, add, administrator, group, registrar, show
from verwijsindex.settings import utc_now

app = typer.Typer()
coordinator = group(app, "coordinator", "Who manages an institution's contact data and signals.")
supervisor = group(app, "supervisor", "Case supervisors of a municipality (R19).")
officer = group(app, "officer", "Named officers of an institution, for its shielded signals (R36).")
desk = group(app, "desk", "Officers of a municipality's rights desk (R28).")
privacy = group(app, "privacy-officer", "Who audits the ledger of an institution, a municipality or the whole (R25).")


def _end(table: type[models.Serving], person: UUID, last_day: Day) -> None:
    with registrar() as connection:
        service.end_service(connection, administrator(), utc_now(), table, person, last_day)


@coordinator.command("add")
def add_coordinator(oin: Oin, name: str, telephone: Telephone, email: Email) -> None:
    """Add a coordinator of an institution. Prints the id that a token names (`verwijsindex issuer mint`)."""
    add(schemas.CoordinatorEntry, oin=oin, name=name, telephone=telephone, email=email)


@coordinator.command("end")
def end_coordinator(coordinator_id: UUID, last_day: Day) -> None:
    """Set the last day on which a coordinator reads and stands in matches; make sure there is another first."""
    _end(models.Coordinator, coordinator_id, last_day)


@coordinator.command("list")
def list_coordinators(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the coordinators of one institution or of all."""
    show(models.Coordinator, oin=oin)


@supervisor.command("add")
def add_supervisor(code: Code, name: str, telephone: Telephone, email: Email) -> None:
    """Add a case supervisor of a municipality. Prints the id that a token names (`verwijsindex issuer mint`)."""
    add(schemas.CaseSupervisorEntry, municipality_code=code, name=name, telephone=telephone, email=email)


@supervisor.command("end")
def end_supervisor(supervisor_id: UUID, last_day: Day) -> None:
    """Set the last day on which a case supervisor reads."""
    _end(models.CaseSupervisor, supervisor_id, last_day)


@supervisor.command("list")
def list_supervisors(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the case supervisors of one municipality or of all."""
    show(models.CaseSupervisor, municipality_code=code)


@officer.command("add")
def add_officer(oin: Oin, name: str, telephone: Telephone, email: Email) -> None:
    """Add a named officer of an institution. Prints the id that a token names (`verwijsindex issuer mint`)."""
    add(schemas.NamedOfficerEntry, oin=oin, name=name, telephone=telephone, email=email)


@officer.command("end")
def end_officer(officer_id: UUID, last_day: Day) -> None:
    """Set the last day of a named officer; the last one stays while the institution has shielded signals."""
    _end(models.NamedOfficer, officer_id, last_day)


@officer.command("list")
def list_officers(oin: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the named officers of one institution or of all."""
    show(models.NamedOfficer, oin=oin)


@desk.command("add")
def add_desk_officer(code: Code, name: str, telephone: Telephone, email: Email) -> None:
    """Add an officer of a municipality's rights desk. Prints the id that a token names (`verwijsindex issuer mint`)."""
    add(schemas.RightsDeskOfficerEntry, municipality_code=code, name=name, telephone=telephone, email=email)


@desk.command("end")
def end_desk_officer(officer_id: UUID, last_day: Day) -> None:
    """Set the last day on which an officer decides for the rights desk."""
    _end(models.RightsDeskOfficer, officer_id, last_day)


@desk.command("list")
def list_desk_officers(code: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show the officers of one municipality's rights desk or of all."""
    show(models.RightsDeskOfficer, municipality_code=code)


@privacy.command("add")
def add_privacy_officer(
    name: str,
    telephone: Telephone,
    email: Email,
    institution: Annotated[str | None, typer.Option(help="Of one institution: its OIN.")] = None,
    municipality: Annotated[str | None, typer.Option(help="Of one municipality: its CBS code.")] = None,
) -> None:
    """Add a privacy officer; of neither an institution nor a municipality audits the whole index. Prints the id.

    Whoever puts somebody here shows them who did and saw what: have it asked in writing. The id is what a token names
    (`verwijsindex issuer mint --role privacy_officer --amr mfa`).
    """
    values = {"name": name, "telephone": telephone, "email": email}
    add(schemas.PrivacyOfficerEntry, oin=institution, municipality_code=municipality, **values)


@privacy.command("end")
def end_privacy_officer(officer_id: UUID, last_day: Day) -> None:
    """Set the last day on which a privacy officer searches the ledger."""
    _end(models.PrivacyOfficer, officer_id, last_day)


@privacy.command("list")
def list_privacy_officers(
    institution: Annotated[str | None, typer.Option(help="Of one institution: its OIN.")] = None,
    municipality: Annotated[str | None, typer.Option(help="Of one municipality: its CBS code.")] = None,
) -> None:
    """Show privacy officers, of one institution or municipality or all."""
    show(models.PrivacyOfficer, oin=institution, municipality_code=municipality)
