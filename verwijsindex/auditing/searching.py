# SPDX-License-Identifier: EUPL-1.2
"""Searching the ledger within a privacy officer's scope, in the order of an index, however many events there are (R25).

Which events exist for the officer is row-level security's to say (migration 0032); nothing here widens or bounds that.
What is chosen here is the index to walk: each way below finds the newest of its events first, and stops at a page.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import OperationalError

from verwijsindex.auditing.schemas import LedgerSearch
from verwijsindex.database import QUERY_CANCELED, sqlstate
from verwijsindex.problems import SEARCH_TOO_WIDE, Problem

_NEWEST = "ORDER BY at DESC, id DESC LIMIT :limit"
# Rows are never changed, and a page is one statement: what comes meanwhile is newer than its first event.
_PAGE = """
    SELECT e.id, e.at, e.body, l.place
    FROM (SELECT at, id FROM ({ways}) w {newest}) p JOIN event e ON e.id = p.id LEFT JOIN leaf l ON l.event_id = e.id
    ORDER BY e.at DESC, e.id DESC
"""
# Of the scope's reporters what others did that concerns them. The newest events of all are of those reporters whose own
# newest are: so of each one is looked at, and only of a page's worth of reporters more.
_OF_ONE = (
    "SELECT at, id FROM event WHERE reporter_id = r.id AND oin IS NULL AND {these} ORDER BY at DESC, id DESC LIMIT"
)
_OF_REPORTERS = (
    f"SELECT x.at, x.id FROM (SELECT r.id FROM audited_reporters() r (id) CROSS JOIN LATERAL ({_OF_ONE} 1) n"  # noqa: S608
    f" ORDER BY n.at DESC, n.id DESC LIMIT :limit) r CROSS JOIN LATERAL ({_OF_ONE} :limit) x {_NEWEST}"
)
_ONE_WAY = f"SELECT at, id FROM event WHERE {{way}} AND {{these}} {_NEWEST}"  # noqa: S608
_ANY = _ONE_WAY.replace("{way}", "true")
_OWN_ACTS = _ONE_WAY.replace("{way}", "oin = (SELECT audited_oin())")
_CONCERNING = _ONE_WAY.replace("{way}", "concerned_oin = (SELECT scope_oin())")
_OF_MUNICIPALITY = _ONE_WAY.replace("{way}", "municipality_code = (SELECT scope_municipality())")

_CRITERIA = {
    "person": "(reporter_id = :person OR person = CAST(:person AS varchar))",
    "institution": "oin = CAST(:institution AS char(20))",
    "signal": "signal_id = :signal",
    "match": "match_id = :match",
    "events": "id = ANY(:events)",
    "begin": "at >= :begin",
    "until": "at < :until",
    "kinds": "kind = ANY(:kinds)",
    "outcome": "outcome = :outcome",
    "cursor_at": "at <= :cursor_at AND (at < :cursor_at OR id < :cursor_id)",
}


def search(connection: Connection, asked: LedgerSearch) -> Sequence[Row[Any]]:
    """The newest events that meet all criteria, at most one more than a page: `id`, `at`, `body`, `place` or None.

    Args:
        connection: of `verwijsindex_auditor`, with the officer's scope.

    Raises:
        Problem: 400 when that takes longer than the database gives it: what is rare is looked for event by event.
    """
    values = asked.parameters() | {
        "person": asked.person,
        "institution": asked.institution,
        "signal": asked.signal_id,
        "match": asked.match_id,
        "events": asked.event_ids,
        "begin": asked.from_,
        "until": asked.until,
        "kinds": asked.kinds,
        "outcome": asked.outcome,
    }
    these = " AND ".join(["true", *(_CRITERIA[name] for name in _CRITERIA if values[name] is not None)])
    ways = " UNION ".join(f"({way.replace('{these}', these)})" for way in _ways(connection, asked))
    try:
        return connection.execute(text(_PAGE.format(ways=ways, newest=_NEWEST)), values).all()
    except OperationalError as error:
        if sqlstate(error) != QUERY_CANCELED:
            raise
        raise Problem(SEARCH_TOO_WIDE) from None


def _ways(connection: Connection, asked: LedgerSearch) -> list[str]:
    """By which indexes: the criterion with the fewest events, or all of the scope."""
    if asked.event_ids or asked.signal_id or asked.match_id:
        return [_ANY]
    if asked.person:
        ways = ("reporter_id = :person", "person = CAST(:person AS varchar)")
        return [_ONE_WAY.replace("{way}", way) for way in ways]
    oin, municipality = connection.execute(_SCOPE).one()
    if not (oin or municipality):
        return [_ANY]
    if asked.institution:  # another's acts are none of the scope's: then this finds at once that there are none
        return [_OWN_ACTS]
    return [_OWN_ACTS, _OF_REPORTERS, _CONCERNING] if oin else [_OWN_ACTS, _OF_MUNICIPALITY]


_SCOPE = text("SELECT scope_oin(), scope_municipality()")
