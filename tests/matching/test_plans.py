# SPDX-License-Identifier: EUPL-1.2
"""No statement of the matcher reads a whole table: what a signal costs does not grow with the country."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from support import NOW, Database

from bench import national
from verwijsindex.matching.service import match_waiting

LIVE, ARRIVING, ENDING = 45_000, 50, 20
END = """
WITH ends AS (
    UPDATE signal SET ended_at = :now, end_reason = 'risk_gone'
    WHERE id IN (SELECT id FROM signal WHERE youngster_id IN (SELECT youngster_id FROM match) LIMIT :ending)
    RETURNING id
) INSERT INTO work (signal_id) SELECT id FROM ends
"""
# Of families, which this country has none of.
TOLD = (
    "INSERT INTO told (standing_id, contact_id, kind)"
    " SELECT gen_random_uuid(), gen_random_uuid(), 'family' FROM generate_series(1, 100000)"
)
# The queue, whose whole is the work; one row for each client's system; and one for each version of the index key.
SMALL = {"work", "subscription", "index_key_version", "death", "move", "parent", "signal_parent", "family_match"}
SMALL |= {
    "archived_signal",
    "former_parent",
    "delivery",
    "mail_preference",
    "mute",
}  # empty in this country, as are these:
EMPTY = ("officer", "coordinator", "shielded")  # whose inboxes and signals are


def test_no_statement_of_the_matcher_reads_a_whole_table(index_database: Database) -> None:
    """Nor of what ends. Seen failing as long as who left was sought among all parties (`_LEAVE`), and by
    `_FORGET_LINES` without its OFFSET 0."""
    national.register(index_database.superuser)
    national.fill(index_database.superuser, 0, LIVE, NOW)
    with index_database.superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(TOLD)
        connection.exec_driver_sql("VACUUM ANALYZE told")
    national.arrive(index_database.superuser, 0, ARRIVING, LIVE, NOW)
    pool = index_database.engine("worker")
    plans: list[tuple[str, str]] = []

    @sa.event.listens_for(pool, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, parameters: Any, __: Any, ___: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            [[[found]]] = cursor.fetchall()
            plans.extend((node["Relation Name"], statement) for node in _nodes(found["Plan"]) if _reads_all(node))

    done = match_waiting(pool, NOW, NOW, keys={})
    with index_database.superuser.begin() as connection:
        connection.execute(sa.text(END), {"now": NOW, "ending": ENDING})
    ended = match_waiting(pool, NOW, NOW, keys={})
    sa.event.remove(pool, "before_cursor_execute", explain)
    assert (done.taken, ended.taken, ended.looked.archived) == (ARRIVING, ENDING, ENDING)
    assert [plan for plan in plans if plan[0] not in SMALL] == []


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _reads_all(node: dict[str, Any]) -> bool:
    whole_index = node["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
    return node["Node Type"] == "Seq Scan" or (whole_index and not any(inbox in node["Index Name"] for inbox in EMPTY))
