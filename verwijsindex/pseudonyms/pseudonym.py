# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym as it travels from the sender to the index, once: N = k · H(input), not sealed yet (I5).

Two pseudonyms tell whether they are of one person only when one version of k made both, so each says which one did.
"""

from dataclasses import dataclass
from typing import Literal

from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.ristretto import PointError, check_point

Kind = Literal["youngster", "parent"]
"""The two kinds of pseudonym, which never match each other (R10)."""


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonym:
    """An element of ristretto255 other than the identity. Shows its bytes to no log and no traceback."""

    value: bytes
    """The 32 bytes of RFC 9496."""
    version: int
    """Of the pseudonym key."""

    def __post_init__(self) -> None:
        check_point(self.value)

    def __repr__(self) -> str:
        return "Pseudonym(hidden)"

    @classmethod
    def parse(cls, text: str, version: int) -> "Pseudonym":
        """A pseudonym from 43 characters of unpadded base64url. Raises PointError, without the text."""
        try:
            value = decode_base64url(text)
        except ValueError:
            raise PointError("not unpadded base64url") from None
        return cls(value, version)

    def to_text(self) -> str:
        """The 43 characters that `parse` reads: for the body of a request, and nowhere else."""
        return encode_base64url(self.value)
