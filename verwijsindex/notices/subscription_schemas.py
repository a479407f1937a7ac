# SPDX-License-Identifier: EUPL-1.2
"""What a client sends and gets about its webhook subscription, its attempts, and a replay."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from verwijsindex.parsing import Outgoing, Strict, UtcMoment
from verwijsindex.written import Written

State = Literal["pending", "active", "paused", "failed"]


def _address(text: str) -> str:
    try:
        well_formed = bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ValueError("write it as https://host/path: with a host, and no user, password or fragment")
    return text


# No "@" before the path (no credentials) and no "#" (no fragment); only what stands in a request line as it is.
Address = Annotated[
    str,
    Field(
        max_length=664,
        description="Where the index posts to: https, without credentials and fragment.",
    ),
    Written(
        r"^https?://[A-Za-z0-9.:\[\]-]{1,255}(/[!-\"$-~]{0,400})?$",
        "it as https://host/path: with a host, and no user, password or fragment",
    ),
    AfterValidator(_address),
]


class SubscriptionIn(Strict):
    """A subscription to be."""

    address: Address


class SubscriptionChange(Strict):
    """What is to change: the address, or whether it pauses; at least one of the two."""

    address: Address | None = None
    state: Literal["active", "paused"] | None = Field(default=None, description="paused, or active to go on.")

    @model_validator(mode="after")
    def _changes_something(self) -> "SubscriptionChange":
        if self.address is None and self.state is None:
            raise ValueError("send address, state or both")
        return self


class SubscriptionOut(Outgoing):
    """A client's subscription."""

    id: UUID
    address: str
    state: State = Field(description="Only an active one is delivered to; what waits meanwhile is kept.")
    created_at: datetime
    gone_at: datetime | None = Field(
        default=None, description="Of a failed one: when the receiver answered 410 Gone. Set it active to go on."
    )
    waiting: int = Field(description="Deliveries that the receiver has not taken yet, and that are tried again.")
    dead_letters: int = Field(description="Deliveries for which every try failed: they wait for a replay.")
    rests_until: datetime | None = Field(default=None, description="The receiver failed; it is tried again then.")
    challenge_ends_at: datetime | None = Field(
        default=None, description="While pending: until when the challenge is tried."
    )
    previous_secret_ends_at: datetime | None = Field(
        default=None, description="Until when the secret before this one signs as well."
    )


class SubscriptionMade(SubscriptionOut):
    """The answer to who made a subscription or a new secret; the one time that the secret is told."""

    secret: str | None = Field(
        default=None,
        description="whsec_ and base64. Absent in a repeat that comes after another secret was made.",
    )


class SubscriptionsOut(Outgoing):
    """The client's subscriptions: none or one."""

    items: list[SubscriptionOut]


class SubscriptionGone(Outgoing):
    """What became of a deleted subscription's deliveries; the inboxes keep every notice."""

    discarded: int = Field(description="Deliveries that the receiver had not taken, and now never gets.")


class AttemptOut(Outgoing):
    """One try."""

    id: UUID
    delivery: UUID = Field(description="webhook-id of what was sent, and id of its event; of a challenge likewise.")
    about: Literal["inbox", "challenge"]
    at: datetime
    outcome: str = Field(description="ok, or a word on what went wrong; nothing of the receiver's answer.")
    duration_ms: int
    next_try_at: datetime | None = None


class AttemptsOut(Outgoing):
    """A page of attempts, newest first."""

    items: list[AttemptOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class ReplayIn(Strict):
    """What to send again: one delivery, or all that was taken since a moment and all that waits, dead letters too."""

    delivery: UUID | None = Field(default=None, description="A webhook-id.")
    since: UtcMoment | None = Field(default=None, description="At most 30 days ago.")

    @model_validator(mode="after")
    def _one_or_all(self) -> "ReplayIn":
        if (self.delivery is None) == (self.since is None):
            raise ValueError("Send either delivery or since.")
        return self


class ReplayOut(Outgoing):
    """How many deliveries go out again, each with the webhook-id that it had."""

    count: int
