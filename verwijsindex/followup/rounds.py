# SPDX-License-Identifier: EUPL-1.2
"""Rounds follow matches: begun when somebody is newly told of, lapsed when the match ends (R21; docs/decisions/0026).

Called by the matcher, under its lock and in its transaction, after matches and parties are up to date.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.database import as_json
from verwijsindex.followup import deadlines
from verwijsindex.followup.deadlines import Clock
from verwijsindex.followup.states import State
from verwijsindex.ledger import events
from verwijsindex.signals.dates import amsterdam_date

# In the order in which acts lock them, rounds first: neither waits for the other in a circle.
_HOLD = [
    text(
        f"SELECT FROM {table} WHERE match_id IN (SELECT id FROM match WHERE youngster_id = ANY(:concerned))"  # noqa: S608
        " ORDER BY id FOR UPDATE"
    )
    for table in ("round", "lead")
]
_LAPSE = text(
    "UPDATE round r SET state = 'lapsed', ended_at = :now, next_step_on = NULL FROM match m"
    " WHERE m.youngster_id = ANY(:concerned) AND r.match_id = m.id AND m.ended_at IS NOT NULL AND r.ended_at IS NULL"
    " RETURNING r.match_id"
)
# Of who supervises a match from now on, without a new round. After rounds are locked, so that it sees what an act did
# to one meanwhile: the trigger of that act did not see this supervision yet.
_KEEP_DEADLINE = text(
    """
    UPDATE supervision v SET round_state = r.state,
        due_on = next_deadline(r.state, r.contact_due_on, r.coordination_due_on)
    FROM match m CROSS JOIN LATERAL (SELECT * FROM round WHERE match_id = m.id ORDER BY number DESC LIMIT 1) r
    WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL
      AND v.match_id = m.id AND v.left_at IS NULL AND v.round_state IS NULL
    """
)
# Each match that needs a round, with its present one if it has any, and the strictest of its municipalities. Of a match
# that came back the present one is that of the match that ended, `back_from`.
_WANTED = text(
    """
    SELECT m.id AS match_id, before.id AS back_from, m.id = ANY(:told) AS told,
           coalesce(r.number, 0) AS number, r.id AS round_id, r.ended_at IS NULL AS runs, r.state,
           r.contacted_on, r.contacted_at, r.coordinated_at, r.ended_at, r.outcome,
           r.contact_due_on, r.contact_steps, r.coordination_due_on, r.coordination_steps,
           within.contact_days, within.coordination_days
    FROM match m
    LEFT JOIN LATERAL (
        SELECT o.id FROM match o
        WHERE NOT EXISTS (SELECT FROM round WHERE match_id = m.id)
          AND o.youngster_id = m.youngster_id AND o.kind = m.kind AND o.ended_at IS NOT NULL
          AND EXISTS (SELECT FROM round WHERE match_id = o.id)
        ORDER BY o.ended_at DESC, o.id DESC LIMIT 1
    ) before ON true
    LEFT JOIN LATERAL (
        SELECT * FROM round WHERE match_id = coalesce(before.id, m.id) ORDER BY number DESC LIMIT 1
    ) r ON true
    CROSS JOIN LATERAL (
        SELECT min(g.contact_within_days) AS contact_days, min(g.coordination_within_days) AS coordination_days
        FROM supervision v JOIN municipality g ON g.code = v.municipality_code
        WHERE v.match_id = m.id AND v.left_at IS NULL
    ) within
    WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL
      AND (m.id = ANY(:told) OR r.match_id IS DISTINCT FROM m.id)
    ORDER BY m.id
    """
)
_RENEW = text(
    "UPDATE round SET state = 'renewed', ended_at = :now, next_step_on = NULL WHERE id = ANY(:rounds)"
    " RETURNING match_id"
)
_BEGIN = text(
    """
    INSERT INTO round (id, match_id, number, state, began_at, contacted_on, contacted_at, coordinated_at, ended_at,
                       outcome, contact_due_on, contact_steps, coordination_due_on, coordination_steps, next_step_on,
                       institutions)
    SELECT uuidv7(), i.match_id, i.number, i.state, :now, i.contacted_on, i.contacted_at, i.coordinated_at, i.ended_at,
           i.outcome, i.contact_due_on, i.contact_steps, i.coordination_due_on, i.coordination_steps, i.next_step_on,
           ARRAY(SELECT DISTINCT o.oin FROM party p JOIN reporter o ON o.id = p.reporter_id
                 JOIN institution n ON n.oin = o.oin JOIN category c ON c.code = n.category_code AND NOT c.in_person
                 WHERE p.match_id = i.match_id AND p.left_at IS NULL)
    FROM json_to_recordset(CAST(:rounds AS json)) AS i (match_id uuid, number int, state text, contacted_on date,
        contacted_at timestamptz, coordinated_at timestamptz, ended_at timestamptz, outcome text,
        contact_due_on date, contact_steps int, coordination_due_on date, coordination_steps int, next_step_on date)
    """
)


def bring_up_to_date(
    connection: Connection, concerned: Sequence[UUID], told: Sequence[UUID], now: datetime
) -> dict[UUID, UUID]:
    """Give each open match of these youngsters a round; another one to those in which somebody was newly told.

    A clock that runs goes on in the new round; one that was met or has done all its steps begins anew. A match that
    comes back without anybody being told (R30) goes on with the round in which it ended, with time for what was not
    done.

    Returns:
        Of each match that came back, the one that had ended.
    """
    asked: dict[str, Any] = {"concerned": list(concerned), "told": list(told), "now": now}
    for hold in _HOLD:
        connection.execute(hold, asked)
    connection.execute(_KEEP_DEADLINE, asked)
    lapsed = connection.execute(_LAPSE, asked).scalars().all()
    wanted = connection.execute(_WANTED, asked).mappings().all()
    renewed: Sequence[UUID] = ()
    if wanted:
        running = [one["round_id"] for one in wanted if one["runs"] and not one["back_from"]]
        renewed = connection.execute(_RENEW, {"rounds": running, "now": now}).scalars().all() if running else ()
        rounds = [_next(dict(one), amsterdam_date(now)) for one in wanted]
        connection.execute(_BEGIN, {"rounds": as_json(rounds), "now": now})
    back = {one["match_id"]: one["back_from"] for one in wanted if one["back_from"]}
    kinds = ((events.ROUND_LAPSED, lapsed), (events.ROUND_RENEWED, renewed))
    began = [(events.ROUND_BEGAN, [one["match_id"] for one in wanted])]
    events.append(
        connection,
        [
            events.Event(kind, now, events.MATCHER, says={"matchId": str(match)})
            for kind, matches in (*kinds, *began)
            for match in matches
        ],
    )
    return back


def _next(before: dict[str, Any], today: date) -> dict[str, Any]:
    """The round that comes after `before`, or the first one, or the one that goes on in a match that came back."""
    came_back = before["back_from"] is not None
    runs = bool(before["round_id"]) and before["runs"] and not came_back
    back = came_back and not before["told"]
    number = 0 if came_back and not back else before["number"]
    contact = deadlines.after(
        Clock(before["contact_due_on"], before["contact_steps"]) if runs else None,
        met=before["state"] not in ("notified", "seen"),
        today=today,
        days=before["contact_days"],
    )
    coordination = deadlines.after(
        Clock(before["coordination_due_on"], before["coordination_steps"]) if runs else None,
        met=before["state"] == "coordinated",
        today=today,
        days=before["coordination_days"],
    )
    state = _went_on(before) if back else "notified"
    done = {name: before[name] if back else None for name in ("contacted_on", "contacted_at", "coordinated_at")}
    closed = {name: before[name] if state == "closed" else None for name in ("ended_at", "outcome")}
    return {
        "match_id": before["match_id"],
        "number": number + (not back),
        "state": state,
        "contact_due_on": contact.due_on,
        "contact_steps": contact.steps,
        "coordination_due_on": coordination.due_on,
        "coordination_steps": coordination.steps,
        "next_step_on": None if state == "closed" else deadlines.first_step((contact, coordination)),
        **done,
        **closed,
    }


def _went_on(before: dict[str, Any]) -> State:
    """The state in which a round lapsed, by what was done in it; that a lead was agreed, its lead tells (`leads`)."""
    if before["state"] == "closed":
        return "closed"
    if before["coordinated_at"]:
        return "coordinated"
    return "contacted" if before["contacted_at"] else "notified"
