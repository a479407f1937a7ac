# SPDX-License-Identifier: EUPL-1.2
"""Figures are counted once, a month after their quarter, and never again: else two looks at the same quarter would
differ by whoever was destroyed between them (R32).

Of which institutions a match was is kept on its round until then (persons with an own agreement never), and forgotten
after that.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from verwijsindex.database import as_json, transaction
from verwijsindex.figures.models import CELLS
from verwijsindex.figures.quarters import Quarter
from verwijsindex.figures.suppressing import Figures, tellable
from verwijsindex.ledger import events
from verwijsindex.signals.dates import amsterdam_date

REPORTERS = 3
"""The reporters that an institution has at least, for its figures to be those of no reporter (P)."""
FORGOTTEN = 5000
"""Rounds of which the institutions are forgotten at a time."""

_OLDEST = text("SELECT min(began_at) FROM round WHERE institutions IS NOT NULL")
_CLAIM = text(
    "INSERT INTO figure_quarter (first_day, published_at) VALUES (:first_day, :now) ON CONFLICT DO NOTHING"
    " RETURNING first_day"
)
_IN_TIME = "count(*) FILTER (WHERE {done} <= {due}), count(*) FILTER (WHERE ({done} <= {due}) IS NOT TRUE)"
# Each youngster once for each institution, and once in all (no institution): by the last of its rounds. One that was
# destroyed since is of nobody, and known by its match alone.
_COUNT = text(
    f"""
    WITH begun AS (
        SELECT v.municipality_code, coalesce(m.youngster_id, m.id) AS youngster, r.institutions, r.began_at, r.id,
               r.state, r.outcome, r.contact_due_on, r.coordination_due_on, r.contacted_on,
               (r.coordinated_at AT TIME ZONE 'Europe/Amsterdam')::date AS coordinated_on,
               (r.ended_at AT TIME ZONE 'Europe/Amsterdam')::date AS ended_on
        FROM round r JOIN match m ON m.id = r.match_id
        JOIN supervision v ON v.match_id = m.id AND v.joined_at <= r.began_at
            AND coalesce(v.left_at > r.began_at, true)
        WHERE r.institutions IS NOT NULL AND r.began_at >= :began_at AND r.began_at < :ended_at
    ), counted AS (
        SELECT DISTINCT ON (municipality_code, oin, youngster) *,
               coalesce(contacted_on, CASE WHEN state = 'closed' THEN ended_on END) AS contact_on,
               coalesce(coordinated_on, CASE WHEN state = 'closed' THEN ended_on END) AS coordination_on
        FROM (
            SELECT *, NULL::char(20) AS oin FROM begun
            UNION ALL
            SELECT begun.*, one FROM begun CROSS JOIN unnest(institutions) one
        ) each ORDER BY municipality_code, oin, youngster, began_at DESC, id DESC
    )
    SELECT municipality_code, oin, count(*) AS begun,
           ARRAY[{_IN_TIME.format(done="contact_on", due="contact_due_on")}] AS contact,
           ARRAY[{_IN_TIME.format(done="coordination_on", due="coordination_due_on")}] AS coordination,
           ARRAY[{", ".join(f"count(*) FILTER (WHERE outcome = '{one}')" for one in CELLS["outcome"][:-1])},
                 count(*) FILTER (WHERE outcome IS NULL)] AS outcome
    FROM counted
    WHERE oin IS NULL OR :reporters <= (
        SELECT count(*) FROM reporter p WHERE p.oin = counted.oin AND coalesce(p.designated_until >= :first_day, true))
    GROUP BY municipality_code, oin
    """  # noqa: S608 (constants)
)
_PUBLISH = text(
    """
    INSERT INTO follow_up_figure (id, municipality_code, first_day, oin, begun, contact, coordination, outcome)
    SELECT uuidv7(), municipality_code, :first_day, oin, begun, contact, coordination, outcome
    FROM json_to_recordset(CAST(:rows AS json)) AS i (municipality_code text, oin text, begun int, contact int[],
        coordination int[], outcome int[])
    """
)
_FORGET = text(
    """
    UPDATE round SET institutions = NULL WHERE id IN (
        SELECT r.id FROM round r
        WHERE r.institutions IS NOT NULL
          AND r.began_at < (SELECT max(first_day) + interval '3 months' FROM figure_quarter)
              AT TIME ZONE 'Europe/Amsterdam'
        ORDER BY r.began_at LIMIT :size FOR UPDATE SKIP LOCKED)
    """
)


def publish(pool: Engine, now: datetime) -> list[Quarter]:
    """Publish each quarter that is due and was not published yet; which. Of two at once the second waits for the first
    and finds it done. Rounds of published quarters then forget their institutions, a bounded number at a time."""
    with transaction(pool) as connection:
        oldest: datetime | None = connection.execute(_OLDEST).scalar_one()
        published = [] if oldest is None else [one for one in _due(oldest, now) if _publish(connection, one, now)]
        connection.execute(_FORGET, {"size": FORGOTTEN})
    return published


def _due(oldest: datetime, now: datetime) -> list[Quarter]:
    quarters, one = [], Quarter.of(amsterdam_date(oldest))
    while one.published_from <= amsterdam_date(now):
        quarters.append(one)
        one = one.next
    return quarters


def _publish(connection: Connection, quarter: Quarter, now: datetime) -> bool:
    if connection.execute(_CLAIM, {"first_day": quarter.first_day, "now": now}).one_or_none() is None:
        return False
    rows = [row for counted in _counted(connection, quarter) for row in counted]
    if rows:
        connection.execute(_PUBLISH, {"first_day": quarter.first_day, "rows": as_json(rows)})
    events.append(
        connection, [events.Event(events.FIGURES_PUBLISHED, now, events.UPKEEP, says={"quarter": str(quarter)})]
    )
    return True


def _counted(connection: Connection, quarter: Quarter) -> list[list[dict[str, Any]]]:
    """Of each municipality the rows that may be told."""
    asked = {
        "began_at": quarter.began_at,
        "ended_at": quarter.next.began_at,
        "first_day": quarter.first_day,
        "reporters": REPORTERS,
    }
    of: dict[str, dict[str | None, Figures]] = defaultdict(dict)
    for row in connection.execute(_COUNT, asked):
        cells = {name: tuple(row._mapping[name]) for name in CELLS}
        of[row.municipality_code][row.oin] = Figures(row.begun, cells)
    return [_rows(code, found) for code, found in sorted(of.items())]


def _rows(municipality: str, counted: dict[str | None, Figures]) -> list[dict[str, Any]]:
    institutions = {oin: one for oin, one in counted.items() if oin is not None}
    shown, total = tellable(institutions, counted[None])
    told: Sequence[tuple[str | None, Figures]] = [*shown.items(), *([(None, total)] if total else [])]
    return [
        {"municipality_code": municipality, "oin": oin, "begun": one.begun}
        | {name: _array(one.groups.get(name)) for name in CELLS}
        for oin, one in told
    ]


def _array(cells: tuple[int, ...] | None) -> str | None:
    return None if cells is None else "{" + ",".join(map(str, cells)) + "}"
