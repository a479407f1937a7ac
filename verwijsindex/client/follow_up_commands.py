# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client follow-up ...`: what a party does with a match, from contact to closed."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from verwijsindex.arguments import day
from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, AsJson, Config, print_view, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ClientError
from verwijsindex.client.follow_up import FollowUp, WhyNot
from verwijsindex.followup.states import Outcome

app = typer.Typer(
    no_args_is_help=True,
    help="Follow up a match: contact, lead, coordination, closing (docs/follow-up.md). Each command shows where it"
    " stands then. Exit status: 0 done; 2 configuration or options cannot be used; 3 it was refused, or a service gave"
    " no answer.",
)
Match = Annotated[UUID, typer.Argument(help="As it stands in the inbox or in the list of matches.")]
Reporter = Annotated[UUID, typer.Option(help="The reporter who does this; it stands in the ledger.")]
_QUIET = (
    "From now on mail that tells of nobody but these parties waits for your digest; the inbox does not, and who is new"
    " is mailed at once.\n"
    "To see them: verwijsindex client mutes list --reporter {reporter}\n"
    "To undo it:  verwijsindex client mutes undo MUTE --reporter {reporter}"
)


@app.command()
def show(match: Match, reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show where it stands, who leads or is asked to, and what can be done now.

    To name another party who leads, the match is read too.
    """
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.read(reporter, match))


@app.command()
def contact(
    match: Match,
    reporter: Reporter,
    on: Annotated[date, typer.Option(parser=day, metavar="YYYY-MM-DD", help="The day of it.")],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write down that the parties had contact.

    Example: verwijsindex client follow-up contact MATCH --reporter REPORTER --on 2026-11-24
    """
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.record_contact(reporter, match, on))


@app.command()
def accept(match: Match, reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Take the lead: as who was asked, or when it is open to every party."""
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.accept_lead(reporter, match))


@app.command()
def decline(
    match: Match,
    reporter: Reporter,
    reason: Annotated[WhyNot, typer.Option(help="Why not; it stands in the ledger and is shown to nobody.")],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Do not lead, as who was asked: another is asked, or every party may."""
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.decline_lead(reporter, match, reason))


@app.command(name="hand-over")
def hand_over(
    match: Match,
    reporter: Reporter,
    to: Annotated[UUID, typer.Option(help="The other party's `contact`, as `client match MATCH` shows it.")],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Ask another party to take over the lead, as who leads."""
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.hand_over_lead(reporter, match, to))


@app.command()
def coordinated(match: Match, reporter: Reporter, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say that help is coordinated; there was contact, and somebody leads."""
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.record_coordination(reporter, match))


@app.command()
def close(
    match: Match,
    reporter: Reporter,
    outcome: Annotated[Outcome, typer.Option(help="already_together can be said from any state, in one go.")],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Close this round of follow-up; somebody who comes into the match later begins another.

    With already_together, mail that tells of nobody but these parties waits for the reporter's digest from then on; the
    inbox never waits. `verwijsindex client mutes` shows with whom that was said, and undoes it.

    Example: verwijsindex client follow-up close MATCH --reporter REPORTER --outcome joint_plan
    """
    _do(reporter, match, config, as_json, lambda follow_up: follow_up.close(reporter, match, outcome))
    if outcome == "already_together" and not as_json:
        typer.echo(_QUIET.format(reporter=reporter))


def _do(reporter: UUID, match: UUID, config: Path, as_json: bool, act: Callable[[FollowUp], Json]) -> None:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        now_is = act(client.follow_up)
        parties = [] if as_json else _parties(client, reporter, match, now_is.get("lead") or {})
        print_view(now_is, as_json, tables.follow_up_view(now_is, parties))


def _parties(client: VerwijsindexClient, reporter: UUID, match: UUID, lead: Json) -> list[Json]:
    """Whom the match shows, where one of them leads or is asked to; none where it cannot be read: what was done is
    done, and the lead is then told by its contact."""
    if lead.get("you") or "contact" not in lead:
        return []
    with suppress(ClientError):
        return list(client.match(reporter, match).get("parties", []))
    return []
