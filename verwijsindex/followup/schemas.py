# SPDX-License-Identifier: EUPL-1.2
"""What parties say of the follow-up of a match, and what they read of it (R21, R22, R23)."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.followup.leading import Reason
from verwijsindex.followup.states import Outcome, PartyAct, State
from verwijsindex.paging import Page
from verwijsindex.parsing import Day, Outgoing, Strict
from verwijsindex.registry.contacts import NumberToCall

Possible = Literal[PartyAct, "accept_lead", "decline_lead", "hand_over_lead"]
"""What a party may do: to the round as `states` has it, and with the lead."""


class ContactIn(Strict):
    """The parties had contact."""

    contacted_on: Day = Field(description="In the Netherlands; not before the day on which the match opened.")


class LeadAnswerIn(Strict):
    """Whether who was asked takes the lead."""

    answer: Literal["accept", "decline"]
    reason: Literal["not_involved_enough", "no_capacity", "another_fits_better"] | None = Field(
        default=None, description="Why not; with decline only."
    )


class LeadHandoverIn(Strict):
    """Who leads asks another party to."""

    to: UUID = Field(description="The `contact` of that party in this match.")


class ClosingIn(Strict):
    """How the round ended."""

    outcome: Outcome


class FollowUpsAsked(Page):
    """Which of the municipality's follow-ups."""

    state: State | None = Field(default=None, description="Only rounds in this state.")
    deadline: Literal["missed"] | None = Field(default=None, description="Only those of which a deadline is over.")


class FollowUpLine(Outgoing):
    """Where a match of the municipality stands."""

    id: UUID = Field(description="Of the match.")
    kind: Literal["youngster", "family"]
    opened_at: datetime
    round: int
    state: State
    contact_due_on: date
    coordination_due_on: date
    missed: Literal["contact", "coordination"] | None = Field(default=None, description="The deadline that is over.")
    lead: Literal["open", "proposed", "accepted"] | None = None


class FollowUpsOut(Outgoing):
    """A page of follow-ups, the next deadline first."""

    items: list[FollowUpLine]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class LeadOut(Outgoing):
    """Who leads or is asked to."""

    state: Literal["proposed", "accepted"]
    you: bool
    contact: UUID | None = Field(
        default=None,
        description="The `contact` of that party in this match; left out when every party may take the lead.",
    )
    reason: Reason
    answer_due_on: date | None = None

    @property
    def open_to_all(self) -> bool:
        """Whether every party may take it."""
        return self.reason in ("next_is_sought", "nobody_to_propose")


class FollowUpState(Outgoing):
    """Where the follow-up of a match stands."""

    round: int
    state: State
    began_at: datetime
    contacted_on: date | None = None
    contact_due_on: date
    coordination_due_on: date
    outcome: Outcome | None = None
    lead: LeadOut | None = None
    possible: list[Possible] = Field(description="What you can do now; nothing for who only supervises.")


class FollowUpOut(FollowUpState):
    """Where it stands, and whom to call when that is not enough."""

    in_danger_now: list[NumberToCall]
