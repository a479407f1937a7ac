# SPDX-License-Identifier: EUPL-1.2
"""Reading an inbox, or the attempts of a subscription: those of the scope, and no others (I8).

Whose inboxes a scope reads say the database's functions `inbox` and `inbox_notice` (R34, R36).
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.matching.schemas import OwnSignal
from verwijsindex.notices.schemas import NoticeOut, NoticesOut, OneNoticeOut, WhomToAsk
from verwijsindex.notices.subscription_schemas import AttemptOut, AttemptsOut
from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.registry.reading import in_danger_now
from verwijsindex.settings import API_PREFIX

_LIST = text(
    "SELECT id, kind, match_id, archived_signal_id, reporter_id, placed_at FROM inbox("
    "CAST(:cursor_at AS timestamptz), CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_ONE = text("SELECT id, kind, match_id, archived_signal_id, reporter_id, placed_at, ask FROM inbox_notice(:notice)")
_OWN_SIGNALS = text("SELECT id, reporter_id AS reporter, reporter_name FROM coordinated_signals(:notice)")
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
        items=[NoticeOut(**_line(row, of_others=of_others)) for row in rows],
        next_cursor=cursor,
    )


def one_notice(connection: Connection, notice_id: UUID, *, of_others: bool = False) -> OneNoticeOut:
    """One notice of the inbox of the scope, as things are now: of a withdrawal whom to ask (R37); of what a coordinator
    is told of a missed deadline, whose signals it is about (R20). Raises Problem 404 for any other.

    Args:
        of_others: read by a coordinator.
    """
    row = connection.execute(_ONE, {"notice": notice_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    ask = None
    if row.kind == "party_withdrew":
        ask = [
            WhomToAsk(shown_as=card["shown_as"], institution=card["institution"], stand_ins=card["stand_ins"] or [])
            for card in row.ask or []
        ]
    own = None
    if of_others and row.kind == "escalation":
        own = [OwnSignal(**one._mapping) for one in connection.execute(_OWN_SIGNALS, {"notice": notice_id})]
    numbers = in_danger_now(connection, match=row.match_id, archived_signal=row.archived_signal_id)
    return OneNoticeOut(**_line(row, of_others=of_others), ask=ask, own_signals=own, in_danger_now=numbers)


def _line(row: Row[Any], *, of_others: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "placed_at": row.placed_at,
        "reporter": row.reporter_id if of_others else None,
        "match": row.match_id,
        "archived_signal": row.archived_signal_id,
        "link": f"{API_PREFIX}/{_where(row, coordinates=of_others)}",
    }


def _where(row: Row[Any], *, coordinates: bool) -> str:
    """A match says no more of a party that withdrew, so that the notice itself says whom to ask; and a coordinator does
    not read the match of a reporter who is there, so that the notice says whose signals it is about."""
    if row.kind == "party_withdrew" or (coordinates and row.kind == "escalation"):
        return f"notices/{row.id}"
    return f"matches/{row.match_id}" if row.match_id else f"archived-signals/{row.archived_signal_id}"
