# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin ...`, all of it."""

from verwijsindex.registry import follow_up_commands, mail_commands, serving_commands, subscription_commands
from verwijsindex.registry.commands import app

app.add_typer(serving_commands.app)
app.add_typer(mail_commands.app)
app.add_typer(follow_up_commands.app)
app.add_typer(subscription_commands.app)

__all__ = ["app"]
