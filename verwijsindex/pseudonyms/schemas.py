# SPDX-License-Identifier: EUPL-1.2
"""What comes into the pseudonym service and goes out of it. The elements themselves are checked in `api`."""

from datetime import date
from uuid import UUID

from pydantic import Field

from verwijsindex.parsing import Outgoing, Strict
from verwijsindex.pseudonyms.voprf import MAX_BATCH


class EvaluationIn(Strict):
    """Blinded elements, to be evaluated under one version of the key."""

    key_version: int = Field(ge=1, le=999_999_999, description="A version that is accepted now.")
    blinded_elements: list[str] = Field(
        min_length=1,
        max_length=MAX_BATCH,
        fail_fast=True,
        description="Elements of ristretto255 other than the identity, each in 43 characters of base64url.",
    )
    reporters: list[UUID] = Field(
        min_length=1,
        max_length=MAX_BATCH,
        fail_fast=True,
        description="For which reporter each element was blinded, in their order. The limits count by it (R37).",
    )


class EvaluationOut(Outgoing):
    """The evaluated elements, in the order of the blinded ones, with one proof for all (RFC 9497)."""

    key_version: int
    evaluated_elements: list[str] = Field(description="Each in 43 characters of base64url.")
    proof: str = Field(description="The scalars c and s, 64 bytes, in 86 characters of base64url.")


class BurstOut(Outgoing):
    """A day on which far more was evaluated for a reporter than in the own past."""

    oin: str
    reporter_id: UUID
    day: date = Field(description="In the Netherlands.")
    elements: int
    highest_before: int | None = Field(default=None, description="On one day of the eight weeks before it.")


class BurstsOut(Outgoing):
    """The newest first."""

    items: list[BurstOut]


class KeyVersionsOut(Outgoing):
    """The versions of the key and their public keys, signed offline."""

    key_list: str = Field(description="A compact JWS (RFC 7515); docs/protocol.md says what is in it.")
