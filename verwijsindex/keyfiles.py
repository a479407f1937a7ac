# SPDX-License-Identifier: EUPL-1.2
"""Key files: what a process reads at its start, and refuses to start without.

A secret is one line of unpadded base64url (RFC 4648, section 5) in a file that others cannot read; an Ed25519
key is a JWK in JSON (RFC 8037). Every refusal names the file and what is wrong with it, and never shows what
is in it (I5).
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_LARGEST = 4096  # bytes; no key file comes near
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class KeyFileError(Exception):
    """A key file that cannot be used. Its text names the file and the fault, never the content."""


def encode_base64url(data: bytes) -> str:
    """Unpadded base64url (RFC 4648, section 5), the text form of every key, point and proof."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of unpadded base64url. Raises ValueError, without the text, for padding, other characters, or
    last bits that are not zero: each value has one text form only."""
    if _BASE64URL.fullmatch(text):
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            pass
        else:
            if encode_base64url(data) == text:
                return data
    raise ValueError("not unpadded base64url")


def read_secret(path: Path, lengths: Collection[int] = (32,)) -> bytes:
    """The secret in the file, of one of these lengths in bytes. Raises KeyFileError."""
    text = _read(path, private=True).strip()
    try:
        secret = decode_base64url(text)
    except ValueError:
        _refuse(path, "is not one line of unpadded base64url")
    if len(secret) not in lengths:
        wrong = "short" if len(secret) < min(lengths) else "long"
        _refuse(path, f"is too {wrong}: not {' or '.join(map(str, lengths))} bytes")
    return secret


def write_secret(path: Path, secret: bytes) -> None:
    """Writes the secret to a new file of mode 0600. Raises KeyFileError where the file exists."""
    _write(path, encode_base64url(secret) + "\n", mode=0o600)


def versioned_secrets(folder: Path, prefix: str, lengths: Collection[int] = (32,)) -> dict[int, bytes]:
    """The secrets `<prefix>-<version>.key` in the folder, by version from 1 up.

    Raises KeyFileError where there is none, one cannot be used, or a name is almost of that form: a key that
    is silently passed over would be missed only when its rows can no longer be read.
    """
    if not folder.is_dir():
        _refuse(folder, "is not a folder", "folder of keys")
    secrets = {}
    for path in sorted(folder.glob(f"{prefix}-*")):
        form = re.fullmatch(rf"{re.escape(prefix)}-([1-9][0-9]{{0,8}})\.key", path.name)
        if form is None:
            _refuse(path, f"is not named {prefix}-<version>.key")
        secrets[int(form[1])] = read_secret(path, lengths)
    if not secrets:
        _refuse(folder, f"holds no key file {prefix}-<version>.key", "folder of keys")
    return secrets


def read_signing_key(path: Path) -> OKPKey:
    """The Ed25519 key, private part included, of a JWK file that others cannot read. Raises KeyFileError."""
    key = _ed25519(path, _read(path, private=True))
    if not key.is_private:
        _refuse(path, "holds the public part only")
    return key


def write_signing_key(path: Path, key: OKPKey) -> None:
    """Writes the private JWK to a new file of mode 0600. Raises KeyFileError where the file exists."""
    _write(path, json.dumps(key.as_dict(private=True)) + "\n", mode=0o600)


def read_public_key(path: Path) -> OKPKey:
    """The Ed25519 public key of a JWK file. Raises KeyFileError, also when it holds the private part: such a
    file is about to be handed to somebody."""
    key = _ed25519(path, _read(path, private=False))
    if key.is_private:
        _refuse(path, "holds the private part too")
    return key


def write_public_key(path: Path, key: OKPKey) -> None:
    """Writes the public JWK alone to a new file that all may read. Raises KeyFileError where it exists."""
    _write(path, json.dumps(key.as_dict(private=False)) + "\n", mode=0o644)


def _ed25519(path: Path, text: str) -> OKPKey:
    key = None
    with suppress(JoseError, ValueError, TypeError, KeyError):  # and leave no exception that holds the text
        jwk = json.loads(text)
        if jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519":
            key, stated = OKPKey.import_key(jwk), decode_base64url(jwk["x"])
    if key is None:
        _refuse(path, "is not an Ed25519 JWK")
    if key.public_key.public_bytes_raw() != stated:
        _refuse(path, "holds a private and a public part that do not belong together")
    return key


def _read(path: Path, *, private: bool) -> str:
    """Checks the open file and not the name, so that nothing can change in between; never waits on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _refuse(path, "is missing")
    except OSError as error:
        _refuse(path, f"cannot be opened ({os.strerror(error.errno or 0)})")
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        _refuse(path, "is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if private and about.st_mode & 0o007:
            _refuse(path, f"can be used by others (mode {stat.S_IMODE(about.st_mode):04o}, wanted 0600)")
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        _refuse(path, "is too long")
    if not content.isascii():
        _refuse(path, "is not plain text")
    return content.decode("ascii")


def _write(path: Path, text: str, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        _refuse(path, "exists already and is not overwritten")
    except OSError as error:
        _refuse(path, f"cannot be made ({os.strerror(error.errno or 0)})")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()  # half a key would be in the way of every process, and of another try
        _refuse(path, f"cannot be written ({os.strerror(error.errno or 0)})")


def _refuse(path: Path, fault: str, what: str = "key file") -> NoReturn:
    raise KeyFileError(f"{what} {path} {fault}") from None
