# SPDX-License-Identifier: EUPL-1.2
"""The operator's commands on databases: `verwijsindex db ...`."""

import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
import typer
from pydantic import SecretStr

from verwijsindex import backup, database
from verwijsindex.ledger.checkpoint import LedgerError
from verwijsindex.ledger.restoring import Outside
from verwijsindex.settings import Settings, utc_now
from verwijsindex.signals.tombstones import read as read_tombstones

db = typer.Typer(no_args_is_help=True, help="Make, upgrade, back up and restore the databases.")

ENVIRONMENT = {
    "verwijsindex_owner": "VERWIJSINDEX_OWNER_DATABASE_URL",
    "verwijsindex_intake": "VERWIJSINDEX_INTAKE_DATABASE_URL",
    "verwijsindex_index": "VERWIJSINDEX_INDEX_DATABASE_URL",
    "verwijsindex_worker": "VERWIJSINDEX_WORKER_DATABASE_URL",
    "verwijsindex_registrar": "VERWIJSINDEX_REGISTRAR_DATABASE_URL",
    "verwijsindex_auditor": "VERWIJSINDEX_AUDITOR_DATABASE_URL",
    "verwijsindex_pseudonyms_owner": "VERWIJSINDEX_PSEUDONYMS_OWNER_DATABASE_URL",
    "verwijsindex_pseudonyms": "VERWIJSINDEX_PSEUDONYMS_DATABASE_URL",
    "verwijsindex_issuer_owner": "VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL",
    "verwijsindex_issuer": "VERWIJSINDEX_ISSUER_DATABASE_URL",
}
"""Which variable holds the address that each role uses."""


Branch = Literal["index", "pseudonyms", "issuer"]


class OwnerSettings(Settings):
    """The owners' addresses, for migrations only."""

    owner_database_url: SecretStr | None = None
    pseudonyms_owner_database_url: SecretStr | None = None
    issuer_owner_database_url: SecretStr | None = None


class RoleSettings(OwnerSettings):
    """The addresses of all roles and of a superuser, for `db init` only."""

    admin_database_url: SecretStr
    intake_database_url: SecretStr | None = None
    index_database_url: SecretStr | None = None
    worker_database_url: SecretStr | None = None
    registrar_database_url: SecretStr | None = None
    auditor_database_url: SecretStr | None = None
    pseudonyms_database_url: SecretStr | None = None
    issuer_database_url: SecretStr | None = None

    def passwords(self, branches: Iterable[str]) -> dict[str, str]:
        """The password in each role's address. Raises BadParameter for an address that is not set."""
        found = {}
        for role in roles_of(branches):
            url = getattr(self, ENVIRONMENT[role].removeprefix("VERWIJSINDEX_").lower())
            password = urlsplit(url.get_secret_value()).password if url else None
            if not password:
                raise typer.BadParameter(f"{ENVIRONMENT[role]} is not set, or has no password; or say --out")
            found[role] = unquote(password)
        return found


@db.command("init")
def init(
    branch: Annotated[Branch | None, typer.Argument(help="Whose database and roles; all unless said.")] = None,
    out: Annotated[Path | None, typer.Option(help="New file for the addresses of all roles; mode 0600.")] = None,
    new_passwords: Annotated[
        bool, typer.Option("--new-passwords", help="Where the roles are there already: give them new passwords.")
    ] = False,
) -> None:
    """Make the databases and roles; VERWIJSINDEX_ADMIN_DATABASE_URL is a superuser's address.

    With --out each role gets a new password, and the file the addresses: give each process only the lines it needs.
    Without it the passwords are those of the addresses in the settings (as `verwijsindex prepare` makes them), and to
    run it again changes nothing.
    """
    branches = [branch] if branch else list(database.OWNERS)
    if out is None:
        settings = RoleSettings()
        database.init_cluster(_libpq(settings.admin_database_url), settings.passwords(branches))
        typer.echo(f"{', '.join(branches)}: databases and roles are there")
        return
    if out.exists():
        raise typer.BadParameter(f"{out} exists already and is not overwritten")
    admin_url = RoleSettings().admin_database_url
    passwords = {role: secrets.token_urlsafe(24) for role in roles_of(branches)}
    if not new_passwords and database.roles_there(_libpq(admin_url), passwords):
        raise typer.BadParameter(
            "the roles are there already, and every process would be locked out by new passwords: say --new-passwords"
        )
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        for name, url in addresses(admin_url.get_secret_value(), passwords).items():
            file.write(f"{name}={url}\n")
    try:
        database.init_cluster(_libpq(admin_url), passwords)
    except psycopg.Error:
        out.unlink()
        raise
    typer.echo(f"{', '.join(branches)}: databases and roles are there; addresses in {out}")


def roles_of(branches: Iterable[str]) -> list[str]:
    """The owner and the other roles of these branches."""
    return [role for branch in branches for role in (database.OWNERS[branch], *database.RUNTIME_ROLES[branch])]


def _libpq(url: SecretStr) -> str:
    return url.get_secret_value().replace("postgresql+psycopg://", "postgresql://")


def addresses(admin_url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """The address of each role's own database, by the variable that a process reads it from."""
    found = {}
    server = urlsplit(admin_url)
    host = server.netloc.rpartition("@")[2]
    for branch, name in database.DATABASES.items():
        for role in roles_of([branch]):
            if role in passwords:
                netloc = f"{role}:{passwords[role]}@{host}"
                found[ENVIRONMENT[role]] = urlunsplit(("postgresql+psycopg", netloc, f"/{name}", server.query, ""))
    return found


@db.command("upgrade")
def upgrade(
    branch: Annotated[Branch | None, typer.Argument(help="Which; else each whose owner's address is set.")] = None,
) -> None:
    """Bring databases to this version's tables; the version before goes on working on them.

    Each operator sets its own owner's address: VERWIJSINDEX_OWNER_DATABASE_URL (of the index),
    VERWIJSINDEX_PSEUDONYMS_OWNER_DATABASE_URL or VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL. What is left out is said.
    """
    settings = OwnerSettings()
    urls = {one: getattr(settings, _field(one)) for one in database.OWNERS}
    if branch or not any(urls.values()):
        urls = {one: _owner_url(one) for one in ([branch] if branch else database.OWNERS)}
    for one, url in urls.items():
        if url:
            database.upgrade(url, one)
        typer.echo(f"{one}: up to date" if url else f"{one}: left out, {ENVIRONMENT[database.OWNERS[one]]} is not set")


@db.command("backup")
def back_up(
    branch: Annotated[Branch, typer.Argument(help="Which database.")],
    folder: Annotated[Path, typer.Argument(help="Where the backup's own folder is made: on an encrypted disk.")],
) -> None:
    """Back up a database while everything goes on. Prints the new folder, which is whole when it has its name.

    It holds contact data and sealed pseudonyms, and no key: keep the keys elsewhere (docs/operations.md).
    """
    try:
        typer.echo(backup.back_up(_owner_url(branch), branch, folder, utc_now()))
    except backup.BackupError as error:
        sys.exit(f"no backup was made: {error}")
    except OSError as error:
        sys.exit(f"no backup was made: {error.filename or folder}: {error.strerror}")


@db.command("restore")
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `db backup` made.")],
    tombstones: Annotated[
        list[Path] | None,
        typer.Option(help="Of the index: the file VERWIJSINDEX_TOMBSTONES of a worker; once for each host's."),
    ] = None,
    no_tombstones: Annotated[
        bool, typer.Option("--no-tombstones", help="There are none: what was destroyed or withdrawn since is back.")
    ] = False,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", help="Of the index: checkpoints of the ledger that were kept outside; repeatable."
        ),
    ] = None,
    ledger_key: Annotated[
        Path | None, typer.Option(help="With --checkpoint: file with the ledger's verifier key.")
    ] = None,
) -> None:
    """Put a backup into the empty database that `db init` made, and compare the two.

    Never over a database with tables in it. Nothing may use the database before this says that it is as it was; what
    was destroyed or withdrawn since, by the tombstones, is so again then. At the end it says what comes next.
    """
    try:
        branch = backup.Manifest.read(folder).branch
        if branch == "index" and bool(tombstones) == no_tombstones:
            raise typer.BadParameter("say --tombstones FILE for each host's, or --no-tombstones: never both")
        if bool(checkpoints) != bool(ledger_key):
            raise typer.BadParameter("--checkpoint and --ledger-key go together")
        outside = Outside.read(checkpoints, ledger_key) if checkpoints and ledger_key else None
        buried = read_tombstones(tombstones) if tombstones else None
        manifest, again, ended = backup.restore(_owner_url(branch), folder, utc_now(), buried)
        compared = backup.check_ledger(_owner_url(branch), outside) if outside else None
    except (backup.BackupError, LedgerError) as error:
        sys.exit(f"not restored: {error}")
    except OSError as error:
        sys.exit(f"not restored: {error.filename}: {error.strerror}")
    rows = sum(manifest.rows.values())
    typer.echo(f"{branch}: as it was at {manifest.taken_at}, {rows} rows in {len(manifest.rows)} tables")
    if compared:
        typer.echo(
            f"the ledger is what was sealed, up to event {compared.agrees.size - 1} by the checkpoint of"
            f" {compared.agrees.at:%F %T} UTC; {compared.lost} events that checkpoints outside know of are lost"
        )
    elif branch == "index":
        typer.echo(
            "the ledger was compared with nothing outside: before anything serves, get a checkpoint that an institution"
            " kept, and `verwijsindex ledger export` and `verify`"
        )
    if buried:
        typer.echo(f"of {len(buried.destroyed)} tombstones {again} were of signals in it: they are destroyed again")
        typer.echo(f"of {len(buried.withdrawn)} signals withdrawn {ended} were live in it: they have ended again")
    if buried and buried.cut:
        typer.echo(f"{buried.cut} lines of the tombstones were cut off: nothing was destroyed when they were written")
    if manifest.index_keys:
        typer.echo(f"it is sealed with the index key of version {', '.join(map(str, manifest.index_keys))}")
    typer.echo(f"next: `verwijsindex db upgrade {branch}`, and start the processes")
    if branch == "index":
        typer.echo(
            "then: `verwijsindex upkeep ends`, with the settings of a worker; and tell every institution that what came"
            f" in after {manifest.taken_at} is gone: `verwijsindex client send FILE --again` sends it anew"
        )


def _owner_url(branch: str) -> SecretStr:
    url: SecretStr | None = getattr(OwnerSettings(), _field(branch))
    if url is None:
        raise typer.BadParameter(f"{ENVIRONMENT[database.OWNERS[branch]]} is not set")
    return url


def _field(branch: str) -> str:
    return ENVIRONMENT[database.OWNERS[branch]].removeprefix("VERWIJSINDEX_").lower()
