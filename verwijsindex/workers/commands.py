# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex upkeep ...`: what workers do by themselves, all at once and with a look at how far it is."""

import time

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine

from verwijsindex.database import engine, transaction
from verwijsindex.matching.looking import Looked
from verwijsindex.matching.service import LOCK_WAITED_FOR, Done, match_waiting
from verwijsindex.matching.sweeping import due, sweep_ends
from verwijsindex.pseudonyms.factors import KeyMissingError
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import WorkerSettings, utc_now
from verwijsindex.signals.tombstones import Tombstones

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Do at once what workers do by themselves.",
)


@app.callback()
def _upkeep() -> None:
    """One group, however many commands."""


@app.command("ends")
def ends() -> None:
    """Archive or destroy every signal that has ended, and destroy what the archive kept long enough (R14 to R16).

    Workers do this by themselves, a few thousand each sweep; no reader sees an ended signal meanwhile. For after a
    long stop, or a restore. Run it with the settings of a worker, while everything serves; it matches what waits in
    between. Cut short, or killed, it goes on where it was when it is run again.

    Exit status: 0 nothing is left; 1 something is, and how much.
    """
    settings = WorkerSettings()
    pool = engine(settings.worker_database_url, pool_size=1)
    keys, tombstones = IndexKeys.load(settings.keys), Tombstones(settings.tombstones)
    with transaction(pool) as connection:
        total = due(connection, utc_now())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    looked, more = Looked(), True
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("ended", total=total)
            while more:
                matched = _match(pool, keys, tombstones)
                now, began = utc_now(), time.monotonic()
                swept = sweep_ends(pool, now, now, keys=keys, bury=tombstones.bury, lock=LOCK_WAITED_FOR)
                looked, more = looked + matched.looked + swept.looked, swept.more
                progress.advance(bar, swept.looked.archived + swept.looked.destroyed)
                if matched.taken:  # signals come in: let them, and other matchers, go first for a while
                    time.sleep((time.monotonic() - began) / 2)
            more = True
            while more:
                matched = _match(pool, keys, tombstones)
                looked, more = looked + matched.looked, matched.more
    except KeyMissingError as error:
        typer.echo(f"error: {error.args[0]}", err=True)
        raise typer.Exit(1) from None
    with transaction(pool) as connection:
        left = due(connection, utc_now())
    typer.echo(f"{looked.archived} signals archived, {looked.destroyed} destroyed, {looked.notices} notices placed")
    if left:
        typer.echo(f"error: {left} are left: what is logged above says why (docs/logs.md)", err=True)
        raise typer.Exit(1)


def _match(pool: Engine, keys: IndexKeys, tombstones: Tombstones) -> Done:
    """One batch of work, since who rang while this held the lock went away."""
    now = utc_now()
    return match_waiting(pool, now, now, keys=keys, bury=tombstones.bury)
