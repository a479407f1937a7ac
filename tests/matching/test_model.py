# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties, notices and archive are those of a plain model, whatever comes when (I2, I3; matching/model.py)."""

import itertools
import os
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from matching.model import Model, Notice, Signal, alike, day_of, years_after
from sqlalchemy import text
from support import CLINIC, DORDRECHT, NOW, POLICE, SCHOOL, STEIN, WESTERVELD, Index, pseudonym

from verwijsindex.matching.service import match_waiting

REPORTERS = {"school-0": (SCHOOL, 0), "school-1": (SCHOOL, 1), "clinic": (CLINIC, 0), "police": (POLICE, 0)}
PLACES = (WESTERVELD, DORDRECHT, STEIN)
NOTICES = """
SELECT n.kind, m.id AS match, n.archived_signal_id, n.reporter_id, n.municipality_code, n.officer_oin
FROM notice n LEFT JOIN match m ON m.id = n.match_id
"""
YOUNGSTERS, PARENTS = st.integers(0, 2), st.frozensets(st.integers(10, 12), max_size=2)


class Life(RuleBasedStateMachine):
    """The index and the model side by side."""

    index: Index

    @initialize()
    def begin(self) -> None:
        self.index.database.forget_signals()
        with self.index.database.superuser.begin() as connection:
            connection.exec_driver_sql("UPDATE agreement SET valid_until = '2100-01-01'")
        self.index.clock.now = NOW
        self.model = Model({name: oin for name, (oin, _) in REPORTERS.items()})
        self.ids: dict[int, UUID] = {}
        self.numbers = itertools.count(1)
        self.by_id = {self.index.reporters[oin][n]: name for name, (oin, n) in REPORTERS.items()}

    @property
    def now(self) -> datetime:
        return self.index.clock()

    @property
    def placed(self) -> list[Signal]:
        return [s for s in self.model.signals if self.model.placed(s, day_of(self.now))]

    def do(self, statement: str, signal: Signal | None = None, **values: Any) -> None:
        with self.index.database.superuser.begin() as connection:
            asked = values | {"now": self.now, "signal": signal and self.ids[signal.number]}
            connection.execute(text(statement), asked)
            if signal:
                connection.execute(text("INSERT INTO work (signal_id) VALUES (:signal)"), asked)

    @rule(
        youngster=YOUNGSTERS,
        reporter=st.sampled_from(sorted(REPORTERS)),
        municipality=st.sampled_from(PLACES),
        days=st.sampled_from([None, 3, 9, 900, 2000]),
        parents=PARENTS,
        shielded=st.sampled_from([False, False, True]),
    )
    def signal(
        self,
        youngster: int,
        reporter: str,
        municipality: str,
        days: int | None,
        parents: frozenset[int],
        shielded: bool,
    ) -> None:
        self.index.clock.move(seconds=1)
        oin, n = REPORTERS[reporter]
        today = day_of(self.now)
        turns_23 = today + timedelta(days=days) if days else None
        removal = min(years_after(today, 2), turns_23 or years_after(today, 2))
        place = self.index.place(
            youngster,
            oin,
            n,
            residenceMunicipality=municipality,
            turns23On=turns_23.isoformat() if turns_23 else None,
            removalDate=removal.isoformat(),
        )
        number = next(self.numbers)
        self.ids[number] = place
        key = self.index.app.extensions["index_keys"].current
        sealed = [key.seal_pseudonym("parent", pseudonym(p)) for p in parents] or None
        with self.index.database.superuser.begin() as connection:
            connection.execute(
                text("UPDATE signal SET parents_sealed = :sealed, shielded = :shielded WHERE id = :id"),
                {"sealed": sealed, "shielded": shielded, "id": place},
            )
        self.model.place(
            Signal(
                number,
                youngster,
                reporter,
                municipality,
                self.now,
                removal,
                turns_23,
                parents,
                shielded,
            )
        )

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), reason=st.sampled_from(["risk_gone", "risk_gone", "unjustified"]))
    def withdraw(self, data: st.DataObject, reason: str) -> None:
        self.index.clock.move(seconds=1)
        signal = data.draw(st.sampled_from(self.placed), "signal")
        self.do("UPDATE signal SET ended_at = :now, end_reason = :reason WHERE id = :signal", signal, reason=reason)
        self.model.withdraw(signal, reason, self.now)

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def restrict_or_lift(self, data: st.DataObject) -> None:
        signal = data.draw(st.sampled_from(self.placed), "signal")
        restricted = not signal.restricted
        moment = "CAST(:now AS timestamptz)" if restricted else "NULL"
        self.do(f"UPDATE signal SET restricted_at = {moment} WHERE id = :signal", signal)
        self.model.restrict(signal, restricted)

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        self.index.clock.move(seconds=1)
        signal = data.draw(st.sampled_from(self.placed), "signal")
        oin, _ = REPORTERS[signal.reporter]
        others = [name for name, (its, _) in REPORTERS.items() if its == oin and name != signal.reporter]
        if others:
            receiver = self.index.reporters[oin][REPORTERS[others[0]][1]]
            self.do(
                "WITH given AS (UPDATE standing SET handed_over_at = :now"
                " WHERE id = (SELECT standing_id FROM signal WHERE id = :signal))"
                " UPDATE signal SET reporter_id = :receiver, held_since = :now, standing_id = NULL WHERE id = :signal",
                signal,
                receiver=receiver,
            )
            self.model.hand_over(signal, others[0], self.now)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), to=st.sampled_from(PLACES), by_reporter=st.booleans())
    def move(self, data: st.DataObject, to: str, by_reporter: bool) -> None:
        self.index.clock.move(seconds=1)
        signal = data.draw(st.sampled_from(self.placed), "signal")
        teller = signal.reporter if by_reporter else None
        self.do(
            "WITH own AS (UPDATE signal SET residence_municipality = :to WHERE id = :signal AND :reporter IS NOT NULL)"
            " INSERT INTO move VALUES (:id, :signal, :to, :reporter, :now)".replace(
                ":reporter IS", "CAST(:reporter AS uuid) IS"
            ),
            signal,
            to=to,
            id=uuid4(),
            reporter=self.index.reporters[REPORTERS[teller][0]][REPORTERS[teller][1]] if teller else None,
        )
        self.model.move(signal, to, teller, self.now)

    @rule(youngster=YOUNGSTERS)
    def die(self, youngster: int) -> None:
        self.index.clock.move(seconds=1)
        key = self.index.app.extensions["index_keys"].current
        sealed = key.seal_pseudonym("youngster", pseudonym(youngster))
        self.do("INSERT INTO death VALUES (gen_random_uuid(), :key, 1, :now)", key=sealed)
        self.model.die(youngster, self.now)

    @rule(size=st.sampled_from([500, 1, 2]))
    def run(self, size: int) -> None:
        keys = self.index.app.extensions["index_keys"]
        match_waiting(self.index.database.engine("worker"), self.now, self.now, keys=keys, size=size)
        self.model.run(self.now, size)

    @rule(by=st.sampled_from([{"days": 4}, {"days": 1}, {"seconds": 90}, {"days": 731}, {"days": 1900}]))
    def wait(self, by: dict[str, float]) -> None:
        self.index.clock.move(**by)

    @rule()
    def compare(self) -> None:
        """When no work is waiting: what was told, matches with parties and supervisors, the archive."""
        while self.model.work:
            self.run(500)
        self.run(500)
        database = self.index.database
        assert database.scalar("SELECT count(*) FROM work") == 0
        assert {row[0] for row in database.rows("SELECT id FROM signal")} == {
            self.ids[s.number] for s in self.model.signals
        }
        numbers = {signal: number for number, signal in self.ids.items()}
        archived = database.rows("SELECT id, destroy_on, ended_at FROM archived_signal")
        assert sorted((numbers[row.id], row.destroy_on, row.ended_at) for row in archived) == sorted(
            (a.signal.number, a.destroy_on, a.ended) for a in self.model.archive
        )
        buried = {numbers[row[0]] for row in database.rows("SELECT signal_id FROM tombstone")}
        assert buried == self.model.destroyed
        self.compare_matches()
        told: dict[str, list[Notice]] = defaultdict(list)
        names: dict[Any, int] = {}
        for row in database.rows(NOTICES):
            about = (
                numbers[row.archived_signal_id] if row.kind == "archive" else names.setdefault(row.match, len(names))
            )
            told[self.recipient(row)].append(Notice(row.kind, about))
        assert alike(told, self.model.inboxes), (dict(told), dict(self.model.inboxes))

    def compare_matches(self) -> None:
        database = self.index.database
        parties = database.rows(
            "SELECT m.id, m.kind, p.reporter_id FROM match m JOIN party p ON p.match_id = m.id"
            " WHERE m.ended_at IS NULL AND p.left_at IS NULL"
        )
        supervisors = database.rows(
            "SELECT m.id, m.kind, v.municipality_code FROM match m JOIN supervision v ON v.match_id = m.id"
            " WHERE v.left_at IS NULL"
        )
        found: dict[Any, tuple[str, set[str], set[str]]] = {}
        for row in parties:
            found.setdefault(row.id, (row.kind, set(), set()))[1].add(self.by_id[row.reporter_id])
        for row in supervisors:
            found[row.id][2].add(row.municipality_code)
        expected = [
            (m.kind, sorted(one.reporter for one in m.parties), sorted(m.supervisors))
            for m in self.model.matches.values()
        ]
        assert sorted((kind, sorted(p), sorted(v)) for kind, p, v in found.values()) == sorted(expected)
        pairs = database.scalar("SELECT count(*) FROM family_match WHERE ended_at IS NULL")
        assert pairs == len(self.model.pairs)

    def recipient(self, row: Any) -> str:
        if row.reporter_id:
            return f"reporter {self.by_id[row.reporter_id]}"
        return f"municipality {row.municipality_code}" if row.municipality_code else f"officer {row.officer_oin}"

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.compare()


def test_what_is_told_and_seen_is_what_the_model_says(index: Index) -> None:
    Life.index = index
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=int(os.environ.get("EX", "40")),
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
