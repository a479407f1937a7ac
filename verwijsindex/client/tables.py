# SPDX-License-Identifier: EUPL-1.2
"""What the client's commands show of what they read."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from verwijsindex.signals.dates import AMSTERDAM

Json = dict[str, Any]

SIGNALS = {
    "id": "signal",
    "caseReference": "case reference",
    "madeAt": "made at",
    "removalDate": "ends on",
    "residenceMunicipality": "residence",
}
NOTICES = {
    "id": "notice",
    "placedAt": "placed at",
    "kind": "about",
    "match": "match",
    "archivedSignal": "archived signal",
}
MATCHES = {"id": "match", "openedAt": "opened at", "kind": "about"}
CONTACTS = {
    "concerns": "about",
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


def table(title: str, columns: dict[str, str], items: Iterable[Json]) -> Table:
    """A table of these fields of the items, under these headings; moments as Amsterdam's clock shows them."""
    result = Table(title=title, title_justify="default")
    for heading in columns.values():
        result.add_column(heading, overflow="fold")
    for item in items:
        result.add_row(*(Text(_shown(name, item.get(name))) for name in columns))
    if not result.row_count:
        result.caption = "nothing"
    return result


def match_view(match: Json) -> RenderableType:
    """A match: whom to call, under which own reference, and who else helps (R12)."""
    parties = match.get("parties", [])
    references = ", ".join(match.get("ownCaseReferences", [])) or "none"
    return Group(
        Text(f"Match {_shown('id', match.get('id'))}; your own case reference: {_shown('', references)}"),
        table("Call", CONTACTS, to_call(parties)),
        table("Their coordinators", _BESIDE, _beside(parties)),
        table("In the municipality", POINTS, match.get("contactPoints", [])),
        table("A child in danger now", NUMBERS, match.get("inDangerNow", [])),
    )


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


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if name.endswith("At"):
        try:
            return in_amsterdam(datetime.fromisoformat(str(value)))
        except ValueError:
            pass
    # What moves the cursor or colours the screen is no part of a name.
    return "".join(character for character in str(value) if character.isprintable())
