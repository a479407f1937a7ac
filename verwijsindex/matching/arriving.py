# SPDX-License-Identifier: EUPL-1.2
"""What came in since the last run: signals find their youngster and parents, deaths end, moves are set (R10, R14, R24).

Also who stands on whom: a reporter's signals on a youngster that follow each other without a break are one standing
(docs/rules.md, Telling). All under the matcher's lock: nobody else attaches, ends by death, or gives a standing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

_ADD_YOUNGSTERS = text(
    "INSERT INTO youngster (id, key, key_version)"
    " SELECT gen_random_uuid(), sealed_pseudonym, CAST(:key_version AS integer) FROM signal"
    " WHERE id = ANY(:signals) AND sealed_pseudonym IS NOT NULL GROUP BY sealed_pseudonym ORDER BY sealed_pseudonym"
    " ON CONFLICT (key) DO NOTHING"
)
_ADD_PARENTS = text(
    "INSERT INTO parent (id, key, key_version) SELECT gen_random_uuid(), p.key, CAST(:key_version AS integer)"
    " FROM signal s, unnest(s.parents_sealed) p (key) WHERE s.id = ANY(:signals) GROUP BY p.key ORDER BY p.key"
    " ON CONFLICT (key) DO NOTHING"
)
_LINK_PARENTS = text(
    "INSERT INTO signal_parent (signal_id, parent_id) SELECT s.id, p.id FROM signal s, unnest(s.parents_sealed) i (key)"
    " JOIN parent p ON p.key = i.key WHERE s.id = ANY(:signals) ORDER BY s.id, p.id ON CONFLICT DO NOTHING"
)
# A signal is written once: PostgreSQL holds a row that its own transaction wrote against every foreign key anew. So who
# has nothing else on the youngster, as nearly everybody, has a standing from here; the others get theirs when all that
# waits is attached.
_ATTACH = text(
    """
    WITH new AS MATERIALIZED (
        SELECT s.id, y.id AS youngster_id, s.reporter_id, gen_random_uuid() AS fresh,
               count(*) OVER (PARTITION BY y.id, s.reporter_id) = 1
               AND NOT EXISTS (SELECT FROM standing st
                               WHERE st.youngster_id = y.id AND st.reporter_id = s.reporter_id OFFSET 0)
               AND NOT EXISTS (SELECT FROM signal o
                               WHERE o.youngster_id = y.id AND o.reporter_id = s.reporter_id OFFSET 0) AS alone
        FROM signal s JOIN youngster y ON y.key = s.sealed_pseudonym WHERE s.id = ANY(:signals)
    ), added AS (
        INSERT INTO standing (id, youngster_id, reporter_id)
        SELECT fresh, youngster_id, reporter_id FROM new WHERE alone ORDER BY fresh
    )
    UPDATE signal s SET youngster_id = n.youngster_id, standing_id = CASE WHEN n.alone THEN n.fresh END,
        sealed_pseudonym = NULL, parents_sealed = NULL, archive_due = s.restricted_at IS NOT NULL
    FROM new n WHERE s.id = n.id RETURNING s.id
    """
)
# Nothing is told during a restriction (R30): a signal that came to be restricted before it was attached tells of the
# archive when that is lifted.
_LIFTED = text(
    "UPDATE signal SET archive_due = false WHERE youngster_id = ANY(:youngsters) AND archive_due"
    " AND restricted_at IS NULL RETURNING id"
)
_HOLD_NEW = text(
    "SELECT FROM signal WHERE id = ANY(:signals) AND sealed_pseudonym IS NOT NULL ORDER BY id FOR NO KEY UPDATE"
)
_HOLD = text("SELECT FROM signal WHERE youngster_id = ANY(:youngsters) ORDER BY id FOR NO KEY UPDATE")
_YOUNGSTERS = text("SELECT DISTINCT youngster_id FROM signal WHERE id = ANY(:signals) AND youngster_id IS NOT NULL")

_DEATHS = text(
    "SELECT y.id, max(d.told_at) AS told_at FROM death d JOIN youngster y ON y.key = d.key GROUP BY y.id ORDER BY y.id"
)
_DIE = text(
    "UPDATE signal s SET ended_at = i.told_at, end_reason = 'death'"
    " FROM unnest(CAST(:youngsters AS uuid[]), CAST(:moments AS timestamptz[])) i (id, told_at)"
    " WHERE s.youngster_id = i.id AND s.received_at <= i.told_at AND s.ended_at IS NULL"
)
# A death counts for every signal received before it: also for one whose commit, or whose work, is still under way; and
# for what could not be destroyed yet, since no tombstone could be written.
_FORGET_DEATHS = text(
    "DELETE FROM death d WHERE d.told_at < :before AND NOT EXISTS"
    " (SELECT FROM work w JOIN signal s ON s.id = w.signal_id WHERE s.received_at <= d.told_at)"
    " AND NOT EXISTS (SELECT FROM death o JOIN youngster y ON y.key = o.key WHERE o.id = d.id"
    " AND (EXISTS (SELECT FROM signal s WHERE s.youngster_id = y.id AND s.received_at <= d.told_at)"
    " OR EXISTS (SELECT FROM archived_signal a WHERE a.youngster_id = y.id AND a.received_at <= d.told_at)))"
)
UNDER_WAY = timedelta(minutes=1)
"""Longer than any transaction of intake may take (database._SERVER_BOUNDED)."""

# The last move counts for every signal placed up to it; who told it sees it at once on the own signal.
_MOVE = text(
    """
    WITH moved AS (
        DELETE FROM move m USING signal s WHERE s.id = m.signal_id AND s.youngster_id = ANY(:youngsters)
        RETURNING s.youngster_id, m.id, m.municipality_code, m.reporter_id, m.told_at
    ), latest AS (
        SELECT DISTINCT ON (youngster_id) youngster_id, municipality_code, reporter_id, told_at FROM moved
        ORDER BY youngster_id, told_at DESC, id DESC
    ), applied AS (
        UPDATE signal s SET residence_municipality = l.municipality_code FROM latest l
        WHERE s.youngster_id = l.youngster_id AND s.received_at <= l.told_at AND s.ended_at IS NULL
          AND s.residence_municipality <> l.municipality_code
        RETURNING s.youngster_id
    )
    SELECT youngster_id, reporter_id FROM latest WHERE youngster_id IN (SELECT youngster_id FROM applied)
    ORDER BY youngster_id
    """
)

# Signals of one reporter on one youngster by their time; who begins after all before had ended begins a standing. Who
# handed a signal over stood until that moment.
_GIVE_STANDINGS = text(
    """
WITH span AS (
    SELECT id, youngster_id, reporter_id, standing_id, coalesce(held_since, received_at) AS begins,
           least(ended_at, removal_date::timestamp AT TIME ZONE 'Europe/Amsterdam') AS ends
    FROM signal WHERE youngster_id = ANY(:youngsters) AND (youngster_id, reporter_id) IN (
        SELECT youngster_id, reporter_id FROM signal WHERE youngster_id = ANY(:youngsters) AND standing_id IS NULL)
), follows AS (
    SELECT *, begins < max(ends) OVER (PARTITION BY youngster_id, reporter_id ORDER BY begins, id
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS follows FROM span
), numbered AS (
    SELECT *, count(*) FILTER (WHERE follows IS NOT TRUE)
              OVER (PARTITION BY youngster_id, reporter_id ORDER BY begins, id) AS n FROM follows
), named AS MATERIALIZED (
    SELECT youngster_id, reporter_id, n, array_agg(id) FILTER (WHERE standing_id IS NULL) AS signals,
           coalesce((array_agg(standing_id ORDER BY begins, id) FILTER (WHERE standing_id IS NOT NULL))[1],
                    (SELECT st.id FROM standing st
                     WHERE st.youngster_id = numbered.youngster_id AND st.reporter_id = numbered.reporter_id
                       AND st.handed_over_at > min(numbered.begins) ORDER BY st.handed_over_at LIMIT 1)) AS known,
           gen_random_uuid() AS fresh
    FROM numbered GROUP BY youngster_id, reporter_id, n HAVING bool_or(standing_id IS NULL)
), added AS (
    INSERT INTO standing (id, youngster_id, reporter_id)
    SELECT fresh, youngster_id, reporter_id FROM named WHERE known IS NULL ORDER BY fresh
)
UPDATE signal s SET standing_id = coalesce(n.known, n.fresh) FROM named n WHERE s.id = ANY(n.signals)
"""
)


def hold_new(connection: Connection, signals: Sequence[UUID]) -> None:
    """Let nobody hand over those of these signals that are new until the commit: parents go with that (R10), and what
    is read of them from here on is theirs."""
    connection.execute(_HOLD_NEW, {"signals": list(signals)})


def attach(connection: Connection, signals: Sequence[UUID], key_version: int) -> list[UUID]:
    """Give new signals their youngster and parents; those that are new. `key_version`: under which both are sealed."""
    asked: dict[str, Any] = {"signals": list(signals), "key_version": key_version}
    connection.execute(_ADD_YOUNGSTERS, asked)
    connection.execute(_ADD_PARENTS, asked)
    connection.execute(_LINK_PARENTS, asked)
    return list(connection.execute(_ATTACH, asked).scalars())


def lifted(connection: Connection, youngsters: Sequence[UUID]) -> list[UUID]:
    """The signals of these youngsters whose restriction kept them from telling of the archive, and that are restricted
    no more; once."""
    return list(connection.execute(_LIFTED, {"youngsters": list(youngsters)}).scalars())


def youngsters_of(connection: Connection, signals: Sequence[UUID]) -> set[UUID]:
    """Whom these signals are about."""
    return set(connection.execute(_YOUNGSTERS, {"signals": list(signals)}).scalars())


def hold(connection: Connection, youngsters: Sequence[UUID]) -> None:
    """Let no act change a signal of these youngsters until the commit: what one statement computes from them is true
    for the next. An act that waits comes after, with work of its own. Each holds one signal and nothing else, so that
    nobody waits for each other."""
    connection.execute(_HOLD, {"youngsters": list(youngsters)})


def end_by_death(connection: Connection) -> dict[UUID, datetime]:
    """End what a death that was told ends (R14); the youngsters who died, and when it was told last."""
    dead = {row.id: row.told_at for row in connection.execute(_DEATHS)}
    if dead:
        connection.execute(_DIE, {"youngsters": list(dead), "moments": list(dead.values())})
    return dead


def forget_deaths(connection: Connection, now: datetime) -> None:
    """Let go of deaths that have nothing left to end."""
    connection.execute(_FORGET_DEATHS, {"before": now - UNDER_WAY})


def move(connection: Connection, youngsters: Sequence[UUID]) -> list[Row[Any]]:
    """Set what moves were told; of each for whom another's signal changed by it `youngster_id`, and the `reporter_id`
    who told it last, if one did. Who tells again what all know already tells nobody."""
    return list(connection.execute(_MOVE, {"youngsters": list(youngsters)}).all())


def give_standings(connection: Connection, youngsters: Sequence[UUID]) -> None:
    """Give every signal that has none its standing: that of the signal it follows without a break, or a new one."""
    connection.execute(_GIVE_STANDINGS, {"youngsters": list(youngsters)})
