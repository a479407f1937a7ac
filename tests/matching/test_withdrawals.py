# SPDX-License-Identifier: EUPL-1.2
"""Who is told that a party withdrew, where it is not plain (R10, R30, R34, R37; docs/rules.md, Telling)."""

from collections import Counter
from typing import Any
from uuid import UUID

from support import CLINIC, POLICE, SCHOOL, Index, parents


def _told(index: Index, headers: dict[str, str]) -> Counter[str]:
    return Counter(line["kind"] for line in index.get("/notices", headers).json["items"])


def _withdraw(index: Index, signal: UUID, oin: str) -> None:
    done = index.act(f"/signals/{signal}/withdrawal", {"reason": "unjustified"}, index.coordinator(oin))
    assert done.status_code == 201, done.text


def _restrict(index: Index, signal: UUID) -> None:
    done: Any = index.http.post(f"/api/v1/signals/{signal}/restriction", headers=index.desk())
    assert done.status_code == 200, done.text


def test_a_contact_that_stays_for_another_sibling_tells_no_count(index: Index) -> None:
    """R10: the police stand on two siblings of the school's youngster. When they withdraw from one, the school's list
    of contacts stays as it is, and a notice would say that there are two; from the other, it is told. So is the
    supervisor. Seen failing (one notice more) when `_TOLD_STILL` and `_SUPERVISED_STILL` were left out."""
    index.allow_parents(SCHOOL, POLICE)
    index.place(0, SCHOOL, parents=parents(10, 11))
    siblings = [index.place(n, POLICE, parents=parents(9 + n)) for n in (1, 2)]
    index.match()
    school, supervisor = index.reader(SCHOOL), index.supervisor()
    assert _told(index, school) == {"match": 1}
    told = dict(_told(index, supervisor))
    _withdraw(index, siblings[0], POLICE)
    index.match()
    assert _told(index, school) == {"match": 1}
    assert _told(index, supervisor) == told
    _withdraw(index, siblings[1], POLICE)
    index.match()
    assert _told(index, school) == {"match": 1, "party_withdrew": 1}
    assert _told(index, supervisor) == told | {"party_withdrew": 1}


def test_a_restriction_after_a_withdrawal_tells_nobody(index: Index) -> None:
    """R30: it is the restriction that ended the party, though the matcher sees both at once. Seen failing when the time
    of the restriction was not looked at."""
    index.place(0, SCHOOL)
    first, second = index.place(0, CLINIC), index.place(0, CLINIC)
    index.match()
    index.clock.move(seconds=1)
    _withdraw(index, first, CLINIC)
    index.clock.move(seconds=1)
    _restrict(index, second)
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {"match": 1}


def test_a_withdrawal_beside_a_restricted_signal_is_told(index: Index) -> None:
    index.place(0, SCHOOL)
    first, second = index.place(0, CLINIC), index.place(0, CLINIC)
    index.match()
    index.clock.move(seconds=1)
    _restrict(index, second)
    index.clock.move(seconds=1)
    _withdraw(index, first, CLINIC)
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {"match": 1, "party_withdrew": 1}


def test_who_handed_all_over_leaves_no_standing(index: Index) -> None:
    """R34. Seen failing when standings were only looked at where a signal ended."""
    signal = index.place(0, SCHOOL)
    index.match()
    receiver = {"to": str(index.reporters[SCHOOL][1])}
    assert index.act(f"/signals/{signal}/handover", receiver, index.coordinator(SCHOOL)).status_code == 201
    index.match()
    assert index.database.rows("SELECT reporter_id FROM standing") == [(index.reporters[SCHOOL][1],)]


def test_who_was_told_that_a_party_withdrew_is_told_when_it_is_back(index: Index) -> None:
    """R30, R37: the clinic withdrew what was shown of it, and another signal was restricted then. Lifting that is news
    to who was told so, and to nobody else: not to the clinic, which knows the school."""
    index.place(0, SCHOOL)
    first, second = index.place(0, CLINIC), index.place(0, CLINIC)
    index.match()
    index.clock.move(seconds=1)
    _restrict(index, second)
    index.clock.move(seconds=1)
    _withdraw(index, first, CLINIC)
    index.match()
    lifted = index.http.delete(f"/api/v1/signals/{second}/restriction", headers=index.desk())
    assert lifted.status_code == 200, lifted.text
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {"match": 2, "party_withdrew": 1}
    assert _told(index, index.reader(CLINIC)) == {"match": 1}
