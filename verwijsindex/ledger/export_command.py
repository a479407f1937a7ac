# SPDX-License-Identifier: EUPL-1.2
"""What `verwijsindex ledger export` does: apart from `commands`, which an auditor has without a database."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from verwijsindex.database import engine, transaction
from verwijsindex.ledger import events
from verwijsindex.ledger.exporting import export
from verwijsindex.settings import Settings, utc_now


class ExportSettings(Settings):
    """The owner's address: row-level security does not bind it."""

    owner_database_url: SecretStr


def write(file: Path, person: str, *, public: bool, step: Callable[[int, int], None]) -> int:
    """Export to a new file; how many events. Raises LedgerError, and OSError where the file is there already."""
    pool = engine(ExportSettings().owner_database_url, pool_size=1)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    done = False
    try:
        with transaction(pool) as connection:  # before anything is read (I4)
            actor = events.Actor(role="administrator", person=person)
            says: dict[str, str | int] = {"part": "public" if public else "whole"}
            events.append(connection, [events.Event(events.LEDGER_EXPORTED, utc_now(), actor, says=says)])
        with os.fdopen(descriptor, "wb") as opened, transaction(pool) as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            count = export(connection, opened, public=public, step=step)
            done = True
            return count
    finally:
        if not done:
            file.unlink()
        pool.dispose()
