# SPDX-License-Identifier: EUPL-1.2
"""What the reader said of others: "we already work together on this youngster" (R23)."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing


class MuteOut(Outgoing):
    """Of whom mail waits for the digest."""

    id: UUID
    match: UUID = Field(description="An open match in which that party is shown.")
    contact: UUID = Field(description="The `contact` of that party in that match.")
    muted_at: datetime


class MutesOut(Outgoing):
    """A page of them; none of a party that no match shows now."""

    items: list[MuteOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class MuteUndone(Outgoing):
    """It is said no more."""

    match: UUID
