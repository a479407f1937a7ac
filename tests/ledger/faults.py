# SPDX-License-Identifier: EUPL-1.2
"""Making a table fail, as a broken disk or a mistake of ours would."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from support import Database

Verb = Literal["INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE"]


@contextmanager
def failing(
    database: Database, table: str, verb: Verb, when: str = "true", *, at_commit: bool = False
) -> Iterator[None]:
    """Within it, `verb` on a row of `table` for which `when` (SQL on NEW) is true fails: at once, or when all else of
    its transaction is done."""
    moment = ("BEFORE", "") if not at_commit else ("AFTER", "DEFERRABLE INITIALLY DEFERRED")
    with database.superuser.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'sabotage of %%', NEW; END $$;"
            f'CREATE {"CONSTRAINT " if at_commit else ""}TRIGGER sabotage {moment[0]} {verb} ON "{table}" {moment[1]}'
            f" FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION sabotage()"
        )
    try:
        yield
    finally:
        with database.superuser.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION sabotage() CASCADE")
