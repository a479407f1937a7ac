# SPDX-License-Identifier: EUPL-1.2
"""What a reporter sees of the own signals: those that live today (I6), and never whether they matched (I7)."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.schemas import InformingOut, SignalOut, SignalsOut

_SIGNALS = (
    "SELECT id, reporter_id, made_at, received_at, removal_date, key_version, residence_municipality,"
    " informing_status, informed_on, informed_to, postponed_ground, review_date, case_reference_sealed FROM signal"
)
# Row-level security leaves the live signals of the reporter of the scope, and nothing else.
_LIST = text(
    f"{_SIGNALS} WHERE reporter_id = (SELECT scope_reporter()) AND (CAST(:cursor_at AS timestamptz) IS NULL"
    " OR (received_at, id) > (:cursor_at, CAST(:cursor_id AS uuid)))"
    " ORDER BY received_at, id LIMIT :limit"
)
_ONE = text(f"{_SIGNALS} WHERE id = :id AND reporter_id = (SELECT scope_reporter())")


def own_signals(connection: Connection, keys: IndexKeys, page: Page) -> SignalsOut:
    """A page of the live signals of the reporter of the scope, oldest first."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all(), "received_at")
    return SignalsOut(items=[_out(row, keys) for row in rows], next_cursor=cursor)


def own_signal(connection: Connection, keys: IndexKeys, signal_id: UUID) -> SignalOut:
    """One live signal of the reporter of the scope. Raises Problem 404 for any other."""
    row = connection.execute(_ONE, {"id": signal_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    return _out(row, keys)


def _out(row: Row[Any], keys: IndexKeys) -> SignalOut:
    reference = row.case_reference_sealed
    return SignalOut(
        id=row.id,
        reporter=row.reporter_id,
        made_at=row.made_at,
        received_at=row.received_at,
        removal_date=row.removal_date,
        residence_municipality=row.residence_municipality,
        informing=InformingOut(
            status=row.informing_status,
            on=row.informed_on,
            to=row.informed_to,
            ground=row.postponed_ground,
            review_date=row.review_date,
        ),
        case_reference=keys[row.key_version].open("case-reference", row.id.bytes, reference).decode()
        if reference
        else None,
    )
