# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client ...`, all of it."""

from verwijsindex.client import (
    act_commands,
    death_commands,
    follow_up_commands,
    mail_commands,
    reading_commands,
    subscription_commands,
    watch_commands,
)
from verwijsindex.client.check.commands import app as check
from verwijsindex.client.commands import app

app.add_typer(reading_commands.app)
app.add_typer(act_commands.app)
app.add_typer(follow_up_commands.app, name="follow-up")
app.add_typer(mail_commands.mail, name="mail")
app.add_typer(mail_commands.mutes, name="mutes")
app.add_typer(check)
app.add_typer(death_commands.app)
app.add_typer(watch_commands.app)
app.add_typer(subscription_commands.app, name="subscription")

__all__ = ["app"]
