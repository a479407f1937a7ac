# SPDX-License-Identifier: EUPL-1.2
"""What is told since one looked last, and whether it is quiet; and what makes it so."""

from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from support import CLINIC, SCHOOL, Answer, Index

from verwijsindex.followup.clock import tick
from verwijsindex.matching.service import LOCK_TRIED

_NEW = """
SELECT n.id, coalesce(r.oin, n.municipality_code, CASE WHEN n.officer_oin IS NOT NULL THEN 'officers' END,
                      'coordinators') AS whose, n.kind, n.quiet
FROM notice n LEFT JOIN reporter r ON r.id = n.reporter_id
"""


@dataclass
class Notices:
    """Of an index that is empty at first."""

    index: Index
    signals: dict[str, UUID] = field(default_factory=dict)
    _seen: set[UUID] = field(default_factory=set)

    def of_two(self) -> str:
        """A match of the first reporters of the school and the clinic; its id."""
        for oin in (SCHOOL, CLINIC):
            self.signals[oin] = self.index.place(0, oin)
        self.index.match()
        [match] = self.index.get("/matches", self.index.reader(SCHOOL)).json["items"]
        return str(match["id"])

    def new(self) -> set[tuple[str, str, bool]]:
        """Whose, of which kind, whether quiet: what was told since this was called last."""
        rows = [row for row in self.index.database.rows(_NEW) if row.id not in self._seen]
        self._seen |= {row.id for row in rows}
        return {(row.whose.strip(), row.kind, row.quiet) for row in rows}

    def waiting(self, oin: str) -> set[bool]:
        """Of mail that waits for the institution's first reporter, whether it is a digest."""
        statement = "SELECT digest FROM mail_wanted WHERE reporter_id = :id"
        return {row.digest for row in self.index.database.rows(statement, id=self.index.reporters[oin][0])}

    def handle(self, match: str, oin: str) -> str:
        """The handle of the institution's first reporter in this match."""
        found = self.index.database.rows(
            "SELECT DISTINCT s.handle FROM match m, shown_in(m.id, m.youngster_id, :today) s"
            " WHERE m.id = :match AND s.reporter_id = :reporter",
            today=self.index.clock().date(),
            match=match,
            reporter=self.index.reporters[oin][0],
        )
        return str(found[0].handle)

    def miss_deadlines(self) -> None:
        """Two months go by in which nobody does anything."""
        self.index.clock.move(days=60)
        now = self.index.clock()
        tick(self.index.database.engine("worker"), now, now, lock=LOCK_TRIED)

    def undo(self, mute: str, headers: dict[str, str]) -> Answer:
        """Have mail as before."""
        return cast(Answer, self.index.http.delete(f"/api/v1/mutes/{mute}", headers=headers))


def say_together(index: Index, match: str, oin: str, n: int = 0) -> Answer:
    """The institution's n-th reporter says "we already work together on this youngster"."""
    return index.act(f"/matches/{match}/closing", {"outcome": "already_together"}, index.reader(oin, n))


def withdraw(index: Index, signal: UUID, oin: str, reason: str = "risk_gone") -> None:
    """The institution's first reporter withdraws, and the matcher runs."""
    answer = index.act(f"/signals/{signal}/withdrawal", {"reason": reason}, index.reader(oin))
    assert answer.status_code == 201, answer.text
    index.match()
