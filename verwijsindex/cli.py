# SPDX-License-Identifier: EUPL-1.2
"""The command `verwijsindex`. What is not installed is not there: the client alone has only its own commands."""

import sys
from importlib import import_module

import typer
from pydantic import ValidationError

from verwijsindex import __version__
from verwijsindex.keyfiles import KeyFileError

GROUPS = {
    "client": "verwijsindex.client.cli:app",
    "keys": "verwijsindex.pseudonyms.commands:app",
    "pseudonym-key": "verwijsindex.pseudonyms.turn_commands:app",
    "admin": "verwijsindex.registry.cli:app",
    "issuer": "verwijsindex.issuer.commands:app",
    "db": "verwijsindex.operating:db",
    "ledger": "verwijsindex.ledger.commands:app",
    "officer": "verwijsindex.auditing.commands:app",
    "index-key": "verwijsindex.turning.commands:app",
    "upkeep": "verwijsindex.workers.commands:app",
}
COMMANDS = {
    "serve": "verwijsindex.serving:serve",
    "openapi": "verwijsindex.serving:openapi",
    "prepare": "verwijsindex.preparing:prepare",
    "health": "verwijsindex.workers.health:health",
    "demo": "verwijsindex.demo.commands:demo",
}
_NEEDS_SERVER = "Install verwijsindex[server] for the commands of index, issuer and pseudonym service."


def _print_version() -> None:
    """Print the version."""
    typer.echo(__version__)


def command_line(asked: str | None = None) -> typer.Typer:
    """The command line; of `asked` alone when that is one of its commands, since importing all takes seconds."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Verwijsindex: who is concerned about the same youngster is told of the others, and nothing more.",
    )
    wanted = {asked} if asked in GROUPS or asked in COMMANDS else {*GROUPS, *COMMANDS}
    for name, place in (GROUPS | COMMANDS).items():
        if name not in wanted:
            continue
        module, _, attribute = place.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("verwijsindex"):
                raise
            if asked == name:
                sys.exit(_NEEDS_SERVER)
            app.info.epilog = _NEEDS_SERVER
            continue
        if name in GROUPS:
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    app.command("version")(_print_version)
    return app


_NO_DATABASE = "the database does not answer, or does not know this role or password; look at the address"
_HELD = "others hold what this must change for a moment: run it again, it goes on where it stopped"
_DATABASE_SAYS = {
    "55P03": _HELD,
    "40P01": _HELD,  # a deadlock with who goes on meanwhile
    "53100": "the disk of the database is full: nothing was changed",
}
"""By SQLSTATE."""


def main() -> None:
    """Run the command line. Faults in settings and key files are one or a few lines, and exit status 1."""
    app = command_line(sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        app()
    except KeyFileError as error:
        sys.exit(str(error))
    except Exception as error:
        # By name, since the client has none of pydantic-settings, SQLAlchemy and psycopg.
        if type(error).__name__ == "SettingsError" or isinstance(error, ValidationError):
            sys.exit(import_module("verwijsindex.settings").settings_faults(error))
        if type(error).__name__ != "OperationalError":
            if sys.argv[1:2] not in (
                ["client"],
                ["keys"],
                ["officer"],
            ):  # the text of a database's exception may hold what a row says (I5)
                logs = import_module("verwijsindex.logs")
                logs.log(logs.UNFORESEEN, error=error)
                sys.exit("this was not foreseen; the line above says what and where")
            raise
        state = str(getattr(getattr(error, "orig", error), "sqlstate", ""))
        sys.exit(_DATABASE_SAYS.get(state, _NO_DATABASE))
