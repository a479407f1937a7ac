# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin subscription ...`: which clients are told by webhook, and the end of one that was revoked.

A client manages its own subscription; who is revoked at the issuer cannot, and whoever had its key may have had the
webhooks sent elsewhere (R37).
"""

import typer
from rich.table import Table

from verwijsindex.registry import service
from verwijsindex.registry.commands import administrator, group, put, registrar
from verwijsindex.settings import utc_now

app = typer.Typer()
subscription = group(app, "subscription", "Webhook subscriptions: of a client that was revoked, end it here.")


@subscription.command("list")
def list_subscriptions() -> None:
    """Show which clients are told by webhook, of which institutions, and where."""
    with registrar() as connection:
        rows = service.subscriptions(connection)
    shown = Table("client", "institution", "state", "address", "since")
    for row in rows:
        shown.add_row(*map(str, row))
    put(shown)


@subscription.command("end")
def end_subscription(client_id: str) -> None:
    """End a client's subscription, with what waits for it; every notice stays in its inbox.

    Do so where a client was revoked (`verwijsindex issuer client revoke`): the index is not told of that, and goes on
    pushing. One that was not revoked can subscribe again.
    """
    with registrar() as connection:
        service.end_subscription(connection, administrator(), utc_now(), client_id)
