# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer alerts ...`: read alerts, say what they were, and close what another officer assessed (R37)."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal
from uuid import UUID, uuid4

import typer

from verwijsindex.auditing.connection import FROM_INPUT, CaFile, Desk, Index, Token
from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.commands import AsJson, print_view, told

Code = Literal["explained", "work_peak", "reported_to_employer", "misuse_found", "system_fault"]
AlertId = Annotated[UUID, typer.Argument(metavar="ALERT", help="Its id, as the list shows it.")]
_PAGE = 200
_SHOWN = {
    "id": "id",
    "kind": "kind",
    "state": "state",
    "day": "day",
    "who": "about",
    "of": "of",
    "count": "count",
    "highestBefore": "highest before",
    "code": "code",
}
app = typer.Typer(
    no_args_is_help=True,
    help="Alerts within your scope: what was far from somebody's own past, and what was withdrawn after it was read.",
)


@app.command("list")
def list_alerts(
    index: Index,
    token: Token = FROM_INPUT,
    state: Annotated[Literal["open", "assessed", "closed"] | None, typer.Option(help="In this state only.")] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most; of more the newest.")] = 50,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """List alerts, the newest first. What is open waits for you; what is assessed, for another officer."""
    asked = {"state": state} if state else {}
    with told(), Desk(index, token, ca_file) as desk:
        found: list[Json] = []
        while len(found) < most:
            page = desk.get("/alerts", asked | {"limit": str(min(most - len(found), _PAGE))})
            found += page["items"]
            if "nextCursor" not in page:
                break
            asked["cursor"] = page["nextCursor"]
        print_view(found, as_json, tables.table("Alerts", _SHOWN, map(_row, found)))


@app.command()
def show(
    alert: AlertId, index: Index, token: Token = FROM_INPUT, ca_file: CaFile = None, as_json: AsJson = False
) -> None:
    """Show an alert, the ids of the events behind it, and the command that shows what those say."""
    with told(), Desk(index, token, ca_file) as desk:
        found = desk.get(f"/alerts/{alert}")
        parts = [
            {"what": name, "is": " ".join(said) if isinstance(said, list) else said} for name, said in found.items()
        ]
        print_view(found, as_json, tables.table("Alert", {"what": "what", "is": "is"}, parts))
    if not as_json:
        for search in _searches(found["eventIds"], index, token):
            typer.echo(f"To look at them: {search}")
        if not found["eventIds"]:
            typer.echo("No event is behind it: the pseudonym service counted. Search by --person or --institution.")


@app.command()
def assess(
    alert: AlertId,
    code: Annotated[Code, typer.Argument(help="What it was.")],
    index: Index,
    token: Token = FROM_INPUT,
    ca_file: CaFile = None,
) -> None:
    """Say what an open alert was, with a code and no text. Another officer whose scope covers it then confirms."""
    _act(f"/alerts/{alert}/assessments", {"code": code}, index, token, ca_file)


@app.command()
def confirm(
    alert: AlertId,
    decision: Annotated[Literal["close", "reopen"], typer.Argument(help="Whether you agree.")],
    index: Index,
    token: Token = FROM_INPUT,
    ca_file: CaFile = None,
) -> None:
    """Close what another officer assessed, or have it looked at anew. Nobody confirms an own assessment."""
    _act(f"/alerts/{alert}/confirmations", {"decision": decision}, index, token, ca_file)


def _act(path: str, body: Json, index: str, token: str, ca_file: CaFile) -> None:
    with told(), Desk(index, token, ca_file) as desk:
        done = desk.post(path, body, {"Idempotency-Key": str(uuid4())})
    typer.echo(f"the alert is {done['state']} now")


def _searches(event_ids: Sequence[str], index: str, token: str) -> Iterator[str]:
    """Commands that show what these events say: one for each page."""
    reached = ["--index", index, *(["--token", token] if token != FROM_INPUT else [])]
    asked = ["verwijsindex", "officer", "search", "--purpose", "alert", "--most", str(_PAGE), *reached]
    for first in range(0, len(event_ids), _PAGE):
        named = [part for one in event_ids[first : first + _PAGE] for part in ("--event", one)]
        yield shlex.join([*asked, *named])


def _row(alert: Json) -> Json:
    return alert | {
        "who": alert.get("person") or alert.get("clientId"),
        "of": alert.get("institution") or alert.get("municipality"),
    }
