# SPDX-License-Identifier: EUPL-1.2
"""Whatever people do: what is quiet tells of nobody but those of whom its reader said "we already work together", and
what a reader said so of in the same kind of match is quiet (R23)."""

import os
from collections import defaultdict
from random import Random
from uuid import UUID

import pytest
from followup.quiet import say_together
from support import CLINIC, POLICE, SCHOOL, Index, parents

WHO = [(SCHOOL, 0), (CLINIC, 0), (POLICE, 0), (SCHOOL, 1)]
SIBLINGS, ALONE = (0, 1), 2
SHORT = (5, 6)
SEEDS = range(40) if os.environ.get("TEST_LONG") else SHORT
Pair = tuple[int, UUID]
"""A youngster, and a reporter who signals it."""

_TOLD = """
SELECT st.youngster_id, st.reporter_id, t.kind, os.reporter_id AS contact, t.to_officer,
       EXISTS (SELECT FROM signal s WHERE s.standing_id = os.id AND s.ended_at IS NULL) AS stands
FROM (
    SELECT standing_id, contact_id, kind, to_officer FROM told
    UNION ALL
    SELECT one, other, 'youngster', false FROM told_circle, unnest(reporters) one, unnest(reporters || officers) other
) t JOIN standing st ON st.id = t.standing_id JOIN standing os ON os.id = t.contact_id
WHERE os.reporter_id <> st.reporter_id
  AND EXISTS (SELECT FROM signal s WHERE s.standing_id = st.id AND s.ended_at IS NULL)
"""
_NOTICES = """
SELECT n.id, m.youngster_id, m.kind, n.reporter_id, n.quiet FROM notice n JOIN match m ON m.id = n.match_id
WHERE n.kind = 'match'
"""
_OTHERS = "SELECT count(*) FROM notice WHERE quiet AND (kind <> 'match' OR reporter_id IS NULL)"


class People:
    """A family of two, and one more; who signals them, and what they said of each other."""

    def __init__(self, index: Index, seed: int) -> None:
        self.index, self.chance = index, Random(seed)  # noqa: S311 (a test that can be replayed)
        self.live: dict[Pair, list[UUID]] = defaultdict(list)
        self.shielded: set[Pair] = set()
        self.gone: list[tuple[int, tuple[str, int]]] = []
        self.youngsters: dict[UUID, int] = {}
        self.may: dict[Pair, set[UUID]] = defaultdict(set)
        """Of whom what is told of this youngster may be quiet: whom a match showed that counts for it."""
        self.must: dict[Pair, set[UUID]] = defaultdict(set)
        """Of whom it is: shown in the match of this very youngster, and not destroyed since."""
        self.quiet = 0
        index.allow_parents(SCHOOL, CLINIC, POLICE)

    def reporter(self, who: tuple[str, int]) -> UUID:
        return self.index.reporters[who[0]][who[1]]

    def signal(self) -> None:
        """Somebody does, or comes back; one of ten times shielded."""
        who, youngster = self.chance.choice(WHO), self.chance.randrange(3)
        if self.gone and self.chance.random() < 0.6:
            youngster, who = self.gone.pop()
        pair = youngster, self.reporter(who)
        shielded = self.chance.random() < 0.1
        named = parents(0) if youngster in SIBLINGS else None
        self.live[pair].append(self.index.place(youngster, *who, shielded=shielded, parents=named))
        if shielded:
            self.shielded.add(pair)

    def withdraw(self) -> None:
        """Somebody withdraws all; what they said of that youngster is said no more, and what was destroyed is
        forgotten by the others."""
        pair = self.chance.choice([pair for pair, signals in self.live.items() if signals] or [None])
        if pair is None:
            return
        reason = self.chance.choice(["risk_gone", "risk_gone", "unjustified"])
        oin, n = next(who for who in WHO if self.reporter(who) == pair[1])
        self.gone.append((pair[0], (oin, n)))
        for signal in self.live.pop(pair):
            answer = self.index.act(f"/signals/{signal}/withdrawal", {"reason": reason}, self.index.reader(oin, n))
            assert answer.status_code == 201, answer.text
        self.may.pop(pair, None)
        self.must.pop(pair, None)
        self.shielded.discard(pair)
        if reason == "unjustified":
            for (youngster, _), others in self.must.items():
                if youngster == pair[0]:
                    others.discard(pair[1])

    def say(self) -> None:
        """Somebody clicks in a match."""
        who = self.chance.choice(WHO)
        reader, reporter = self.index.reader(*who), self.reporter(who)
        matches = self.index.get("/matches", reader).json["items"]
        if not matches:
            return
        match = self.chance.choice(matches)
        shown = self.index.get(f"/matches/{match['id']}", reader).json["parties"]
        names = {one["name"] for one in shown if one["shownAs"] == "reporter"}
        others = {self.reporter(one) for one in WHO if f"{_NAMES[one[0]]} {one[1]}" in names}
        assert say_together(self.index, match["id"], who[0], who[1]).status_code in (201, 409)
        youngster = self.youngsters[self.index.database.scalar(_OF_MATCH, id=match["id"])]
        if match["kind"] == "youngster":
            self.must[youngster, reporter] |= others
        for counts in SIBLINGS if match["kind"] == "family" else (youngster,):
            if self.live.get((counts, reporter)):
                self.may[counts, reporter] |= others

    def look(self) -> None:
        """The matcher runs; each new notice is quiet, or is not, as it has to be."""
        before, knew = {row.id for row in self.index.database.rows(_NOTICES)}, self._told()
        self.index.match()
        self._learn()
        knows = self._told()
        for row in self.index.database.rows(_NOTICES):
            if row.id in before or row.reporter_id is None:
                continue
            pair = self.youngsters[row.youngster_id], row.reporter_id
            key = row.youngster_id, row.reporter_id, row.kind
            new = knows[key] - knew[key]
            assert new, "somebody is told of"
            hidden = {one for one in new if any((y, one) in self.shielded for y in range(3))}
            if row.quiet:
                assert new <= self.may[pair], "nothing new is delayed"
                self.quiet += 1
            elif new <= self.must[pair]:
                assert hidden, "what was said holds"
        assert self.index.database.scalar(_OTHERS) == 0

    def _learn(self) -> None:
        for row in self.index.database.rows("SELECT DISTINCT id, youngster_id FROM signal"):
            for (youngster, _), signals in self.live.items():
                if row.id in signals and row.youngster_id:
                    self.youngsters[row.youngster_id] = youngster

    def _told(self) -> dict[tuple[UUID, UUID, str], set[UUID]]:
        found: dict[tuple[UUID, UUID, str], set[UUID]] = defaultdict(set)
        for row in self.index.database.rows(_TOLD):
            if row.stands and not row.to_officer:
                found[row.youngster_id, row.reporter_id, row.kind].add(row.contact)
        return found


_NAMES = {SCHOOL: "Het Kompas", CLINIC: "De Linde", POLICE: "Noord"}
_OF_MATCH = "SELECT youngster_id FROM match WHERE id = :id"


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_new_is_quiet_and_what_was_said_holds(index: Index, seed: int) -> None:
    people = People(index, seed)
    for _ in range(60):
        act = people.chance.choices([people.signal, people.withdraw, people.say], [4, 3, 5])[0]
        act()
        if people.chance.random() < 0.7:  # newcomers share a notice
            people.look()
    assert people.quiet or seed not in SHORT, "no notice was quiet: the test shows nothing"
