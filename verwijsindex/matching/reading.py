# SPDX-License-Identifier: EUPL-1.2
"""Reading matches: what the database's functions leave of them in the reader's scope, today (R12, R19, R34, R36, I6,
I8). No table is read: the functions of migration 0013 give neither a youngster nor who is not to be shown."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching.schemas import ContactPointOut, MatchesOut, MatchLine, MatchOut, OwnSignal, PartyContact
from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.registry.contacts import as_shown
from verwijsindex.registry.reading import in_danger_now

_LIST = text(
    "SELECT id, kind, opened_at FROM visible_matches("
    "NULL, CAST(:cursor_at AS timestamptz), CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_ONE = text("SELECT id, kind, opened_at, contacts, own_signals, residences FROM visible_match(:match)")
_CONTACT_POINTS = text(
    "SELECT municipality_code AS municipality, kind, name, telephone, email FROM contact_point"
    " WHERE municipality_code = ANY(:residences) ORDER BY municipality_code, kind"
)


def open_matches(connection: Connection, page: Page) -> MatchesOut:
    """A page of the open matches in the scope, oldest first."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all(), "opened_at")
    return MatchesOut(
        items=[MatchLine(id=row.id, kind=row.kind, opened_at=row.opened_at) for row in rows],
        next_cursor=cursor,
    )


def open_match(connection: Connection, keys: IndexKeys, match_id: UUID) -> MatchOut:
    """One open match in the scope, with contact data as it is now (R12). Raises Problem 404 for any other."""
    match = connection.execute(_ONE, {"match": match_id}).one_or_none()
    if match is None:
        raise Problem(NOT_FOUND)
    points = connection.execute(_CONTACT_POINTS, {"residences": match.residences})
    return MatchOut(
        id=match.id,
        kind=match.kind,
        opened_at=match.opened_at,
        parties=[
            PartyContact(contact=one["handle"], concerns=one["concerns"], **as_shown(one)) for one in match.contacts
        ],
        own_signals=[OwnSignal.model_validate(own) for own in match.own_signals],
        own_case_references=[_case_reference(own, keys) for own in match.own_signals if own["case_reference_sealed"]],
        contact_points=[ContactPointOut(**row._mapping) for row in points],
        in_danger_now=in_danger_now(connection, match=match_id),
    )


def _case_reference(own: dict[str, Any], keys: IndexKeys) -> str:
    sealed = bytes.fromhex(own["case_reference_sealed"])
    return keys[own["key_version"]].open("case-reference", UUID(own["id"]).bytes, sealed).decode()
