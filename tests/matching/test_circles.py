# SPDX-License-Identifier: EUPL-1.2
"""Who were all told of each other are one row; what it cannot say of them is said of each two (decision 0027)."""

from collections import Counter

import sqlalchemy as sa
from matching import life
from matching.truth import WHO_WAS_TOLD
from support import CLINIC, POLICE, SCHOOL, Index

PAIRS, CIRCLES = "SELECT count(*) FROM told", "SELECT count(*) FROM told_circle"


def _told(index: Index, oin: str) -> Counter[str]:
    return Counter(line["kind"] for line in index.get("/notices", index.reader(oin)).json["items"])


def _match(index: Index) -> None:
    index.match()
    index.clock.move(minutes=1)


def test_those_on_one_youngster_are_one_circle_and_no_pairs(index: Index) -> None:
    """However they came."""
    for oin in (SCHOOL, CLINIC, POLICE):
        index.place(0, oin)
        _match(index)
    assert (index.database.scalar(PAIRS), index.database.scalar(CIRCLES)) == (0, 1)
    assert index.database.scalar(f"SELECT count(*) FROM ({WHO_WAS_TOLD}) told") == 6


def test_who_was_not_there_when_another_came_takes_along_what_it_was_told(index: Index) -> None:
    """R30: the restricted one and the newcomer were not told of each other, and all others were. Seen failing
    (no pairs) when who leaves a circle took nothing along."""
    restricted = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    _match(index)
    life.restrict(index, restricted)
    _match(index)
    index.place(0, POLICE)
    _match(index)
    assert index.database.scalar(PAIRS) == 2
    life.restrict(index, restricted, lift=True)
    _match(index)
    assert (_told(index, SCHOOL), _told(index, CLINIC), _told(index, POLICE)) == (
        {"match": 2},
        {"match": 2},
        {"match": 2},
    )


def test_a_circle_goes_with_who_was_in_it(index: Index) -> None:
    """R16. Seen failing (a circle of one) without the condition on its number."""
    signals = [index.place(0, oin) for oin in (SCHOOL, CLINIC, POLICE)]
    _match(index)
    in_it = "SELECT sum(cardinality(reporters)) FROM told_circle"
    for number, signal in zip((2, None, None), signals, strict=True):
        life.end(index, signal)
        _match(index)
        assert index.database.scalar(in_it) == number


def test_who_withdrew_is_unknown_again_and_knows_whom_it_was_told_of(index: Index) -> None:
    """R37: the party withdrew, of which another signal is restricted. When that is lifted the others are told anew, and
    the party is not. Seen failing when it took nothing along (0 known), and when it stayed known to the others (2)."""
    restricted = index.place(0, SCHOOL)
    open_one = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    _match(index)
    life.restrict(index, restricted)
    index.clock.move(minutes=1)
    life.end(index, open_one)
    _match(index)
    with index.database.superuser.connect() as connection:
        known = connection.execute(sa.text(WHO_WAS_TOLD)).all()
    assert len(known) == 1
    life.restrict(index, restricted, lift=True)
    _match(index)
    assert (_told(index, SCHOOL), _told(index, CLINIC)) == ({"match": 1}, {"match": 2, "party_withdrew": 1})
