# SPDX-License-Identifier: EUPL-1.2
"""How the index keeps what it must not lose to whoever reads the database (R6, R16, I5).

A key of 32 bytes per version; of it each purpose has its own subkey by HKDF-SHA-512 (RFC 5869), so that what
is sealed for one purpose or under one version opens under no other. Pseudonyms are sealed with AES-SIV
(RFC 5297): equal for equal, so that a unique index finds them, and re-encryptable when the key turns. What
need not be compared is sealed with AES-256-GCM under a random nonce.

Each version of the index key is for pseudonyms of one version of the pseudonym key; those of another are turned to it
before they are sealed (decision 0020). Its file says so in four bytes more, which an earlier version of this program
refuses to read: it would seal them as they came.
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

from verwijsindex.keyfiles import versioned_secrets, write_secret
from verwijsindex.pseudonyms.factors import Factors, KeyMissingError
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym

Purpose = Literal["turns-23-on", "case-reference", "webhook-secret", "mail-link"]
Fingerprint = Literal["key", "body", "pseudonyms"]
"""Of a request that may be repeated: one of its idempotency key, by which it is known, one of its body, one of its
pseudonyms (docs/protocol.md)."""

_NONCE = 12  # bytes
LENGTHS = (32, 36)
"""Of an index key's secret, in bytes: alone, and with the version of the pseudonym key when that is not 1."""


class SealError(Exception):
    """Sealed bytes that do not open: another key, purpose, kind or context, or bytes that were changed."""


class IndexKeyMissingError(KeyMissingError):
    """A version of the index key that this process does not hold."""

    def __init__(self, version: int) -> None:
        super().__init__(f"index key {version} is not here: put its file into the folder of keys, and restart")


_NONE = Factors()


class IndexKey:
    """One version of the index key. Its subkeys are derived once, since every signal needs them."""

    __slots__ = ("_aead", "_factors", "_mac", "_siv", "pseudonym_version", "version")

    def __init__(self, version: int, secret: bytes, factors: Factors = _NONE) -> None:
        """`secret`: 32 bytes of randomness, and perhaps the version of the pseudonym key. Raises ValueError for another
        length. `factors` turn to it the pseudonyms of other versions."""
        if len(secret) not in LENGTHS:
            raise ValueError("an index key has 32 bytes, or 36")
        self.version = version
        self.pseudonym_version = int.from_bytes(secret[32:]) or 1
        """The version of the pseudonym key whose pseudonyms it seals."""
        self._factors = factors
        secret = secret[:32]
        self._siv = {kind: AESSIV(_subkey(version, secret, kind, 64)) for kind in get_args(Kind)}
        self._aead = {use: AESGCM(_subkey(version, secret, use, 32)) for use in get_args(Purpose)}
        self._mac = {use: _subkey(version, secret, f"fingerprint/{use}", 32) for use in get_args(Fingerprint)}

    def __repr__(self) -> str:
        return f"IndexKey(version={self.version})"

    def seal_pseudonym(self, kind: Kind, pseudonym: Pseudonym) -> bytes:
        """48 bytes, equal for the same person's pseudonym of the same kind, whichever version of the pseudonym key made
        it. Raises FactorMissingError where that version cannot be turned to this one's."""
        turned = self._factors.turned(pseudonym, self.pseudonym_version)
        return self._siv[kind].encrypt(turned.value, [kind.encode("ascii")])

    def open_pseudonym(self, kind: Kind, sealed: bytes) -> Pseudonym:
        """The pseudonym in what `seal_pseudonym` made. Raises SealError."""
        try:
            return Pseudonym(self._siv[kind].decrypt(sealed, [kind.encode("ascii")]), self.pseudonym_version)
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

    def __init__(
        self, secrets: Mapping[int, bytes], sealing: Callable[[], int] | None = None, factors: Factors = _NONE
    ) -> None:
        """`sealing` says with which version to seal at this moment; the highest when left out."""
        self.factors = factors
        self._keys = {version: IndexKey(version, secrets[version], factors) for version in sorted(secrets)}
        self._sealing = sealing or (lambda: max(self._keys))

    @classmethod
    def load(cls, folder: Path, sealing: Callable[[], int] | None = None) -> "IndexKeys":
        """Of the files `index-<version>.key` in the folder, with its factors. Raises KeyFileError."""
        return cls(versioned_secrets(folder, "index", LENGTHS), sealing, Factors.load(folder))

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


def write_next_key(folder: Path, pseudonym_version: int = 1) -> Path:
    """Make the file of the next version, for pseudonyms of this version of the pseudonym key, or of that of the newest
    version in the folder when it is newer. Raises KeyFileError."""
    keys = IndexKeys.load(folder) if any(folder.glob("index-*")) else {}
    newest = max(keys, default=0)
    if newest:
        pseudonym_version = max(pseudonym_version, keys[newest].pseudonym_version)
    path = folder / f"index-{newest + 1}.key"
    write_secret(path, os.urandom(32) + (pseudonym_version.to_bytes(4) if pseudonym_version > 1 else b""))
    return path


def _subkey(version: int, secret: bytes, purpose: str, length: int) -> bytes:
    info = f"verwijsindex/1/index-key/{version}/{purpose}".encode("ascii")
    return HKDF(algorithm=SHA512(), length=length, salt=None, info=info).derive(secret)
