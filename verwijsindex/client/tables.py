# SPDX-License-Identifier: EUPL-1.2
"""What the client's commands show of what they read.

An id, a telephone number and an address are there to be copied: they are never broken over two lines, however narrow
the screen.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from verwijsindex.signals.dates import AMSTERDAM

Json = dict[str, Any]
UNBOUNDED = 10_000
"""Columns of what is no screen: a table is as wide as it is."""

SIGNALS = {
    "id": "signal",
    "caseReference": "case reference",
    "madeAt": "made at",
    "removalDate": "ends on",
    "residenceMunicipality": "residence",
    "informing": "informing",
}
NOTICES = {"placedAt": "placed at", "kind": "kind", "readBy": "read it by verwijsindex client"}
MATCHES = {"id": "match", "openedAt": "opened at", "kind": "kind"}
CONTACTS = {
    "concerns": "concerns",
    "name": "name",
    "position": "position",
    "institution": "institution",
    "telephone": "telephone",
    "email": "e-mail",
}
_TO_ASK = {name: heading for name, heading in CONTACTS.items() if name != "concerns"}
_BESIDE = {name: heading for name, heading in _TO_ASK.items() if name != "position"}
POINTS = {
    "municipality": "municipality",
    "kind": "kind",
    "name": "name",
    "telephone": "telephone",
    "email": "e-mail",
}
NUMBERS = {"name": "name", "telephone": "telephone"}
MUTES = {"with": "with", "mutedAt": "said at", "match": "match", "id": "mute"}
_COPIED = {"id", "match", "contact", "caseReference", "readBy", "telephone", "email", "address", "delivery"}


class _Fitting:
    """A table, where the screen is wide enough for what is copied from it; else a list of the same, a line each."""

    def __init__(self, table: Table, items: list[list[tuple[str, Text]]]) -> None:
        self._table = table
        self._items = items

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(max_width=UNBOUNDED)
        if Measurement.get(console, unbounded, self._table).minimum <= options.max_width:
            yield self._table
            return
        yield Text(str(self._table.title), style="table.title")
        width = max(len(heading) for item in self._items for heading, _ in item)
        for item in self._items:
            for heading, value in item:
                if value:
                    yield Text.assemble(f"{heading:{width}}  ", value, no_wrap=True, overflow="ignore")
            yield Text("")


def table(title: str, columns: dict[str, str], items: Iterable[Json]) -> RenderableType:
    """A table of these fields of the items, under these headings; moments as Amsterdam's clock shows them. To be
    printed without cropping."""
    rows = [[Text(_shown(name, item)) for name in columns] for item in items]
    if not rows:
        return Text(f"{title}: none")
    made = Table(title=title, title_justify="default")
    for place, (name, heading) in enumerate(columns.items()):
        whole = name in _COPIED or not any(" " in row[place].plain for row in rows)
        longest = max(row[place].cell_len for row in rows)
        made.add_column(heading, overflow="fold", no_wrap=whole, min_width=longest if whole else None)
    for row in rows:
        made.add_row(*row)
    return _Fitting(made, [list(zip(columns.values(), row, strict=True)) for row in rows])


def match_view(match: Json) -> RenderableType:
    """A match: whom to call, under which own reference, who else helps (R12), and where the follow-up stands (R21)."""
    parties = match.get("parties", [])
    follow_up = match.get("followUp")
    references = ", ".join(match.get("ownCaseReferences", [])) or "none"
    return Group(
        Text(f"Match {_printable(match.get('id'))}", no_wrap=True, overflow="ignore"),
        Text(f"Your own case reference: {_printable(references)}"),
        table("Call", CONTACTS | {"contact": "contact"}, to_call(parties)),
        table("Their coordinators", _BESIDE, _beside(parties)),
        *([Text("Follow-up"), follow_up_view(follow_up, parties)] if follow_up else []),
        table("In the municipality", POINTS, match.get("contactPoints", [])),
        table("A child in danger now", NUMBERS, match.get("inDangerNow", [])),
    )


def follow_up_view(now_is: Json, parties: Iterable[Json] = ()) -> RenderableType:
    """Where the follow-up of a match stands, with the name of who leads if it is one of these parties (R21, R22)."""
    lines = {name: _printable(now_is.get(field)) for name, field in _FOLLOW_UP.items()}
    lines["lead"] = _printable(_lead(now_is.get("lead") or {}, parties))
    lines["possible now"] = _printable(", ".join(now_is.get("possible", [])) or "nothing")
    width = max(map(len, lines))
    return Group(*(Text(f"{name:{width}}  {value}", overflow="fold") for name, value in lines.items() if value))


_FOLLOW_UP = {
    "round": "round",
    "state": "state",
    "contact due on": "contactDueOn",
    "contacted on": "contactedOn",
    "coordination due on": "coordinationDueOn",
    "outcome": "outcome",
}


def _lead(lead: Json, parties: Iterable[Json]) -> str:
    if not lead:
        return "nobody"
    contact = lead.get("contact")
    if lead.get("you"):
        who = "you"
    else:
        who = names_in(parties).get(contact) or f"contact {contact}" if contact else "any party may take it"
    due = f"; answer by {lead['answerDueOn']}" if lead.get("answerDueOn") else ""
    return f"{lead.get('state')}: {who} ({str(lead.get('reason')).replace('_', ' ')}){due}"


def names_in(parties: Iterable[Json]) -> dict[str, str]:
    """By the `contact` of each of these parties of a match, who it is: of who does not show its own name, as whom it
    shows itself (R34, R36)."""
    return {
        party["contact"]: party.get("name") or _shown("shownAs", party) + f" of {party.get('institution')}"
        for party in parties
        if "contact" in party
    }


def mail_view(wanted: Json) -> RenderableType:
    """When mail is wanted (R23)."""
    at = _printable(wanted.get("digestAt"))
    if wanted.get("mail") == "digest":
        return Text(f"one mail a day, at {at} in Amsterdam, if anything is new")
    return Text(f"mail at once; of who works together already, and nobody else, once a day at {at} in Amsterdam")


def notice_view(notice: Json) -> RenderableType:
    """A notice; of a party that withdrew, whom to ask (R37)."""
    line = table("Notice", NOTICES, [notice])
    if "ask" not in notice:
        return line
    return Group(
        line,
        table("Ask", _TO_ASK, to_call(notice["ask"])),
        table("A child in danger now", NUMBERS, notice.get("inDangerNow", [])),
    )


def archived_view(earlier: Json) -> RenderableType:
    """An archived signal: whom to ask about before (R17)."""
    return Group(table("Call", _TO_ASK, to_call([earlier])), table("Their coordinators", _BESIDE, _beside([earlier])))


def to_call(contacts: Iterable[Json]) -> Iterator[Json]:
    """A row for each one to call: the reporter, or all who stand in; the institution alone if nobody does today."""
    for contact in contacts:
        stand_ins = [] if "name" in contact else contact.get("standIns", [])
        yield from ({**contact, "position": contact.get("shownAs"), **one} for one in stand_ins)
        if not stand_ins:
            yield contact


def _beside(contacts: Iterable[Json]) -> Iterator[Json]:
    """Who can be called beside a reporter: the coordinators, or who stands in for them."""
    for contact in contacts:
        if "name" in contact:
            others = [*contact.get("coordinators", []), *contact.get("standIns", [])]
            yield from ({"institution": contact.get("institution"), **one} for one in others)


def in_amsterdam(moment: datetime) -> str:
    """A moment as Amsterdam's clock shows it."""
    return moment.astimezone(AMSTERDAM).strftime("%Y-%m-%d %H:%M")


def _shown(name: str, item: Json) -> str:
    value = item.get(name)
    if name == "readBy":
        return _printable(_read_by(item))
    if name == "informing" and isinstance(value, dict):
        return _printable(_informing(value))
    if name in ("concerns", "shownAs"):
        return _printable(str(value or "").replace("_", " "))
    if name.endswith("At") and value is not None:
        try:
            return in_amsterdam(datetime.fromisoformat(str(value)))
        except ValueError:
            pass
    return _printable(value)


def _read_by(notice: Json) -> str:
    """The command, of `verwijsindex client`, that shows what a notice is of."""
    for field, command in (("archivedSignal", "archived"), ("match", "match")):
        if field in notice and notice.get("kind") != "party_withdrew":
            return f"{command} {notice[field]}"
    return f"notice {notice.get('id')}"


def _informing(told: Json) -> str:
    """How informing the family stands, and when it is due (R27)."""
    if told.get("dueOn") is None:
        return str(told.get("status"))
    return f"{told.get('status')}, {'overdue since' if told.get('overdue') else 'due on'} {told['dueOn']}"


def _printable(value: object) -> str:
    """What moves the cursor or colours the screen is no part of a name."""
    return "".join(character for character in str("" if value is None else value) if character.isprintable())
