# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer sample ...`: read the monthly sample, and say what was found (R25, R28)."""

import base64
import json
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import typer

from verwijsindex.auditing.connection import FROM_INPUT, CaFile, Desk, Index, Token
from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.commands import AsJson, print_view, told

Month = Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11, in Amsterdam.")]
_SHOWN = {"event": "event", "at": "at", "kind": "kind", "who": "by", "about": "about", "finding": "finding"}
app = typer.Typer(
    no_args_is_help=True,
    help="The accesses of a month that chance chose for you to look at, and what you found of each.",
)


@app.command()
def show(
    month: Month,
    index: Index,
    token: Token = FROM_INPUT,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the note that fixes the sample to this file.")
    ] = None,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the sample of a month, with what was found so far. Keep the checkpoint, and hand it to who checks you.

    `verwijsindex ledger sample` computes the same list from an export.
    """
    with told(), Desk(index, token, ca_file) as desk:
        found = desk.get(f"/samples/{month}")
        if checkpoint:
            checkpoint.write_text(found["checkpoint"], encoding="utf-8")
        title = f"Sample of {month}: {len(found['items'])} of {found['accesses']} accesses"
        print_view(found, as_json, tables.table(title, _SHOWN, map(_row, found["items"])))


@app.command()
def sign(
    month: Month,
    finding: Annotated[Literal["as_expected", "asked_the_person", "not_explained"], typer.Argument()],
    events: Annotated[list[UUID], typer.Argument(metavar="EVENT...", help="Ids of events, as `show` shows them.")],
    index: Index,
    token: Token = FROM_INPUT,
    ca_file: CaFile = None,
) -> None:
    """Say of accesses in the sample what you found. Each is signed off once, and never by who had the access."""
    signed = [{"eventId": str(event), "finding": finding} for event in events]
    with told(), Desk(index, token, ca_file) as desk:
        done = desk.post(f"/samples/{month}/sign-offs", {"signOffs": signed}, {"Idempotency-Key": str(uuid4())})
    typer.echo(f"{done['signedOff']} signed off; {done['open']} of the sample are open")


def _row(item: Json) -> Json:
    event = json.loads(base64.b64decode(item["event"]))
    actor = event["actor"]
    finding = item.get("signedOff", {}).get("finding")
    return {
        "event": event["id"],
        "at": event["at"],
        "kind": event["kind"],
        "who": actor.get("onBehalfOf") or actor.get("person") or actor.get("clientId"),
        "about": event.get("matchId") or event.get("signalId"),
        "finding": finding or ("yours: another officer signs it off" if item["own"] else "open"),
    }
