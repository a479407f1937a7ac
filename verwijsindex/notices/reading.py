# SPDX-License-Identifier: EUPL-1.2
"""Reading an inbox, or the attempts of a subscription: those of the scope, and no others (I8).

Whose inboxes a scope reads says the database's function `inbox` (R34, R36).
"""

from sqlalchemy import Connection, text

from verwijsindex.notices.schemas import NoticeOut, NoticesOut
from verwijsindex.notices.subscription_schemas import AttemptOut, AttemptsOut
from verwijsindex.paging import Page
from verwijsindex.web import API_PREFIX

_LIST = text(
    "SELECT id, kind, match_id, archived_signal_id, reporter_id, placed_at FROM inbox("
    "CAST(:cursor_at AS timestamptz), CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
# Row-level security leaves the attempts of the scope's client.
_ATTEMPTS = text(
    "SELECT id, delivery_id, about, at, outcome, duration_ms, next_try_at FROM attempt"
    " WHERE client_id = (SELECT scope_client())"
    " AND (CAST(:cursor_at AS timestamptz) IS NULL OR (at, id) < (:cursor_at, CAST(:cursor_id AS uuid)))"
    " ORDER BY at DESC, id DESC LIMIT :limit"
)


def attempts(connection: Connection, page: Page) -> AttemptsOut:
    """A page of what became of each try to reach the scope's client, newest first."""
    rows, cursor = page.cut(connection.execute(_ATTEMPTS, page.parameters()).all(), "at")
    items = [
        AttemptOut(
            id=row.id,
            delivery=row.delivery_id,
            about=row.about,
            at=row.at,
            outcome=row.outcome,
            duration_ms=row.duration_ms,
            next_try_at=row.next_try_at,
        )
        for row in rows
    ]
    return AttemptsOut(items=items, next_cursor=cursor)


def inbox(connection: Connection, page: Page, *, of_others: bool = False) -> NoticesOut:
    """A page of the inbox of the scope, newest first. `of_others`: of a coordinator, who is told whose each line is."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all(), "placed_at")
    return NoticesOut(
        items=[
            NoticeOut(
                id=row.id,
                kind=row.kind,
                placed_at=row.placed_at,
                reporter=row.reporter_id if of_others else None,
                match=row.match_id,
                archived_signal=row.archived_signal_id,
                link=f"{API_PREFIX}/matches/{row.match_id}"
                if row.match_id
                else f"{API_PREFIX}/archived-signals/{row.archived_signal_id}",
            )
            for row in rows
        ],
        next_cursor=cursor,
    )
