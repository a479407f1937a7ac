# SPDX-License-Identifier: EUPL-1.2
"""The BSN, which exists at the sender only and never reaches the index (R7, I5)."""

import re
from dataclasses import dataclass

from stdnum.exceptions import InvalidChecksum, ValidationError
from stdnum.nl import bsn as eleven_test

_RUN = re.compile(r"(?<![0-9])[0-9]{8,9}(?![0-9])")


class BsnError(ValueError):
    """What was given is no BSN. Its text says which check failed and holds nothing of the input."""


@dataclass(frozen=True, slots=True, repr=False)
class Bsn:
    """A BSN that has passed the 11-test. Shows its digits to no log and no traceback."""

    digits: bytes
    """Nine ASCII digits."""

    def __post_init__(self) -> None:
        if not re.fullmatch(rb"[0-9]{9}", self.digits):
            raise BsnError("a BSN has eight or nine digits and nothing else")
        try:
            eleven_test.validate(self.digits.decode("ascii"))
        except InvalidChecksum:
            raise BsnError("the number does not pass the 11-test") from None
        except ValidationError:
            raise BsnError("a BSN is not all zeros") from None

    def __repr__(self) -> str:
        return "Bsn(hidden)"

    @classmethod
    def parse(cls, text: str) -> "Bsn":
        """A BSN from text: white space around it is dropped, eight digits are padded to nine with a zero in
        front, and the 11-test must hold (Wabb 12). Raises BsnError."""
        trimmed = text.strip()
        if not re.fullmatch(r"[0-9]{8,9}", trimmed):
            raise BsnError("a BSN has eight or nine digits and nothing else")
        return cls(trimmed.zfill(9).encode("ascii"))


def hides_bsn(text: str) -> bool:
    """Whether a whole run of digits in the text has eight or nine and passes the 11-test (R6)."""
    return any(map(eleven_test.is_valid, _RUN.findall(text)))
