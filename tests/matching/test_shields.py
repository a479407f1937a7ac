# SPDX-License-Identifier: EUPL-1.2
"""Who is told when a party becomes shielded as a whole, or is so no more (R34, R36; docs/life-of-a-signal.md)."""

from collections import Counter
from uuid import UUID

from matching import life
from support import CLINIC, POLICE, SCHOOL, Index, parents


def _told(index: Index, headers: dict[str, str]) -> Counter[str]:
    return Counter(line["kind"] for line in index.get("/notices", headers).json["items"])


def _match(index: Index) -> None:
    index.match()
    index.clock.move(minutes=1)


def test_a_named_officer_who_takes_over_is_told(index: Index) -> None:
    """The reporter reads the match no more: without it nobody of the school would follow up. Once, whatever comes and
    goes; the others see the same party, and are told nothing. Seen failing (no notice to the officer) when `told` was
    kept for the party alone."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    _match(index)
    for _ in range(2):
        shielded = index.place(0, SCHOOL, shielded=True)
        _match(index)
        assert _told(index, index.officer(SCHOOL)) == {"match": 1}
        life.end(index, shielded)
        _match(index)
    assert _told(index, index.reader(SCHOOL)) == _told(index, index.reader(CLINIC)) == {"match": 1}


def test_a_reporter_who_takes_over_is_told(index: Index) -> None:
    """Who was never told of the other party, since the officer was. Seen failing likewise. Who comes in between is
    told of to the officer alone, and to the reporter later."""
    index.place(0, CLINIC)
    shielded = [index.place(0, SCHOOL, shielded=True)]
    index.place(0, SCHOOL)
    _match(index)
    assert (_told(index, index.officer(SCHOOL)), _told(index, index.reader(SCHOOL))) == ({"match": 1}, {})
    life.end(index, shielded.pop())
    _match(index)
    assert _told(index, index.reader(SCHOOL)) == {"match": 1}
    shielded.append(index.place(0, SCHOOL, shielded=True))
    index.place(0, POLICE)
    _match(index)
    assert (_told(index, index.officer(SCHOOL)), _told(index, index.reader(SCHOOL))) == ({"match": 2}, {"match": 1})
    life.restrict(index, shielded.pop())
    _match(index)
    assert (_told(index, index.officer(SCHOOL)), _told(index, index.reader(SCHOOL))) == ({"match": 2}, {"match": 2})
    assert _told(index, index.reader(CLINIC)) == {"match": 2}


def test_of_a_family_too(index: Index) -> None:
    """R10: once for each own youngster and kind. Seen failing (nothing) as the first."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, SCHOOL, parents=parents(1))
    index.place(0, POLICE)
    for sibling in (1, 2):
        index.place(sibling, CLINIC, parents=parents(1))
    _match(index)
    index.place(0, SCHOOL, shielded=True)
    _match(index)
    assert _told(index, index.officer(SCHOOL)) == {"match": 2}
    assert _told(index, index.reader(CLINIC)) == {"match": 2}


def _hand_over(index: Index, signal: UUID, n: int) -> None:
    to = {"to": str(index.reporters[SCHOOL][n])}
    assert index.act(f"/signals/{signal}/handover", to, index.coordinator(SCHOOL)).status_code == 201


def test_a_shielded_signal_handed_to_an_open_party_is_told_to_the_officer(index: Index) -> None:
    """R34: the giver's party ends and nobody is told, but that the officer now stands for the receiver; the giver, who
    is not shielded any more, takes over what is left. Seen failing (nobody) as the first."""
    shielded = index.place(0, SCHOOL, shielded=True)
    index.place(0, SCHOOL)
    index.place(0, SCHOOL, 1)
    index.place(0, CLINIC)
    _match(index)
    told = {"match": 1}
    assert [_told(index, one) for one in _of_school(index)] == [told, {}, told]
    _hand_over(index, shielded, 1)
    _match(index)
    assert [_told(index, one) for one in _of_school(index)] == [{"match": 2}, told, told]
    assert _told(index, index.reader(CLINIC)) == told


def _of_school(index: Index) -> list[dict[str, str]]:
    return [index.officer(SCHOOL), index.reader(SCHOOL, 0), index.reader(SCHOOL, 1)]


def test_who_takes_over_is_not_told_that_somebody_withdrew_of_whom_it_was_never_told(index: Index) -> None:
    """R37: who was told of a party is told that it withdrew. Seen failing (a notice to the officer) when it was not
    looked at who was told."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    police = index.place(0, POLICE)
    _match(index)
    index.place(0, SCHOOL, shielded=True)
    life.end(index, police, "unjustified")
    _match(index)
    assert _told(index, index.officer(SCHOOL)) == {"match": 1}
    assert _told(index, index.reader(SCHOOL)) == {"match": 1}
    assert _told(index, index.reader(CLINIC)) == {"match": 1, "party_withdrew": 1}
