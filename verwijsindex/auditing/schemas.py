# SPDX-License-Identifier: EUPL-1.2
"""What a privacy officer asks of the ledger and gets (R25): codes and ids, and never text (R5)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from verwijsindex.ledger.events import KINDS, Outcome
from verwijsindex.ledger.schemas import Base64
from verwijsindex.paging import Page
from verwijsindex.parsing import Outgoing, UtcMoment
from verwijsindex.registry.schemas import Oin

Purpose = Literal["request_of_youngster", "complaint", "incident", "alert", "sample", "periodic_review"]


class LedgerSearch(Page):
    """Which events, and what for. Criteria that are left out bound nothing; of several, all must hold."""

    purpose: Purpose = Field(description="What for; it stands in the ledger with the search.")
    person: UUID | None = Field(
        default=None,
        description="Id of a reporter who acted, on whose behalf it was or whom it concerns; or of anybody else who"
        " acted: coordinator, case supervisor, named officer, officer of the rights desk, privacy officer.",
    )
    institution: Oin | None = Field(default=None, description="OIN of who acted.")
    signal_id: UUID | None = None
    match_id: UUID | None = None
    event_ids: Annotated[list[UUID], Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Ids of events, as an alert lists what is behind it."
    )
    from_: UtcMoment | None = Field(default=None, alias="from", description="The first moment.")
    until: UtcMoment | None = Field(default=None, description="The moment before which.")
    kinds: Annotated[list[str], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="Kinds of events, as docs/ledger.md lists them."
    )
    outcome: Outcome | None = None

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: list[str] | None) -> list[str] | None:
        if kinds and not KINDS.keys() >= set(kinds):
            raise ValueError("name kinds of events as docs/ledger.md lists them")
        return kinds

    @field_validator("until")
    @classmethod
    def _is_after_from(cls, until: UtcMoment | None, info: ValidationInfo) -> UtcMoment | None:
        begin = info.data.get("from_")
        if until and begin and until <= begin:
            raise ValueError("a period ends after it begins")
        return until


class LedgerEventOut(Outgoing):
    """An event as it was sealed."""

    event: Base64 = Field(description="Its canonical bytes: base64 of JSON.")
    place: int | None = Field(default=None, description="In the ledger's tree; not there before it is sealed.")


class LedgerEventsOut(Outgoing):
    """A page of events, the newest first."""

    items: list[LedgerEventOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor, with the same criteria, for older ones.")
