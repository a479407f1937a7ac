# SPDX-License-Identifier: EUPL-1.2
"""Searching the ledger within a privacy officer's scope, in the order of an index, however many events there are (R25).

Which events exist for the officer is row-level security's to say (migration 0032); nothing here widens or bounds that.
What is chosen here is the index to walk: each way below finds the newest of its events first, and stops at a page.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from verwijsindex.auditing.schemas import LedgerSearch

_NEWEST = "ORDER BY at DESC, id DESC LIMIT :limit"
# Rows are never changed, and a page is one statement: what comes meanwhile is newer than its first event.
_PAGE = """
    SELECT e.id, e.at, e.body, l.place
    FROM (SELECT at, id FROM ({ways}) w {newest}) p JOIN event e ON e.id = p.id LEFT JOIN leaf l ON l.event_id = e.id
    ORDER BY e.at DESC, e.id DESC
"""
# Of the scope's reporters what others did that concerns them: of each the newest, so that no reporter's many events
# are read for a page (an institution has at most some thousands of reporters).
_OF_REPORTERS = (
    "SELECT x.at, x.id FROM audited_reporters() r (id) CROSS JOIN LATERAL"  # noqa: S608 (constants)
    f" (SELECT at, id FROM event WHERE reporter_id = r.id AND oin IS NULL AND {{these}} {_NEWEST}) x {_NEWEST}"
)
_ONE_WAY = f"SELECT at, id FROM event WHERE {{way}} AND {{these}} {_NEWEST}"  # noqa: S608
_OWN_ACTS = _ONE_WAY.replace("{way}", "oin = (SELECT audited_oin())")
_OF_MUNICIPALITY = _ONE_WAY.replace("{way}", "municipality_code = (SELECT scope_municipality())")

_CRITERIA = {
    "person": "(reporter_id = :person OR person = CAST(:person AS varchar))",
    "institution": "oin = CAST(:institution AS char(20))",
    "signal": "signal_id = :signal",
    "match": "match_id = :match",
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
    """
    values = asked.parameters() | {
        "person": asked.person,
        "institution": asked.institution,
        "signal": asked.signal_id,
        "match": asked.match_id,
        "begin": asked.from_,
        "until": asked.until,
        "kinds": asked.kinds,
        "outcome": asked.outcome,
    }
    these = " AND ".join(["true", *(_CRITERIA[name] for name in _CRITERIA if values[name] is not None)])
    ways = " UNION ".join(f"({way.replace('{these}', these)})" for way in _ways(connection, asked))
    return connection.execute(text(_PAGE.format(ways=ways, newest=_NEWEST)), values).all()


def _ways(connection: Connection, asked: LedgerSearch) -> list[str]:
    """By which indexes: the criterion with the fewest events, or all of the scope."""
    if asked.signal_id or asked.match_id:
        return [_ONE_WAY.replace("{way}", "true")]
    if asked.person:
        ways = ("reporter_id = :person", "person = CAST(:person AS varchar)")
        return [_ONE_WAY.replace("{way}", way) for way in ways]
    if asked.institution:
        return [_ONE_WAY.replace("{way}", "true")]
    oin, municipality = connection.execute(_SCOPE).one()
    if oin:
        return [_OWN_ACTS, _OF_REPORTERS]
    return [_OWN_ACTS, _OF_MUNICIPALITY] if municipality else [_ONE_WAY.replace("{way}", "true")]


_SCOPE = text("SELECT scope_oin(), scope_municipality()")
