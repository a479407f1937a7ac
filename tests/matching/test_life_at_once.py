# SPDX-License-Identifier: EUPL-1.2
"""32 threads act by the API on the same few youngsters and families while several matchers run (I1 to I3)."""

import itertools
import os
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from matching.machine import LEFT_OVER
from matching.model import Model, Signal, Standing, day_of
from matching.stage import AGREEMENTS, FOREVER, INSTITUTION, OINS, PLACES, TOWN, IndexStage
from matching.views import Reader
from support import NOW, Database, Index, MovableClock

THREADS, MATCHERS = 32, 3
ACTS = 1000 if os.environ.get("TEST_LONG") else 60
"""Of each thread."""
YOUNGSTERS = 6
PARENTS = {0: (10,), 1: (10, 11), 2: (11,), 3: (12, 13), 4: (12, 13), 5: ()}
"""Whose children they are: of the first three the outer ones share none."""


class Ticking(MovableClock):
    """A clock that is never asked twice in one moment."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks = itertools.count(1)

    def __call__(self) -> datetime:
        return NOW + timedelta(milliseconds=next(self._ticks))


@pytest.fixture
def stage(index_database: Database, tmp_path: Path) -> Iterator[IndexStage]:
    index = Index(index_database, tmp_path, Ticking())
    made = IndexStage(index)
    yield made
    for pool in ("intake_pool", "index_pool", "sealing_pool"):
        index.app.extensions[pool].dispose()


class Crowd:
    """Who acts, and what came of it."""

    def __init__(self, stage: IndexStage) -> None:
        self.stage = stage
        self.signals: list[tuple[str, str]] = []
        """Id, and the reporter who placed it."""
        self.answers: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        """How often each signal was withdrawn or destroyed."""
        self.trouble: list[str] = []

    def act(self, thread: int) -> None:
        chance = random.Random(thread)  # noqa: S311 (repeatable)
        try:
            for _ in range(ACTS):
                self.one(chance)
        except Exception as error:  # a thread's exception would be lost
            self.trouble.append(f"{type(error).__name__}: {error}")

    def one(self, chance: random.Random) -> None:
        """One act of somebody; what is refused, is because another came first."""
        stage, places = self.stage, sorted(PLACES)
        what = chance.choices(
            ["signal", "withdrawal", "destruction", "restriction", "handover", "move", "match", "death"],
            [40, 16, 3, 12, 12, 8, 3, 1],
        )[0]
        if what == "signal" or not self.signals:
            reporter, youngster = chance.choice(sorted(INSTITUTION)), chance.randrange(YOUNGSTERS)
            parents = PARENTS[youngster] if chance.random() < 0.7 else ()
            body = stage.index.signal(youngster, OINS["school"], residenceMunicipality=chance.choice(places)) | {
                "reporter": str(stage.reporters[reporter]),
                "parents": [stage.pseudonym(parent) for parent in parents],
                "shielded": reporter != "gp" and chance.random() < 0.2,
            }
            headers = stage.machine(OINS[INSTITUTION[reporter]])
            _, answer = self.ask("POST", "/signals", headers, body, {201})
            self.signals.append((answer["id"], reporter))
        elif what == "death":
            body = {"pseudonym": stage.pseudonym(chance.randrange(YOUNGSTERS))}
            self.ask("POST", "/deaths", stage.machine(TOWN), body, {202})
        elif what == "match":
            headers = stage.headers(Reader("supervisor", chance.choice(places)))
            _, listed = self.ask("GET", "/matches", headers, None, {200})
            for match in listed["items"][:1]:
                body = {"residenceMunicipality": chance.choice(places)}
                self.ask("POST", f"/matches/{match['id']}/move", headers, body, {201, 404})
        else:
            self.on_signal(chance, what)

    def on_signal(self, chance: random.Random, what: str) -> None:
        signal, reporter = chance.choice(self.signals[-40:])
        institution = INSTITUTION[reporter]
        coordinator = Reader("coordinator", institution)
        if institution == "gp":
            coordinator = Reader("reporter", reporter)
        if what in ("restriction", "destruction"):
            desk = self.stage.headers(Reader("desk", chance.choice(AGREEMENTS[institution])))
            method = chance.choice(["POST", "DELETE"]) if what == "restriction" else "POST"
            status, _ = self.ask(method, f"/signals/{signal}/{what}", desk, None, {200, 201, 404})
            self.ended[signal] += status == 201
        elif what == "handover" and institution == "school":
            to = {"to": str(self.stage.reporters[chance.choice(["school-0", "school-1"])])}
            self.ask("POST", f"/signals/{signal}/handover", self.stage.headers(coordinator), to, {201, 400, 404})
        elif what == "withdrawal":
            body = {"reason": chance.choice(["risk_gone", "unjustified"])}
            headers = self.stage.headers(coordinator)
            status, _ = self.ask("POST", f"/signals/{signal}/withdrawal", headers, body, {201, 404})
            self.ended[signal] += status == 201
        elif what == "move":
            body = {"residenceMunicipality": chance.choice(sorted(PLACES))}
            self.ask("POST", f"/signals/{signal}/move", self.stage.headers(coordinator), body, {201, 404})

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any, right: set[int]) -> tuple[int, Any]:
        keyed = headers if method == "GET" else headers | {"Idempotency-Key": str(uuid4())}
        status, answer = self.stage.ask(method, path, keyed, body)
        self.answers[f"{method} {path.rpartition('/')[2]} {status}"] += 1
        assert status in right, answer
        return status, answer


def test_in_the_end_all_is_as_the_model_says(stage: IndexStage) -> None:
    """In the end parties, supervisions, pairs and standings are those of the signals that are left, each ended once,
    everybody who should know was told, and nobody of the same one twice."""
    crowd, over = Crowd(stage), threading.Event()

    def match() -> None:
        while not over.is_set():
            stage.run(random.choice([1, 7, 500]))  # noqa: S311

    with ThreadPoolExecutor(MATCHERS) as matchers, ThreadPoolExecutor(THREADS) as threads:
        matching = [matchers.submit(match) for _ in range(MATCHERS)]
        acting = [threads.submit(crowd.act, thread) for thread in range(THREADS)]
        try:
            for one in acting:
                one.result()
        finally:
            over.set()
        for one in matching:
            one.result()
    assert not crowd.trouble, Counter(crowd.trouble)
    while stage.rows("SELECT FROM work") or stage.rows(DYING):
        stage.run(500)
    print(crowd.answers)
    check(stage, crowd)


DYING = """
SELECT FROM signal s JOIN youngster y ON y.id = s.youngster_id
JOIN death d ON d.key = y.key AND d.told_at >= s.received_at
"""


def check(stage: IndexStage, crowd: Crowd) -> None:
    """The end state, by the plain model of what is left."""
    [left] = stage.rows(LEFT_OVER)
    assert set(left._mapping.values()) == {0}, left
    assert stage.rows("SELECT FROM work WHERE parked_at IS NOT NULL") == []
    there = {str(row.id) for row in stage.rows("SELECT id FROM signal UNION ALL SELECT id FROM archived_signal")}
    gone = {str(row.signal_id) for row in stage.rows("SELECT signal_id FROM tombstone")}
    assert there | gone == {signal for signal, _ in crowd.signals}
    assert not there & gone
    ended = {signal for signal, times in crowd.ended.items() if times}
    assert set(crowd.ended.values()) <= {0, 1}, "a signal ended twice"
    assert not ended & {str(row.id) for row in stage.rows("SELECT id FROM signal")}
    model = what_is_left(stage)
    _parties(stage, model)
    _told(stage, model)


def what_is_left(stage: IndexStage) -> Model:
    """The plain model of the signals that are left, with the standings that they have."""
    by_id = {id_: name for name, id_ in stage.reporters.items()}
    model = Model(dict(INSTITUTION), {one: dict.fromkeys(held, FOREVER) for one, held in AGREEMENTS.items()})
    parents = defaultdict(set)
    for row in stage.rows("SELECT signal_id, parent_id FROM signal_parent"):
        parents[row.signal_id].add(row.parent_id)
    standings: dict[Any, Standing] = {}
    for number, row in enumerate(
        stage.rows("SELECT s.*, st.reporter_id AS stands FROM signal s JOIN standing st ON st.id = s.standing_id")
    ):
        assert row.stands == row.reporter_id, "a signal with somebody else's standing"
        assert row.ended_at is None, "what ended is still there"
        reporter = by_id[row.reporter_id]
        signal = Signal(
            number, row.youngster_id, reporter, row.residence_municipality, row.received_at, row.removal_date
        )
        signal.parents, signal.restricted, signal.attached = frozenset(parents[row.id]), row.restricted_at, True
        signal.standing = standings.setdefault(row.standing_id, Standing(row.standing_id, row.youngster_id, reporter))
        model.signals.append(signal)
    assert len({(s.youngster, s.reporter) for s in standings.values()}) == len(standings), "two standings at once"
    return model


def _parties(stage: IndexStage, model: Model) -> None:
    """I2: matches, parties, supervisions and pairs are what R8 to R10 say."""
    today = day_of(stage.now())
    youngsters = {s.youngster for s in model.signals}
    model._bring_up_to_date(youngsters, today)
    expected = {
        (match.youngster, match.kind, frozenset(one.number for one in match.parties), frozenset(match.supervisors))
        for match in model.matches.values()
    }
    found = {
        (row.youngster_id, row.kind, frozenset(row.parties), frozenset(row.supervisors))
        for row in stage.rows(
            "SELECT m.youngster_id, m.kind, ARRAY(SELECT p.standing_id FROM party p WHERE p.match_id = m.id"
            " AND p.left_at IS NULL) AS parties, ARRAY(SELECT CAST(v.municipality_code AS text) FROM supervision v"
            " WHERE v.match_id = m.id AND v.left_at IS NULL) AS supervisors FROM match m WHERE m.ended_at IS NULL"
        )
    }
    assert found == expected
    pairs = stage.rows("SELECT youngster_id, sibling_id FROM family_match WHERE ended_at IS NULL")
    assert {frozenset(row) for row in pairs} == model.pairs


def _told(stage: IndexStage, model: Model) -> None:
    """I3: each who stands was told of each other, and in a match nobody was told of a change in which nobody came."""
    today = day_of(stage.now())
    known = {(row.standing_id, row.contact_id, row.kind) for row in stage.rows("SELECT * FROM told")}
    for match in model.matches.values():
        own = model.on(match.youngster, today)
        others = own if match.kind == "youngster" else model.contacts(match.youngster, today)
        missing = {
            (one, other)
            for one in own
            for other in others
            if one.reporter != other.reporter and (one.number, other.number, match.kind) not in known
        }
        assert not missing, "somebody was never told"
    twice = stage.rows(
        "SELECT n.id FROM notice n JOIN match m ON m.id = n.match_id WHERE n.kind = 'match' AND m.kind = 'youngster'"
        " AND n.municipality_code IS NULL AND NOT EXISTS"
        " (SELECT FROM party p WHERE p.match_id = n.match_id AND p.joined_at = n.placed_at)"
    )
    assert twice == [], "somebody was told of nobody new"
