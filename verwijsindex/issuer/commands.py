# SPDX-License-Identifier: EUPL-1.2
"""The issuer's administration: `verwijsindex issuer ...`.

Clients are kept with the rights of the database's owner, which the running issuer does not have.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from verwijsindex import database
from verwijsindex.access.caller import BURSTS_READ, DEATHS_WRITE, PERSON_OF, SCOPES, USUAL, PersonRole
from verwijsindex.issuer import service
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import KeyFileError, read_public_key, read_signing_key
from verwijsindex.settings import Settings, utc_now

MINTED_FOR = "issuer-mint"
"""The client id in tokens that the command makes."""

_OF = {
    "municipality": (re.compile("[0-9]{4}"), "is of one --municipality: CBS code, four digits"),
    "oin": (re.compile("[0-9]{20}"), "is of one --institution: OIN, twenty digits"),
}
"""The form of what a person is of, and what is said of anything else."""
_SCOPES = (
    f"Of {', '.join(sorted(SCOPES['machine']))}. Repeat it; all but {DEATHS_WRITE} and {BURSTS_READ} when left out."
)

app = typer.Typer(no_args_is_help=True, help="The issuer of tokens: its clients, and tokens for persons.")
client = typer.Typer(no_args_is_help=True, help="Machines of institutions that may have tokens.")
app.add_typer(client, name="client")
client_key = typer.Typer(no_args_is_help=True, help="A machine's keys: two while its institution turns them.")
client.add_typer(client_key, name="key")


class OwnerSettings(Settings):
    """Where the commands that keep clients find the database (VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL)."""

    issuer_owner_database_url: SecretStr


class MintSettings(Settings):
    """What `mint` needs of the issuer's own settings."""

    base_url: str
    signing_key: Path
    resources: list[str]


@contextmanager
def _owner() -> Iterator[Connection]:
    settings = OwnerSettings()
    pool = database.engine(settings.issuer_owner_database_url, pool_size=1)
    try:
        with database.transaction(pool) as connection:
            yield connection
    finally:
        pool.dispose()


def _stop(reason: object) -> typer.Exit:
    typer.echo(f"error: {reason}", err=True)
    return typer.Exit(1)


@client.command("add")
def add(
    client_id: Annotated[str, typer.Option("--id", help="Letters, digits, dots, dashes; never used before.")],
    name: Annotated[str, typer.Option(help="What people call this machine.")],
    oin: Annotated[str, typer.Option(help="The institution's OIN, twenty digits.")],
    public_key: Annotated[Path, typer.Option(help="File with the public Ed25519 JWK the institution sent.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=_SCOPES),
    ] = None,
) -> None:
    """Register a machine of an institution with its public key.

    Ask the institution for the key's fingerprint by another way than the one the file came by.
    """
    try:
        key = read_public_key(public_key)
        with _owner() as connection:
            service.register_client(
                connection,
                client_id=client_id,
                name=name,
                oin=oin,
                public_key=key,
                scopes=scope or USUAL,
                now=utc_now(),
            )
    except (KeyFileError, service.RegistrationError) as error:
        raise _stop(error) from None
    typer.echo(f"registered {client_id}, key {key.thumbprint()}")


@client.command("scopes")
def scopes(
    client_id: Annotated[str, typer.Argument(metavar="ID")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=_SCOPES),
    ] = None,
) -> None:
    """Set what a machine may do, in the place of what it might: for one that was registered before there was a scope.

    A token that it has keeps its scopes until it expires, an hour at most.
    """
    try:
        with _owner() as connection:
            done = service.set_scopes(connection, client_id, scope or USUAL)
    except service.RegistrationError as error:
        raise _stop(error) from None
    if not done:
        raise _stop("no client with this id")
    typer.echo(f"{client_id} may {' '.join(sorted(scope or USUAL))}")


@client.command("list")
def list_() -> None:
    """List all machines, with those that were revoked."""
    table = Table()
    for heading in ("id", "name", "OIN", "scopes", "since", "revoked"):
        table.add_column(heading, overflow="fold")  # whole on a narrow terminal: it is read in a hurry
    with _owner() as connection:
        for row in service.list_clients(connection):
            revoked = f"{row.revoked_at:%Y-%m-%d}" if row.revoked_at else ""
            since = f"{row.created_at:%Y-%m-%d}"
            table.add_row(row.client_id, row.name, row.oin, " ".join(row.scopes), since, revoked)
    Console(markup=False, emoji=False).print(table)


@client.command("revoke")
def revoke(client_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Give a machine no more tokens.

    One that it has is refused within a minute by services that fetch the list of revoked clients (`revocations_url` of
    their VERWIJSINDEX_ISSUERS); elsewhere it works until it expires, an hour at most.
    """
    with _owner() as connection:
        done = service.revoke_client(connection, client_id, utc_now())
    if not done:
        raise _stop("no client with this id, or it was revoked before")
    typer.echo(f"revoked {client_id}")


@client_key.command("add")
def add_key(
    client_id: Annotated[str, typer.Argument(metavar="ID")],
    public_key: Annotated[Path, typer.Option(help="File with the public Ed25519 JWK the institution sent.")],
) -> None:
    """Accept a second key of a machine, beside the one it has, until one of the two is removed.

    Ask the institution for the key's fingerprint by another way than the one the file came by.
    """
    try:
        added = read_public_key(public_key)
        with _owner() as connection:
            service.add_key(connection, client_id, added)
    except (KeyFileError, service.RegistrationError) as error:
        raise _stop(error) from None
    typer.echo(f"{client_id} may use key {added.thumbprint()} as well")


@client_key.command("remove")
def remove_key(
    client_id: Annotated[str, typer.Argument(metavar="ID")],
    fingerprint: Annotated[str, typer.Option(help="As `client key list ID` shows it.")],
) -> None:
    """Accept one of a machine's two keys no more.

    A token that was given for it works until it expires, an hour at most. If the key leaked, revoke the machine.
    """
    try:
        with _owner() as connection:
            service.remove_key(connection, client_id, fingerprint)
    except service.RegistrationError as error:
        raise _stop(error) from None
    typer.echo(f"{client_id} may no longer use key {fingerprint}")


@client_key.command("list")
def list_keys(client_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """List the fingerprints of a machine's keys; `verwijsindex keys check FILE` shows that of a file."""
    with _owner() as connection:
        kids = service.keys_of(connection, client_id)
    if not kids:
        raise _stop("no client with this id")
    typer.echo("\n".join(kids))


@app.command("mint")
def mint(
    role: Annotated[PersonRole, typer.Option(help="The person's role.")],
    person: Annotated[UUID, typer.Option(help="The person's id in the index's register.")],
    municipality: Annotated[
        str | None, typer.Option(help="Of a case supervisor, rights desk or privacy officer: CBS code of four digits.")
    ] = None,
    institution: Annotated[
        str | None, typer.Option(help="Of a coordinator, named officer or privacy officer: OIN of twenty digits.")
    ] = None,
    amr: Annotated[
        list[str] | None,
        typer.Option(help="How the person signed in (RFC 8176); a privacy officer needs mfa. Repeat it."),
    ] = None,
    acr: Annotated[str | None, typer.Option(help="How sure that was, in the words of who signs people in.")] = None,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="How long the token is good.")] = 60,
    resource: Annotated[
        str | None,
        typer.Option(help="Address of the index; the first of the issuer's resources when left out."),
    ] = None,
) -> None:
    """Print an access token for a person, until there are pages to sign in on.

    Whoever can run this with the issuer's signing key can be anyone: on the issuer's own machine, by its operator, and
    with invented persons alone as long as this version is not for real data.
    """
    of = _whose(role, municipality, institution)
    signed_in = {name: said for name, said in (("amr", amr), ("acr", acr)) if said}
    settings = MintSettings()
    try:
        signer = TokenSigner(read_signing_key(settings.signing_key), settings.base_url)
    except KeyFileError as error:
        raise _stop(error) from None
    terms = Terms(resource or settings.resources[0], SCOPES[role], timedelta(minutes=minutes))
    typer.echo(signer.person_token(role, person, of, MINTED_FOR, terms, utc_now(), signed_in))


def _whose(role: PersonRole, municipality: str | None, institution: str | None) -> str | None:
    """Of which institution or municipality the person is; None of the operator. Exits for what does not go together."""
    claim = PERSON_OF[role]
    if claim == "either or none":
        if not (municipality or institution):
            return None
        claim = "municipality" if municipality else "oin"
    of, other = (municipality, institution) if claim == "municipality" else (institution, municipality)
    form, otherwise = _OF[claim]
    if of is None or other is not None or not form.fullmatch(of):
        raise _stop(f"a {role.replace('_', ' ')} {otherwise}")
    return of
