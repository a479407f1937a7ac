# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer ...`: what a privacy officer does at a prompt (docs/officer.md). No server needed."""

import typer

from verwijsindex.auditing import alert_commands, report_command, sample_commands, search_commands

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The privacy officer's desk: find who did and saw what, within your scope. All that you look at is in the"
    " ledger, with your purpose.",
)


@app.callback()
def officer() -> None:
    """Find who did and saw what, within your scope. All that you look at is in the ledger, with your purpose.

    You need an access token of who signed in with two factors; give it as a file or on standard input, never as an
    argument. docs/officer.md tells how you work.
    """


app.add_typer(search_commands.app)
app.add_typer(alert_commands.app, name="alerts")
app.add_typer(sample_commands.app, name="sample")
app.add_typer(report_command.app)
