# SPDX-License-Identifier: EUPL-1.2
"""What the days bring to follow-up (R21, R22): steps after missed deadlines, and who did not answer in time.

One batch is one transaction under the matcher's lock, so that whoever is told is who stands there at that moment. Each
step happens once, however late the clock comes and however many run: a round keeps how many of its steps are done.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from verwijsindex.database import as_json, transaction
from verwijsindex.followup import deadlines
from verwijsindex.followup.deadlines import Clock, Step
from verwijsindex.followup.states import CONTACTED, COORDINATED
from verwijsindex.ledger import events
from verwijsindex.notices import service as notices
from verwijsindex.notices.service import Wanted
from verwijsindex.signals.dates import amsterdam_date

BATCH = 500

# Locked in the order of their ids, as acts do: neither waits for the other in a circle.
_DUE = text(
    """
    SELECT r.id, r.match_id, r.state, r.contact_due_on, r.contact_steps, r.coordination_due_on, r.coordination_steps
    FROM round r WHERE r.next_step_on <= :today AND r.id = ANY(ARRAY(
        SELECT id FROM round WHERE next_step_on <= :today ORDER BY next_step_on, id LIMIT :size))
    ORDER BY r.id FOR UPDATE
    """
)
_DONE = text(
    """
    UPDATE round r SET contact_steps = i.contact_steps, coordination_steps = i.coordination_steps,
                       next_step_on = i.next_step_on
    FROM json_to_recordset(CAST(:rounds AS json)) AS i (id uuid, contact_steps int, coordination_steps int,
        next_step_on date)
    WHERE r.id = i.id
    """
)
_PARTIES = text(
    """
    SELECT p.match_id, l.reporter_id, l.oin, l.shielded, c.in_person
    FROM party p JOIN match m ON m.id = p.match_id
    CROSS JOIN LATERAL (
        SELECT reporter_id, oin, bool_or(shielded) AS shielded FROM live_signals(:today)
        WHERE youngster_id = m.youngster_id AND reporter_id = p.reporter_id GROUP BY reporter_id, oin
    ) l
    JOIN institution i ON i.oin = l.oin JOIN category c ON c.code = i.category_code
    WHERE p.match_id = ANY(:matches) AND p.left_at IS NULL
    """
)
_SUPERVISORS = text(
    "SELECT match_id, municipality_code FROM supervision WHERE match_id = ANY(:matches) AND left_at IS NULL"
)
# Who did not answer is asked no more; until the matcher has found somebody else, every party may take the lead.
_UNANSWERED = text(
    """
    WITH late AS MATERIALIZED (
        SELECT id FROM lead WHERE answer_due_on < :today AND id = ANY(ARRAY(
            SELECT l.id FROM lead l JOIN match m ON m.id = l.match_id AND m.ended_at IS NULL
            WHERE l.answer_due_on < :today ORDER BY l.answer_due_on, l.id LIMIT :size))
        ORDER BY id FOR UPDATE
    )
    UPDATE lead l SET state = 'unanswered', answer_due_on = NULL FROM late WHERE l.id = late.id
    RETURNING l.match_id, l.reporter_id
    """
)
_OPEN_TO_ALL = text(
    "INSERT INTO lead (id, match_id, state, reason, proposed_at)"
    " SELECT uuidv7(), one, 'proposed', 'next_is_sought', :now FROM unnest(CAST(:matches AS uuid[])) one"
)
_LOOK_AGAIN = text(
    """
    INSERT INTO work (signal_id)
    SELECT s.id FROM match m CROSS JOIN LATERAL (
        SELECT id FROM live_signals(:today) WHERE youngster_id = m.youngster_id ORDER BY id LIMIT 1
    ) s WHERE m.id = ANY(:matches)
    """
)
_LACKING = text(
    """
    SELECT m.id FROM match m WHERE m.ended_at IS NULL AND (
        NOT EXISTS (SELECT FROM round r WHERE r.match_id = m.id)
        OR NOT EXISTS (SELECT FROM lead l WHERE l.match_id = m.id AND l.state IN ('proposed', 'accepted'))
        OR EXISTS (SELECT FROM supervision v WHERE v.match_id = m.id AND v.left_at IS NULL AND v.round_state IS NULL))
    LIMIT :size
    """
)
# Who leads, or is asked to, and left since, which no signal tells.
_LEFT = text(
    """
    SELECT l.match_id FROM reporter r JOIN lead l ON l.reporter_id = r.id AND l.state IN ('proposed', 'accepted')
    JOIN match m ON m.id = l.match_id AND m.ended_at IS NULL
    WHERE r.designated_until < :today AND (l.proposed_at AT TIME ZONE 'Europe/Amsterdam')::date <= r.designated_until
    LIMIT :size
    """
)


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one batch did; `asked`: at how many matches the matcher has to look; `more`: there may be more to do."""

    steps: int
    unanswered: int
    asked: int
    notices: int
    more: bool


def tick(pool: Engine, now: datetime, push_due_at: datetime, *, lock: TextClause, size: int = BATCH) -> Ticked:
    """Do what is due today, a batch. Who does not get the lock does nothing.

    Args:
        pool: of the worker role.
        lock: the statement that takes the matcher's lock.
    """
    today = amsterdam_date(now)
    with transaction(pool) as connection:
        if not connection.execute(lock).scalar_one():
            return Ticked(0, 0, 0, 0, more=False)
        due = connection.execute(_DUE, {"today": today, "size": size}).mappings().all()
        steps = _steps(connection, [dict(one) for one in due], today)
        unanswered = connection.execute(_UNANSWERED, {"today": today, "size": size}).all()
        matches = sorted({row.match_id for row in unanswered})
        if matches:
            connection.execute(_OPEN_TO_ALL, {"matches": matches, "now": now})
        left = connection.execute(_LEFT, {"today": today, "size": size}).scalars().all()
        look_at = sorted({*matches, *left})
        if look_at:
            connection.execute(_LOOK_AGAIN, {"matches": look_at, "today": today})
        told = notices.place(connection, _wanted(connection, steps, today), now, push_due_at)
        events.append(
            connection,
            [
                *(
                    events.Event(events.STEP_DONE, now, events.MATCHER, says={"matchId": str(match), "told": step})
                    for match, step in steps
                ),
                *(
                    events.Event(
                        events.LEAD_UNANSWERED,
                        now,
                        events.MATCHER,
                        says={"matchId": str(row.match_id)},
                        recipient_reporter=row.reporter_id,
                    )
                    for row in unanswered
                ),
            ],
        )
    return Ticked(len(steps), len(unanswered), len(look_at), told, more=max(len(due), len(unanswered)) == size)


def ask_for_lacking(connection: Connection, now: datetime, size: int = BATCH) -> int:
    """Have the matcher look at open matches without a round, without a lead or a proposal, or without a place in a
    supervisor's list: those that a matcher of the version before opened, or let another municipality supervise. It
    reads all open matches, so not at each sweep. How many there were, `size` at most."""
    lacking = connection.execute(_LACKING, {"size": size}).scalars().all()
    connection.execute(_LOOK_AGAIN, {"matches": sorted(lacking), "today": amsterdam_date(now)})
    return len(lacking)


def _steps(connection: Connection, due: Sequence[dict[str, Any]], today: date) -> list[tuple[UUID, Step]]:
    """The steps of these rounds that are due, written down as done."""
    steps: list[tuple[UUID, Step]] = []
    done = []
    for one in due:
        clocks = {}
        for name, met in (("contact", CONTACTED), ("coordination", COORDINATED)):
            clock = Clock(one[f"{name}_due_on"], one[f"{name}_steps"])
            if one["state"] not in met:
                now_due = clock.steps_due(today)
                steps += [(one["match_id"], step) for step in now_due]
                clocks[name] = Clock(clock.due_on, clock.steps + len(now_due))
        counts = {f"{name}_steps": clocks[name].steps if name in clocks else one[f"{name}_steps"] for name in _NAMES}
        done.append({"id": one["id"], "next_step_on": deadlines.first_step(clocks.values())} | counts)
    if done:
        connection.execute(_DONE, {"rounds": as_json(done)})
    return steps


_NAMES = ("contact", "coordination")


def _wanted(connection: Connection, steps: Sequence[tuple[UUID, Step]], today: date) -> list[Wanted]:
    """Who is told that a deadline was missed; once, also when two steps of a match fall on one day."""
    if not steps:
        return []
    asked = {"matches": sorted({match for match, _ in steps}), "today": today}
    parties, supervisors = defaultdict(list), defaultdict(list)
    for row in connection.execute(_PARTIES, asked):
        parties[row.match_id].append(row)
    for row in connection.execute(_SUPERVISORS, asked):
        supervisors[row.match_id].append(row.municipality_code)
    wanted: dict[Wanted, None] = {}
    for match, step in steps:
        if step == "parties":
            for one in parties[match]:
                reporter, officer = (None, one.oin) if one.shielded else (one.reporter_id, None)
                wanted[Wanted("reminder", reporter, None, officer, match)] = None
        elif step == "coordinators":
            for one in parties[match]:
                if one.shielded:  # of it the coordinator learns nothing (R36)
                    wanted[Wanted("escalation", None, None, one.oin, match)] = None
                elif not one.in_person:
                    wanted[Wanted("escalation", None, None, None, match, coordinator_oin=one.oin)] = None
        else:
            for municipality in supervisors[match]:
                wanted[Wanted("escalation", None, municipality, None, match)] = None
    return list(wanted)
