# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer search`: the ledger within the officer's scope, as a table or as JSON (R25)."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import typer

from verwijsindex.auditing.connection import FROM_INPUT, CaFile, Desk, Index, Token
from verwijsindex.client import tables
from verwijsindex.client.authorized import Json
from verwijsindex.client.commands import AsJson, print_view, told

Purpose = Literal["request_of_youngster", "complaint", "incident", "alert", "sample", "periodic_review"]
_PAGE = 200
_WHEN = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]
_SHOWN = {
    "at": "at",
    "kind": "kind",
    "outcome": "outcome",
    "role": "role",
    "who": "who",
    "of": "of",
    "concerns": "concerns",
    "about": "about",
    "place": "place",
}
_ABOUT = ("signalId", "matchId", "noticeId", "archivedSignalId", "recordId", "subscriptionId", "muteId")
app = typer.Typer()


@app.command()
def search(
    purpose: Annotated[Purpose, typer.Option(help="What for; it stands in the ledger with your search.")],
    index: Index,
    token: Token = FROM_INPUT,
    person: Annotated[
        UUID | None, typer.Option(help="Who acted, on whose behalf it was, or whom it concerns: an id.")
    ] = None,
    institution: Annotated[str | None, typer.Option(help="OIN of who acted.")] = None,
    signal: Annotated[UUID | None, typer.Option(help="About this signal.")] = None,
    match: Annotated[UUID | None, typer.Option(help="About this match.")] = None,
    event: Annotated[
        list[UUID] | None,
        typer.Option(help="This event, as `alerts show` names it; repeat it for several, 200 at most."),
    ] = None,
    begin: Annotated[datetime | None, typer.Option("--from", formats=_WHEN, help="The first moment, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_WHEN, help="The moment before which, in UTC.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Of this kind, as docs/ledger.md lists them; repeat it for several.")
    ] = None,
    outcome: Annotated[Literal["success", "refused"] | None, typer.Option(help="How it ended.")] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many events at most; of more the newest.")] = 50,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Search the ledger: who did and saw what, the newest first. Of several criteria all must hold.

    You find what is in your scope: of your institution its own acts and what was done by others that concerns its
    reporters; of a municipality the acts of its people; as the operator's officer all. Ids stand in the place of names.

    Examples:

    What was done with this signal and who looked at it, for a youngster who asks; the match it came into is among it:
    verwijsindex officer search --purpose request_of_youngster --signal 0190... --index https://index.example --token t

    Who looked at that match:
    verwijsindex officer search --purpose request_of_youngster --match 0190... --kind match.read ...

    What was refused in November:
    verwijsindex officer search --purpose periodic_review --outcome refused --from 2026-11-01 --until 2026-12-01 ...
    """
    criteria = {
        "purpose": purpose,
        "person": person and str(person),
        "institution": institution,
        "signalId": signal and str(signal),
        "matchId": match and str(match),
        "eventIds": [str(one) for one in event or []] or None,
        "from": begin and _utc(begin),
        "until": until and _utc(until),
        "kinds": kind or None,
        "outcome": outcome,
    }
    with told(), Desk(index, token, ca_file) as desk:
        found = list(_found(desk, {name: value for name, value in criteria.items() if value is not None}, most))
        view = tables.table("Events", _SHOWN, map(_row, found))
        print_view(found, as_json, view)
    if not as_json and len(found) == most:
        typer.echo(f"There may be older ones: say --most for more than {most}, or bound the search.", err=True)


def _found(desk: Desk, criteria: Json, most: int) -> Iterator[Json]:
    """Events, decoded, with their places; page after page, each of which is a search in the ledger."""
    asked = dict(criteria)
    while most > 0:
        page = desk.post("/ledger-searches", asked | {"limit": min(most, _PAGE)})
        for item in page["items"]:
            yield {"place": item.get("place"), "event": json.loads(base64.b64decode(item["event"]))}
        most -= len(page["items"])
        if "nextCursor" not in page:
            return
        asked["cursor"] = page["nextCursor"]


def _row(found: Json) -> Json:
    event: Json = found["event"]
    actor = event["actor"]
    return event | {
        "role": actor["role"],
        "who": actor.get("person") or actor.get("onBehalfOf") or actor.get("clientId"),
        "of": actor.get("institution") or actor.get("municipality"),
        "concerns": event.get("reporter") or event.get("reporterId") or event.get("municipality"),
        "about": " ".join(f"{name} {event[name]}" for name in _ABOUT if name in event),
        "place": "not sealed yet" if found["place"] is None else str(found["place"]),
    }


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
