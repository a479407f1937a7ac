# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client withdraw`, `informing` and `move`: what is done with a signal that is placed."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from verwijsindex.arguments import day
from verwijsindex.client.acts import Acts, Ground, Reason
from verwijsindex.client.authorized import Json
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.commands import DEFAULT_CONFIG, AsJson, Config, told
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.draft import faults_of_municipality
from verwijsindex.client.errors import ConfigError
from verwijsindex.signals.informing import AgeGroup

app = typer.Typer()
Signal = Annotated[UUID, typer.Argument(help="The signal, as `verwijsindex client signals` shows it.")]
Reporter = Annotated[UUID, typer.Option(help="The reporter who does this; it stands in the ledger.")]
Day = typer.Option(parser=day, metavar="YYYY-MM-DD")
_BECOMES: dict[Reason, str] = {
    "unjustified": "As unjustified it is destroyed.",
    "risk_gone": "Since the risk is gone it is archived, for five years at most.",
}


@app.command()
def withdraw(
    signal: Signal,
    reporter: Reporter,
    reason: Annotated[Reason, typer.Option(help="unjustified destroys it, risk_gone archives it for five years.")],
    config: Config = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a signal, at once and for good.

    Who was told of a match with it is told once that a party withdrew. To go on later, make a new signal.

    Exit status: 0 withdrawn; 1 not confirmed; 2 configuration or options cannot be used; 3 it was refused, or a service
    gave no answer: look with `client signals` whether it is there still.

    Example: verwijsindex client withdraw SIGNAL --reporter REPORTER --reason risk_gone
    """
    if not yes:
        try:
            typer.confirm(f"Withdraw signal {signal} for good? {_BECOMES[reason]}", abort=True)
        except typer.Abort:
            typer.echo("nothing was done; where nobody can be asked say --yes", err=True)
            raise typer.Exit(1) from None
    _do(config, as_json, lambda acts: acts.withdraw(reporter, signal, reason), "withdrawn")


@app.command()
def informing(
    signal: Signal,
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    on: Annotated[date | None, Day] = None,
    age_group: Annotated[AgeGroup | None, typer.Option(help="Of the youngster on that day; it is not kept.")] = None,
    postponed: Annotated[Ground | None, typer.Option(help="On which ground informing is postponed.")] = None,
    review_date: Annotated[date | None, Day] = None,
    as_json: AsJson = False,
) -> None:
    """Write down that the family was informed, or that it is postponed (anew).

    Informed is --on with --age-group: under 12 the representative was informed, from 16 the youngster, between them
    both. Postponed is --postponed with --review-date. Informed stays informed.

    Exit status: 0 recorded; 2 configuration or options cannot be used; 3 it was refused, or a service gave no answer.

    Example: verwijsindex client informing SIGNAL --reporter REPORTER --on 2026-11-22 --age-group 12_to_15
    """

    def record(acts: Acts) -> Json:
        if on and age_group and not postponed and not review_date:
            return acts.record_informed(reporter, signal, on, age_group)
        if postponed and review_date and not on and not age_group:
            return acts.record_postponed(reporter, signal, postponed, review_date)
        raise ConfigError("name either --on with --age-group, or --postponed with --review-date")

    _do(config, as_json, record, "recorded")


@app.command()
def move(
    signal: Signal,
    municipality: Annotated[str, typer.Argument(help="CBS code, four digits, of where the youngster lives now.")],
    reporter: Reporter,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Tell that the youngster of a signal moved to another municipality.

    It counts for all signals of the youngster: their reporters are told, and the case supervisors there take over.

    Exit status: 0 told; 2 configuration or options cannot be used; 3 it was refused, or a service gave no answer.

    Example: verwijsindex client move SIGNAL 0505 --reporter REPORTER
    """
    if faults_of_municipality(municipality):
        raise typer.BadParameter("write the CBS code with four digits, zeros in front too, such as 0505")
    _do(config, as_json, lambda acts: acts.tell_move(reporter, signal, municipality), "told")


def _do(config: Path, as_json: bool, act: Callable[[Acts], Json], done: str) -> None:
    with told(), VerwijsindexClient(ClientConfig.load(config)) as client:
        answer = act(client.acts)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        typer.echo(done)
