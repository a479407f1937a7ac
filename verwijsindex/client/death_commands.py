# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client death`: a municipality tells who died. No BSN on the command line, where `ps` shows it (I5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, Config, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ConfigError
from verwijsindex.pseudonyms.bsn import Bsn, BsnError

app = typer.Typer()
MOST_FAULTS = 20  # lines of a file that are named


@app.command()
def death(
    file: Annotated[Path | None, typer.Argument(help="A BSN on each line; asked for when left out.")] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Tell that a youngster died, as a municipality: what the index holds of them ends at once and is destroyed.

    The BSN is asked for twice, unseen, or read from FILE; every line is checked (11-test) before anything is told.
    Tell of whomever you register as deceased under 23: the answer never says whether anything was known. It cannot
    be undone, and bars no later signal. A command that was cut off is given again: a death may be told any number of
    times.

    Exit status: 0 all were told; 2 the file, the number or the configuration cannot be used, and nothing was told;
    3 a service gave no answer or refused: give the same command again.

    Example: verwijsindex client death deceased.txt
    """
    with told():
        bsns = list(_of_file(file)) if file else [_asked()]
        with VerwijsindexClient(ClientConfig.load(config)) as client:
            console, done = Console(stderr=True), 0
            try:
                for bsn in track(bsns, "telling", console=console, disable=not console.is_terminal or len(bsns) < 2):
                    client.tell_death(bsn)
                    done += 1
            finally:
                typer.echo(f"told {done} of {len(bsns)}")


def _asked() -> Bsn:
    try:
        return Bsn.parse(typer.prompt("BSN", hide_input=True, confirmation_prompt="The same again"))
    except BsnError as error:
        raise ConfigError(f"{error}; nothing was told") from None


def _of_file(file: Path) -> Iterator[Bsn]:
    """The BSNs of the lines that are not empty. Raises ConfigError with the numbers of the lines that hold none."""
    faults = []
    if not file.is_file():  # not named: it may be a BSN that was given in its place
        raise ConfigError("FILE is not a file; a BSN is asked for, and never given on the command line")
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no text in UTF-8; nothing was told") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Bsn.parse(line)
        except BsnError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        rest = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise ConfigError(f"{'; '.join(faults[:MOST_FAULTS])}{rest}; nothing was told")
