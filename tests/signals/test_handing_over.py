# SPDX-License-Identifier: EUPL-1.2
"""A coordinator hands a signal to a colleague of its reporter, and sees which signals wait for that (R34)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from access.test_matrix import nothing_changed
from ledger.told import new_events
from signals.evidence import places, slug
from support import ADMINISTRATOR, CLINIC, DORDRECHT, SCHOOL, WESTERVELD, Answer, Index, parents
from system.world import until

from verwijsindex.database import Scope, transaction
from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import AgreementEntry


def hand_over(
    index: Index, signal: object, to: object, headers: dict[str, str] | None = None, key: str | None = None
) -> Answer:
    return index.act(f"/signals/{signal}/handover", {"to": str(to)}, headers or index.coordinator(), key)


def change(index: Index, statement: str, **values: object) -> None:
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(statement), values)


def leave(index: Index, n: int) -> None:
    """The school's n-th reporter left yesterday."""
    change(index, "UPDATE reporter SET designated_until = :day WHERE id = :id", day="2026-11-21", id=reporter(index, n))


def reporter(index: Index, n: int) -> UUID:
    return index.reporters[SCHOOL][n]


def agree(index: Index, municipality: str, days: int = 100) -> UUID:
    """An agreement of the school with a municipality, from today on."""
    today = index.clock().date()
    entry = AgreementEntry(
        oin=SCHOOL, municipality_code=municipality, valid_from=today, valid_until=today + timedelta(days=days)
    )
    with index.database.engine("registrar").begin() as connection:
        return registry.add(connection, ADMINISTRATOR, index.clock(), entry).id  # type: ignore[no-any-return]


@pytest.mark.parametrize("left", [False, True])
def test_a_signal_goes_to_a_colleague(index: Index, left: bool) -> None:
    """Of a reporter who left as well; the giver's standing says when, and the signal waits for the receiver's."""
    signal = index.place()
    index.match()
    standing = index.database.scalar("SELECT standing_id FROM signal")
    if left:
        leave(index, 0)
    index.clock.move(minutes=5)
    answer, [event] = new_events(index, lambda: hand_over(index, signal, reporter(index, 1)))
    assert answer.status_code == 201, answer.text
    assert answer.json == {"handedOverAt": "2026-11-22T10:05:00Z", "reporter": str(reporter(index, 1))}
    assert (event["kind"], event["signalId"]) == ("signal.handed_over", str(signal))
    assert event["reporterId"] == str(reporter(index, 1))
    assert event["actor"]["person"] == str(index.coordinators[SCHOOL])
    [row] = index.database.rows("SELECT reporter_id, held_since, standing_id FROM signal")
    assert tuple(row) == (reporter(index, 1), index.clock(), None)
    [row] = index.database.rows("SELECT id, handed_over_at FROM standing")
    assert tuple(row) == (standing, index.clock())
    assert index.database.rows("SELECT signal_id FROM work") == [(signal,)]
    assert str(signal) in index.get("/signals", index.reader(SCHOOL, 1)).text
    assert str(signal) not in index.get("/signals", index.reader(SCHOOL, 0)).text
    assert index.get(f"/signals/{signal}", index.coordinator()).json["reporter"] == str(reporter(index, 1))


def test_it_takes_the_agreement_that_a_new_signal_would(index: Index) -> None:
    """That with the residence municipality, else the oldest; and the legal ground of its municipality."""
    here, there = index.place(0, residenceMunicipality=WESTERVELD), index.place(1, residenceMunicipality=DORDRECHT)
    oldest = index.database.scalar("SELECT DISTINCT agreement_id FROM signal")
    index.clock.move(days=1)
    new = agree(index, DORDRECHT)
    with index.database.engine("registrar").begin() as connection:
        registry.set_legal_ground(connection, ADMINISTRATOR, index.clock(), DORDRECHT, "consent")
    for signal in (here, there):
        assert hand_over(index, signal, reporter(index, 1)).status_code == 201
    rows = index.database.rows("SELECT id, agreement_id, legal_ground FROM signal")
    assert {tuple(row) for row in rows} == {(here, oldest, "duty"), (there, new, "consent")}


@pytest.mark.parametrize("attached", [True, False])
def test_the_givers_case_reference_goes(index: Index, attached: bool) -> None:
    """R6: only its sender ever gets it back, and whoever has the signal next is another. Seen failing (the receiver
    read it, in the own list and in the match) before `hand_over` took it away."""
    signal = index.place(0, SCHOOL, caseReference="school-1")
    index.place(0, CLINIC, caseReference="clinic-1")
    if attached:
        index.match()
    assert hand_over(index, signal, reporter(index, 1)).status_code == 201
    index.match()
    receiver = index.reader(SCHOOL, 1)
    [match] = index.get("/matches", receiver).json["items"]
    for path in (f"/signals/{signal}", "/signals", f"/matches/{match['id']}"):
        assert "school-1" not in index.get(path, receiver).text, path
    assert index.get(f"/matches/{match['id']}", index.reader(CLINIC)).json["ownCaseReferences"] == ["clinic-1"]


def _family(index: Index) -> UUID:
    """The school's signal of somebody who now lives where its agreement sends no parents, and the clinic's on a
    sibling; they share a parent."""
    index.allow_parents(SCHOOL, CLINIC)
    agree(index, DORDRECHT)
    signal = index.place(0, SCHOOL, parents=parents(1, 2))
    index.place(1, CLINIC, parents=parents(1))
    body = {"residenceMunicipality": DORDRECHT}
    assert index.act(f"/signals/{signal}/move", body, index.reader()).status_code == 201
    return signal


def named(index: Index) -> tuple[int, int, int]:
    """How many parents there are, how many times one is named, and open family matches."""
    counted = "SELECT (SELECT count(*) FROM parent), (SELECT count(*) FROM signal_parent),"
    counted += " (SELECT count(*) FROM match WHERE kind = 'family' AND ended_at IS NULL)"
    return tuple(index.database.rows(counted)[0])


def test_parents_go_where_the_receivers_agreement_may_not_send_them(index: Index) -> None:
    """R10: at that moment for every reader, and the match follows; nobody is told that a sibling went. Seen failing
    (the family match stayed) before `hand_over` took them away, and (a parent that nobody names stayed) when the
    matcher did not look at `former_parent`."""
    signal = _family(index)
    index.match()
    assert named(index) == (2, 3, 2)
    lines = len(index.get("/notices", index.reader(CLINIC)).json["items"])
    assert hand_over(index, signal, reporter(index, 1)).status_code == 201
    for reader in (index.reader(SCHOOL, 1), index.reader(CLINIC)):
        assert index.get("/matches", reader).json["items"] == []
    index.match()
    assert named(index) == (1, 1, 0)
    assert index.database.rows("SELECT FROM former_parent") == []
    assert len(index.get("/notices", index.reader(CLINIC)).json["items"]) == lines


def test_parents_stay_where_they_may_be_sent(index: Index) -> None:
    signal = _family(index)
    index.match()
    index.allow_parents(SCHOOL)
    assert hand_over(index, signal, reporter(index, 1)).status_code == 201
    index.match()
    assert named(index) == (2, 3, 2)


def test_parents_go_from_a_signal_that_waits_and_from_one_that_is_attached_at_that_moment(index: Index) -> None:
    """Whichever comes first. Seen failing (named for good, in a family match) when the matcher did not hold what is new
    before it read its parents."""
    signal = _family(index)
    scope = Scope(index.clock().date(), SCHOOL, coordinator_id=index.coordinators[SCHOOL])
    values = {"signal": signal, "receiver": reporter(index, 1), "now": index.clock()}
    with ThreadPoolExecutor(1) as threads:
        with transaction(index.database.engine("index"), scope) as connection:
            connection.execute(sa.text("SELECT hand_over(:signal, :receiver, :now)"), values)
            matched = threads.submit(index.match)
            until(lambda: bool(index.database.rows("SELECT FROM pg_locks WHERE NOT granted")), 10)
        matched.result()
    assert named(index) == (1, 1, 0)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("nobody", "not designated by your institution"),
        ("of another institution", "not designated by your institution"),
        ("who left", "not designated by your institution"),
        ("without category", "category is not designated"),
        ("without agreement", "no agreement that is valid today"),
        ("where the ground is off", "takes no new signals"),
    ],
)
def test_who_may_not_signal_gets_none(index: Index, to: str, says: str) -> None:
    """403, with which of the conditions failed (R1); changes nothing."""
    signal, receiver = index.place(), reporter(index, 1)
    if to == "nobody":
        receiver = uuid4()
    elif to == "of another institution":
        receiver = index.reporters[CLINIC][0]
    elif to == "who left":
        leave(index, 1)
    elif to == "without category":
        change(index, "UPDATE category SET designated = false WHERE code = 'primary_education'")
    elif to == "without agreement":
        change(index, "UPDATE agreement SET valid_from = '2020-01-01', valid_until = '2026-11-21'")
    else:
        change(index, "UPDATE municipality SET legal_ground = 'off'")
    with nothing_changed(index.database, events=1):
        answer = hand_over(index, signal, receiver)
    assert (answer.status_code, slug(answer)) == (403, "receiver-may-not-signal")
    assert says in answer.json["detail"]


def test_who_holds_it_already_is_a_400_and_the_rest_a_404(index: Index) -> None:
    """Another institution's signal is as none. Seen failing when `hand_over` did not look whose institution it is."""
    signal, clinic = index.place(0, SCHOOL), index.place(0, CLINIC)
    with nothing_changed(index.database, events=0):
        assert places(hand_over(index, signal, reporter(index, 0))) == {"#/to"}
        assert places(hand_over(index, signal, "somebody")) == {"#/to"}
    with nothing_changed(index.database, events=3):
        answers = [hand_over(index, one, reporter(index, 1)) for one in (clinic, uuid4())]
        machine = hand_over(index, signal, reporter(index, 1), index.reader())
    assert {slug(answer) for answer in answers} == {"signal-not-found"}
    assert answers[0].data == answers[1].data
    assert slug(machine) == "not-allowed"


def test_handed_over_twice_before_the_matcher_looks(index: Index) -> None:
    """And back; a restricted signal too. The first giver's standing has ended once."""
    signal = index.place()
    index.match()
    change(index, "UPDATE signal SET restricted_at = received_at")
    for n in (1, 2, 0):
        index.clock.move(minutes=1)
        assert hand_over(index, signal, reporter(index, n)).status_code == 201
    [row] = index.database.rows("SELECT handed_over_at FROM standing")
    assert row[0] == index.clock() - timedelta(minutes=2)
    assert index.database.scalar("SELECT reporter_id FROM signal") == reporter(index, 0)


def test_of_a_handover_and_a_withdrawal_at_once_the_outcome_is_one_after_the_other(index: Index) -> None:
    """Whoever holds it when it is withdrawn by its reporter: either the handover comes first and the giver's withdrawal
    is a 404, or the withdrawal does and the handover is. Seen failing (both 201, and a signal that had ended in the
    hands of the receiver) without the lock in `hand_over`."""
    for n in range(6):
        signal, at_once = index.place(n), Barrier(2)

        def act(which: str, signal: UUID = signal, at_once: Barrier = at_once) -> int:
            at_once.wait()
            if which == "handover":
                return hand_over(index, signal, reporter(index, 1)).status_code
            return index.act(f"/signals/{signal}/withdrawal", {"reason": "risk_gone"}, index.reader()).status_code

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(act, ("handover", "withdrawal"))) == [201, 404]


def orphans(index: Index) -> Any:
    items = index.get("/orphaned-signals", index.coordinator()).json["items"]
    return [(item["id"], item["causes"]) for item in items]


def test_the_orphan_list_holds_what_waits_for_the_coordinator(index: Index) -> None:
    """R34: its reporter left, its agreement ended, or both; each is gone from the list once it is handed over."""
    mine, other = index.place(0, n=0), index.place(0, CLINIC)
    index.clock.move(minutes=1)
    theirs = index.place(0, n=1)
    assert orphans(index) == []
    leave(index, 0)
    assert orphans(index) == [(str(mine), ["reporter_left"])]
    change(index, "UPDATE agreement SET valid_from = '2020-01-01', valid_until = '2026-11-21'")
    assert orphans(index) == [(str(mine), ["reporter_left", "agreement_ended"]), (str(theirs), ["agreement_ended"])]
    agree(index, WESTERVELD)
    assert hand_over(index, mine, reporter(index, 2)).status_code == 201
    assert orphans(index) == [(str(theirs), ["agreement_ended"])]
    withdrawn = index.act(f"/signals/{theirs}/withdrawal", {"reason": "risk_gone"}, index.coordinator())
    assert withdrawn.status_code == 201
    assert orphans(index) == []
    assert str(other) in index.get("/orphaned-signals", index.coordinator(CLINIC)).text


def test_the_orphan_list_is_paged(index: Index) -> None:
    signals = []
    for n in range(5):
        signals.append(str(index.place(n)))
        index.clock.move(seconds=1)
    leave(index, 0)
    found, cursor = [], ""
    while True:
        page = index.get(f"/orphaned-signals?limit=2{cursor}", index.coordinator()).json
        found += [item["id"] for item in page["items"]]
        if "nextCursor" not in page:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert found == signals
