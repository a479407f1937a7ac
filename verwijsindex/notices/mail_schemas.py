# SPDX-License-Identifier: EUPL-1.2
"""When mail is wanted, and to whom it does not come."""

from datetime import datetime, time
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing, Strict
from verwijsindex.written import Written

TimeOfDay = Annotated[
    str, Written(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "the time as HH:MM, from 00:00 to 23:59, such as 16:30")
]
FIRST_DIGEST = "07:00"
"""Of who has chosen no time."""


class MailPreferenceIn(Strict):
    """When mail is wanted."""

    mail: Literal["at_once", "digest"] = Field(
        description="at_once: within a minute or so, all that is told at one tick in one mail; digest: one mail a day."
    )
    digest_at: TimeOfDay = Field(
        default=FIRST_DIGEST,
        description="In Europe/Amsterdam, and not from 02:00 to 03:00. What is quiet waits for it in either case.",
    )

    @property
    def is_there_every_day(self) -> bool:
        """Whether it is that time once on each day of the year: from 02:00 to 03:00 the clocks change."""
        return not time(2) <= time.fromisoformat(self.digest_at) < time(3)


class MailPreferenceOut(Outgoing):
    """When mail is wanted, chosen or not."""

    mail: Literal["at_once", "digest"]
    digest_at: str = Field(description="In Europe/Amsterdam.")


class RefusedMailOut(Outgoing):
    """A colleague whose address the mail server says it will never deliver to."""

    id: UUID
    recipient: Literal["reporter", "coordinator"]
    person: UUID = Field(description="Id of that reporter or coordinator.")
    refused_at: datetime
    outcome: str = Field(description="The mail server's code: 550 mostly means that there is no such address.")


class RefusedMailsOut(Outgoing):
    """A page of them: of each the last mail, until one comes through or the address is another one."""

    items: list[RefusedMailOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
