# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin mail ...`: where mail goes, and to whom it does not come (R12)."""

from typing import Annotated, Literal
from uuid import UUID

import typer
from rich.table import Table

from verwijsindex.registry import models, schemas, service
from verwijsindex.registry.commands import Code, Email, administrator, group, put, registrar
from verwijsindex.settings import utc_now

app = typer.Typer()
mail = group(app, "mail", "Where mail goes, and to whom it does not come.")
_MAILED: dict[str, type[models.Municipality | models.Reporter | models.Serving]] = {
    "municipality": models.Municipality,
    "reporter": models.Reporter,
    "coordinator": models.Coordinator,
    "supervisor": models.CaseSupervisor,
    "officer": models.NamedOfficer,
}
Mailed = Literal["municipality", "reporter", "coordinator", "supervisor", "officer"]


@mail.command("set")
def set_email(
    kind: Annotated[Mailed, typer.Argument(help="Whose mail.")],
    identity: Annotated[str, typer.Argument(help="The person's id, or the municipality's CBS code.")],
    email: Email,
) -> None:
    """Set where mail goes. As long as a municipality has no own address, its case supervisors are each mailed."""
    table = _MAILED[kind]
    try:
        key = identity if table is models.Municipality else UUID(identity)
    except ValueError:
        raise typer.BadParameter("a person is named by id, as `list` shows it") from None
    with registrar() as connection:
        service.set_email(connection, administrator(), utc_now(), table, key, schemas.EmailEntry(email=email))


@mail.command("remove")
def remove_email(code: Code) -> None:
    """Take away a municipality's own address: its mail goes to each of its case supervisors again."""
    with registrar() as connection:
        service.set_email(connection, administrator(), utc_now(), models.Municipality, code, None)


@mail.command("refused")
def list_refused_mail() -> None:
    """Show the officers, case supervisors and municipalities to whom the mail server says it will never deliver.

    It lasts until a mail to them comes through, or they have another address (`set`). Reporters and coordinators are
    shown to their own institution's coordinators, by the API.
    """
    with registrar() as connection:
        rows = service.refused_mail(connection)
    shown = Table("recipient", "id", "municipality", "institution", "since", "code")
    for row in rows:
        shown.add_row(*("" if one is None else str(one) for one in row))
    put(shown)
