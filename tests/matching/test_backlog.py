# SPDX-License-Identifier: EUPL-1.2
"""A backlog longer than a batch of the matcher: what is told does not depend on where it was cut (I2, I3, R9)."""

from collections import Counter

from matching import life
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, Index

from verwijsindex.matching.service import match_waiting


def _told(index: Index, headers: dict[str, str]) -> Counter[str]:
    return Counter(line["kind"] for line in index.get("/notices", headers).json["items"])


def _match_one_by_one(index: Index) -> None:
    keys, worker = index.app.extensions["index_keys"], index.database.engine("worker")
    while match_waiting(worker, index.clock(), index.clock(), keys=keys, size=1).more:
        index.clock.move(seconds=1)


def test_a_signal_that_goes_on_is_the_same_party_though_its_work_is_in_a_later_batch(index: Index) -> None:
    """The first look at the youngster, for the police, finds that the school's first signal has ended. Seen failing
    (the others were told that the school withdrew, and of it anew) when the second was not attached before that."""
    first = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    index.place(0, POLICE)
    index.place(0, SCHOOL)
    index.clock.move(minutes=1)
    life.end(index, first)
    _match_one_by_one(index)
    assert _told(index, index.reader(SCHOOL)) == _told(index, index.reader(CLINIC)) == {"match": 2}
    assert _told(index, index.reader(POLICE)) == {"match": 1}


def test_a_move_counts_for_a_signal_whose_work_is_in_a_later_batch(index: Index) -> None:
    """R24. Seen failing (the school's second signal stayed where it was) likewise."""
    clinic = index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    index.place(0, POLICE)
    index.place(0, SCHOOL)
    index.clock.move(minutes=1)
    moved = index.act(f"/signals/{clinic}/move", {"residenceMunicipality": DORDRECHT}, index.reader(CLINIC))
    assert moved.status_code == 201
    _match_one_by_one(index)
    assert index.database.rows("SELECT DISTINCT residence_municipality FROM signal") == [(DORDRECHT,)]


def test_who_hands_one_of_two_over_goes_on(index: Index) -> None:
    """R34: the giver stood all the time. Seen failing (the supervisors were told of a handover, as of a new party) when
    the second signal began a standing where the first had left it."""
    first = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    index.place(0, SCHOOL)
    index.clock.move(minutes=1)
    to = {"to": str(index.reporters[SCHOOL][1])}
    assert index.act(f"/signals/{first}/handover", to, index.coordinator(SCHOOL)).status_code == 201
    index.match()
    assert _told(index, index.supervisor()) == {"match": 1}
    assert _told(index, index.reader(SCHOOL, 1)) == {"match": 1}
    assert _told(index, index.reader(CLINIC)) == {"match": 2}
