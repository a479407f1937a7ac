# SPDX-License-Identifier: EUPL-1.2
"""32 threads act by the API on the same few youngsters and families while several matchers run (I1 to I3)."""

import itertools
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from matching import truth
from matching.model import day_of
from matching.stage import AGREEMENTS, INSTITUTION, NO_PARENTS, OINS, PLACES, TOWN, IndexStage
from matching.views import Reader
from support import NOW, Database, Index, MovableClock

from verwijsindex.followup.clock import tick
from verwijsindex.matching.service import LOCK_TRIED, LOCK_WAITED_FOR

THREADS, MATCHERS = 32, 3
ROUNDS, ACTS, ANEW = 2000 if os.environ.get("TEST_LONG") else 6, 2, 6
"""Rounds; acts of each thread in one; after how many rounds all is forgotten, so that few signals are on a youngster.
In the end of a round no later work mends what a race broke."""
YOUNGSTERS = 6
PARENTS = {0: (10,), 1: (10, 11), 2: (11,), 3: (12, 13), 4: (12, 13), 5: ()}
"""Whose children they are: of the first three the outer ones share none."""


FOLLOWING: tuple[tuple[str, Any], ...] = (
    ("contact", {"contactedOn": NOW.date().isoformat()}),
    ("lead-answer", {"answer": "accept"}),
    ("lead-answer", {"answer": "accept"}),
    ("lead-answer", {"answer": "decline"}),
    ("lead-handover", None),
    ("coordination", None),
    ("closing", {"outcome": "joint_plan"}),
    ("closing", {"outcome": "already_together"}),
)


class Ticking(MovableClock):
    """A clock that is never asked twice in one moment."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks = itertools.count(1)

    def __call__(self) -> datetime:
        return NOW + timedelta(milliseconds=next(self._ticks))


# The matcher's transactions last some milliseconds longer in the middle, as on a busy server: room for a race.
LAG = """
CREATE FUNCTION lag() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.004); RETURN NULL; END';
CREATE TRIGGER lag BEFORE INSERT ON told FOR EACH STATEMENT EXECUTE FUNCTION lag();
CREATE TRIGGER lag BEFORE INSERT ON supervision FOR EACH STATEMENT EXECUTE FUNCTION lag();
"""


@pytest.fixture
def stage(index_database: Database, tmp_path: Path) -> Iterator[IndexStage]:
    index = Index(index_database, tmp_path, Ticking())
    made = IndexStage(index)
    made.change(LAG)
    yield made
    made.change("DROP FUNCTION lag() CASCADE")
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

    def forget(self) -> None:
        """Begin with nothing again."""
        with self.stage.index.database.superuser.begin() as connection:
            connection.execute(LOCK_WAITED_FOR)
            self.stage.index.database.forget_signals()
        self.signals.clear()
        self.ended.clear()

    def act(self, seed: str) -> None:
        chance = random.Random(seed)  # noqa: S311 (repeatable)
        for _ in range(ACTS):
            self.one(chance)

    def one(self, chance: random.Random) -> None:
        """One act of somebody; what is refused, is because another came first."""
        stage, places = self.stage, sorted(PLACES)
        what = chance.choices(
            ["signal", "withdrawal", "destruction", "restriction", "handover", "move", "match", "death", "follow-up"],
            [40, 16, 3, 12, 12, 8, 3, 1, 40],
        )[0]
        if what == "signal" or not self.signals:
            reporter, youngster = chance.choice(sorted(INSTITUTION)), chance.randrange(YOUNGSTERS)
            residence = chance.choice(places)
            parents = PARENTS[youngster] if residence != NO_PARENTS and chance.random() < 0.7 else ()
            body = stage.index.signal(youngster, OINS["school"], residenceMunicipality=residence) | {
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
        elif what == "follow-up":
            self.follow(chance)
        else:
            self.on_signal(chance, what)

    def follow(self, chance: random.Random) -> None:
        """A party does something about a match (R21, R22)."""
        headers = self.stage.headers(Reader("reporter", chance.choice(sorted(INSTITUTION))))
        _, listed = self.ask("GET", "/matches", headers, None, {200})
        if not listed["items"]:
            return
        match = f"/matches/{chance.choice(listed['items'])['id']}"
        act, body = chance.choice(FOLLOWING)
        if act == "lead-handover":
            status, read = self.ask("GET", match, headers, None, {200, 404})
            if status == 404:
                return
            body = {"to": chance.choice(read["parties"])["contact"]}
        self.ask("POST", f"{match}/{act}", headers, body, {201, 404, 409})

    def on_signal(self, chance: random.Random, what: str) -> None:
        signal, reporter = chance.choice(self.signals)
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


@pytest.mark.timeout(7200 if ROUNDS > 6 else 300)
def test_after_each_round_all_is_as_the_model_says(stage: IndexStage) -> None:
    """Parties, supervisions, pairs and standings are those of the signals that are left, each ended once, everybody who
    should know was told, and nobody of the same one twice.

    It found a move that was answered 500 when a death was told at the same moment. Seen failing when a guard was out:

    - the matcher's lock: at once, two matchers in a deadlock;
    - what has ended left in the view that acts go through: a second withdrawal was answered 201;
    - `hold`: in one run of three, a signal handed over and back had somebody else's standing;
    - FOR UPDATE in the acts of follow-up: an act was answered 503;
    - `_LAPSE` in the rounds: a round of a match that ended ran on;
    - the order of a supervisor's list: in another place than the round says, without its trigger on `round`, and
      without `_KEEP_DEADLINE`; an act was answered 503 without SKIP LOCKED in that trigger.

    Not seen failing: the work of a withdrawal in a transaction of its own just before it (two runs: `hold` waits for
    who withdraws), `told` without its key (the matcher's lock does what it says), deaths forgotten at once (two runs:
    a signal would have to be committed later than a death that came after it), the lock in `settle` (one run:
    `hold` has locked the rows already), and the lock of the clock alone (two runs: it is there so that who is told is
    who stands there at that moment).
    """
    crowd, over = Crowd(stage), threading.Event()

    def match() -> None:
        while not over.wait(0.005):
            stage.run(random.choice([5, 500]))  # noqa: S311
            if random.random() < 0.2:  # noqa: S311
                later = stage.now() + timedelta(days=random.choice([5, 40]))  # noqa: S311
                tick(stage.index.database.engine("worker"), later, later, lock=LOCK_TRIED, size=20)

    with ThreadPoolExecutor(MATCHERS) as matchers, ThreadPoolExecutor(THREADS) as threads:
        matching = [matchers.submit(match) for _ in range(MATCHERS)]
        try:
            for turn in range(ROUNDS):
                list(threads.map(crowd.act, [f"{turn} {thread}" for thread in range(THREADS)]))
                while stage.rows("SELECT FROM work") or stage.rows(truth.DYING):
                    assert stage.rows("SELECT FROM work WHERE parked_at IS NOT NULL") == []
                check(stage, crowd)
                if turn % ANEW == ANEW - 1:
                    crowd.forget()
        finally:
            over.set()
        for one in matching:
            one.result()
    print(crowd.answers)


def check(stage: IndexStage, crowd: Crowd) -> None:
    """The end state, by the plain model of what is left."""
    there = {str(row.id) for row in stage.rows("SELECT id FROM signal UNION ALL SELECT id FROM archived_signal")}
    gone = {str(row.signal_id) for row in stage.rows("SELECT signal_id FROM tombstone")}
    assert there | gone == {signal for signal, _ in crowd.signals}
    assert not there & gone
    ended = {signal for signal, times in crowd.ended.items() if times}
    assert set(crowd.ended.values()) <= {0, 1}, "a signal ended twice"
    assert not ended & {str(row.id) for row in stage.rows("SELECT id FROM signal")}
    truth.check(stage.rows, day_of(stage.now()))
