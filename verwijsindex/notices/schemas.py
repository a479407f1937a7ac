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
    kind: Literal["match", "party_withdrew", "move", "archive"] = Field(
        description="match: someone came into it; party_withdrew: a party of it withdrew;"
        " move: the youngster moved; archive: someone signalled this youngster before."
    )
    placed_at: datetime
    reporter: UUID | None = Field(
        default=None, description="For a coordinator: the reporter who left and to whom it was told."
    )
    match: UUID | None = None
    archived_signal: UUID | None = Field(default=None, description="Of a notice of kind archive.")
    link: str = Field(description="Path of the match or the archived signal on this server.")


class NoticesOut(Outgoing):
    """A page of an inbox, newest first."""

    items: list[NoticeOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
