# SPDX-License-Identifier: EUPL-1.2
"""What a reporter sees of the own signals, and a coordinator of the institution's (R20).

Those that have not ended, restricted ones unmarked among them (I6, R30); the case reference only who sent it (R6). That
informing the family is overdue within a month of the signal tells that it matched, and not with whom (R27).
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.acts_schemas import OrphanedSignalOut, OrphanedSignalsOut
from verwijsindex.signals.schemas import InformingOut, SignalOut, SignalsOut

_COLUMNS = (
    "id, reporter_id, made_at, received_at, removal_date, residence_municipality, informing_status, informed_on,"
    " informed_to, postponed_ground, review_date, informing_due_on,"
    " coalesce(informing_due_on <= (SELECT scope_today()), false) AS overdue"
)
_SIGNALS = f"SELECT {_COLUMNS}, key_version, case_reference_sealed FROM signal"  # noqa: S608 (constants)
_IF_OVERDUE = "AND (NOT :overdue OR informing_due_on <= (SELECT scope_today()))"
# Row-level security leaves the placed signals of the reporter of the scope, and nothing else.
_LIST = text(
    f"{_SIGNALS} WHERE reporter_id = (SELECT scope_reporter()) {_IF_OVERDUE}"
    " AND (CAST(:cursor_at AS timestamptz) IS NULL OR (received_at, id) > (:cursor_at, CAST(:cursor_id AS uuid)))"
    " ORDER BY received_at, id LIMIT :limit"
)
_ONE = text(f"{_SIGNALS} WHERE id = :id AND reporter_id = (SELECT scope_reporter())")
# The view holds the placed signals of the institution of the scope's coordinator. Each reporter's are read in order
# from the index, a page of them at most: a thousand reporters with ten signals each take some 50 ms.
_EACH_REPORTERS = (
    "FROM (SELECT id AS own_reporter FROM reporter WHERE oin = (SELECT scope_oin())"
    " AND (CAST(:reporter AS uuid) IS NULL OR id = CAST(:reporter AS uuid))) r CROSS JOIN LATERAL"
    " (SELECT * FROM institution_signal WHERE reporter_id = own_reporter {}"
    " AND (CAST(:cursor_at AS timestamptz) IS NULL OR (received_at, id) > (:cursor_at, CAST(:cursor_id AS uuid)))"
    " ORDER BY received_at, id LIMIT :limit) s ORDER BY received_at, id LIMIT :limit"
)
_INSTITUTIONS = text(f"SELECT {_COLUMNS} {_EACH_REPORTERS.format(_IF_OVERDUE)}")
_ORPHANED = text(
    f"SELECT {_COLUMNS}, reporter_left, agreement_ended"
    f" {_EACH_REPORTERS.format('AND (reporter_left OR agreement_ended)')}"
)
_INSTITUTIONS_ONE = text(f"SELECT {_COLUMNS} FROM institution_signal WHERE id = :id")  # noqa: S608 (constants)


def own_signals(connection: Connection, keys: IndexKeys, page: Page, *, overdue: bool) -> SignalsOut:
    """A page of the placed signals of the reporter of the scope, oldest first; if said of those whose family should
    have been informed by now."""
    parameters = page.parameters() | {"overdue": overdue}
    rows, cursor = page.cut(connection.execute(_LIST, parameters).all(), "received_at")
    return SignalsOut(items=[_out(row, _case_reference(row, keys)) for row in rows], next_cursor=cursor)


def own_signal(connection: Connection, keys: IndexKeys, signal_id: UUID) -> SignalOut:
    """One placed signal of the reporter of the scope. Raises Problem 404 for any other."""
    row = connection.execute(_ONE, {"id": signal_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    return _out(row, _case_reference(row, keys))


def institutions_signals(connection: Connection, page: Page, reporter_id: UUID | None, *, overdue: bool) -> SignalsOut:
    """A page of the placed signals of the coordinator's institution, oldest first; of one reporter, and of those whose
    family should have been informed by now, if said."""
    parameters = page.parameters() | {"reporter": reporter_id, "overdue": overdue}
    rows, cursor = page.cut(connection.execute(_INSTITUTIONS, parameters).all(), "received_at")
    return SignalsOut(items=[_out(row) for row in rows], next_cursor=cursor)


def orphaned_signals(connection: Connection, page: Page) -> OrphanedSignalsOut:
    """A page of the institution's signals whose reporter left or whose agreement ended, oldest first (R34)."""
    parameters = page.parameters() | {"reporter": None}
    rows, cursor = page.cut(connection.execute(_ORPHANED, parameters).all(), "received_at")
    items = [
        OrphanedSignalOut(
            **dict(_out(row)),
            causes=[cause for cause in ("reporter_left", "agreement_ended") if getattr(row, cause)],
        )
        for row in rows
    ]
    return OrphanedSignalsOut(items=items, next_cursor=cursor)


def institutions_signal(connection: Connection, signal_id: UUID) -> SignalOut:
    """One placed signal of the institution of the scope's coordinator. Raises Problem 404 for any other."""
    row = connection.execute(_INSTITUTIONS_ONE, {"id": signal_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    return _out(row)


def _case_reference(row: Row[Any], keys: IndexKeys) -> str | None:
    reference = row.case_reference_sealed
    return keys[row.key_version].open("case-reference", row.id.bytes, reference).decode() if reference else None


def _out(row: Row[Any], case_reference: str | None = None) -> SignalOut:
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
            due_on=row.informing_due_on,
            overdue=row.overdue,
        ),
        case_reference=case_reference,
    )
