# SPDX-License-Identifier: EUPL-1.2
"""A line in an inbox: that there is something, and where to read it (R12, R33)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing


class NoticeOut(Outgoing):
    """One notice; its link is read as things are then, or is a 404."""

    id: UUID
    kind: Literal["match"]
    placed_at: datetime
    match: UUID
    link: str = Field(description="Path of the match on this server.")


class NoticesOut(Outgoing):
    """A page of an inbox, newest first."""

    items: list[NoticeOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
