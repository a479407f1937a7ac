# SPDX-License-Identifier: EUPL-1.2
"""How the index keeps what it must not lose to whoever reads the database (R6, R16, I5).

A key of 32 bytes per version; of it each purpose has its own subkey by HKDF-SHA-512 (RFC 5869), so that what
is sealed for one purpose or under one version opens under no other. Pseudonyms are sealed with AES-SIV
(RFC 5297): equal for equal, so that a unique index finds them, and re-encryptable when the key turns. What
need not be compared is sealed with AES-256-GCM under a random nonce.
"""

import hmac
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from verwijsindex.keyfiles import versioned_secrets
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym

Purpose = Literal["turns-23-on", "case-reference", "webhook-secret"]
Fingerprint = Literal["body", "pseudonyms"]
"""Of a repeated request: one of its body, one of its pseudonyms (idempotency, DESIGN.md)."""

_NONCE = 12  # bytes


class SealError(Exception):
    """Sealed bytes that do not open: another key, purpose, kind or context, or bytes that were changed."""


class IndexKeyMissingError(KeyError):
    """A version of the index key that this process does not hold."""

    def __init__(self, version: int) -> None:
        super().__init__(f"index key {version} is not here: put its file into the folder of keys, and restart")


class IndexKey:
    """One version of the index key. Its subkeys are derived once, since every signal needs them."""

    __slots__ = ("_aead", "_mac", "_siv", "version")

    def __init__(self, version: int, secret: bytes) -> None:
        """`secret`: 32 bytes of randomness. Raises ValueError for another length."""
        if len(secret) != 32:
            raise ValueError("an index key has 32 bytes")
        self.version = version
        self._siv = {kind: AESSIV(_subkey(version, secret, kind, 64)) for kind in get_args(Kind)}
        self._aead = {use: AESGCM(_subkey(version, secret, use, 32)) for use in get_args(Purpose)}
        self._mac = {use: _subkey(version, secret, f"fingerprint/{use}", 32) for use in get_args(Fingerprint)}

    def __repr__(self) -> str:
        return f"IndexKey(version={self.version})"

    def seal_pseudonym(self, kind: Kind, pseudonym: Pseudonym) -> bytes:
        """48 bytes, equal for an equal pseudonym of the same kind under the same version."""
        return self._siv[kind].encrypt(pseudonym.value, [kind.encode("ascii")])

    def open_pseudonym(self, kind: Kind, sealed: bytes) -> Pseudonym:
        """The pseudonym in what `seal_pseudonym` made. Raises SealError."""
        try:
            return Pseudonym(self._siv[kind].decrypt(sealed, [kind.encode("ascii")]))
        except (InvalidTag, ValueError):
            raise SealError(f"a sealed {kind} pseudonym does not open under index key {self.version}") from None

    def seal(self, purpose: Purpose, context: bytes, plaintext: bytes) -> bytes:
        """Seals under a random nonce of 12 bytes, which stands in front; 28 bytes longer than the plaintext.

        `context` names the one row it belongs to, such as the signal's id: moved to another row it does not
        open.
        """
        nonce = os.urandom(_NONCE)
        return nonce + self._aead[purpose].encrypt(nonce, plaintext, context)

    def open(self, purpose: Purpose, context: bytes, sealed: bytes) -> bytes:
        """The plaintext of what `seal` made for this purpose and context. Raises SealError."""
        try:
            return self._aead[purpose].decrypt(sealed[:_NONCE], sealed[_NONCE:], context)
        except (InvalidTag, ValueError):
            raise SealError(f"a sealed {purpose} does not open under index key {self.version}") from None

    def fingerprint(self, purpose: Fingerprint, data: bytes) -> bytes:
        """32 bytes (HMAC-SHA-256), equal for equal data; who has no key cannot try out what was in it."""
        return hmac.digest(self._mac[purpose], data, "sha256")


class IndexKeys(Mapping[int, IndexKey]):
    """Every version of the index key that is still there, by its number. Never empty."""

    def __init__(self, secrets: Mapping[int, bytes], sealing: Callable[[], int] | None = None) -> None:
        """`sealing` says with which version to seal at this moment; the highest when left out."""
        self._keys = {version: IndexKey(version, secrets[version]) for version in sorted(secrets)}
        self._sealing = sealing or (lambda: max(self._keys))

    @classmethod
    def load(cls, folder: Path, sealing: Callable[[], int] | None = None) -> "IndexKeys":
        """Of the files `index-<version>.key` in the folder. Raises KeyFileError."""
        return cls(versioned_secrets(folder, "index"), sealing)

    @property
    def current(self) -> IndexKey:
        """What is written now is sealed with it. It may be another the next time: ask once for what belongs together.

        Raises IndexKeyMissingError."""
        return self[self._sealing()]

    def __getitem__(self, version: int) -> IndexKey:
        """Raises IndexKeyMissingError."""
        try:
            return self._keys[version]
        except KeyError:
            raise IndexKeyMissingError(version) from None

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"IndexKeys(versions={list(self._keys)})"


def _subkey(version: int, secret: bytes, purpose: str, length: int) -> bytes:
    info = f"verwijsindex/1/index-key/{version}/{purpose}".encode("ascii")
    return HKDF(algorithm=SHA512(), length=length, salt=None, info=info).derive(secret)
