# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties and inboxes are those of a plain model, whatever comes when (I2, I3, I6; R8, R9, R14)."""

import itertools
from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from matching.model import Inboxes, Model, Signal, alike
from sqlalchemy import text
from support import CLINIC, DORDRECHT, NOW, POLICE, SCHOOL, STEIN, WESTERVELD, Index

from verwijsindex.matching.service import match_waiting
from verwijsindex.signals.dates import amsterdam_date, two_years_after

REPORTERS = {"school-0": (SCHOOL, 0), "school-1": (SCHOOL, 1), "clinic": (CLINIC, 0), "police": (POLICE, 0)}
PLACES = (WESTERVELD, DORDRECHT, STEIN)
NOTICES = text(
    "SELECT m.youngster_id, n.match_id, n.reporter_id, n.municipality_code FROM notice n"
    " JOIN match m ON m.id = n.match_id WHERE m.youngster_id = ANY(:youngsters)"
)
_fresh = itertools.count()

PLACE = st.tuples(
    st.just("place"),
    st.integers(0, 1),
    st.sampled_from(sorted(REPORTERS)),
    st.sampled_from(PLACES),
    st.sampled_from([3, 9, None]),
)
RUN = st.tuples(st.just("run"), st.sampled_from([500, 1, 2]))
WAIT = st.tuples(st.just("wait"), st.sampled_from([4, 1, 12]))
# Short rounds of "some signals, the matcher or not, some days", since what goes wrong goes wrong between them.
ROUND = st.tuples(st.lists(PLACE, min_size=1, max_size=3), st.lists(RUN, max_size=2), st.lists(WAIT, max_size=1))
STEPS = st.lists(ROUND, min_size=3, max_size=7).map(
    lambda rounds: [step for r in rounds for part in r for step in part]
)


class Play:
    """The index and the model side by side, on two youngsters that no play before had."""

    def __init__(self, index: Index) -> None:
        self.index, self.model = index, Model()
        self.numbers = [next(_fresh), next(_fresh)]
        self.signals: dict[int, UUID] = {}
        self.count = itertools.count(1)
        index.clock.now = NOW

    def place(self, youngster: int, reporter: str, municipality: str, days: int | None) -> None:
        """A signal that lives until a 23rd birthday in so many days, or two years."""
        oin, n = REPORTERS[reporter]
        today = amsterdam_date(self.index.clock())
        removal = today + timedelta(days=days) if days else two_years_after(today)
        self.signals[youngster] = self.index.place(
            self.numbers[youngster],
            oin,
            n,
            residenceMunicipality=municipality,
            turns23On=removal.isoformat() if days else None,
            removalDate=removal.isoformat(),
        )
        self.model.place(Signal(next(self.count), youngster, reporter, municipality, today, removal))

    def run(self, size: int) -> None:
        """One batch of the matcher."""
        now = self.index.clock()
        keys = self.index.app.extensions["index_keys"]
        match_waiting(self.index.database.engine("worker"), now, now, keys=keys, size=size)
        self.model.run(amsterdam_date(now), size)

    def check(self) -> None:
        """When no work is waiting: what was told, and what is to be seen today."""
        while self.model.waiting:
            self.run(500)
        assert self.index.database.scalar("SELECT count(*) FROM work") == 0
        youngsters = {
            self.index.database.scalar("SELECT youngster_id FROM signal WHERE id = :id", id=signal): youngster
            for youngster, signal in self.signals.items()
        }
        told: Inboxes = defaultdict(list)
        with self.index.database.superuser.connect() as connection:
            notices = connection.execute(NOTICES, {"youngsters": list(youngsters)}).all()
        for notice in notices:
            recipient = notice.municipality_code or self.name_of(notice.reporter_id)
            told[recipient].append((youngsters[notice.youngster_id], notice.match_id))
        assert alike(told, self.model.inboxes), (dict(told), dict(self.model.inboxes))
        self.check_views(youngsters)

    def check_views(self, youngsters: dict[Any, int]) -> None:
        today = amsterdam_date(self.index.clock())
        for name, (oin, n) in REPORTERS.items():
            expected = sorted(
                sorted(self.contact(other) for other in live if other != name)
                for youngster in youngsters.values()
                if name in (live := self.model.live(youngster, today))
            )
            assert self.contacts(self.index.reader(oin, n), youngsters) == expected
        for municipality in PLACES:
            expected = sorted(
                sorted(self.contact(party) for party in self.model.live(youngster, today))
                for youngster in youngsters.values()
                if municipality in self.model.supervising(youngster, today)
            )
            assert self.contacts(self.index.supervisor(municipality), youngsters) == expected

    def contacts(self, reader: dict[str, str], youngsters: dict[Any, int]) -> list[list[str]]:
        """For each match of these youngsters that a reader finds in its list, whom it shows."""
        found = []
        for line in self.index.get("/matches?limit=200", reader).json["items"]:
            of = self.index.database.scalar("SELECT youngster_id FROM match WHERE id = :id", id=line["id"])
            if of in youngsters:
                match = self.index.get(f"/matches/{line['id']}", reader).json
                found.append(sorted(party["name"] for party in match["parties"]))
        return sorted(found)

    def name_of(self, reporter: UUID) -> str:
        return next(name for name, (oin, n) in REPORTERS.items() if self.index.reporters[oin][n] == reporter)

    @staticmethod
    def contact(reporter: str) -> str:
        oin, n = REPORTERS[reporter]
        return f"{ {SCHOOL: 'Het Kompas', CLINIC: 'De Linde', POLICE: 'Noord'}[oin] } {n}"


@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes, and a play is short enough to read
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_what_is_told_and_seen_is_what_the_model_says(index: Index, steps: list[tuple[Any, ...]]) -> None:
    """I2, I3, I6.

    Seen failing when `count(DISTINCT reporter_id)` was made `count(*)`; when the matcher did not end what had ended
    before it attached new signals (who signalled again told nobody); when `visible_parties` showed a match of one.
    """
    play = Play(index)
    try:
        for what, *how in steps:
            if what == "place":
                play.place(*how)
            elif what == "run":
                play.run(*how)
            else:
                index.clock.move(days=how[0])
        play.check()
    finally:
        index.match()  # the next play starts with nothing waiting
