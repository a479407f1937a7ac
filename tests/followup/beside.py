# SPDX-License-Identifier: EUPL-1.2
"""Follow-up in the database beside the plain model of it (followup.model)."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from followup.model import FollowUp
from matching.model import day_of

_OPEN = """
SELECT m.id, m.youngster_id, m.kind, m.opened_at, l.id AS lead_id, l.reporter_id, l.state, l.reason
FROM match m LEFT JOIN lead l ON l.match_id = m.id AND l.state IN ('proposed', 'accepted') WHERE m.ended_at IS NULL
"""
_ROUNDS = "SELECT * FROM round ORDER BY match_id, number"
_NOTICES = """
SELECT kind, match_id, reporter_id, municipality_code, officer_oin, coordinator_oin FROM notice
WHERE kind IN ('lead', 'reminder', 'escalation')
"""


_QUIET = "SELECT * FROM notice WHERE quiet"


class Beside:
    """Which match of the database is which of the model, and whether both are alike.

    Args:
        names: of reporters, by id.
        institutions: their names, by OIN.
        youngsters: gives the number of each by its id, as far as it has a signal.
    """

    def __init__(
        self,
        model: FollowUp,
        rows: Callable[..., list[sa.Row[Any]]],
        names: Mapping[UUID, str],
        institutions: Mapping[str, str],
        youngsters: Callable[[], Mapping[UUID, int]],
    ) -> None:
        self.model, self.rows, self.names, self.institutions = model, rows, names, institutions
        self.youngsters = youngsters
        self.known: dict[UUID, int] = {}
        """The name of each match that was seen open."""
        self.opened: dict[int, date] = {}
        """And the day on which it opened."""
        self._heard: set[UUID] = set()

    def after_a_run(self, today: date) -> None:
        """Each open match has one lead or proposal, as the rule has it; the model takes them over."""
        youngsters = self.youngsters()
        found: dict[int, tuple[UUID, str | None, str, str]] = {}
        for row in self.rows(_OPEN):
            name = self.model.model.matches[youngsters[row.youngster_id], row.kind].name
            assert name not in found, "two who lead (R22)"
            assert row.lead_id, "an open match without a lead or a proposal (R22)"
            self.known[row.id], self.opened[name] = name, day_of(row.opened_at)
            reporter = self.names[row.reporter_id] if row.reporter_id else None
            found[name] = row.lead_id, reporter, row.state, row.reason
        self.model.today = today
        new = [row for row in self.rows(_QUIET) if row.id not in self._heard]
        self._heard |= {row.id for row in new}
        quiet = {(self._recipient(row), self.known[row.match_id]) for row in new}
        self.model.adopt(found, today, quiet)
        self.model.check_quiet(quiet)

    def compare(self) -> None:
        """Every round with its state, its deadlines and its steps, and every notice of follow-up."""
        found: dict[int, list[tuple[object, ...]]] = {}
        for row in self.rows(_ROUNDS):
            if name := self.known.get(row.match_id):
                clocks = row.contact_due_on, row.contact_steps, row.coordination_due_on, row.coordination_steps
                found.setdefault(name, []).append((row.number, row.state, *clocks, row.contacted_on, row.outcome))
        expected: dict[int, list[tuple[object, ...]]] = {}
        for name, rounds in self.model.rounds.items():
            if name in found:
                expected[name] = [
                    (r.number, r.state, r.contact.due, r.contact.done, r.coordination.due, r.coordination.done,
                     r.contacted_on, r.outcome)
                    for r in rounds
                ]  # fmt: skip
        assert found == expected, [(name, found[name], expected.get(name)) for name in found
                                   if found[name] != expected.get(name)][:3]  # fmt: skip

    def compare_notices(self) -> None:
        """What was told of follow-up, to each of whom it was."""
        found = Counter(
            (self._recipient(row), row.kind, self.known[row.match_id])
            for row in self.rows(_NOTICES)
            if row.match_id in self.known
        )
        seen = set(self.known.values())
        expected = Counter(
            (to, notice.kind, notice.about)
            for to, notices in self.model.model.inboxes.items()
            for notice in notices
            if notice.kind in ("lead", "reminder", "escalation") and notice.about in seen
        )
        assert found == expected, (found - expected, expected - found)

    def _recipient(self, row: Any) -> str:
        if row.reporter_id:
            return f"reporter {self.names[row.reporter_id]}"
        if row.municipality_code:
            return f"municipality {row.municipality_code}"
        role = "officer" if row.officer_oin else "coordinator"
        return f"{role} {self.institutions[row.officer_oin or row.coordinator_oin]}"
