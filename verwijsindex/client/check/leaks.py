# SPDX-License-Identifier: EUPL-1.2
"""Whether a request holds what must never leave a sender (R7, I5): a BSN or a birth date, in whatever clothes."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date

from verwijsindex.client.check.cases import Row


def holds_bsn(content: bytes, rows: Sequence[Row]) -> bool:
    """Whether one of the rows' BSNs is there: in digits, hex or base64, or hashed without a secret."""
    return any(form in content for row in rows for bsn in (row.bsn, *row.parents) for form in _forms_of_bsn(bsn))


def holds_birth_date(content: bytes, rows: Sequence[Row]) -> bool:
    """Whether one of the rows' birth dates is there, as people and machines write them."""
    return any(form in content for row in rows for form in _forms_of_date(row.birth_date))


def _forms_of_bsn(digits: str) -> set[bytes]:
    """As it may stand in a request, also hashed without a secret."""
    texts = {digits.encode(), digits.zfill(9).encode()}
    forms = set(texts)
    for text in texts:
        forms |= {base64.b64encode(text).rstrip(b"="), text.hex().encode()}
        for name in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(name, text, usedforsecurity=False).digest()
            forms |= {digest.hex().encode(), base64.b64encode(digest)[:-4], base64.urlsafe_b64encode(digest)[:-4]}
    return forms


def _forms_of_date(day: date) -> set[bytes]:
    return {day.strftime(form).encode() for form in ("%Y-%m-%d", "%Y%m%d", "%d-%m-%Y", "%d/%m/%Y")}
