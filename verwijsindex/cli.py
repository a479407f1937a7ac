# SPDX-License-Identifier: EUPL-1.2
"""The command `verwijsindex`. What is not installed is not there: the client alone has only its own commands."""

import sys
from importlib import import_module

import typer
from pydantic import ValidationError

from verwijsindex import __version__
from verwijsindex.client.commands import app as client
from verwijsindex.keyfiles import KeyFileError
from verwijsindex.pseudonyms.commands import app as keys

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Verwijsindex: who is concerned about the same youngster is told of the others, and nothing more.",
)
app.add_typer(client, name="client")
app.add_typer(keys, name="keys")


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _add_server() -> None:
    operating = import_module("verwijsindex.operating")
    app.add_typer(import_module("verwijsindex.registry.commands").app, name="admin")
    app.add_typer(import_module("verwijsindex.issuer.commands").app, name="issuer")
    app.add_typer(operating.db, name="db")
    app.command("serve")(operating.serve)
    app.command("openapi")(operating.openapi)
    app.command("demo")(import_module("verwijsindex.demo.commands").demo)


def main() -> None:
    """Run the command line. Without the extra `server` only `client` and `keys` are there."""
    try:
        _add_server()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("verwijsindex"):
            raise
        app.info.epilog = "Install verwijsindex[server] for the commands of index, issuer and pseudonym service."
    try:
        app()
    except ValidationError as error:
        sys.exit(import_module("verwijsindex.operating").settings_faults(error))
    except KeyFileError as error:
        sys.exit(str(error))
