# SPDX-License-Identifier: EUPL-1.2
"""What a party or a case supervisor sees of a match: whom to call, and nothing of the youngster (R12)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.followup.schemas import FollowUpState
from verwijsindex.parsing import Outgoing
from verwijsindex.registry.contacts import Contact, NumberToCall

MatchKind = Literal["youngster", "family"]


class MatchLine(Outgoing):
    """A match in a list."""

    id: UUID
    kind: MatchKind
    opened_at: datetime


class MatchesOut(Outgoing):
    """A page of open matches, oldest first."""

    items: list[MatchLine]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class PartyContact(Contact):
    """Another party of the match."""

    contact: UUID = Field(
        description="The handle of this contact in this match, and in no other: by it who leads is named, and who is to"
        " take that over. One for all in whose place the same officers or coordinators stand."
    )
    concerns: Literal["same_youngster", "different_youngster", "both"] | None = Field(
        default=None, description="Which youngster this party signalled; left out for a supervisor of a family match."
    )


class OwnSignal(Outgoing):
    """A live signal on the own youngster, and whose."""

    id: UUID
    reporter: UUID
    reporter_name: str


class ContactPointOut(Outgoing):
    """Where a municipality of residence can be reached."""

    municipality: str
    kind: Literal["access_team", "crisis_line", "veilig_thuis"]
    name: str
    telephone: str
    email: str | None = None


class MatchOut(Outgoing):
    """An open match as its reader may see it."""

    id: UUID
    kind: MatchKind = Field(description="youngster: others signalled the same youngster; family: a sibling.")
    opened_at: datetime
    parties: list[PartyContact] = Field(description="The other parties; for a case supervisor all of them.")
    own_signals: list[OwnSignal] = Field(
        description="For which live signals the match is read: the reporter's own; of a coordinator or named officer"
        " those of the reporters they stand in for. None for a case supervisor."
    )
    own_case_references: list[str] = Field(description="The reader's own references of its own live signals.")
    contact_points: list[ContactPointOut]
    follow_up: FollowUpState | None = Field(
        default=None, description="Where its follow-up stands, and who leads; soon there, where it is left out."
    )
    in_danger_now: list[NumberToCall]
