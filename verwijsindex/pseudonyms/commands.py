# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex keys ...`: makes, shows and checks every key there is. No output holds a secret."""

import hashlib
import json
import os
import re
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
from verwijsindex.ledger.checkpoint import VerifierKey
from verwijsindex.pseudonyms.factors import Factor, FactorError
from verwijsindex.pseudonyms.key_list import KeyListError, parse_time, read_key_list, sign_key_list
from verwijsindex.pseudonyms.listing import next_list
from verwijsindex.pseudonyms.sealing import LENGTHS, IndexKey, write_next_key
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
def told() -> Iterator[None]:
    """A fault is one line on standard error and exit status 1."""
    try:
        yield
    except (KeyFileError, KeyListError, FactorError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command("index")
def make_index_key(folder: Folder) -> None:
    """Make the next version of the index key, index-N.key.

    Held by: the index and its workers. It seals pseudonyms and whatever need not be readable in the database.
    Who has it and the database still needs the pseudonym key to name a youngster. Lost: no new signal matches
    those that are there, and what was sealed with it is unreadable for good.
    """
    with told():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = write_next_key(folder)
        typer.echo(f"{path}: {_describe(path)}")


@app.command("pseudonym")
def make_pseudonym_key(folder: Folder) -> None:
    """Make the next version of the pseudonym key k, pseudonym-N.key.

    Held by: the pseudonym service alone, under another operator than the index. Who has it and the index key
    can name every youngster. Lost: new signals match none of those that are there. Sign the list of versions
    after this (`keys sign-list`). The next version is the first step of a turn (`pseudonym-key --help`).
    """
    with told():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = versioned_secrets(folder, "pseudonym") if any(folder.glob("pseudonym-*")) else {}
        path = folder / f"pseudonym-{max(there, default=0) + 1}.key"
        keyfiles.write_secret(path, generate_secret())
        typer.echo(f"{path}: {_describe(path)}")


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


@app.command("ledger")
def make_ledger_key(file: NewFile) -> None:
    """Make the key that signs the checkpoints of the ledger.

    Held by: the index's workers and clock. Who has it and the database can show one institution another ledger than
    the rest, until two of them compare checkpoints. Lost: make another, and hand out its verifier key beside the
    old one. After this: `keys verifier`.
    """
    _make_signing_key(file)


@app.command("verifier")
def show_verifier(
    file: Annotated[Path, typer.Argument(help="File that `keys ledger` made, or its public part.")],
    origin: Annotated[str, typer.Option(help="VERWIJSINDEX_LEDGER_ORIGIN of the workers.")],
) -> None:
    """Print the verifier key of the ledger: the one line that institutions and auditors pin (docs/ledger.md)."""
    with told():
        key = _read_either(file)
    try:
        typer.echo(str(VerifierKey.of(origin, key)))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--origin") from None


@app.command("public")
def show_public(file: Annotated[Path, typer.Argument(help="File with a private or public JWK.")]) -> None:
    """Print the public JWK of a signing key: what may be handed to anyone."""
    with told():
        typer.echo(_public_jwk(_read_either(file)))


@app.command("sign-list")
def sign_list(
    service_keys: Annotated[Path, typer.Option(help="Folder with the service's pseudonym-N.key.")],
    signer: Annotated[Path, typer.Option(help="File of the key that `keys list-signer` made.")],
    out: Annotated[Path, typer.Option(help="The signed list, for the service and the index to serve.")],
    begins: Annotated[
        str | None, typer.Option(help="From when the newest version is accepted, as 2026-12-01T10:00:00Z.")
    ] = None,
    ends: Annotated[
        list[str] | None, typer.Option(help="A version that is accepted no more from then: 1=2026-12-08T10:00:00Z.")
    ] = None,
    former_signer: Annotated[
        Path | None, typer.Option(help="Public key that signed the list at --out, when that was another.")
    ] = None,
) -> None:
    """Sign the list of versions of the pseudonym key, with their public keys and times of acceptance.

    It follows the list at --out: what stands there keeps its times. A version that is new there needs --begins, a
    moment that index and service have this list by; --ends is for the one before it, an hour later at least.
    The public keys are computed from the secrets, so do this where the service's key files are, with the signing
    key brought there for the occasion.
    """
    with told():
        held = {version: one.public_key for version, one in load_evaluators(service_keys).items()}
        key = keyfiles.read_signing_key(signer)
        former = keyfiles.read_public_key(former_signer) if former_signer else key
        text = out.read_text(encoding="ascii", errors="replace") if out.exists() else ""
        before = {one.version: one for one in read_key_list(text, former).versions} if text else {}
        now = datetime.now(UTC).replace(microsecond=0)
        versions = next_list(before, held, now, _moment(begins) if begins else None, dict(map(_end, ends or [])))
        _replace(out, sign_key_list(versions, now, key) + "\n")
        for one in versions:
            until = f" until {one.accepted_until:%FT%TZ}" if one.accepted_until else ""
            point = encode_base64url(one.public_key)
            typer.echo(f"version {one.version}, public key {point}, accepted from {one.accepted_from:%FT%TZ}{until}")


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


def _make_signing_key(file: Path) -> None:
    public = file.with_name(f"{file.name}.pub.json")
    with told():
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
    named = re.fullmatch(r"(index|pseudonym|factor)-([1-9][0-9]*)(?:-[1-9][0-9]*)?\.key", file.name)
    kind, version = (named[1], int(named[2])) if named else ("", 0)
    secret = keyfiles.read_secret(file, {"index": LENGTHS, "factor": (96,)}.get(kind, (32,)))
    what = f"{kind} key, version {version}" if kind else "secret of 32 bytes"
    if kind == "factor":
        factor = Factor.read(file)
        what = f"factor from version {factor.old} to {factor.new} of the pseudonym key"
    elif kind == "index" and len(secret) > min(LENGTHS):
        what += f", for version {IndexKey(version, secret).pseudonym_version} of the pseudonym key"
    elif kind == "pseudonym":
        try:
            what += f", public key {encode_base64url(Evaluator(secret).public_key)}"
        except ValueError:
            raise KeyFileError(f"key file {file} holds no scalar of ristretto255") from None
    return f"{what}, fingerprint {hashlib.sha256(b'verwijsindex/1/fingerprint/' + secret).hexdigest()[:16]}"


def _moment(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as error:
        raise KeyListError(f"{text}: {error}") from None


def _end(text: str) -> tuple[int, datetime]:
    version, _, moment = text.partition("=")
    if not version.isdecimal():
        raise KeyListError(f"{text}: write a version and a moment, as 1=2026-12-08T10:00:00Z")
    return int(version), _moment(moment)


def _replace(path: Path, text: str) -> None:
    """All of it or nothing: a process may be reading the file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="ascii")
    temporary.replace(path)
