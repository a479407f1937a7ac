# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client ...`: what an institution's staff and its case system's scripts call."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from joserfc.jwk import OKPKey
from rich.console import Console, RenderableType

from verwijsindex.client import tables
from verwijsindex.client.channel import Tell
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ClientError, ConfigError, UnreachableError
from verwijsindex.client.journal import Journal
from verwijsindex.client.progress import sending
from verwijsindex.client.report import Report
from verwijsindex.client.rows import COLUMNS, FileRefused
from verwijsindex.client.sending import journal_of, submit_file
from verwijsindex.keyfiles import KeyFileError, write_public_key, write_signing_key

UNUSABLE, STOPPED, INTERRUPTED = 2, 3, 130
REPEATABLE = timedelta(days=7)
"""How long the index knows an idempotency key."""
TOO_LATE = (
    "The run before this one ended more than seven days ago. A row that it sent without hearing the answer is now"
    " refused as too old, though the index may hold it: look there with `verwijsindex client signals`."
)
_WHOSE = {
    "reporter": "a reporter has reached the limit of a day",
    "institution": "your institution has reached its limit of a day",
    "": "a limit of a day that is not your institution's own was reached",
}

app = typer.Typer(
    name="client",
    help="Send an institution's signals and read what came of them. No BSN leaves this machine.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback of rich's can show what a row holds (I5)
)

Config = Annotated[Path, typer.Option(help="The client's configuration (TOML).", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's own JSON, for a script.")]
DEFAULT_CONFIG = Path("client.toml")


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="New file for the private key, such as institution.key.json.")],
) -> None:
    """Make this client's key: FILE (private, mode 0600) and FILE.pub.json (public).

    Give the public file to the administrator of the issuer, who registers it under your client id. Who has
    FILE can act as your institution: keep it on this machine, out of backups that others read. Lose it, and
    you make a new one and have that registered.

    Example: verwijsindex client keygen institution.key.json
    """
    public = Path(f"{file}.pub.json")
    with told():
        if public.exists():
            raise ConfigError(f"{public} exists already and is not overwritten")
        key = OKPKey.generate_key("Ed25519")
        write_signing_key(file, key)
        write_public_key(public, key)
    typer.echo(f"private key: {file}\npublic key:  {public}\nfingerprint: {key.thumbprint()}")
    typer.echo("Next: give the public key to the issuer's administrator; compare the fingerprint by telephone.")


@app.command(epilog=f"Columns: {', '.join(COLUMNS)}.")
def send(
    file: Annotated[Path, typer.Argument(help="A case system's export: CSV in UTF-8, comma or semicolon.")],
    config: Config = DEFAULT_CONFIG,
    refused: Annotated[Path | None, typer.Option(help="Write the refused rows here (CSV, no BSN).")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Where to keep the journal.", show_default="FILE.journal")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send every row, whatever the journal knows.")] = False,
    patience: Annotated[int, typer.Option(help="Minutes to wait for a service that is away or limits us.", min=0)] = 15,
) -> None:
    """Send the signals in an export, a row each.

    Each BSN is checked (11-test) and blinded here. What became of each row is kept in FILE.journal, without a
    BSN: after a cut connection, a crash or Ctrl-C the same command goes on where it was, and tells the same at
    the end. When all rows were sent it only tells, until you say --again: then refused rows get another chance,
    and a row that was accepted in the last seven days is still no second signal. After seven days an old file
    is refused row by row, since a signal is sent at most seven days after it was made.

    Rows of a reporter who reached the limit of a day wait, and those of other reporters are sent; at the end it says
    whose rows wait and when the same command sends them. A limit of the institution or the index stops the file.

    Exit status: 0 all rows were accepted; 1 some were refused; 2 file, journal or configuration cannot be used;
    3 rows wait, or a service gave no answer, or one that stands in the way of every row: give the same command again
    later; 130 stopped by Ctrl-C, likewise.

    Example: verwijsindex client send export.csv --refused refused.csv
    """
    console = Console(stderr=True)

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with told(), VerwijsindexClient(ClientConfig.load(config), patience=patience * 60, tell=tell) as client:
        if not file.is_file():
            raise ConfigError(f"{file} is not a file")
        # The lock and the journal are the file's, by whatever name it was given.
        place = journal or Path(f"{file.resolve()}.journal")
        with (
            file.open("rb") as rows,
            journal_of(client, rows, place, again=again) as kept,
            Report(refused) as report,
        ):
            if kept.resumes:
                tell(f"going on with {place}")
            try:
                try:
                    with sending(file.stat().st_size, rows.tell, report, console) as progress:
                        submit_file(client, rows, report, kept, progress.step)
                finally:
                    _conclude(report, refused)
                    _warn_if_too_late(client, kept, tell)
            except KeyboardInterrupt:  # told last: a long report would push it off the screen
                tell("stopped; give the same command again to go on")
                raise typer.Exit(INTERRUPTED) from None
            except UnreachableError as error:
                _stop_at_limit(error, report, tell)
            if kept.finished_at:
                tell(f"all rows were sent on {tables.in_amsterdam(kept.finished_at)}; nothing was sent now")
            if report.again_at:
                tell(_again(report.again_at))
    raise typer.Exit(STOPPED if report.waiting else 1 if report.refused else 0)


def print_view(content: object, as_json: bool, view: RenderableType) -> None:
    """As JSON for a program, or as a table for a person: on a screen it has that width, in a pipe any."""
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        screen = Console()
        console = screen if screen.is_terminal or "COLUMNS" in os.environ else Console(width=tables.UNBOUNDED)
        console.print(view, crop=False)


def _warn_if_too_late(client: VerwijsindexClient, journal: Journal, tell: Tell) -> None:
    """Also of a run that does not get to the end: the next finds a journal that was written just now."""
    if journal.resumes and not journal.finished_at and client.clock() - journal.last_written > REPEATABLE:
        tell(TOO_LATE)


def _stop_at_limit(error: UnreachableError, report: Report, tell: Tell) -> NoReturn:
    """Of a limit of a day, when to come again; raises the error where it is of something else."""
    if not (error.problem and error.problem.slug == "limit-reached" and error.again_at):
        raise error
    tell(f"error: {_WHOSE[error.problem.limit]}: the rows that are not told of above wait")
    tell(_again(max(error.again_at, report.again_at or error.again_at)))
    raise typer.Exit(STOPPED) from None


def _conclude(report: Report, path: Path | None) -> None:
    console = Console()
    if report.refused:
        console.print(report.table())
    console.print(report.counts(), highlight=False)
    if report.refused and path:
        console.print(f"all refused rows: {path}", highlight=False, markup=False)
    if report.waiting:
        told = f"reporters at their limit of a day, and how many rows wait: {report.limited()}"
        console.print(told, highlight=False, soft_wrap=True)


def _again(at: datetime) -> str:
    return f"give the same command again after {tables.in_amsterdam(at)} to send what waits"


@contextmanager
def told() -> Iterator[None]:
    """Errors as one line on standard error, and their exit status."""
    try:
        yield
    except (ConfigError, FileRefused, KeyFileError) as error:
        status, text = UNUSABLE, str(error)
    except ClientError as error:
        status, text = STOPPED, str(error)
    except OSError as error:
        status, text = UNUSABLE, f"{error.filename or 'file'}: {error.strerror}"
    else:
        return
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(status)
