# SPDX-License-Identifier: EUPL-1.2
"""A signal is withdrawn once, by its reporter or the coordinator, and ends at that moment (R13, R15, I4, I6, I8)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from access.test_matrix import nothing_changed
from ledger.told import new_events
from signals.evidence import places, slug
from sqlalchemy.exc import ProgrammingError
from support import CLINIC, POLICE, SCHOOL, Answer, Index

from verwijsindex.database import Scope, transaction

GONE = {"reason": "risk_gone"}


def withdraw(index: Index, signal: object, headers: dict[str, str], body: Any = GONE, key: str | None = None) -> Answer:
    return index.act(f"/signals/{signal}/withdrawal", body, headers, key)


@pytest.mark.parametrize("reason", ["unjustified", "risk_gone"])
@pytest.mark.parametrize("by", ["the reporter", "the coordinator"])
def test_a_signal_is_withdrawn(index: Index, reason: str, by: str) -> None:
    """R13; of a coordinator's withdrawal the event names the reporter on whose behalf it is."""
    signal, other = index.place(0), index.place(1)
    index.match()
    index.clock.move(hours=1)
    headers = index.reader() if by == "the reporter" else index.coordinator()
    answer, [event] = new_events(index, lambda: withdraw(index, signal, headers, {"reason": reason}))
    assert answer.status_code == 201, answer.text
    assert answer.json == {"endedAt": "2026-11-22T11:00:00Z", "reason": reason}
    [row] = index.database.rows("SELECT ended_at, end_reason FROM signal WHERE id = :id", id=signal)
    assert tuple(row) == (index.clock(), reason)
    assert index.database.rows("SELECT signal_id FROM work") == [(signal,)]
    assert (event["kind"], event["signalId"], event["reason"]) == ("signal.withdrawn", str(signal), reason)
    reporter = str(index.reporters[SCHOOL][0])
    if by == "the reporter":
        assert event["actor"]["onBehalfOf"] == reporter
        assert "reporterId" not in event
    else:
        assert event["actor"]["person"] == str(index.coordinators[SCHOOL])
        assert event["reporterId"] == reporter
    assert index.database.rows("SELECT ended_at FROM signal WHERE id = :id", id=other) == [(None,)]


def test_it_is_gone_from_every_view_at_that_moment(index: Index) -> None:
    """I6, with no worker running. Seen failing when what had ended stayed in `placed_signal`."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    match = index.database.scalar("SELECT id FROM match")
    readers = {
        "/signals": (index.reader(), index.coordinator()),
        f"/signals/{signal}": (index.reader(), index.coordinator()),
    }
    for path, who in readers.items():
        for headers in who:
            assert str(signal) in index.get(path, headers).text
    others = (index.reader(SCHOOL), index.reader(CLINIC), index.supervisor())
    assert [index.get(f"/matches/{match}", headers).status_code for headers in others] == [200, 200, 200]
    assert withdraw(index, signal, index.reader()).status_code == 201
    assert [index.get(f"/matches/{match}", headers).status_code for headers in others] == [404, 404, 404]
    assert [index.get("/matches", headers).json for headers in others] == [{"items": []}] * 3
    for path, who in readers.items():
        for headers in who:
            assert str(signal) not in index.get(path, headers).text


@pytest.mark.parametrize(
    "who",
    ["a colleague", "another institution", "its coordinator", "the other party", "an ended one", "a past one", "none"],
)
def test_who_may_not_and_what_has_ended_are_one_and_the_same_404(index: Index, who: str) -> None:
    """docs/rules.md, Reading; changes nothing but the refusal in the ledger. Each is byte for byte the answer for none.

    Seen failing (201) when `acting_signal` held the signals of all, and when it held those that had ended.
    """
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    headers = {
        "a colleague": index.reader(SCHOOL, 1),
        "another institution": index.reader(POLICE),
        "its coordinator": index.coordinator(POLICE),
        "the other party": index.reader(CLINIC),
    }.get(who, index.reader())
    if who == "an ended one":
        assert withdraw(index, signal, index.coordinator()).status_code == 201
    if who == "a past one":
        index.clock.move(days=731)
        headers = index.reader()
    asked = uuid4() if who == "none" else signal
    with nothing_changed(index.database, events=1):
        answer = withdraw(index, asked, headers)
    assert (answer.status_code, slug(answer)) == (404, "signal-not-found")
    assert answer.data == withdraw(index, uuid4(), headers).data


def test_a_faulty_request_changes_nothing(index: Index) -> None:
    signal = index.place()
    reader = index.reader()
    with nothing_changed(index.database, events=0):
        assert places(withdraw(index, signal, reader, {"reason": "moved away"})) == {"#/reason"}
        assert places(withdraw(index, signal, reader, {})) == {"#/reason"}
        assert places(withdraw(index, signal, reader, GONE | {"why": "a story"})) == {"#"}
        assert places(withdraw(index, signal, reader, GONE, key="a key")) == {"Idempotency-Key"}
        assert places(withdraw(index, "999900006", reader)) == {"signalId"}
        assert places(withdraw(index, signal, index.machine())) == {"On-Behalf-Of"}


def test_a_repeat_gets_the_first_answer(index: Index) -> None:
    """Byte for byte, with nothing done; the same key for something else is refused, and leaves no event."""
    signal, other = index.place(0), index.place(1)
    first = withdraw(index, signal, index.reader(), key="once")
    index.clock.move(hours=3)
    with nothing_changed(index.database, events=0):
        repeat = withdraw(index, signal, index.reader(), key="once")
        assert (repeat.status_code, repeat.data) == (201, first.data)
        for different in (
            withdraw(index, signal, index.reader(), {"reason": "unjustified"}, key="once"),
            withdraw(index, other, index.reader(), key="once"),
            withdraw(index, signal, index.reader(SCHOOL, 1), key="once"),
        ):
            assert (different.status_code, slug(different)) == (422, "idempotency-key-reused")


def test_a_key_is_of_its_caller_and_a_refusal_uses_up_none(index: Index) -> None:
    school, clinic = index.place(0, SCHOOL), index.place(0, CLINIC)
    assert withdraw(index, clinic, index.reader(), key="once").status_code == 404
    assert withdraw(index, school, index.reader(), key="once").status_code == 201
    assert withdraw(index, clinic, index.reader(CLINIC), key="once").status_code == 201
    assert index.database.scalar("SELECT count(*) FROM act_request") == 2


def test_equal_requests_at_once_are_one_withdrawal_and_equal_answers(index: Index) -> None:
    """Seen failing (500) without `ON CONFLICT DO NOTHING`."""
    signal, at_once = index.place(), Barrier(16)

    def again(_: int) -> tuple[int, bytes]:
        at_once.wait()
        answer = withdraw(index, signal, index.reader(), key="once")
        return answer.status_code, answer.data

    with ThreadPoolExecutor(16) as threads:
        answers = set(threads.map(again, range(16)))
    assert [status for status, _ in answers] == [201]
    assert _withdrawals(index) == 1


def test_of_two_withdrawals_at_once_one_is_the_withdrawal(index: Index) -> None:
    """By reporter and coordinator, each with a key of its own: one 201, the rest 404, one event. Seen failing (201 more
    than once) when the view held signals that had ended."""
    signal, at_once = index.place(), Barrier(16)

    def another(n: int) -> int:
        at_once.wait()
        return withdraw(index, signal, index.coordinator() if n % 2 else index.reader()).status_code

    with ThreadPoolExecutor(16) as threads:
        answers = sorted(threads.map(another, range(16)))
    assert answers == [201] + [404] * 15
    assert _withdrawals(index) == 1


def _withdrawals(index: Index) -> int:
    return int(index.database.scalar("SELECT count(*) FROM event WHERE kind = 'signal.withdrawn'"))


def test_a_restricted_signal_may_be_withdrawn(index: Index) -> None:
    """docs/rules.md, Restriction; the own list shows it unmarked."""
    signal = index.place()
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("UPDATE signal SET restricted_at = received_at")
    assert str(signal) in index.get("/signals", index.reader()).text
    assert withdraw(index, signal, index.reader()).status_code == 201


def test_the_database_lets_a_scope_act_on_its_own_placed_signals_and_no_others(index: Index) -> None:
    """I8, below the code. Seen failing when `acting_signal` held the signals of all, or those that had ended."""
    mine, others, ended = index.place(0, SCHOOL), index.place(0, CLINIC), index.place(1, SCHOOL)
    withdraw(index, ended, index.reader())
    reporter, coordinator = index.reporters[SCHOOL][0], index.coordinators[SCHOOL]
    for of in ({"reporter_id": reporter}, {"coordinator_id": coordinator}):
        assert _acts_on(index, Scope(index.clock().date(), SCHOOL, **of)) == {mine}  # type: ignore[arg-type]
    assert _acts_on(index, Scope(index.clock().date(), CLINIC, reporter)) == set()
    assert _acts_on(index, Scope(index.clock().date(), CLINIC, index.reporters[CLINIC][0])) == {others}
    assert _acts_on(index, None) == set()


def _acts_on(index: Index, scope: Scope | None) -> set[UUID]:
    every = "UPDATE acting_signal SET residence_municipality = '1701' RETURNING id"
    with transaction(index.database.engine("index"), scope) as connection:
        return set(connection.exec_driver_sql(every).scalars())


def test_the_index_can_write_no_end_but_a_withdrawal(index: Index) -> None:
    """R13 to R15: a role that could write any reason could destroy as by a death or an upheld request. Seen failing (a
    death) when `withdraw` took any reason."""
    signal, scope = index.place(), Scope(index.clock().date(), SCHOOL, index.reporters[SCHOOL][0])
    values = {"signal": signal, "now": index.clock()}
    for reason in ("death", "upheld_request", "expired", ""):
        with transaction(index.database.engine("index"), scope) as connection:
            ask = sa.text("SELECT withdraw(:signal, :reason, :now)")
            assert connection.execute(ask, values | {"reason": reason}).scalar_one() is None
    for what in ("end_reason = 'death', ended_at = :now", "informing_status = 'informed'"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction(index.database.engine("index"), scope) as connection,
        ):
            connection.execute(sa.text(f"UPDATE acting_signal SET {what} WHERE id = :signal"), values)
    assert index.database.scalar("SELECT end_reason FROM signal") is None
