# SPDX-License-Identifier: EUPL-1.2
"""What an act or a read put into the ledger."""

import json
from collections.abc import Callable
from typing import Any

from support import Answer, Index


def new_events(index: Index, act: Callable[[], Answer]) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer of `act`, and the events that came of it."""
    before = {row[0] for row in index.database.rows("SELECT id FROM event")}
    answer = act()
    rows = index.database.rows("SELECT id, body FROM event")
    return answer, [json.loads(row.body) for row in rows if row.id not in before]
