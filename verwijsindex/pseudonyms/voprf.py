# SPDX-License-Identifier: EUPL-1.2
"""The VOPRF of RFC 9497 with ristretto255-SHA512 (section 4.1), up to Finalize without its last hash.

The sender blinds a BSN and learns N = k · H(input); the pseudonym service, which holds k, learns nothing, and
proves with one proof for the whole batch (section 2.2) that it used the k of its public key. N is kept in the
group so that a turn of the key can multiply it by k2/k1 (docs/decisions/0002). Names follow the RFC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from verwijsindex.keyfiles import KeyFileError, versioned_secrets
from verwijsindex.pseudonyms import ristretto
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.proof import CONTEXT, ProofError, prove, verify
from verwijsindex.pseudonyms.pseudonym import Kind
from verwijsindex.pseudonyms.ristretto import PointError

__all__ = ["PointError", "ProofError", "verify"]  # so that a sender finds all it needs in one place

MAX_BATCH = 100
"""Elements in one evaluation: a bound of ours on the work of one request (the RFC's is 65535)."""


@dataclass(frozen=True, slots=True)
class Blinded:
    """What the sender sends (`elements`, 32 bytes each) and what it keeps (`blinds`), in the order of the
    inputs. Who has both can try out BSNs."""

    elements: tuple[bytes, ...]
    blinds: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The service's answer: an element of 32 bytes for each one sent, and one proof c ‖ s of 64 bytes."""

    elements: tuple[bytes, ...]
    proof: bytes


def voprf_input(kind: Kind, bsn: Bsn) -> bytes:
    """The input of the VOPRF: `verwijsindex/1/<kind>/` and the nine digits, in ASCII.

    One person as a parent and as a youngster so has two pseudonyms, which nobody can match (R10).
    """
    return b"verwijsindex/1/" + kind.encode("ascii") + b"/" + bsn.digits


def hash_to_group(message: bytes) -> bytes:
    """H(input) of 32 bytes (RFC 9497, section 4.1)."""
    return ristretto.hash_to_group(message, b"HashToGroup-" + CONTEXT)


def blind(inputs: Sequence[bytes], *, blinds: Sequence[bytes] | None = None) -> Blinded:
    """Blinds each input under its own random scalar (section 3.3.1); `blinds` fixes them, for test vectors.

    Raises ValueError for an empty batch or one above MAX_BATCH.
    """
    _check_size(inputs)
    if blinds is None:
        blinds = [ristretto.random_scalar() for _ in inputs]
    elements = [
        ristretto.multiply(ristretto.check_secret(scalar), hash_to_group(message))
        for message, scalar in zip(inputs, blinds, strict=True)
    ]
    return Blinded(tuple(elements), tuple(blinds))


def unblind(evaluated: Sequence[bytes], blinds: Sequence[bytes]) -> list[bytes]:
    """N = k · H(input) for each, 32 bytes, in order: the `unblindedElement` of Finalize (section 3.3.1).

    Verify first: without its proof an evaluation can mark who asked. Raises PointError.
    """
    return [
        ristretto.multiply(ristretto.invert(scalar), element) for element, scalar in zip(evaluated, blinds, strict=True)
    ]


def generate_secret() -> bytes:
    """A new secret k for a version of the pseudonym key: a random scalar of 32 bytes, never zero."""
    return ristretto.random_scalar()


class Evaluator:
    """The service's side of one version of the key."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: bytes) -> None:
        """`secret`: k as a scalar of 32 bytes in little-endian order. Raises ValueError when it is not below
        the group's order, or zero."""
        self._secret = ristretto.check_secret(secret)
        self.public_key = ristretto.multiply_base(secret)
        """k · G, 32 bytes, which the signed list of versions tells to all."""

    def __repr__(self) -> str:
        return "Evaluator(hidden)"

    def evaluate(self, elements: Sequence[bytes], *, r: bytes | None = None) -> Evaluation:
        """BlindEvaluate for a batch (section 3.3.2), with one proof; `r` fixes its randomness, for test
        vectors only: the same r twice gives k away.

        Raises PointError when one is no element, ValueError for an empty batch or one above MAX_BATCH.
        """
        _check_size(elements)
        evaluated = [ristretto.multiply(self._secret, element) for element in elements]
        r = ristretto.random_scalar() if r is None else ristretto.check_secret(r)
        return Evaluation(tuple(evaluated), prove(self._secret, self.public_key, elements, evaluated, r))


def load_evaluators(folder: Path) -> dict[int, Evaluator]:
    """By version, of the files `pseudonym-<version>.key` in the folder. Raises KeyFileError."""
    evaluators = {}
    for version, secret in versioned_secrets(folder, "pseudonym").items():
        try:
            evaluators[version] = Evaluator(secret)
        except ValueError:
            path = folder / f"pseudonym-{version}.key"
            raise KeyFileError(f"key file {path} holds no scalar of ristretto255") from None
    return evaluators


def _check_size(batch: Sequence[bytes]) -> None:
    if not 1 <= len(batch) <= MAX_BATCH:
        raise ValueError(f"a batch has from 1 to {MAX_BATCH} elements")
