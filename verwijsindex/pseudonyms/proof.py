# SPDX-License-Identifier: EUPL-1.2
"""The proof of RFC 9497, section 2.2, that one secret k stands behind a whole batch and the public key.

It is a discrete logarithm equality proof (DLEQ): without it the service could answer one sender with a k of
its own and know that sender's signals again. Names follow the RFC: A is the generator, B the public key, C
what was sent, D what came back, M and Z their composites.
"""

import hashlib
from collections.abc import Iterable, Sequence

from verwijsindex.pseudonyms.ristretto import (
    IDENTITY,
    add,
    check_scalar,
    hash_to_scalar,
    multiply,
    multiply_base,
    subtract_product,
)

CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
"""The RFC's context string, whose byte 0x01 is the mode VOPRF."""


class ProofError(ValueError):
    """The service's proof does not hold: another key, other elements, or bytes that were changed."""


def prove(secret: bytes, public_key: bytes, sent: Sequence[bytes], answered: Sequence[bytes], r: bytes) -> bytes:
    """The proof c ‖ s of 64 bytes (GenerateProof) that answered = secret · sent for each.

    `r` is a fresh random scalar: two proofs with one r give the secret away. Raises PointError.
    """
    m = _sum(_weights(public_key, sent, answered), sent)
    z = multiply(secret, m)
    c = _challenge(public_key, m, z, multiply_base(r), multiply(r, m))
    return c + subtract_product(r, c, secret)


def verify(public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes) -> None:
    """Returns when each evaluated element is k times its blinded one, in this order, for the k of the public
    key (VerifyProof). Raises PointError for what is no element, ProofError for all else that is wrong."""
    if not blinded or len(evaluated) != len(blinded):
        raise ProofError("not one evaluated element for each blinded one")
    try:
        c, s = check_scalar(proof[:32]), check_scalar(proof[32:])
    except ValueError:
        raise ProofError("the proof is not two scalars of 32 bytes") from None
    weights = _weights(public_key, blinded, evaluated)
    m, z = _sum(weights, blinded), _sum(weights, evaluated)
    t2 = add(multiply_base(s), multiply(c, public_key))
    t3 = add(multiply(s, m), multiply(c, z))
    if _challenge(public_key, m, z, t2, t3) != c:
        raise ProofError("the proof does not hold for this public key and these elements")


def _weights(public_key: bytes, sent: Sequence[bytes], answered: Sequence[bytes]) -> list[bytes]:
    """The scalars d_i of ComputeComposites: they depend on everything, so that no one can choose them."""
    seed = hashlib.sha512(_framed(public_key) + _framed(b"Seed-" + CONTEXT)).digest()
    return [
        _scalar(_framed(seed) + i.to_bytes(2, "big") + _framed(c_i) + _framed(d_i) + b"Composite")
        for i, (c_i, d_i) in enumerate(zip(sent, answered, strict=True))
    ]


def _challenge(public_key: bytes, *points: bytes) -> bytes:
    return _scalar(b"".join(_framed(point) for point in (public_key, *points)) + b"Challenge")


def _sum(weights: Iterable[bytes], points: Iterable[bytes]) -> bytes:
    total = IDENTITY
    for weight, point in zip(weights, points, strict=True):
        total = add(total, multiply(weight, point))
    return total


def _scalar(message: bytes) -> bytes:
    return hash_to_scalar(message, b"HashToScalar-" + CONTEXT)


def _framed(data: bytes) -> bytes:
    """The data behind its length in two bytes, big-endian."""
    return len(data).to_bytes(2, "big") + data
