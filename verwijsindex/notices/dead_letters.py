# SPDX-License-Identifier: EUPL-1.2
"""Dead letters: webhooks for which every try failed. None is dropped: a coordinator sees those of the own institution's
clients and has them sent again (I3, R20). So does the client itself, with a replay (`subscriptions`).

The index role reads and revives them by two functions of the owner, which look at the scope themselves.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.notices.dead_letter_schemas import DeadLetterOut, DeadLetterReplayOut, DeadLettersOut
from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem

_LIST = text(
    "SELECT id, client_id, dead_at, attempts, outcome FROM dead_letters("
    "CAST(:cursor_at AS timestamptz), CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_COUNT = text("SELECT count(*) FROM dead_letters(NULL, NULL, NULL)")
_REPLAY = text("SELECT replay_dead_letters(CAST(:delivery AS uuid), :now)")


def dead_letters(connection: Connection, page: Page) -> DeadLettersOut:
    """A page of those of the coordinator's institution, newest first, and how many there are."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all(), "dead_at")
    items = [
        DeadLetterOut(
            delivery=row.id, client=row.client_id, dead_at=row.dead_at, attempts=row.attempts, outcome=row.outcome
        )
        for row in rows
    ]
    return DeadLettersOut(count=connection.execute(_COUNT).scalar_one(), items=items, next_cursor=cursor)


def replay(connection: Connection, delivery: UUID | None, now: datetime) -> DeadLetterReplayOut:
    """Try one of them again, or all: each has its whole schedule before it, and its receiver rests no longer. Raises
    Problem 404 for one that is no dead letter of the institution's."""
    count: int = connection.execute(_REPLAY, {"delivery": delivery, "now": now}).scalar_one()
    if delivery and not count:
        raise Problem(NOT_FOUND)
    return DeadLetterReplayOut(count=count)
