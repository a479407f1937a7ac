# SPDX-License-Identifier: EUPL-1.2
"""How the factor of a turn goes from the pseudonym service's operator to the index's: sealed by HPKE (RFC 9180).

    sealed factor = version k1 (4 bytes) ‖ version k2 (4) ‖ recipient's X25519 public key (32) ‖ HPKE of D (80)

Base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, info = "verwijsindex/1/factor/" ‖ the first 40 bytes.
HPKE does not say who sealed it, and need not: only one D is the factor between two public keys of the signed list.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from verwijsindex.pseudonyms.factors import Factor, FactorError
from verwijsindex.pseudonyms.key_list import KeyList
from verwijsindex.pseudonyms.ristretto import invert, multiply_scalars

SEALED_LENGTH = 4 + 4 + 32 + 80  # bytes
_HEAD = 4 + 4 + 32
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal_factor(old: int, old_secret: bytes, new: int, new_secret: bytes, recipient: bytes) -> bytes:
    """D = k_new / k_old for who has the private half of `recipient` (32 bytes); the secrets are checked scalars.

    Raises ValueError where the recipient is no X25519 public key.
    """
    factor = multiply_scalars(new_secret, invert(old_secret))
    head = old.to_bytes(4) + new.to_bytes(4) + recipient
    return head + _SUITE.encrypt(factor, X25519PublicKey.from_public_bytes(recipient), _info(head))


def open_factor(sealed: bytes, private_key: bytes, key_list: KeyList) -> Factor:
    """The factor in SEALED_LENGTH bytes, proved by the public keys of the signed list.

    Raises FactorError: sealed to another, changed on its way, of a version that the list does not name, or wrong.
    """
    key, head = X25519PrivateKey.from_private_bytes(private_key), sealed[:_HEAD]
    if head[8:] != key.public_key().public_bytes_raw():
        raise FactorError(
            "it is sealed to another recipient: tell the public key that `pseudonym-key recipient` printed for this one"
        )
    old, new = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
    public_keys = {one.version: one.public_key for one in key_list.versions}
    for version in (old, new):
        if version not in public_keys:
            raise FactorError(
                f"it is for the turn from version {old} to {new}, and the list has no version {version}: take the list"
                " that `verwijsindex keys sign-list` made for this turn"
            )
    try:
        scalar = _SUITE.decrypt(sealed[_HEAD:], key, _info(head))
    except InvalidTag:
        raise FactorError("it was changed on its way: have it sent again") from None
    return Factor(old, new, scalar, public_keys[old], public_keys[new])


def _info(head: bytes) -> bytes:
    return b"verwijsindex/1/factor/" + head
