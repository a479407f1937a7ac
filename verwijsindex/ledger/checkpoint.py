# SPDX-License-Identifier: EUPL-1.2
"""Signed checkpoints of the ledger: C2SP tlog-checkpoint in a C2SP signed note, Ed25519. Without a database.

The text is origin, size, root and one extension line with the time; who keeps one outside can later tell whether the
ledger still begins with what it was then. A file of checkpoints is notes, one after the other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from verwijsindex.ledger.base64 import decode, encode
from verwijsindex.ledger.tree import HASH_BYTES

_ED25519 = b"\x01"
_ORIGIN = re.compile(r"[A-Za-z0-9.-]+(/[A-Za-z0-9._-]+)*")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class LedgerError(Exception):
    """What is wrong with a checkpoint, a proof, a key or an export; says what to do, and holds no event (I5)."""


def check_origin(name: str) -> str:
    """The name of a ledger, as example.org/ledger. Raises ValueError."""
    if not _ORIGIN.fullmatch(name) or len(name) > 200:
        raise ValueError("write it as the name of a host with a path, such as index.example.org/ledger")
    return name


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public key of a ledger together with its name, in the one line that C2SP calls a vkey."""

    origin: str
    public: bytes

    @classmethod
    def of(cls, origin: str, key: OKPKey) -> Self:
        """That of a key file."""
        return cls(check_origin(origin), key.public_key.public_bytes_raw())

    @classmethod
    def parse(cls, line: str) -> Self:
        """`<origin>+<id>+<base64>`. Raises LedgerError."""
        origin, _, rest = line.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = decode(encoded)
            found = cls(check_origin(origin), data[1:])
        except ValueError:
            data, found = b"", cls("", b"")
        if data[:1] != _ED25519 or len(data) != 33 or found.id.hex() != key_id:
            raise LedgerError("this is no verifier key of a ledger: it is one line, <origin>+<8 hex digits>+<base64>")
        return found

    @property
    def id(self) -> bytes:
        """The first four bytes of H(origin, newline, algorithm, public key): tells whose a signature is."""
        return sha256(self.origin.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.origin}+{self.id.hex()}+{encode(_ED25519 + self.public)}"


def read_verifier_keys(text: str) -> list[VerifierKey]:
    """Those of a file, one on a line; several while or after a key was turned. Raises LedgerError."""
    keys = [VerifierKey.parse(line) for line in text.splitlines() if line.strip()]
    if not keys:
        raise LedgerError("there is no verifier key in it")
    return keys


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The whole ledger at a moment: how many events it has, and the root of their tree."""

    origin: str
    size: int
    root: bytes
    at: datetime

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\ntime {self.at.astimezone(UTC).strftime(_TIME)}\n"

    @classmethod
    def _parse(cls, text: str) -> Self:
        lines = text.split("\n")
        if len(lines) < 5 or lines[-1] or not _NUMBER.fullmatch(lines[1]) or not lines[3].startswith("time "):
            raise ValueError
        root = decode(lines[2])
        at = datetime.strptime(lines[3].removeprefix("time "), _TIME).replace(tzinfo=UTC)
        if len(root) != HASH_BYTES:
            raise ValueError
        return cls(check_origin(lines[0]), int(lines[1]), root, at)

    @classmethod
    def stated(cls, note: str) -> Self:
        """What a note of our own says, whoever signed it: one that came from the table where we keep them."""
        return cls._parse(note.rpartition("\n\n")[0] + "\n")

    @classmethod
    def open(cls, note: str, keys: Iterable[VerifierKey]) -> Self:
        """The checkpoint in a note that one of `keys` signed; other signatures (of witnesses) are passed over.

        Raises LedgerError.
        """
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        known = list(keys)
        try:
            found = cls._parse(text)
        except ValueError:
            raise LedgerError("this is no checkpoint of a ledger: it was cut, or something else stands there") from None
        for line in signatures.splitlines():
            name, _, encoded = line.removeprefix("— ").partition(" ")
            for key in known:
                if name == key.origin == found.origin and _signed(key, text, encoded):
                    return found
        raise LedgerError(
            f"the checkpoint of size {found.size} is not signed by the key that you hold. Ask the operator whether the"
            " ledger's key was turned, and compare by telephone; if not, somebody else made this checkpoint"
        )


def _signed(key: VerifierKey, text: str, encoded: str) -> bool:
    try:
        data = decode(encoded)
        if data[:4] != key.id:
            return False
        Ed25519PublicKey.from_public_bytes(key.public).verify(data[4:], text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


class Signer:
    """Signs the checkpoints of one ledger."""

    def __init__(self, origin: str, key: OKPKey) -> None:
        self.origin = origin
        self.key = VerifierKey.of(origin, key)
        private = key.private_key
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("an Ed25519 key signs checkpoints")
        self._private = private

    def sign(self, size: int, root: bytes, at: datetime) -> str:
        """The checkpoint as a signed note."""
        text = Checkpoint(self.origin, size, root, at).text()
        signature = self.key.id + self._private.sign(text.encode())
        return f"{text}\n— {self.origin} {encode(signature)}\n"


def read_notes(text: str) -> list[str]:
    """The notes of a file, in its order."""
    notes, signed = [""], False
    for line in text.splitlines(keepends=True):
        is_signature = line.startswith("— ")
        if signed and not is_signature:
            notes.append("")
        signed = is_signature
        notes[-1] += line
    return [note for note in notes if note.strip()]
