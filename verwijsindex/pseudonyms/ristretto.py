# SPDX-License-Identifier: EUPL-1.2
"""The group ristretto255 with SHA-512 as RFC 9497 (section 4.1) and RFC 9380 use it.

A small layer over libsodium (rbcl): every multiplication and every sum with a secret scalar is libsodium's,
which takes the same time whatever the secret. Points and scalars are 32 bytes.
"""

import hashlib
import hmac
import os
import sys
from pathlib import Path

import rbcl

# rbcl unpacks libsodium into a temporary file for each process and leaves it there; once loaded it is not needed.
if os.name == "posix":
    Path(sys.modules["rbcl._sodium"].lib_path).unlink(missing_ok=True)

IDENTITY = bytes(32)
_FIELD = 2**255 - 19
_NO_POINT = "not 32 bytes that encode an element of ristretto255 other than the identity"
_BLOCK = 128  # bytes in a block of SHA-512


class PointError(ValueError):
    """Bytes that are no element of the group, or its identity, which would tell nothing apart."""


def check_point(data: bytes) -> bytes:
    """The 32 bytes given, when they are the one encoding of an element other than the identity.

    Raises PointError.
    """
    if not rbcl.crypto_core_ristretto255_is_valid_point(_of_form(data)):
        raise PointError(_NO_POINT)
    return data


def _of_form(data: bytes) -> bytes:
    """Refuses what libsodium lets pass: the identity (RFC 9497, section 2.1), and a number from 2^255 up (RFC 9496,
    section 4.3.1), which would be a second encoding of the same element and so a second pseudonym of one youngster.
    """
    if len(data) != 32 or not 0 < int.from_bytes(data, "little") < _FIELD:
        raise PointError(_NO_POINT)
    return data


def check_scalar(data: bytes) -> bytes:
    """The 32 bytes given, when they are a number below the group's order in little-endian order.

    Raises ValueError. Compares in constant time, since it also checks secrets.
    """
    if len(data) == 32 and hmac.compare_digest(_reduce(data + bytes(32)), data):
        return data
    raise ValueError("not a scalar of 32 bytes below the order of ristretto255")


def check_secret(data: bytes) -> bytes:
    """A scalar that is not zero. Raises ValueError."""
    if hmac.compare_digest(check_scalar(data), bytes(32)):
        raise ValueError("a secret scalar is not zero")
    return data


def random_scalar() -> bytes:
    """A scalar from the operating system's randomness, never zero."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_random())


def multiply(scalar: bytes, point: bytes) -> bytes:
    """scalar · point; the identity where the scalar is zero. Raises PointError."""
    product = bytes(rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(scalar, _of_form(point)))
    if product == IDENTITY:  # of a scalar that is not zero libsodium gives it only for what is no element
        check_point(point)
    return product


def multiply_base(scalar: bytes) -> bytes:
    """scalar · G, with G the group's generator."""
    return bytes(rbcl.crypto_scalarmult_ristretto255_base_allow_scalar_zero(scalar))


def add(one: bytes, other: bytes) -> bytes:
    """The sum of two elements, of which either may be the identity."""
    return bytes(rbcl.crypto_core_ristretto255_add(one, other))


def invert(scalar: bytes) -> bytes:
    """1 / scalar, modulo the group's order."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_invert(scalar))


def multiply_scalars(one: bytes, other: bytes) -> bytes:
    """one · other, modulo the group's order."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_mul(one, other))


def subtract_product(r: bytes, c: bytes, k: bytes) -> bytes:
    """The scalar r - c · k."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_sub(r, multiply_scalars(c, k)))


def hash_to_group(message: bytes, dst: bytes) -> bytes:
    """A point whose logarithm nobody knows (RFC 9380, appendix B), under a domain separation tag."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(_expand(message, dst)))


def hash_to_scalar(message: bytes, dst: bytes) -> bytes:
    """A scalar, from 64 uniform bytes taken as a little-endian number (RFC 9497, section 4.1)."""
    return _reduce(_expand(message, dst))


def _reduce(data: bytes) -> bytes:
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(data))


def _expand(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd of RFC 9380, section 5.3.1, with SHA-512, for 64 bytes: that is one block."""
    tag = dst + bytes([len(dst)])
    first = hashlib.sha512(bytes(_BLOCK) + message + (64).to_bytes(2, "big") + b"\x00" + tag).digest()
    return hashlib.sha512(first + b"\x01" + tag).digest()
