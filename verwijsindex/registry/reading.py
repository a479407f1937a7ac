# SPDX-License-Identifier: EUPL-1.2
"""What is read of the register: by a coordinator the people of the own institution (R20, I8), and which municipalities
take part; by an administrator whose signals wait though there is no coordinator (R2, R34)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.ledger import events
from verwijsindex.paging import PageById
from verwijsindex.problems import NOT_FOUND, UNKNOWN_MUNICIPALITY, Problem
from verwijsindex.registry.contacts import NATIONAL_NUMBERS, NumberToCall
from verwijsindex.registry.schemas import CoordinatorOut, CoordinatorsOut, ReporterOut, ReportersOut

# Row-level security leaves the institution of the scope; said again here, so that its index is used. Of whose contact
# data is gone there is nothing to manage.
_OWN = "oin = (SELECT scope_oin()) AND contact_removed_on IS NULL"
_PAGE = f"{_OWN} AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid)) ORDER BY id LIMIT :limit"
_REPORTER = "SELECT id, name, position, telephone, email, designated_from, designated_until FROM reporter"
_REPORTERS = text(f"{_REPORTER} WHERE contact_removed_on IS NULL AND {_PAGE}")
_ONE_REPORTER = text(f"{_REPORTER} WHERE id = :id AND contact_removed_on IS NULL AND {_OWN}")
_TAKES_PART = text("SELECT EXISTS (SELECT FROM municipality WHERE code = :code)")
# A function of the owner's: the role registrar reads no signal.
_ORPHANS = text(
    "SELECT municipality_code, signal_id, reporter_id, reporter_left, agreement_ended"
    " FROM orphans_without_coordinator(CAST(CAST(:now AS timestamptz) AT TIME ZONE 'Europe/Amsterdam' AS date),"
    " CAST(:municipality AS char(4)))"
)
_CRISIS_LINES = text("SELECT name, telephone FROM crisis_lines(:match, :archived_signal)")
_COORDINATORS = text(f"SELECT id, name, telephone, email FROM coordinator WHERE {_PAGE}")  # noqa: S608 (constants)


def reporters(connection: Connection, page: PageById) -> ReportersOut:
    """A page of the reporters of the scope's institution."""
    rows, cursor = page.cut(connection.execute(_REPORTERS, page.parameters()).all())
    return ReportersOut(items=[ReporterOut(**row._mapping) for row in rows], next_cursor=cursor)


def reporter(connection: Connection, reporter_id: UUID) -> ReporterOut:
    """One reporter of the scope's institution. Raises Problem 404 for any other."""
    row = connection.execute(_ONE_REPORTER, {"id": reporter_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    return ReporterOut(**row._mapping)


def check_takes_part(connection: Connection, municipality: str) -> None:
    """Raises Problem 400 for a municipality that is not in the register."""
    if not connection.execute(_TAKES_PART, {"code": municipality}).scalar_one():
        raise Problem(UNKNOWN_MUNICIPALITY)


def coordinators(connection: Connection, page: PageById) -> CoordinatorsOut:
    """A page of the coordinators of the scope's institution."""
    rows, cursor = page.cut(connection.execute(_COORDINATORS, page.parameters()).all())
    return CoordinatorsOut(items=[CoordinatorOut(**row._mapping) for row in rows], next_cursor=cursor)


def in_danger_now(
    connection: Connection, *, match: UUID | None = None, archived_signal: UUID | None = None
) -> list[NumberToCall]:
    """Whom to call when a child is in danger now (R12): the national numbers, and the crisis lines of the residences of
    the match, or of who is signalled again, if the scope may see it."""
    lines = connection.execute(_CRISIS_LINES, {"match": match, "archived_signal": archived_signal})
    return [*NATIONAL_NUMBERS, *(NumberToCall(name=line.name, telephone=line.telephone) for line in lines)]


def orphans(connection: Connection, actor: events.Actor, now: datetime, municipality: str | None) -> Sequence[Row[Any]]:
    """The placed signals whose reporter left or whose agreement ended, of who has no coordinator: persons with an own
    agreement, above all (R2, R34). Of one contracting municipality or of all, with the event of the reading.

    Returns:
        Ids alone: `municipality_code`, `signal_id`, `reporter_id`, `reporter_left`, `agreement_ended`.
    """
    found = connection.execute(_ORPHANS, {"now": now, "municipality": municipality}).all()
    listed = events.Event(events.ORPHANED_SIGNALS_LISTED, now, actor, says={"count": len(found)})
    events.append(connection, [listed])
    return found
