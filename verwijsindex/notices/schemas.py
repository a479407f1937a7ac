# SPDX-License-Identifier: EUPL-1.2
"""A line in an inbox: that there is something, and where to read it (R12, R33); whom to ask (R37); and for a
coordinator whose signals it is about (R20)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.matching.schemas import OwnSignal
from verwijsindex.parsing import Outgoing
from verwijsindex.registry.contacts import NumberToCall, StandIn


class NoticeOut(Outgoing):
    """One notice; its link is read as things are then, or is a 404."""

    id: UUID
    kind: Literal["match", "party_withdrew", "move", "archive", "lead", "reminder", "escalation"] = Field(
        description="match: someone came into it; party_withdrew: a party of it withdrew;"
        " move: the youngster moved; archive: someone signalled this youngster before; lead: you are asked to lead, or"
        " every party may; reminder: a deadline was missed; escalation: so it was, and its parties did nothing since."
    )
    placed_at: datetime
    reporter: UUID | None = Field(
        default=None, description="For a coordinator: the reporter who left and to whom it was told."
    )
    match: UUID | None = None
    archived_signal: UUID | None = Field(default=None, description="Of a notice of kind archive.")
    link: str = Field(
        description="Path on this server of the match or the archived signal; of party_withdrew of this notice, which"
        " says whom to ask; for a coordinator of an escalation too, which says whose signals it is about."
    )


class WhomToAsk(Outgoing):
    """Who can be asked today about a party that withdrew, and no reporter."""

    shown_as: Literal["coordinator", "named_officer", "access_team"] = Field(
        description="Of the institution the coordinators, or its named officers (the signal was shielded); or, for a"
        " person with an agreement of its own, the access team of the contracting municipality."
    )
    institution: str | None = Field(default=None, description="Left out for a person with an agreement of its own.")
    stand_ins: list[StandIn]


class OneNoticeOut(NoticeOut):
    """One notice, and what it says beside what stands in the list."""

    ask: list[WhomToAsk] | None = Field(
        default=None,
        description="Of party_withdrew: whom to ask, once for each institution whose parties withdrew. It is looked up"
        " when it is read.",
    )
    own_signals: list[OwnSignal] | None = Field(
        default=None,
        description="Of an escalation to a coordinator: the live signals of the own institution that it is about, and"
        " whose they are. Nothing of the other parties: their reporter reads the match.",
    )
    in_danger_now: list[NumberToCall]


class NoticesOut(Outgoing):
    """A page of an inbox, newest first."""

    items: list[NoticeOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
