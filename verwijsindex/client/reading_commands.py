# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client signals`, `inbox`, `matches`...: what is a reporter's to read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import RenderableType

from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, AsJson, Config, print_view, told
from verwijsindex.client.config import ClientConfig

Reporter = Annotated[UUID, typer.Option(help="The reporter for whom this is read; it stands in the ledger.")]
app = typer.Typer()


@app.command()
def signals(
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="List only those whose family should have been informed by now.")
    ] = False,
) -> None:
    """List a reporter's own signals that have not ended, and when informing the family is due (R27)."""
    _list(config, as_json, lambda c: c.signals(reporter, overdue=overdue), "Signals", tables.SIGNALS)


@app.command()
def inbox(reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Read a reporter's inbox: what is new, and which command reads it."""
    _list(config, as_json, lambda c: c.notices(reporter), "Notices", tables.NOTICES)


@app.command()
def notice(
    notice_id: Annotated[UUID, typer.Argument(help="As it stands in the inbox.")],
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Read a notice: of a party that withdrew, whom to ask."""
    _show(config, as_json, lambda c: c.notice(reporter, notice_id), tables.notice_view)


@app.command()
def matches(reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the open matches that a reporter is a party of."""
    _list(config, as_json, lambda c: c.matches(reporter), "Open matches", tables.MATCHES)


@app.command()
def match(
    match_id: Annotated[UUID, typer.Argument(help="As it stands in the inbox or in the list of matches.")],
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Read a match: whom to call."""
    _show(config, as_json, lambda c: c.match(reporter, match_id), tables.match_view)


@app.command()
def archived(
    archived_id: Annotated[UUID, typer.Argument(help="As it stands in a notice of kind archive in the inbox.")],
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Read an archived signal: who signalled this youngster before."""
    _show(config, as_json, lambda c: c.archived_signal(reporter, archived_id), tables.archived_view)


def _list(
    config: Path,
    as_json: bool,
    read: Callable[[VerwijsindexClient], Iterable[Json]],
    title: str,
    columns: dict[str, str],
) -> None:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        items = list(read(client))
        print_view(items, as_json, tables.table(title, columns, items))


def _show(
    config: Path,
    as_json: bool,
    read: Callable[[VerwijsindexClient], Json],
    view: Callable[[Json], RenderableType],
) -> None:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        found = read(client)
        print_view(found, as_json, view(found))
