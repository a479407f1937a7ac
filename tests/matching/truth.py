# SPDX-License-Identifier: EUPL-1.2
"""Whether what is in the database is as the plain model says of the signals that are left there, in whatever order and
however concurrently everything came (I2, I3). For when no work is waiting.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any

import sqlalchemy as sa
from followup.model import BETWEEN_STEPS, TOLD, after
from matching.model import Model, Signal, Standing

Rows = Callable[..., list[sa.Row[Any]]]
"""Rows of a statement, read as superuser."""
LEFT_OVER = """
SELECT
(SELECT count(*) FROM standing x WHERE NOT EXISTS (SELECT FROM signal s WHERE s.standing_id = x.id)) AS standings,
(SELECT count(*) FROM parent x WHERE NOT EXISTS (SELECT FROM signal_parent s WHERE s.parent_id = x.id)) AS parents,
(SELECT count(*) FROM youngster x WHERE NOT EXISTS (SELECT FROM signal s WHERE s.youngster_id = x.id)
    AND NOT EXISTS (SELECT FROM archived_signal a WHERE a.youngster_id = x.id)) AS youngsters,
(SELECT count(*) FROM signal x WHERE x.youngster_id IS NULL) AS unattached,
(SELECT count(*) FROM party x JOIN match m ON m.id = x.match_id
    WHERE x.left_at IS NOT NULL OR x.standing_id IS NULL OR m.ended_at IS NOT NULL) AS parties,
(SELECT count(*) FROM notice x JOIN match m ON m.id = x.match_id WHERE x.reporter_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM signal s WHERE s.youngster_id = m.youngster_id AND s.reporter_id = x.reporter_id)
    AND NOT EXISTS (SELECT FROM archived_signal a WHERE a.youngster_id = m.youngster_id
                    AND a.reporter_id = x.reporter_id)) AS lines,
(SELECT count(*) FROM former_parent) AS former_parents,
(SELECT count(*) FROM move) AS moves
"""
"""How many rows there are of each kind that nothing needs; none when no work is waiting."""

WHO_WAS_TOLD = """
SELECT standing_id, contact_id, kind, to_officer FROM told
UNION ALL
SELECT r.id, x.id, 'youngster', r.to_officer FROM told_circle c
CROSS JOIN LATERAL (SELECT unnest(reporters) AS id, false AS to_officer UNION ALL SELECT unnest(officers), true) r
CROSS JOIN LATERAL unnest(reporters || officers) x (id) WHERE r.id <> x.id
"""
"""Who was told of whom: of each two, or of all who stand in a circle."""

DYING = """
SELECT FROM signal s JOIN youngster y ON y.id = s.youngster_id
JOIN death d ON d.key = y.key AND d.told_at >= s.received_at
"""
"""Signals of whom the death was told; none when the matcher has seen it."""


LACKING = """
SELECT m.id FROM match m WHERE m.ended_at IS NULL AND (
    NOT EXISTS (SELECT FROM round r WHERE r.match_id = m.id)
    OR NOT EXISTS (SELECT FROM lead l WHERE l.match_id = m.id AND l.state IN ('proposed', 'accepted'))
    OR EXISTS (SELECT FROM supervision v WHERE v.match_id = m.id AND v.left_at IS NULL AND v.round_state IS NULL))
"""
"""Open matches that nobody follows up, for which nobody leads or is asked to, or that stand in no place of a list of a
supervisor; none when the clock has looked."""


def check(rows: Rows, today: date) -> None:
    """Nothing is left over, parties, supervisions, pairs and standings are those of the signals that are left,
    everybody who should know was told, and nobody of the same one twice; and all is followed up."""
    [left] = rows(LEFT_OVER)
    assert set(left._mapping.values()) == {0}, left
    assert rows("SELECT FROM work WHERE parked_at IS NOT NULL") == []
    model = what_is_left(rows)
    _parties(rows, model, today)
    _told(rows, model, today)
    _followed_up(rows, model, today)


def what_is_left(rows: Rows) -> Model:
    """The plain model of the signals that are left, with the standings that they have."""
    model = Model({})
    parents = defaultdict(set)
    for row in rows("SELECT signal_id, parent_id FROM signal_parent"):
        parents[row.signal_id].add(row.parent_id)
    standings: dict[Any, Standing] = {}
    for number, row in enumerate(
        rows("SELECT s.*, st.reporter_id AS stands FROM signal s JOIN standing st ON st.id = s.standing_id")
    ):
        assert row.stands == row.reporter_id, "a signal with somebody else's standing"
        assert row.ended_at is None, "what ended is still there"
        reporter = str(row.reporter_id)
        signal = Signal(
            number, row.youngster_id, reporter, row.residence_municipality, row.received_at, row.removal_date
        )
        signal.parents, signal.restricted, signal.attached = frozenset(parents[row.id]), row.restricted_at, True
        signal.shielded = row.shielded
        signal.standing = standings.setdefault(row.standing_id, Standing(row.standing_id, row.youngster_id, reporter))
        model.signals.append(signal)
    assert len({(s.youngster, s.reporter) for s in standings.values()}) == len(standings), "two standings at once"
    return model


def _parties(rows: Rows, model: Model, today: date) -> None:
    """I2: matches, parties, supervisions and pairs are what R8 to R10 say."""
    youngsters = {s.youngster for s in model.signals}
    model._bring_up_to_date(youngsters, today)
    expected = {
        (match.youngster, match.kind, frozenset(one.number for one in match.parties), frozenset(match.supervisors))
        for match in model.matches.values()
    }
    found = {
        (row.youngster_id, row.kind, frozenset(row.parties), frozenset(row.supervisors))
        for row in rows(
            "SELECT m.youngster_id, m.kind, ARRAY(SELECT p.standing_id FROM party p WHERE p.match_id = m.id"
            " AND p.left_at IS NULL) AS parties, ARRAY(SELECT CAST(v.municipality_code AS text) FROM supervision v"
            " WHERE v.match_id = m.id AND v.left_at IS NULL) AS supervisors FROM match m WHERE m.ended_at IS NULL"
        )
    }
    assert found == expected
    pairs = rows("SELECT youngster_id, sibling_id FROM family_match WHERE ended_at IS NULL")
    assert {frozenset(row) for row in pairs} == model.pairs


def _told(rows: Rows, model: Model, today: date) -> None:
    """I3: for each who stands, who reads its match was told of each other, and in a match no reporter was told of a
    change in which nobody came."""
    known = {(row.standing_id, row.contact_id, row.kind, row.to_officer) for row in rows(WHO_WAS_TOLD)}
    for match in model.matches.values():
        own = model.on(match.youngster, today)
        others = own if match.kind == "youngster" else model.contacts(match.youngster, today)
        missing = {
            (one, other)
            for one in own
            for other in others
            if one.reporter != other.reporter
            and (one.number, other.number, match.kind, model.shielded(one.youngster, one.reporter, today)) not in known
        }
        assert not missing, "somebody was never told"
    twice = rows(
        "SELECT n.id FROM notice n JOIN match m ON m.id = n.match_id WHERE n.kind = 'match' AND m.kind = 'youngster'"
        " AND n.reporter_id IS NOT NULL AND NOT EXISTS"
        " (SELECT FROM event e WHERE e.kind = 'party.joined' AND e.match_id = n.match_id AND e.at = n.placed_at)"
        # Who takes over from the named officer is told, though nobody comes (R36).
        " AND NOT EXISTS (SELECT FROM notice o JOIN reporter r ON r.oin = o.officer_oin"
        " WHERE o.match_id = n.match_id AND r.id = n.reporter_id)"
    )
    assert twice == [], "somebody was told of nobody new"


_MISPLACED = (
    "SELECT v.match_id FROM supervision v JOIN match m ON m.id = v.match_id AND m.ended_at IS NULL CROSS JOIN LATERAL"
    " (SELECT * FROM round WHERE match_id = m.id ORDER BY number DESC LIMIT 1) r WHERE v.left_at IS NULL AND"
    " (v.round_state, v.due_on) IS DISTINCT FROM"
    " (r.state, next_deadline(r.state, r.contact_due_on, r.coordination_due_on))"
)


def _followed_up(rows: Rows, model: Model, today: date) -> None:
    """R21, R22: each open match has a round that runs or was closed, none that ended has one that runs; one leads or is
    asked, who is shown there; and no deadline is without its day."""
    assert rows(LACKING) == [], "an open match without a round, a lead or proposal, or a place in a list"
    rounds = defaultdict(list)
    for row in rows("SELECT r.*, m.ended_at AS over FROM round r JOIN match m ON m.id = r.match_id ORDER BY r.number"):
        rounds[row.match_id].append(row)
    misplaced = rows(_MISPLACED)
    assert misplaced == [], "a supervisor's list has a round in another place than its state and deadline say"
    for own in rounds.values():
        last = own[-1]
        assert [row.number - own[0].number for row in own] == list(range(len(own)))
        assert {row.state for row in own[:-1]} <= {"renewed", "closed"}, "an earlier round runs, or lapsed"
        assert last.state != "renewed", "a round that no other followed"
        if last.over:
            assert last.state in ("lapsed", "closed"), "a round of a match that ended runs"
        else:
            assert last.state != "lapsed", "a round of an open match lapsed"
            _has_its_day(last)
    for row in rows(
        "SELECT m.youngster_id, m.kind, l.reporter_id, l.state, m.ended_at AS over,"
        " (SELECT state FROM round WHERE match_id = m.id ORDER BY number DESC LIMIT 1) AS round"
        " FROM lead l JOIN match m ON m.id = l.match_id"
    ):
        if row.over:  # as long as it may come back (R30)
            continue
        shown = model.on(row.youngster_id, today)
        if row.kind == "family":
            shown |= model.contacts(row.youngster_id, today)
        assert row.reporter_id is None or str(row.reporter_id) in {one.reporter for one in shown}
        assert (row.state, row.round) != ("accepted", "contacted"), "who leads agreed to, and nobody can go on"


def _has_its_day(last: sa.Row[Any]) -> None:
    """The clock will come for a round that waits for something, and not too late."""
    waits = []
    if last.state in ("notified", "seen"):
        waits.append((last.contact_due_on, last.contact_steps))
    if last.state in ("notified", "seen", "contacted", "lead_agreed"):
        waits.append((last.coordination_due_on, last.coordination_steps))
    due = [after(due_on, 1 + BETWEEN_STEPS * steps) for due_on, steps in waits if steps < len(TOLD)]
    assert not due or (last.next_step_on and last.next_step_on <= min(due)), "a deadline that nobody will look at"
