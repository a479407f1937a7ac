# SPDX-License-Identifier: EUPL-1.2
"""What a reporter or coordinator says of a signal that is placed, and what they get back (R13, R24, R26, R27, R34)."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo

from verwijsindex.parsing import Day, Outgoing, ParseContext, Strict
from verwijsindex.problems import Fault
from verwijsindex.signals.dates import amsterdam_date, years_after
from verwijsindex.signals.informing import AgeGroup
from verwijsindex.signals.schemas import MunicipalityCode, Postponed, SignalOut, without_mapping

Reason = Literal["unjustified", "risk_gone"]


class WithdrawalIn(Strict):
    """The end of a signal by who made it (R13)."""

    reason: Reason = Field(description="unjustified: destroyed; risk_gone: archived (R15).")


class WithdrawalOut(Outgoing):
    """The signal has ended."""

    ended_at: datetime
    reason: Reason


def _lately(on: date, info: ValidationInfo) -> date:
    context: ParseContext | None = info.context
    if context:
        today = amsterdam_date(context.now)
        if on > today:
            detail = "It must not lie in the future: use postponed."
            context.clock_faults.append(Fault("body", "#/informing/on", "in_the_future", detail))
        elif on < years_after(today, -1):  # a date that has nothing to do with the signal might be a birth date (R5)
            detail = "It must lie at most a year back."
            context.clock_faults.append(Fault("body", "#/informing/on", "out_of_time", detail))
    return on


def _soon(review_date: date, info: ValidationInfo) -> date:
    context: ParseContext | None = info.context
    if context:
        today = amsterdam_date(context.now)
        if not today <= review_date <= years_after(today, 1):
            detail = "The review date must lie within a year from now."
            context.clock_faults.append(Fault("body", "#/informing/reviewDate", "out_of_time", detail))
    return review_date


class InformedNow(Strict):
    """The family was informed: who that must be follows from the age group, which is stated for this act (R26)."""

    status: Literal["informed"]
    on: Annotated[Day, AfterValidator(_lately)]
    age_group: AgeGroup = Field(
        description="Under 12 the representative was informed, from 16 the youngster, between them both. Not kept."
    )


class PostponedNow(Postponed):
    """Informing the family is postponed, or postponed anew."""

    review_date: Annotated[Day, AfterValidator(_soon)]


class InformingIn(Strict):
    """How informing the family stands (R27), in the form of a signal's own `informing`."""

    informing: Annotated[InformedNow | PostponedNow, Field(discriminator="status", json_schema_extra=without_mapping)]


class InformingRecorded(Outgoing):
    """It stands on the signal."""

    recorded_at: datetime
    status: Literal["informed", "postponed"]


class HandoverIn(Strict):
    """To whom a coordinator gives a signal (R34)."""

    to: UUID = Field(description="A reporter of the own institution who may signal today.")


class HandoverOut(Outgoing):
    """The receiver holds the signal."""

    handed_over_at: datetime
    reporter: UUID


class MoveIn(Strict):
    """Where the youngster lives now (R24)."""

    residence_municipality: MunicipalityCode


class MoveOut(Outgoing):
    """The move is told."""

    told_at: datetime
    residence_municipality: str


class OrphanedSignalOut(SignalOut):
    """A signal that waits for a coordinator (R34), and why."""

    causes: list[Literal["reporter_left", "agreement_ended"]]


class OrphanedSignalsOut(Outgoing):
    """A page of the institution's orphaned signals, oldest first."""

    items: list[OrphanedSignalOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
