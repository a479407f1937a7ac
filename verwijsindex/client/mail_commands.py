# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client mail ...` and `client mutes ...`: when a reporter is mailed, and of whom mail waits (R23)."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, AsJson, Config, print_view, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.mail import Mail

Reporter = Annotated[UUID, typer.Option(help="The reporter whose mail it is; it stands in the ledger.")]
_STATUS = (
    "Exit status: 0 done; 2 configuration or options cannot be used; 3 it was refused, or a service gave no answer."
)
mail = typer.Typer(
    no_args_is_help=True,
    help=f"When a reporter is mailed that the inbox has something new (docs/mail.md). The inbox never waits. {_STATUS}",
)
mutes = typer.Typer(
    no_args_is_help=True,
    help='With whom a reporter said "we already work together", by `client follow-up close --outcome already_together`:'
    f" mail of only them waits for the digest. {_STATUS}",
)


@mail.command(name="show")
def show_mail(reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show when mail is wanted: at once, or as one digest a day."""
    _of_mail(config, as_json, lambda mine: mine.preference(reporter))


@mail.command(name="at-once")
def at_once(reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Be mailed within a minute or so of what is told."""
    _of_mail(config, as_json, lambda mine: mine.choose_at_once(reporter))


@mail.command()
def digest(
    reporter: Reporter,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="In Amsterdam; not from 02:00 to 03:00.")] = "07:00",
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Be mailed once a day, if there is anything new.

    Example: verwijsindex client mail digest --reporter REPORTER --at 16:30
    """
    _of_mail(config, as_json, lambda mine: mine.choose_digest(reporter, at))


@mutes.command(name="list")
def list_mutes(reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List with whom the reporter said to work together already, of those whom an open match shows now."""
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        items = list(client.mail.mutes(reporter))
        shown = [] if as_json else list(_named(items, lambda match: client.match(reporter, match)))
        print_view(items, as_json, tables.table("Working together already", tables.MUTES, shown))


@mutes.command()
def undo(
    mute: Annotated[UUID, typer.Argument(help="As `verwijsindex client mutes list` shows it.")],
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Be mailed of that party as of any other again."""
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        undone = client.mail.undo_mute(reporter, mute)
        print_view(undone, as_json, "undone: mail of that party comes again as of any other")


def _of_mail(config: Path, as_json: bool, do: Callable[[Mail], Json]) -> None:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        wanted = do(client.mail)
        print_view(wanted, as_json, tables.mail_view(wanted))


def _named(mutes: Iterable[Json], read: Callable[[UUID], Json]) -> Iterator[Json]:
    """Each with the name that its match shows at that contact; a match is read once."""
    names: dict[str, dict[str, str]] = {}
    for mute in mutes:
        match = str(mute.get("match"))
        if match not in names:
            names[match] = tables.names_in(read(UUID(match)).get("parties", []))
        yield {**mute, "with": names[match].get(str(mute.get("contact")))}
