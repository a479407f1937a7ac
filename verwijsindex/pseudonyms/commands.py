# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex keys ...`: makes, shows and checks every key there is. No output holds a secret."""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from joserfc.jwk import OKPKey

from verwijsindex import keyfiles
from verwijsindex.keyfiles import KeyFileError, encode_base64url, versioned_secrets
from verwijsindex.pseudonyms.key_list import KeyListError, KeyVersion, read_key_list, sign_key_list
from verwijsindex.pseudonyms.voprf import Evaluator, generate_secret, load_evaluators

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="Make and check keys. A secret stands in a file that only its process reads, and is never shown. "
    "Existing files are never overwritten. Keep a sealed copy of each secret in another place. "
    "A client makes its own key with `verwijsindex client keygen`.",
)

Folder = Annotated[Path, typer.Argument(help="Folder of the key files; made where it is missing.")]
NewFile = Annotated[Path, typer.Argument(help="File to make; its public part goes beside it, in FILE.pub.json.")]


@contextmanager
def _told() -> Iterator[None]:
    """A fault is one line on standard error and exit status 1."""
    try:
        yield
    except (KeyFileError, KeyListError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command("index")
def make_index_key(folder: Folder) -> None:
    """Make the next version of the index key, index-N.key.

    Held by: the index and its workers. It seals pseudonyms and whatever need not be readable in the database.
    Who has it and the database still needs the pseudonym key to name a youngster. Lost: no new signal matches
    those that are there, and what was sealed with it is unreadable for good.
    """
    _make_version(folder, "index", secrets.token_bytes(32))


@app.command("pseudonym")
def make_pseudonym_key(folder: Folder) -> None:
    """Make the next version of the pseudonym key k, pseudonym-N.key.

    Held by: the pseudonym service alone, under another operator than the index. Who has it and the index key
    can name every youngster. Lost: new signals match none of those that are there. Sign the list of versions
    after this (`keys sign-list`).
    """
    _make_version(folder, "pseudonym", generate_secret())


@app.command("list-signer")
def make_list_signer(file: NewFile) -> None:
    """Make the key that signs the list of versions of the pseudonym key.

    Held by: no process. Keep it offline; every sender pins its public part. Who has it and runs the
    pseudonym service can give one sender another key than the rest and so know its signals again. Lost: no
    new version can be announced until every sender pins another.
    """
    _make_signing_key(file)


@app.command("issuer")
def make_issuer_key(file: NewFile) -> None:
    """Make the key that signs access tokens.

    Held by: the issuer. Who has it can pose as any client and any person. Lost: nothing; make another, and
    tokens made with the old one end within the hour.
    """
    _make_signing_key(file)


@app.command("public")
def show_public(file: Annotated[Path, typer.Argument(help="File with a private or public JWK.")]) -> None:
    """Print the public JWK of a signing key: what may be handed to anyone."""
    with _told():
        typer.echo(_public_jwk(_read_either(file)))


@app.command("sign-list")
def sign_list(
    service_keys: Annotated[Path, typer.Option(help="Folder with the service's pseudonym-N.key.")],
    signer: Annotated[Path, typer.Option(help="File of the key that `keys list-signer` made.")],
    out: Annotated[Path, typer.Option(help="The signed list, for the service and the index to serve.")],
) -> None:
    """Sign the list of versions of the pseudonym key, with their public keys and times of acceptance.

    A version that stands in the list at --out keeps the time from which it is accepted; a new one is accepted
    from now. The public keys are computed from the secrets, so do this where the service's key files are,
    with the signing key brought there for the occasion.
    """
    with _told():
        public_keys = {version: one.public_key for version, one in load_evaluators(service_keys).items()}
        if len(public_keys) > 1:
            raise KeyListError(
                f"folder {service_keys} holds versions {sorted(public_keys)}: what two versions make never "
                "matches, and turning one into the other is not built yet. Leave the one in use."
            )
        key = keyfiles.read_signing_key(signer)
        now = datetime.now(UTC).replace(microsecond=0)
        since = _accepted_since(out, key, public_keys)
        versions = [
            KeyVersion(
                version=version,
                public_key=public_key,
                accepted_from=since.get(version, now),
                accepted_until=None,
            )
            for version, public_key in public_keys.items()
        ]
        _replace(out, sign_key_list(versions, now, key) + "\n")
        for one in versions:
            point, start = encode_base64url(one.public_key), one.accepted_from.isoformat()
            typer.echo(f"version {one.version}, public key {point}, accepted from {start}")


@app.command("check")
def check(files: Annotated[list[Path], typer.Argument(help="Key files.")]) -> None:
    """Read each file as its process would, and say what it is: kind, version, mode and fingerprint.

    The same fingerprint in two places is the same key; nobody can compute the key from it.
    """
    faults = 0
    for file in files:
        try:
            mode = stat.S_IMODE(file.stat().st_mode) if file.is_file() else 0
            typer.echo(f"{file}: {_describe(file)}, mode {mode:04o}")
        except KeyFileError as error:
            faults += 1
            typer.echo(str(error), err=True)
    if faults:
        raise typer.Exit(1)


def _make_version(folder: Path, prefix: str, secret: bytes) -> None:
    with _told():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = versioned_secrets(folder, prefix) if any(folder.glob(f"{prefix}-*")) else {}
        path = folder / f"{prefix}-{max(there, default=0) + 1}.key"
        keyfiles.write_secret(path, secret)
        typer.echo(f"{path}: {_describe(path)}")


def _make_signing_key(file: Path) -> None:
    public = file.with_name(f"{file.name}.pub.json")
    with _told():
        if public.exists():
            raise KeyFileError(f"key file {public} exists already and is not overwritten")
        key = OKPKey.generate_key("Ed25519")
        keyfiles.write_signing_key(file, key)
        keyfiles.write_public_key(public, key)
        typer.echo(f"{file}: keep this one\n{public}: hand this one out", err=True)
        typer.echo(_public_jwk(key))


def _read_either(file: Path) -> OKPKey:
    try:
        return keyfiles.read_public_key(file)
    except KeyFileError:
        return keyfiles.read_signing_key(file)


def _public_jwk(key: OKPKey) -> str:
    return json.dumps(key.as_dict(private=False))


def _describe(file: Path) -> str:
    if file.is_file() and file.read_bytes().lstrip()[:1] == b"{":
        key = _read_either(file)
        part = "private" if key.is_private else "public"
        return f"{part} Ed25519 key, fingerprint {key.thumbprint()}"
    secret = keyfiles.read_secret(file)
    named = re.fullmatch(r"(index|pseudonym)-([1-9][0-9]*)\.key", file.name)
    kind = f"{named[1]} key, version {named[2]}" if named else "secret of 32 bytes"
    if named and named[1] == "pseudonym":
        try:
            kind += f", public key {encode_base64url(Evaluator(secret).public_key)}"
        except ValueError:
            raise KeyFileError(f"key file {file} holds no scalar of ristretto255") from None
    return f"{kind}, fingerprint {hashlib.sha256(b'verwijsindex/1/fingerprint/' + secret).hexdigest()[:16]}"


def _accepted_since(out: Path, key: OKPKey, public_keys: dict[int, bytes]) -> dict[int, datetime]:
    """From when each version was accepted in the list that is there. Raises KeyListError where a version has
    become another key: then a key file was replaced, and what it made would match no more."""
    if not out.exists():
        return {}
    since = {}
    for one in read_key_list(out.read_text(encoding="ascii", errors="replace"), key).versions:
        if public_keys.get(one.version, one.public_key) != one.public_key:
            raise KeyListError(f"version {one.version} has another public key in the list at {out}")
        since[one.version] = one.accepted_from
    return since


def _replace(path: Path, text: str) -> None:
    """All of it or nothing: a process may be reading the file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="ascii")
    temporary.replace(path)
