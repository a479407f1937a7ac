# SPDX-License-Identifier: EUPL-1.2
"""Reading an inbox: the notices of the scope's reporter or municipality, and no others (I8)."""

from sqlalchemy import Connection, text

from verwijsindex.notices.schemas import NoticeOut, NoticesOut
from verwijsindex.paging import Page
from verwijsindex.web import API_PREFIX

_LIST = text(
    "SELECT id, kind, match_id, placed_at FROM notice"
    " WHERE (reporter_id = (SELECT scope_reporter()) OR municipality_code = (SELECT scope_municipality()))"
    " AND (CAST(:cursor_at AS timestamptz) IS NULL OR (placed_at, id) < (:cursor_at, CAST(:cursor_id AS uuid)))"
    " ORDER BY placed_at DESC, id DESC LIMIT :limit"
)


def inbox(connection: Connection, page: Page) -> NoticesOut:
    """A page of the inbox of the scope, newest first."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all(), "placed_at")
    return NoticesOut(
        items=[
            NoticeOut(
                id=row.id,
                kind=row.kind,
                placed_at=row.placed_at,
                match=row.match_id,
                link=f"{API_PREFIX}/matches/{row.match_id}",
            )
            for row in rows
        ],
        next_cursor=cursor,
    )
