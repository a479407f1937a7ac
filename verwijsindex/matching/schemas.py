# SPDX-License-Identifier: EUPL-1.2
"""What a party or a case supervisor sees of a match: whom to call, and nothing of the youngster (R12)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing


class MatchLine(Outgoing):
    """A match in a list."""

    id: UUID
    kind: Literal["youngster"]
    opened_at: datetime


class MatchesOut(Outgoing):
    """A page of open matches, oldest first."""

    items: list[MatchLine]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class CoordinatorContact(Outgoing):
    """The coordinator of a party's institution."""

    name: str
    telephone: str
    email: str


class PartyContact(Outgoing):
    """Another party of the match, as it can be reached now."""

    concerns: Literal["same_youngster"]
    name: str
    position: str
    telephone: str
    email: str
    institution: str
    coordinators: list[CoordinatorContact]


class ContactPointOut(Outgoing):
    """Where a municipality of residence can be reached."""

    municipality: str
    kind: Literal["access_team", "crisis_line", "veilig_thuis"]
    name: str
    telephone: str
    email: str | None = None


class NationalNumber(Outgoing):
    """Whom to call when a child is in danger now: a match is no emergency call."""

    name: str
    telephone: str


NATIONAL_NUMBERS = [
    NationalNumber(name="Alarmnummer (acute danger)", telephone="112"),
    NationalNumber(name="Veilig Thuis (day and night, free)", telephone="0800-2000"),
]


class MatchOut(Outgoing):
    """An open match as its reader may see it."""

    id: UUID
    kind: Literal["youngster"]
    opened_at: datetime
    parties: list[PartyContact] = Field(description="The other parties; for a case supervisor all of them.")
    own_case_references: list[str] = Field(description="The reader's own references of its own live signals.")
    contact_points: list[ContactPointOut]
    in_danger_now: list[NationalNumber] = Field(default=NATIONAL_NUMBERS)
