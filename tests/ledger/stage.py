# SPDX-License-Identifier: EUPL-1.2
"""An index whose matter can be put back as it was, some hundred times."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ledger.told import contents, differing
from support import Index


class Stage:
    """An index with what there is in it when this is made."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._rows, self.contents = index.database.all_rows(), contents(index.database)

    def put_back(self) -> None:
        """Only what changed since."""
        database = self.index.database
        changed = differing(self.contents, contents(database))
        with database.superuser.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for name in changed:
                connection.exec_driver_sql(f'DELETE FROM "{name}"')
        database.put_back({name: self._rows[name] for name in changed if name in self._rows})


def of_today(all_of_them: Sequence[str], count: int | None) -> list[str]:
    """So many of these, others tomorrow, until each had its turn; None for all."""
    if count is None:
        return list(all_of_them)
    first = datetime.now(UTC).date().toordinal() * count
    return [all_of_them[(first + n) % len(all_of_them)] for n in range(min(count, len(all_of_them)))]
