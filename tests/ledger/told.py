# SPDX-License-Identifier: EUPL-1.2
"""What an act or a read put into the ledger."""

import json
from collections.abc import Callable
from typing import Any

from support import Answer, Database, Index


def new_events(index: Index, act: Callable[[], Answer]) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer of `act`, and the events that came of it."""
    before = {row[0] for row in index.database.rows("SELECT id FROM event")}
    answer = act()
    rows = index.database.rows("SELECT id, body FROM event ORDER BY at, id")
    return answer, [json.loads(row.body) for row in rows if row.id not in before]


def contents(database: Database) -> dict[str, object]:
    """Of each table how many rows there are and what is in them, but for what limits count (R37)."""
    looks = [
        f"SELECT '{name}' AS of, count(*) AS many,"
        " coalesce(sum(hashtextextended(CAST(t AS text), 0)), 0) AS digest"
        f' FROM "{name}" t'
        for name in database.tables()
        if name != "limit_counter"
    ]
    return {row.of: (row.many, row.digest) for row in database.rows(" UNION ALL ".join(looks))}


def differing(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """The tables in which something came, went or changed."""
    return [name for name, found in after.items() if found != before[name]]
