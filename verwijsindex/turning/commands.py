# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex index-key ...`: turns the key of the index while everything serves (R16)."""

import getpass
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from verwijsindex.database import LOCK_NOT_AVAILABLE, engine, sqlstate, transaction
from verwijsindex.keyfiles import read_public_key
from verwijsindex.ledger.events import Actor
from verwijsindex.pseudonyms.factors import Factor, KeyMissingError
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, load_key_list
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import Settings, utc_now
from verwijsindex.signals.known_requests import KEPT
from verwijsindex.turning import destroying, service
from verwijsindex.turning.versions import HEARD_WITHIN, versions

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turn the index key: see which versions are in use, and seal everything with the next one.",
)
Done = TypeVar("Done")
_HEARD = 2 * HEARD_WITHIN.total_seconds()


class TurnSettings(Settings):
    """The owner's address, the folder with every version of the key, and the list that the index serves."""

    owner_database_url: SecretStr
    keys: Path
    key_list: Path | None = None
    key_list_signer: Path | None = None


@app.command("status")
def status() -> None:
    """Say which versions are in use, and how much is still sealed with an older one."""
    settings = TurnSettings()
    keys, pool = IndexKeys.load(settings.keys), engine(settings.owner_database_url, pool_size=1)
    with transaction(pool) as connection:
        found = versions(connection)
        sealing = next(version for version, state in found.items() if state == "sealing")
        left = service.left(connection, sealing)
        needed = service.needed_for(connection)
        as_sent = service.keeps_keys_as_sent(connection)
    for version, state in found.items():
        of = f", for version {keys[version].pseudonym_version} of the pseudonym key" if version in keys else ""
        typer.echo(f"version {version}: {state}{of}")
    for table, count in left.items():
        typer.echo(f"{table}: {count} rows to be sealed with version {sealing}")
    for version in sorted(needed.keys() - found.keys()):
        typer.echo(f"version {version}: repeats of requests are found with it until {needed[version] + KEPT:%F %R}")
    if as_sent:
        typer.echo("idempotency keys are stored as they are sent, until the next `index-key turn`")


@app.command("turn")
def turn(
    yes: Annotated[bool, typer.Option("--yes", help="Every process has the new file already; do not ask.")] = False,
    heard: Annotated[
        float, typer.Option(help="Seconds until every process has heard which version seals.", min=0)
    ] = _HEARD,
) -> None:
    """Seal everything with the newest version in the folder, while everything serves.

    First `verwijsindex keys index FOLDER`, give the new file to every index, worker, deliverer and clock, and restart
    them one by one; then this. Cut short, or killed, it goes on where it was when it is run again. Matching waits a
    few milliseconds at a time.
    """
    settings = TurnSettings()
    keys, pool = IndexKeys.load(settings.keys), engine(settings.owner_database_url, pool_size=1)
    actor = Actor(role="administrator", person=getpass.getuser())
    try:
        target = _activate(pool, keys, actor, yes)
        if target is None:
            return
        time.sleep(heard)
        with transaction(pool) as connection:
            service.end_older(connection)
        _as_soon_as_it_can(pool, service.barrier)
        _reseal_all(pool, keys, target)
        dropped = _as_soon_as_it_can(pool, lambda connection: service.drop_ended(connection, actor, utc_now()))
    except (service.TurnError, KeyMissingError) as error:
        typer.echo(f"error: {error.args[0]}", err=True)
        raise typer.Exit(1) from None
    for version in dropped:
        typer.echo(
            f"nothing is sealed with version {version} any more. When `index-key status` names it no more, in some "
            f"{KEPT.days} days, take its file from every process: sooner, a repeat would be a second signal. When no "
            "backup of its time is left (35 days), destroy all copies and state it with"
            f" `verwijsindex index-key destroy {version}`"
        )


@app.command("destroy")
def destroy(
    version: Annotated[int, typer.Argument(help="A version that nothing is sealed with any more.", min=1)],
    yes: Annotated[bool, typer.Option("--yes", help="Every copy is destroyed already; do not ask.")] = False,
) -> None:
    """Delete a version's file in the folder, and state in the ledger that it is destroyed; likewise each factor of the
    pseudonym key that nobody needs any more.

    A factor is needed while the list accepts its older version of the pseudonym key, and while another index key in
    the folder is for that. Where there is a factor, set VERWIJSINDEX_KEY_LIST and VERWIJSINDEX_KEY_LIST_SIGNER.
    """
    settings, now = TurnSettings(), utc_now()
    keys, pool = IndexKeys.load(settings.keys), engine(settings.owner_database_url, pool_size=1)
    actor = Actor(role="administrator", person=getpass.getuser())
    try:
        if not os.access(settings.keys, os.W_OK):
            raise service.TurnError(f"nothing was changed: {settings.keys} cannot be written to")
        factors = destroying.unneeded(keys, version, _key_list(settings), now) if keys.factors.known else []
        with transaction(pool) as connection:
            destroying.check_unused(connection, version)
            needed = service.needed_for(connection).get(version)
            if needed and needed + KEPT > now:
                typer.echo(
                    f"until {needed + KEPT:%F %R} repeats of requests are found with version {version}: without it one"
                    " becomes a second signal"
                )
            if not yes and not typer.confirm(_question(version, factors)):
                raise service.TurnError("nothing was changed; what it sealed can be read from any copy")
            destroying.state(connection, version, factors, actor, now)
        # Only now: cut short before, it could not be said again of a factor that is gone. After, it is said twice.
        for name in (f"index-{version}.key", *(one.file_name for one in factors)):
            (settings.keys / name).unlink(missing_ok=True)
            typer.echo(f"{settings.keys / name}: destroyed, and the ledger says so")
    except (service.TurnError, KeyListError) as error:
        typer.echo(f"error: {error.args[0]}", err=True)
        raise typer.Exit(1) from None


def _key_list(settings: TurnSettings) -> KeyList:
    if settings.key_list is None or settings.key_list_signer is None:
        raise KeyListError("set VERWIJSINDEX_KEY_LIST and VERWIJSINDEX_KEY_LIST_SIGNER: the list says what is needed")
    return load_key_list(settings.key_list, read_public_key(settings.key_list_signer))[1]


def _question(version: int, factors: Sequence[Factor]) -> str:
    question = f"Is every copy of index-{version}.key destroyed, at each process and in each safe"
    for one in factors:
        question += (
            f", and of {one.file_name}, and did the operator of the pseudonym service declare the same of"
            f" pseudonym-{one.old}.key"
        )
    return question + "?"


def _as_soon_as_it_can(pool: Engine, step: Callable[[Connection], Done]) -> Done:
    """Take a step that waits for others only shortly; after a second again."""
    while True:
        try:
            with transaction(pool) as connection:
                return step(connection)
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
        time.sleep(1)


def _activate(pool: Engine, keys: IndexKeys, actor: Actor, yes: bool) -> int | None:
    """The version to seal with: the newest in the folder, which seals from now on. None: there is nothing to do."""
    newest = max(keys)
    with transaction(pool) as connection:
        found = versions(connection)
    for version in found:
        _ = keys[version]  # raises where the folder lacks one that is in use
    if found == {newest: "sealing"}:
        typer.echo(f"everything is sealed with version {newest}; `verwijsindex keys index FOLDER` makes the next")
        return None
    if newest not in found:
        question = f"Has every index, worker, deliverer and clock been restarted with index-{newest}.key in its folder?"
        if not yes and not typer.confirm(question):
            raise service.TurnError("nothing was changed; give each the file first: a process without it cannot go on")
        with transaction(pool) as connection:
            service.activate(connection, keys, newest, actor, utc_now())
    return newest


def _reseal_all(pool: Engine, keys: IndexKeys, target: int) -> None:
    """Batch after batch, with as long a pause after each as it took: the matcher tries its lock and does not wait."""
    with transaction(pool) as connection:
        total = service.left(connection, target)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for table in service.TABLES:
            bar = progress.add_task(table, total=total[table])
            _reseal(pool, keys, table, target, partial(progress.advance, bar))


def _reseal(pool: Engine, keys: IndexKeys, table: service.Table, target: int, advance: Callable[[int], None]) -> None:
    after, unopened = service.FIRST, 0
    while True:
        began = time.monotonic()
        with transaction(pool) as connection:
            done = service.reseal(connection, keys, table, target, after)
        advance(done.sealed)
        unopened += done.unopened
        if done.after is None:
            break
        after = done.after
        time.sleep(time.monotonic() - began)
    if unopened:
        raise service.TurnError(
            f"{unopened} rows of {table} do not open under the version that they name: they were changed, or it is "
            "another key. All others are sealed again; the old version stays in use"
        )
