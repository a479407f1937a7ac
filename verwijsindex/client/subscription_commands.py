# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client subscription ...`: the client's own webhook subscription."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from verwijsindex.arguments import moment
from verwijsindex.client import tables
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, AsJson, Config, print_view, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ConfigError
from verwijsindex.client.subscriptions import Subscriptions

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Be told by webhook that an inbox of the institution has something new. A client has one subscription.",
)
Address = Annotated[str, typer.Argument(help="Where the receiver listens: https://host/path.")]
SHOWN = {
    "address": "address",
    "state": "state",
    "waiting": "waiting",
    "deadLetters": "dead letters",
    "goneAt": "receiver gone at",
    "createdAt": "created at",
    "restsUntil": "receiver rests until",
    "challengeEndsAt": "challenge ends at",
    "previousSecretEndsAt": "old secret ends at",
}
ATTEMPTS = {
    "at": "at",
    "about": "about",
    "delivery": "webhook-id",
    "outcome": "outcome",
    "durationMs": "ms",
    "nextTryAt": "next try at",
}
KEEP = (
    "Keep the secret as a password; it is not shown again. Give it to your receiver, which must answer the challenge."
)


@app.command()
def create(address: Address, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Subscribe: prints the secret, this one time.

    The receiver at ADDRESS must know the secret and answer the challenge that comes at once; see
    examples/webhook_receiver.py and docs/protocol.md. `show` tells whether it did: the state is then active.

    Example: verwijsindex client subscription create https://case-system.example/verwijsindex
    """
    with _subscriptions(config) as mine:
        made = mine.create(address)
        _show(made, as_json)
        if not as_json:
            typer.echo(f"secret: {made['secret']}\n{KEEP}")


@app.command()
def show(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show the subscription: its state, and how much waits."""
    with _subscriptions(config) as mine:
        items = mine.every()
        print_view(items, as_json, tables.table("Webhook subscription", SHOWN, items))


@app.command()
def pause(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Have nothing delivered until `resume`; what comes meanwhile waits, and nothing is lost."""
    with _subscriptions(config) as mine:
        _show(mine.pause(_own(mine)), as_json)


@app.command()
def resume(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Go on after `pause`, with what waits first."""
    with _subscriptions(config) as mine:
        _show(mine.resume(_own(mine)), as_json)


@app.command()
def move(address: Address, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Deliver to another ADDRESS, once its receiver has answered the challenge."""
    with _subscriptions(config) as mine:
        _show(mine.move(_own(mine), address), as_json)


@app.command()
def challenge(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Ask for the challenge anew: the receiver could not answer it, and can now."""
    with _subscriptions(config) as mine:
        _show(mine.challenge(_own(mine)), as_json)


@app.command()
def rotate(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Make a new secret: prints it, this one time. The old one signs too for a while, so that nothing is missed."""
    with _subscriptions(config) as mine:
        made = mine.rotate(_own(mine))
        _show(made, as_json)
        if not as_json:
            typer.echo(f"secret: {made['secret']}\n{KEEP.partition(';')[0]}; it is not shown again.")


@app.command()
def attempts(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    last: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """Show what became of each try to reach the receiver, newest first; kept for 30 days."""
    with _subscriptions(config) as mine:
        tries = mine.attempts(_own(mine))
        items = [one for one, _ in zip(tries, range(last), strict=False)]
        print_view(items, as_json, tables.table("Attempts", ATTEMPTS, items))


@app.command()
def replay(
    config: Config = DEFAULT_CONFIG,
    delivery: Annotated[UUID | None, typer.Option(help="Only this one: its webhook-id.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="YYYY-MM-DDTHH:MM:SSZ",
            help="All taken since this moment (UTC), what waits, and dead letters.",
        ),
    ] = None,
) -> None:
    """Have webhooks sent again, with the ids they had: a receiver drops what it has seen.

    Example: verwijsindex client subscription replay --since 2026-11-22T00:00:00Z
    """
    with _subscriptions(config) as mine:
        if (delivery is None) == (since is None):
            raise ConfigError("name either --delivery or --since")
        typer.echo(f"{mine.replay(_own(mine), delivery=delivery, since=since)} go out again")


@app.command()
def delete(
    config: Config = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End the subscription: what waits is not delivered any more; every notice stays in its inbox."""
    with _subscriptions(config) as mine:
        found = _own(mine)
        if not yes:
            typer.confirm("End the subscription, with what waits for its receiver?", abort=True)
        typer.echo(f"ended; {mine.delete(found)} deliveries are gone, the inboxes keep every notice")


@contextmanager
def _subscriptions(config: Any) -> Iterator[Subscriptions]:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        yield client.subscriptions


def _own(mine: Subscriptions) -> UUID:
    for one in mine.every():
        return UUID(one["id"])
    raise ConfigError("this client has no subscription: make one with `client subscription create ADDRESS`")


def _show(one: dict[str, Any], as_json: bool) -> None:
    print_view(one, as_json, tables.table("Webhook subscription", SHOWN, [one]))
