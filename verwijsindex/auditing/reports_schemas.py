# SPDX-License-Identifier: EUPL-1.2
"""What is asked and told of a report on the ledger (R25, R28). Counts only: no names, no ids."""

from datetime import date, datetime, timedelta
from typing import Literal, Self, cast

from pydantic import ConfigDict, Field, model_validator

from verwijsindex.parsing import Day, Outgoing, Strict

LONGEST = timedelta(days=366)
Language = Literal["nl", "en"]


class ReportAsked(Strict):
    """Of which period, and in which language the PDF is."""

    from_: Day = Field(alias="from", description="The first day, in Amsterdam.")
    until: Day = Field(description="The last day; before today, and at most 366 days in all.")
    language: Language = Field("nl", description="Of the PDF.")

    @model_validator(mode="after")
    def is_a_period(self) -> Self:
        """The last day is not before the first, and not more than a year after it."""
        if self.until < self.from_:
            raise ValueError("until is before from")
        if self.until - self.from_ >= LONGEST:
            raise ValueError("ask for a year at most")
        return self


class Sorts(Outgoing):
    """How many events of each sort."""

    acts: int = 0
    reads: int = 0
    refusals: int = Field(0, description="What was refused; also acts and reads of that outcome.")
    system: int = Field(0, description="What came of it by itself: the matcher, the clock, upkeep.")


class WeekCount(Sorts):
    """Those of a week."""

    week: str = Field(description="As 2026-W48 (ISO 8601).")
    monday: date


class KindCount(Outgoing):
    """How often a kind of event was written."""

    kind: str
    sort: Literal["act", "read", "refusal", "system"]
    success: int
    refused: int


class HourCount(Outgoing):
    """The reads of an hour of the day, on all days of the period together."""

    hour: int = Field(ge=0, le=23, description="From this hour to the next, in Amsterdam.")
    on_working_days: int
    on_other_days: int = Field(description="On Saturdays, Sundays and Dutch public holidays.")


class PurposeCount(Outgoing):
    """How often the desk searched the ledger for a purpose."""

    purpose: str
    count: int


class AlertCount(Outgoing):
    """The alerts that were raised in the period."""

    kind: str
    state: str = Field(description="As it is now.")
    count: int


class SampleCount(Outgoing):
    """How far the sample of a month that ends in the period was signed off."""

    month: str
    made: bool = Field(description="Whether an officer of this scope asked for it.")
    accesses: int = Field(description="Of how many it is; 0 where it was not made.")
    size: int
    as_expected: int
    asked_the_person: int
    not_explained: int


class Fixed(Outgoing):
    """The checkpoint that covers the period: with it, and an export, the figures can be counted again."""

    origin: str
    size: int
    root: str = Field(description="Base64 with padding.")
    at: datetime
    note: str


class ReportScope(Outgoing):
    """Whose events: of an institution, of a municipality, or with neither of the whole index."""

    institution: str | None = None
    municipality: str | None = None


PDF = "application/pdf"


class LedgerReportOut(Outgoing):
    """A period of the ledger in figures."""

    # For the document of the API alone, as flask-openapi3 has it: what else it is told in.
    model_config = cast(
        "ConfigDict",
        {
            **Outgoing.model_config,
            "openapi_extra": {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}},
        },
    )

    scope: ReportScope
    from_: date = Field(alias="from")
    until: date
    made_at: datetime
    checkpoint: Fixed
    total: Sorts
    weeks: list[WeekCount]
    kinds: list[KindCount] = Field(description="Those that occur.")
    hours: list[HourCount]
    outside_office_hours: int = Field(description="Reads on working days before 7 or from 19 on, and on other days.")
    searches: list[PurposeCount]
    withdrawn: int
    withdrawn_as_unjustified: int
    alerts: list[AlertCount]
    samples: list[SampleCount]
    dropped_before: int = Field(description="Events with a place before this one were destroyed after five years.")
