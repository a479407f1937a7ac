# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin follow-up ...`: each municipality's own deadlines, and who is proposed to lead (R21, R22)."""

from typing import Annotated

import typer
from rich.table import Table

from verwijsindex.registry import models, schemas, service
from verwijsindex.registry.commands import Code, administrator, group, put, registrar
from verwijsindex.settings import utc_now

app = typer.Typer()
follow_up = group(app, "follow-up", "A municipality's deadlines of follow-up, and who is proposed to lead (R21, R22).")


@follow_up.command("set")
def set_follow_up(
    code: Code,
    contact_within: Annotated[int | None, typer.Option(help="Working days in which parties have contact.")] = None,
    coordination_within: Annotated[int | None, typer.Option(help="Working days in which help is coordinated.")] = None,
    lead_order: Annotated[
        str | None,
        typer.Option(
            help="Domains, the one that is to lead first, with commas between them. Who is of none of them is not"
            f" proposed. Of: {','.join(models.LEADING_DOMAINS)}."
        ),
    ] = None,
) -> None:
    """Set what is named, and leave the rest. It holds for what begins from now on: what runs keeps its deadlines.

    For example: `verwijsindex admin follow-up set 1701 --contact-within 3 --lead-order youth_care,social_support`
    """
    if contact_within is None and coordination_within is None and lead_order is None:
        raise typer.BadParameter("name what to set: --contact-within, --coordination-within or --lead-order")
    with registrar() as connection:
        entry = schemas.FollowUpEntry(
            code=code,
            contact_within_days=contact_within,
            coordination_within_days=coordination_within,
            lead_order=None if lead_order is None else tuple(one.strip() for one in lead_order.split(",")),
        )
        service.set_follow_up(connection, administrator(), utc_now(), entry)
    show_follow_up(code)


@follow_up.command("show")
def show_follow_up(code: Annotated[str | None, typer.Argument(help="The municipality; else all.")] = None) -> None:
    """Show deadlines, in working days, and the order in which a lead is proposed."""
    with registrar() as connection:
        rows = service.entries(connection, models.Municipality, code=code)
    shown = Table("municipality", "contact within", "coordination within", "lead order")
    for row in sorted(rows, key=lambda row: row.code):
        order = ", ".join(row.lead_order or models.LEADING_DOMAINS)
        shown.add_row(row.code, str(row.contact_within_days), str(row.coordination_within_days), order)
    put(shown)
