# SPDX-License-Identifier: EUPL-1.2
"""What tests of many rooms share besides fixtures."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from pydantic import SecretStr

from verwijsindex import database


@dataclass
class Database:
    """A migrated database, with an engine for each of its roles."""

    branch: str
    urls: dict[str, SecretStr]
    superuser: sa.Engine
    _engines: dict[str, sa.Engine] = field(default_factory=dict)

    def engine(self, role: str, *, autocommit: bool = False) -> sa.Engine:
        """Connections of a role: `intake`, `index`, `worker`, `registrar`, `auditor`, `owner`, `issuer`..."""
        name = f"{role} {autocommit}"
        if name not in self._engines:
            url = self.urls[f"verwijsindex_{role}"]
            self._engines[name] = database.engine(url, pool_size=40, autocommit=autocommit)
        return self._engines[name]

    def scalar(self, statement: str, **values: object) -> object:
        """One value, read as superuser: what is really there."""
        with self.superuser.connect() as connection:
            return connection.execute(sa.text(statement), values).scalar_one()

    def rows(self, statement: str, **values: object) -> list[sa.Row[tuple[object, ...]]]:
        """Rows, read as superuser: what is really there."""
        with self.superuser.connect() as connection:
            return list(connection.execute(sa.text(statement), values).all())

    def empty(self) -> None:
        """Delete everything but what the migrations put there."""
        with self.superuser.begin() as connection:
            connection.execute(sa.text("SET session_replication_role = replica"))  # the ledger's trigger
            tables = connection.execute(
                sa.text(
                    "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"
                    " AND tablename NOT IN ('alembic_version', 'category')"
                )
            ).scalar_one()
            connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
            if self.branch == "index":
                connection.execute(sa.text("UPDATE category SET designated = true WHERE NOT designated"))

    def close(self) -> None:
        """Let go of every connection."""
        for engine in (*self._engines.values(), self.superuser):
            engine.dispose()
