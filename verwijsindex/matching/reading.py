# SPDX-License-Identifier: EUPL-1.2
"""Reading matches: what row-level security leaves of them in the reader's scope, today (R12, R19, I6, I8)."""

from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching.schemas import (
    ContactPointOut,
    CoordinatorContact,
    MatchesOut,
    MatchLine,
    MatchOut,
    PartyContact,
)
from verwijsindex.paging import Page
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys

_LIST = text(
    "SELECT id, kind, opened_at FROM match WHERE CAST(:cursor_at AS timestamptz) IS NULL"
    " OR (opened_at, id) > (:cursor_at, CAST(:cursor_id AS uuid)) ORDER BY opened_at, id LIMIT :limit"
)
_NARROW = text("SELECT set_config('verwijsindex.match', :match, true)")
_ONE = text("SELECT id, kind, opened_at FROM match WHERE id = :match")
_PARTIES = text(
    "SELECT r.name, r.position, r.telephone, r.email, r.oin, i.name AS institution"
    " FROM party p JOIN reporter r ON r.id = p.reporter_id JOIN institution i ON i.oin = r.oin"
    " WHERE p.match_id = :match AND p.reporter_id IS DISTINCT FROM (SELECT scope_reporter())"
    " ORDER BY p.joined_at, r.name, r.id"
)
_COORDINATORS = text("SELECT oin, name, telephone, email FROM coordinator WHERE oin = ANY(:oins) ORDER BY name, id")
_OWN_REFERENCES = text(
    "SELECT id, key_version, case_reference_sealed FROM signal WHERE id IN (SELECT own_signals_in(:match))"
    " AND case_reference_sealed IS NOT NULL ORDER BY received_at, id"
)
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
    connection.execute(_NARROW, {"match": str(match_id)})
    asked = {"match": match_id}
    match = connection.execute(_ONE, asked).one_or_none()
    if match is None:
        raise Problem(NOT_FOUND)
    parties = connection.execute(_PARTIES, asked).all()
    coordinators: dict[str, list[CoordinatorContact]] = {}
    for row in connection.execute(_COORDINATORS, {"oins": list({party.oin for party in parties})}):
        contact = CoordinatorContact(name=row.name, telephone=row.telephone, email=row.email)
        coordinators.setdefault(row.oin, []).append(contact)
    return MatchOut(
        id=match.id,
        kind=match.kind,
        opened_at=match.opened_at,
        parties=[
            PartyContact(
                concerns="same_youngster",
                name=party.name,
                position=party.position,
                telephone=party.telephone,
                email=party.email,
                institution=party.institution,
                coordinators=coordinators.get(party.oin, []),
            )
            for party in parties
        ],
        own_case_references=[
            keys[row.key_version].open("case-reference", row.id.bytes, row.case_reference_sealed).decode()
            for row in connection.execute(_OWN_REFERENCES, asked)
        ],
        contact_points=[ContactPointOut(**row._mapping) for row in connection.execute(_CONTACT_POINTS, asked)],
    )
