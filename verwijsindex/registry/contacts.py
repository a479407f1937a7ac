# SPDX-License-Identifier: EUPL-1.2
"""How a reporter can be reached now, or who stands in (R2, R12, R34, R36): looked up when read, never copied."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from verwijsindex.parsing import Outgoing


class CoordinatorContact(Outgoing):
    """A coordinator of the reporter's institution."""

    name: str
    telephone: str
    email: str


class StandIn(Outgoing):
    """Who is called in a reporter's place: a person, or an access team."""

    name: str
    telephone: str
    email: str | None = None


class NumberToCall(Outgoing):
    """Whom to call when a child is in danger now: a match is no emergency call."""

    name: str
    telephone: str


NATIONAL_NUMBERS = [
    NumberToCall(name="Alarmnummer (acute danger)", telephone="112"),
    NumberToCall(name="Veilig Thuis (day and night, free)", telephone="0800-2000"),
]


class Contact(Outgoing):
    """A reporter as it can be reached now, or who stands in its place."""

    shown_as: Literal["reporter", "named_officer", "coordinator", "access_team"] = Field(
        description="Who is to be called. For reporter it is name; for the others those of standIns, and no reporter is"
        " named: the institution's named officer (a shielded signal) or coordinator (the reporter left), or the access"
        " team of the contracting municipality (left, with an agreement of its own)."
    )
    name: str | None = None
    position: str | None = None
    telephone: str | None = None
    email: str | None = None
    institution: str | None = Field(default=None, description="Left out for a person with an agreement of its own.")
    coordinators: list[CoordinatorContact] = Field(description="Of the reporter's institution.")
    stand_ins: list[StandIn] = Field(
        description="In the reporter's place; or, of a person with an agreement of its own, in a coordinator's."
    )


def as_shown(card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Contact, of a row of the database's function `contact_card`."""
    lists = {name: card[name] or [] for name in ("coordinators", "stand_ins")}
    return {name: card[name] for name in Contact.model_fields} | lists
