# SPDX-License-Identifier: EUPL-1.2
"""Base64 with padding (RFC 4648, section 4), as signed notes write keys, roots and signatures: one text for a value."""

import base64
import binascii


def encode(data: bytes) -> str:
    """Its text."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """The bytes. Raises ValueError for what `encode` does not write."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if encode(data) != text:
        raise ValueError("not base64")
    return data
