# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex ledger ...`: what an auditor needs. `verify` works where nothing of the server is installed."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, VerifierKey, read_notes, read_verifier_keys
from verwijsindex.ledger.sampling import Choice, Month, Scope, sample
from verwijsindex.ledger.verification import Verdict, verify

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Write the ledger to a file, and verify such a file without a database and without a network.",
)
PublicKey = Annotated[
    Path, typer.Option("--public-key", help="File with the ledger's verifier key, one on a line (`keys verifier`).")
]


def _bar() -> Progress:
    """Of events; for a person at a screen only."""
    console = Console(stderr=True)
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*parts, console=console, disable=not console.is_terminal)


@app.command("export")
def export_ledger(
    file: Annotated[Path, typer.Argument(help="New file; it names who did what: on an encrypted disk.")],
    public: Annotated[
        bool, typer.Option("--public", help="Leaves and checkpoints alone: may be handed to anyone.")
    ] = False,
) -> None:
    """Write the ledger to a new file (mode 0600), for `verwijsindex ledger verify`.

    With the owner's address (VERWIJSINDEX_OWNER_DATABASE_URL). That it was exported is an event, written first.

    Example: verwijsindex ledger export 2026.ledger
    """
    from verwijsindex.ledger.export_command import write  # noqa: PLC0415 (needs the server's packages)

    with _bar() as progress:
        task = progress.add_task("events", total=None)
        try:
            count = write(
                file, getpass.getuser(), public=public, step=lambda n, of: progress.update(task, completed=n, total=of)
            )
        except (LedgerError, OSError) as error:
            progress.stop()
            sys.exit(f"not exported: {error}")
    typer.echo(f"{file}: {count} events{', without their bodies' if public else ''}")
    typer.echo(f"next: verwijsindex ledger verify {file} --checkpoint FILE --public-key FILE")


@app.command("verify")
def verify_file(
    file: Annotated[Path, typer.Argument(help="What `ledger export` wrote.")],
    checkpoint: Annotated[
        list[Path], typer.Option(help="File with checkpoints that were kept outside, one or many; may be repeated.")
    ],
    public_key: PublicKey,
) -> None:
    """Verify an export: that it is what was sealed, up to each checkpoint that you kept.

    No database, no network. Says of each event that is wrong its place; where all hashes were made anew, between which
    of your checkpoints it lies: the more of them you kept, the closer. Exit status 1 if anything is wrong.

    Example: verwijsindex ledger verify 2026.ledger --checkpoint kept.checkpoints --public-key ledger.vkey
    """
    try:
        keys = read_verifier_keys(public_key.read_text("utf-8"))
        kept = read_checkpoints(checkpoint, keys)
        with file.open("rb") as opened, _bar() as progress:
            task = progress.add_task("events", total=max(one.size for one in kept))
            verdict = verify(
                opened, kept, keys, lambda count: progress.update(task, completed=count), now=datetime.now(UTC)
            )
    except LedgerError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except UnicodeDecodeError:
        sys.exit("a file of keys or checkpoints is not UTF-8 text: is it another file?")
    tell(verdict, kept)
    raise typer.Exit(1 if verdict.count else 0)


@app.command("sample")
def sample_file(
    file: Annotated[Path, typer.Argument(help="What `ledger export` wrote, whole.")],
    month: Annotated[str, typer.Option(help="Whose accesses were sampled, as 2026-11; in Amsterdam.")],
    checkpoint: Annotated[
        list[Path], typer.Option(help="File with the checkpoint that fixes the sample: the desk gives it.")
    ],
    public_key: PublicKey,
    institution: Annotated[str | None, typer.Option(metavar="OIN", help="Accesses of this institution only.")] = None,
    municipality: Annotated[str | None, typer.Option(metavar="CODE", help="Of this municipality only.")] = None,
) -> None:
    """Compute which accesses of a month chance chose for the privacy officer, and verify the export on the way.

    No database, no network. A line for each, in the order of the sample: its place, a tab, the event. Compare it with
    what the officer signed off; who acted in the month could not know it (docs/ledger.md says how it is computed).

    Example: verwijsindex ledger sample 2026.ledger --month 2026-11 --checkpoint november.checkpoint
    --public-key ledger.vkey --municipality 1701
    """
    if institution and municipality:
        sys.exit("name an institution or a municipality, or neither for the whole index")
    try:
        asked = Month.parse(month)
        keys = read_verifier_keys(public_key.read_text("utf-8"))
        kept = read_checkpoints(checkpoint, keys)
        with file.open("rb") as opened, _bar() as progress:
            task = progress.add_task("events", total=max(one.size for one in kept))
            scope = Scope(oin=institution, municipality=municipality)
            fixed_by, choice = sample(
                *(opened, kept, keys, asked, scope),
                lambda count: progress.update(task, completed=count),
                now=datetime.now(UTC),
            )
    except UnicodeDecodeError:
        sys.exit("a file of keys or checkpoints is not UTF-8 text: is it another file?")
    except (LedgerError, ValueError) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    _tell_sample(asked, fixed_by, choice)


def _tell_sample(month: Month, fixed_by: Checkpoint, choice: Choice) -> None:
    """The sample on standard output, and on standard error what fixes it."""
    chosen = choice.chosen()
    for one in chosen:
        typer.echo(f"{one.place}\t{one.event.decode()}")
    typer.echo(
        f"{len(chosen)} of {choice.accesses} accesses of {month}, fixed by the checkpoint of {fixed_by.at:%F %T} UTC"
        f" with {fixed_by.size} events",
        err=True,
    )


def read_checkpoints(files: list[Path], keys: list[VerifierKey]) -> list[Checkpoint]:
    """All that stand in these files. Raises LedgerError, also where there is none."""
    found = [Checkpoint.open(note, keys) for one in files for note in read_notes(one.read_text("utf-8"))]
    if not found:
        raise LedgerError("there is no checkpoint in it: without one that was kept outside nothing is proved")
    return found


def tell(verdict: Verdict, kept: list[Checkpoint]) -> None:
    """Print what came of it."""
    for finding in verdict.findings:
        typer.echo(str(finding))
    if verdict.count > len(verdict.findings):
        typer.echo(f"and {verdict.count - len(verdict.findings)} more")
    bodies = "" if verdict.whole else ", without their bodies"
    dropped = f", of which the first {verdict.dropped} were dropped after five years" if verdict.dropped else ""
    typer.echo(f"{verdict.size} events{bodies}{dropped}")
    agreed = [one for one in verdict.agrees if one in kept]
    typer.echo(
        f"{len(agreed)} of {len(kept)} kept checkpoints agree"
        + (f", up to event {agreed[-1].size - 1}" if agreed else "")
    )
    typer.echo(
        f"WRONG: {verdict.count} finding{'s' if verdict.count > 1 else ''}" if verdict.count else "as it was sealed"
    )
