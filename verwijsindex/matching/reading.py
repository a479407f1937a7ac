# SPDX-License-Identifier: EUPL-1.2
"""Reading matches: what the database's functions leave of them in the reader's scope, today (R12, R19, R34, R36, I6,
I8). No table is read: the functions of migration 0013 give neither a youngster nor who is not to be shown."""

from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching.schemas import ContactPointOut, MatchesOut, MatchLine, MatchOut, OwnSignal, PartyContact
from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.registry.contacts import as_shown

_LIST = text(
    "SELECT id, kind, opened_at FROM visible_matches("
    "NULL, CAST(:cursor_at AS timestamptz), CAST(:cursor_id AS uuid), CAST(:limit AS integer))"
)
_ONE = text("SELECT id, kind, opened_at FROM visible_matches(:match, NULL, NULL, 1)")
_CONTACTS = text("SELECT * FROM match_contacts(:match)")
_OWN_SIGNALS = text("SELECT * FROM seat_signals(:match)")
_CONTACT_POINTS = text(
    "SELECT c.municipality_code AS municipality, c.kind, c.name, c.telephone, c.email FROM contact_point c"
    " WHERE c.municipality_code IN (SELECT match_residences(:match)) ORDER BY c.municipality_code, c.kind"
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
    asked = {"match": match_id}
    match = connection.execute(_ONE, asked).one_or_none()
    if match is None:
        raise Problem(NOT_FOUND)
    own = connection.execute(_OWN_SIGNALS, asked).all()
    return MatchOut(
        id=match.id,
        kind=match.kind,
        opened_at=match.opened_at,
        parties=[PartyContact(concerns=row.concerns, **as_shown(row)) for row in connection.execute(_CONTACTS, asked)],
        own_signals=[OwnSignal(id=row.id, reporter=row.reporter_id, reporter_name=row.reporter_name) for row in own],
        own_case_references=[
            keys[row.key_version].open("case-reference", row.id.bytes, row.case_reference_sealed).decode()
            for row in own
            if row.case_reference_sealed
        ],
        contact_points=[ContactPointOut(**row._mapping) for row in connection.execute(_CONTACT_POINTS, asked)],
    )
