# SPDX-License-Identifier: EUPL-1.2
"""What the ledger's routes take and give. Hashes, nonces and bodies are base64 with padding, as in a signed note."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing, Strict

Size = Annotated[int, Field(ge=1, lt=1 << 62)]
Base64 = Annotated[str, Field(description="Base64 with padding.")]


class CheckpointOut(Outgoing):
    """The newest checkpoint."""

    checkpoint: str = Field(description="A C2SP signed note; check it with the verifier key that you pinned.")


class ConsistencyQuery(Strict):
    """Between which two sizes of the ledger."""

    from_: Size = Field(alias="from", description="The size of a checkpoint that you hold.")
    to: Size = Field(description="The size of a newer checkpoint.")


class ConsistencyOut(Outgoing):
    """What proves that a ledger is the beginning of another (RFC 9162, section 2.1.4)."""

    proof: list[Base64]


class OwnEventsQuery(Strict):
    """The events about which signal, and proved against which checkpoint."""

    signal_id: UUID
    size: Size = Field(description="The size of a checkpoint that you hold.")


class OwnEventOut(Outgoing):
    """An event of your own institution, with all that proves that it is in the ledger (section 2.1.3)."""

    place: int
    event: Base64 = Field(description="Its canonical bytes: base64 of JSON.")
    nonce: Base64
    proof: list[Base64]


class OwnEventsOut(Outgoing):
    """The oldest hundred of them, in the order of their places."""

    items: list[OwnEventOut]
