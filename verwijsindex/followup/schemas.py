# SPDX-License-Identifier: EUPL-1.2
"""What parties say of the follow-up of a match, and what they read of it (R21, R22, R23)."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo

from verwijsindex.followup.leading import Reason
from verwijsindex.followup.states import Act, Outcome, State
from verwijsindex.paging import Page
from verwijsindex.parsing import Day, Outgoing, ParseContext, Strict
from verwijsindex.problems import Fault
from verwijsindex.signals.dates import amsterdam_date


def _not_later(on: date, info: ValidationInfo) -> date:
    context: ParseContext | None = info.context
    if context and on > amsterdam_date(context.now):
        detail = "The contact lies in the future; record it when it was."
        context.clock_faults.append(Fault("body", "#/contactedOn", "in_the_future", detail))
    return on


class ContactIn(Strict):
    """The parties had contact."""

    contacted_on: Annotated[Day, AfterValidator(_not_later)]


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
    missed: Literal["contact", "coordination"] | None = Field(description="The deadline that is over.")
    lead: Literal["open", "proposed", "accepted"] | None


class FollowUpsOut(Outgoing):
    """A page of follow-ups, the next deadline first."""

    items: list[FollowUpLine]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class LeadOut(Outgoing):
    """Who leads or is asked to."""

    state: Literal["proposed", "accepted"]
    you: bool
    contact: UUID | None = Field(description="The `contact` of that party; null when every party may take the lead.")
    reason: Reason
    answer_due_on: date | None


class FollowUpOut(Outgoing):
    """Where the follow-up of a match stands."""

    round: int
    state: State
    began_at: datetime
    contacted_on: date | None
    contact_due_on: date
    coordination_due_on: date
    outcome: Outcome | None
    lead: LeadOut | None
    possible: list[Act] = Field(description="What a party can do now.")
