# SPDX-License-Identifier: EUPL-1.2
"""The signed list of versions of the pseudonym key, which the pseudonym service and the index both serve.

A sender pins one Ed25519 key, checks the list with it and so knows the public key that an evaluation must be
proved for. The signing key is kept offline and no process holds it: without it neither operator can show one
sender another public key than the others see. Wire form: docs/protocol.md.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.ristretto import check_point
from verwijsindex.written import fault_told

ALGORITHM = "Ed25519"
"""RFC 9864; the only one that is accepted."""
TYPE = "verwijsindex-key-list+jws"
CLOCKS_APART = timedelta(minutes=5)
"""How far a sender's clock may be ahead of a service's, as with the time of a signal (R4)."""


class KeyListError(Exception):
    """A list that must not be used, or one with no version for this moment."""


def parse_time(text: str) -> datetime:
    """The moment in its one form, in UTC. Raises ValueError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text, re.ASCII):
        raise ValueError("a time is written as 2026-11-22T10:00:00Z")
    return datetime.fromisoformat(text)


def _parse_time(value: Any) -> Any:
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(microsecond=0)
    raise ValueError("not a time with its zone")


def _parse_point(value: Any) -> Any:
    if isinstance(value, str):
        value = decode_base64url(value)
    if not isinstance(value, bytes):
        raise ValueError("not the text of a point")
    return check_point(value)


def _write_time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, BeforeValidator(_parse_time), PlainSerializer(_write_time)]
Point = Annotated[bytes, BeforeValidator(_parse_point), PlainSerializer(encode_base64url)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        hide_input_in_errors=True,
    )


class KeyVersion(_Strict):
    """One version of the pseudonym key: its public key (32 bytes) and when the index accepts what it made."""

    version: int = Field(ge=1, le=999_999_999)
    public_key: Point
    accepted_from: Time
    accepted_until: Time | None
    """The moment from which it is no longer accepted; None while no end is set."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "KeyVersion":
        if self.accepted_until is not None and self.accepted_until <= self.accepted_from:
            raise ValueError("a version is accepted until later than from")
        return self

    def accepted(self, now: datetime) -> bool:
        """Whether it is accepted at this moment."""
        return self.accepted_from <= now and not self.ended(now)

    def ended(self, now: datetime) -> bool:
        """Whether it is accepted no more, and never will be."""
        return self.accepted_until is not None and self.accepted_until <= now


class KeyList(_Strict):
    """The versions, as they were signed at `issued_at`."""

    issued_at: Time
    versions: tuple[KeyVersion, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "KeyList":
        for name in ("version", "public_key"):
            if len({getattr(one, name) for one in self.versions}) != len(self.versions):
                raise ValueError(f"two versions have one {to_camel(name)}")
        return self

    def current(self, now: datetime) -> KeyVersion:
        """The version a sender uses: the highest that is accepted now. Raises KeyListError without one."""
        accepted = [one for one in self.versions if one.accepted(now)]
        if not accepted:
            raise KeyListError("the list of key versions has none that is accepted now")
        return max(accepted, key=lambda one: one.version)

    def accepted(self, version: int, now: datetime) -> bool:
        """Whether a service takes what this version made at this moment; False for one not in the list.

        From CLOCKS_APART before it is accepted: else a sender whose clock is ahead of ours, if only by a second, would
        stop when the version begins."""
        begun = {one.version for one in self.versions if one.accepted_from - CLOCKS_APART <= now and not one.ended(now)}
        return version in begun


def sign_key_list(versions: Sequence[KeyVersion], issued_at: datetime, signing_key: OKPKey) -> str:
    """The list as a compact JWS (RFC 7515) under the Ed25519 key. Raises pydantic's ValidationError for
    versions that are no list."""
    payload = KeyList(issued_at=issued_at, versions=tuple(versions)).model_dump_json(by_alias=True)
    return jws.serialize_compact({"alg": ALGORITHM, "typ": TYPE}, payload, signing_key, [ALGORITHM])


def read_key_list(text: str, *signers: OKPKey) -> KeyList:
    """The list in a compact JWS, when it is signed by one of the pinned public keys; there are two while the signer
    turns. Raises KeyListError."""
    for signer in signers:
        try:
            signed = jws.deserialize_compact(text.strip(), signer, [ALGORITHM])
            break
        except (JoseError, ValueError) as error:
            fault = type(error).__name__
    else:
        raise KeyListError(f"the list of key versions has no valid signature ({fault})")
    if signed.headers() != {"alg": ALGORITHM, "typ": TYPE}:
        raise KeyListError("the list of key versions has other headers than alg and typ")
    try:
        return KeyList.model_validate_json(signed.payload, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'list'}: {fault_told(e)}" for e in error.errors())
        raise KeyListError(f"the list of key versions is not of the right form: {faults}") from None


def load_key_list(path: Path, *signers: OKPKey) -> tuple[str, KeyList]:
    """The list in a file, as it is to be served and as it is read (`read_key_list`). Raises KeyListError."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        raise KeyListError(f"the list of key versions {path} cannot be read") from None
    return text, read_key_list(text, *signers)
