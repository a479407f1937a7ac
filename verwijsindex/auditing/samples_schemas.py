# SPDX-License-Identifier: EUPL-1.2
"""What goes in and out of the monthly sample (R25, R28): a closed list of findings, and no free text (R5)."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from verwijsindex.ledger.schemas import Base64
from verwijsindex.parsing import Outgoing, Strict
from verwijsindex.written import Written

Finding = Literal["as_expected", "asked_the_person", "not_explained"]
"""What an officer found of an access: it needs no explanation; the person explained it; nobody could."""


class MonthAsked(Strict):
    """Of which month."""

    month: Annotated[
        str,
        Field(description="As 2026-11, in Amsterdam."),
        Written(r"^[12][0-9]{3}-(0[1-9]|1[0-2])$", "a month as 2026-11"),
    ]


class SignOff(Strict):
    """What the officer found of one access."""

    event_id: UUID
    finding: Finding


class SignOffs(Strict):
    """Of several accesses in the same sample at once."""

    sign_offs: list[SignOff] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def each_once(self) -> Self:
        """An access is signed off once."""
        if len({one.event_id for one in self.sign_offs}) < len(self.sign_offs):
            raise ValueError("name each access once")
        return self


class SignedOff(Outgoing):
    """By whom it was signed off, and what was found."""

    finding: Finding
    officer: UUID
    at: datetime


class SampledOut(Outgoing):
    """An access in the sample."""

    place: int = Field(description="In the tree of the ledger.")
    event: Base64 = Field(description="Its canonical bytes: base64 of JSON.")
    own: bool = Field(description="It was yours: another officer signs it off.")
    signed_off: SignedOff | None = None


class SampleOut(Outgoing):
    """The sample of a month, in the order that chance gave it."""

    month: str
    accesses: int = Field(description="Of how many in the scope it was taken.")
    checkpoint: str = Field(description="The note that fixes it: keep it, and hand it to who wants to check.")
    items: list[SampledOut]


class SignOffsOut(Outgoing):
    """How many were signed off by this request, and how many of the sample are still open."""

    signed_off: int
    open: int
