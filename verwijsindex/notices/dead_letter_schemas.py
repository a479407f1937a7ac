# SPDX-License-Identifier: EUPL-1.2
"""What a coordinator gets and sends about the dead letters of the institution's clients."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from verwijsindex.parsing import Outgoing, Strict


class DeadLetterOut(Outgoing):
    """A webhook that no try could deliver."""

    delivery: UUID = Field(description="Its webhook-id.")
    client: str = Field(description="Id of the client whose receiver did not take it.")
    dead_at: datetime = Field(description="When the last try failed.")
    attempts: int
    outcome: str | None = Field(default=None, description="How that try ended; nothing of the receiver's answer.")


class DeadLettersOut(Outgoing):
    """A page of dead letters, newest first."""

    count: int = Field(description="How many there are on all pages.")
    items: list[DeadLetterOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class DeadLetterReplayIn(Strict):
    """Which to send again: one, or all."""

    delivery: UUID | None = Field(default=None, description="A webhook-id.")
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_or_all(self) -> "DeadLetterReplayIn":
        if (self.delivery is None) == (self.all is None):
            raise ValueError("Send either delivery or all.")
        return self


class DeadLetterReplayOut(Outgoing):
    """How many are tried again, each with the webhook-id that it had."""

    count: int
