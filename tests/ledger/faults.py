# SPDX-License-Identifier: EUPL-1.2
"""Making a table fail, as a broken disk or a mistake of ours would."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from support import Database

Verb = Literal["INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE"]


@contextmanager
def failing(database: Database, table: str, verb: Verb, when: str = "true") -> Iterator[None]:
    """Within it, `verb` on a row of `table` for which `when` (SQL on NEW) is true fails."""
    with database.superuser.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'sabotage of %%', NEW; END $$;"
            f'CREATE TRIGGER sabotage BEFORE {verb} ON "{table}" FOR EACH ROW WHEN ({when})'
            " EXECUTE FUNCTION sabotage()"
        )
    try:
        yield
    finally:
        with database.superuser.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION sabotage() CASCADE")
