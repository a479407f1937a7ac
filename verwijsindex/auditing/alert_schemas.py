# SPDX-License-Identifier: EUPL-1.2
"""What a privacy officer asks of alerts, says of them and gets (R37): codes and ids, and never text (R5)."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.paging import Page
from verwijsindex.parsing import Outgoing, Strict

AlertKind = Literal["pseudonym_burst", "signal_burst", "read_burst", "refusal_series", "unjustified_after_read"]
State = Literal["open", "assessed", "closed"]
Code = Literal["explained", "work_peak", "reported_to_employer", "misuse_found", "system_fault"]
Decision = Literal["close", "reopen"]


class AlertsAsked(Page):
    """Which alerts: all, or those in one state."""

    state: State | None = None


class AlertPath(Strict):
    """Which alert."""

    alert_id: UUID = Field(alias="alertId")


class AssessmentIn(Strict):
    """What an officer made of an alert."""

    code: Code


class ConfirmationIn(Strict):
    """What a second officer made of that."""

    decision: Decision = Field(description="Whether it is closed with the code of the first, or looked at anew.")


class AlertOut(Outgoing):
    """An alert."""

    id: UUID
    kind: AlertKind
    state: State
    raised_at: datetime
    day: date = Field(description="Of what it is about, in the Netherlands.")
    person: UUID | None = Field(default=None, description="Whom it is about: the id of a reporter or an official.")
    client_id: str | None = Field(default=None, description="Which client it is about, where no person is known.")
    institution: str | None = Field(default=None, description="OIN of whom it is about.")
    municipality: str | None = Field(default=None, description="CBS code of whom it is about.")
    count: int = Field(
        description="How many different ones on that day; of unjustified_after_read how often it was read."
    )
    highest_before: int | None = Field(default=None, description="On one day of the eight weeks before it.")
    signal_id: UUID | None = None
    match_id: UUID | None = None
    code: Code | None = None
    assessed_by: UUID | None = None
    assessed_at: datetime | None = None
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None


class AlertWithEventsOut(AlertOut):
    """An alert with what is behind it."""

    event_ids: list[UUID] = Field(description="At most a thousand; search the ledger by them for what they say.")


class AlertsOut(Outgoing):
    """A page of alerts, the newest first."""

    items: list[AlertOut]
    next_cursor: str | None = None


class AlertActOut(Outgoing):
    """What was done with an alert, and its state after it."""

    state: State
    done_at: datetime
