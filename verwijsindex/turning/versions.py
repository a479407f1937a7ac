# SPDX-License-Identifier: EUPL-1.2
"""Which version of the index key new rows are sealed with: the database says so, not the newest file.

If it were the newest file, the first process that has it would seal what the others cannot read. So the file comes
first, to every process, and then one statement lets all of them seal with it (`verwijsindex index-key turn`).
"""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection, Engine, text

from verwijsindex.settings import Clock

HEARD_WITHIN = timedelta(seconds=5)
"""How long a process goes on with the version that it last read."""

_SEALING = text("SELECT version FROM index_key_version WHERE state = 'sealing'")
_VERSIONS = text("SELECT version, state FROM index_key_version ORDER BY version")


def versions(connection: Connection) -> dict[int, str]:
    """The versions in use, each with its state; exactly one is `sealing`."""
    return {row.version: row.state for row in connection.execute(_VERSIONS)}


class SealingVersion:
    """The version to seal with, read anew every few seconds. May be asked by many threads at once."""

    def __init__(self, pool: Engine, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._lock = Lock()
        self._read: tuple[int, datetime] | None = None

    def __call__(self) -> int:
        """The version. While one thread reads, the others go on with what was read last."""
        known, now = self._read, self._clock()
        if known and timedelta() <= now - known[1] < HEARD_WITHIN:
            return known[0]
        if not self._lock.acquire(blocking=known is None) and known:  # another reads it at this moment
            return known[0]
        try:
            with self._pool.connect() as connection:
                version = int(connection.execute(_SEALING).scalar_one())
            self._read = version, now
        finally:
            self._lock.release()
        return version
