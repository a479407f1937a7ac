# SPDX-License-Identifier: EUPL-1.2
"""Alerts at the privacy officer's desk: read within the scope, assessed by one officer, closed by another (R28, R37).

Closing one changes no signal, match or follow-up. Whose alerts they are, and that one officer never closes one alone,
is the database's to say (migration 0036, CHECK `alert_two_pairs_of_eyes`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from verwijsindex.auditing.alert_schemas import (
    AlertActOut,
    AlertOut,
    AlertsAsked,
    AlertsOut,
    AlertWithEventsOut,
    Code,
    Decision,
)
from verwijsindex.problems import ALERT_NOT_POSSIBLE_NOW, NOT_FOUND, SECOND_OFFICER_NEEDED, Problem

_PAGE = text(
    "SELECT * FROM alert WHERE (CAST(:state AS varchar) IS NULL OR state = :state)"
    " AND (CAST(:cursor_at AS timestamptz) IS NULL OR (raised_at, id) < (:cursor_at, :cursor_id))"
    " ORDER BY raised_at DESC, id DESC LIMIT :limit"
)
_ONE = text("SELECT * FROM alert WHERE id = :id")
_BEHIND = text("SELECT event_id FROM alert_event WHERE alert_id = :id ORDER BY event_id LIMIT 1000")
_ASSESS = text("SELECT state, assessed_by_caller FROM assess_alert(:id, :code, :now)")
_CONFIRM = text("SELECT state, assessed_by_caller FROM confirm_alert(:id, :agrees, :now)")
_POSSIBLE = {"open": ["assessment"], "assessed": ["confirmation"], "closed": []}


def page(connection: Connection, asked: AlertsAsked) -> AlertsOut:
    """The alerts of the scope, the newest first."""
    rows = connection.execute(_PAGE, asked.parameters() | {"state": asked.state}).all()
    rows, cursor = asked.cut(rows, "raised_at")
    return AlertsOut(items=[AlertOut(**_parts(row)) for row in rows], next_cursor=cursor)


def one(connection: Connection, alert_id: UUID) -> AlertWithEventsOut:
    """One of them, with what is behind it. Raises Problem 404 for one outside the scope."""
    row = connection.execute(_ONE, {"id": alert_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    behind = connection.execute(_BEHIND, {"id": alert_id}).scalars().all()
    return AlertWithEventsOut(**_parts(row), event_ids=list(behind))


def assess(connection: Connection, alert_id: UUID, code: Code, now: datetime) -> AlertActOut:
    """Say what an open alert was. Raises Problem 404 for one outside the scope, 409 for one that is not open."""
    _act(connection, _ASSESS, "open", id=alert_id, code=code, now=now)
    return AlertActOut(state="assessed", done_at=now)


def confirm(connection: Connection, alert_id: UUID, decision: Decision, now: datetime) -> AlertActOut:
    """Close what another officer assessed, or have it looked at anew.

    Raises:
        Problem: 404 for one outside the scope; 409 for one that is not assessed, or that the caller assessed.
    """
    _act(connection, _CONFIRM, "assessed", id=alert_id, agrees=decision == "close", now=now)
    return AlertActOut(state="closed" if decision == "close" else "open", done_at=now)


def _act(connection: Connection, statement: TextClause, only: str, **values: object) -> None:
    found = connection.execute(statement, values).one_or_none()
    if found is None:
        raise Problem(NOT_FOUND)
    if found.state != only:
        raise Problem(ALERT_NOT_POSSIBLE_NOW, possible=_POSSIBLE[found.state])
    if found.assessed_by_caller:
        raise Problem(SECOND_OFFICER_NEEDED)


def _parts(row: Row[Any]) -> dict[str, Any]:
    """The columns of a row by the names of an answer."""
    parts = dict(row._mapping)
    who = parts.pop("who")
    return parts | {
        "client_id" if row.acting == "client" else "person": who,
        "institution": row.oin,
        "municipality": row.municipality_code,
        "count": row.counted,
    }
