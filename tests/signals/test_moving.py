# SPDX-License-Identifier: EUPL-1.2
"""A move is told by a reporter of the youngster, the coordinator, or of a match by its case supervisor (R24)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from access.test_matrix import nothing_changed
from ledger.told import new_events
from signals.evidence import places, slug
from sqlalchemy.exc import ProgrammingError
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, STEIN, WESTERVELD, Answer, Index

from verwijsindex.database import Scope, transaction

TO_DORDRECHT = {"residenceMunicipality": DORDRECHT}


def move(index: Index, signal: object, headers: dict[str, str], body: Any = None) -> Answer:
    return index.act(f"/signals/{signal}/move", body or TO_DORDRECHT, headers)


def move_of_match(index: Index, match: object, headers: dict[str, str], body: Any = None) -> Answer:
    return index.act(f"/matches/{match}/move", body or TO_DORDRECHT, headers)


@pytest.fixture
def matched(index: Index) -> tuple[UUID, UUID, UUID]:
    """Ids of a signal of the school, one of the clinic on the same youngster, and their match."""
    signals = index.place(0, SCHOOL), index.place(0, CLINIC)
    index.match()
    return *signals, index.database.scalar("SELECT id FROM match")


@pytest.mark.parametrize("by", ["the reporter", "the coordinator"])
def test_a_move_is_on_the_own_signal_at_once(index: Index, matched: tuple[UUID, UUID, UUID], by: str) -> None:
    """And for the matcher on all the others; the reporter is named, so that only the others are told."""
    signal, others, _ = matched
    headers = index.reader() if by == "the reporter" else index.coordinator()
    answer, [event] = new_events(index, lambda: move(index, signal, headers))
    assert answer.status_code == 201, answer.text
    assert answer.json == {"toldAt": "2026-11-22T10:00:00Z", "residenceMunicipality": DORDRECHT}
    reporter = index.reporters[SCHOOL][0]
    assert (event["kind"], event["signalId"]) == ("signal.moved", str(signal))
    assert event.get("reporterId", event["actor"].get("onBehalfOf")) == str(reporter)
    lives = dict(tuple(row) for row in index.database.rows("SELECT id, residence_municipality FROM signal"))
    assert lives == {signal: DORDRECHT, others: WESTERVELD}
    [row] = index.database.rows("SELECT signal_id, municipality_code, reporter_id, told_at FROM move")
    assert tuple(row) == (signal, DORDRECHT, reporter, index.clock())
    assert index.database.rows("SELECT signal_id FROM work") == [(signal,)]
    assert DORDRECHT in index.get(f"/signals/{signal}", index.reader()).text


def test_a_case_supervisor_tells_a_move_of_a_match(index: Index, matched: tuple[UUID, UUID, UUID]) -> None:
    *signals, match = matched
    answer, [event] = new_events(index, lambda: move_of_match(index, match, index.supervisor()))
    assert answer.status_code == 201, answer.text
    assert (event["kind"], event["matchId"]) == ("match.moved", str(match))
    assert "signalId" not in event
    [row] = index.database.rows("SELECT signal_id, municipality_code, reporter_id, told_at FROM move")
    assert row.signal_id in signals
    assert tuple(row)[1:] == (DORDRECHT, None, index.clock())
    assert index.database.scalar("SELECT signal_id FROM work") == row.signal_id


def test_after_the_matcher_all_live_there_and_the_new_supervision_has_taken_over(
    index: Index, matched: tuple[UUID, UUID, UUID]
) -> None:
    *_, match = matched
    assert move_of_match(index, match, index.supervisor()).status_code == 201
    index.match()
    assert index.database.rows("SELECT DISTINCT residence_municipality FROM signal") == [(DORDRECHT,)]
    assert index.get(f"/matches/{match}", index.supervisor(DORDRECHT)).status_code == 200
    assert index.get(f"/matches/{match}", index.supervisor(WESTERVELD)).status_code == 404
    assert slug(move_of_match(index, match, index.supervisor(WESTERVELD))) == "not-found"


def test_what_is_wrong_with_a_move_changes_nothing(index: Index, matched: tuple[UUID, UUID, UUID]) -> None:
    """A municipality that does not exist is a problem of its own, whatever the signal or match is. Seen failing (201)
    when `tell_move` took any match."""
    signal, _, match = matched
    nowhere = {"residenceMunicipality": "9998"}
    with nothing_changed(index.database, events=0):
        for answer in (
            move(index, signal, index.reader(), nowhere),
            move(index, uuid4(), index.reader(), nowhere),
            move_of_match(index, match, index.supervisor(), nowhere),
        ):
            assert (answer.status_code, slug(answer)) == (400, "unknown-municipality")
        assert places(move(index, signal, index.reader(), {"residenceMunicipality": "17"})) == {
            "#/residenceMunicipality"
        }
    refused = [
        (move(index, signal, index.reader(SCHOOL, 1)), "signal-not-found"),
        (move(index, signal, index.reader(CLINIC)), "signal-not-found"),
        (move(index, signal, index.coordinator(POLICE)), "signal-not-found"),
        (move(index, signal, index.supervisor()), "not-allowed"),
        (move_of_match(index, match, index.supervisor(STEIN)), "not-found"),
        (move_of_match(index, uuid4(), index.supervisor()), "not-found"),
        (move_of_match(index, match, index.reader()), "not-allowed"),
        (move_of_match(index, match, index.coordinator()), "not-allowed"),
    ]
    assert [slug(answer) for answer, _ in refused] == [wanted for _, wanted in refused]
    assert index.database.scalar("SELECT (SELECT count(*) FROM move) + (SELECT count(*) FROM work)") == 0


def test_the_database_takes_a_move_of_an_own_signal_only(index: Index, matched: tuple[UUID, UUID, UUID]) -> None:
    """I8, below the code: not of another's signal, and not in another's name. Seen failing with a policy that was true
    for all."""
    school, clinic = index.reporters[SCHOOL][0], index.reporters[CLINIC][0]
    insert = sa.text("INSERT INTO move VALUES (gen_random_uuid(), :signal, '0505', :reporter, now())")
    scope = Scope(index.clock().date(), SCHOOL, school)
    for signal, reporter in ((matched[1], clinic), (matched[1], school), (matched[0], clinic), (matched[0], None)):
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            transaction(index.database.engine("index"), scope) as connection,
        ):
            connection.execute(insert, {"signal": signal, "reporter": reporter})
    with transaction(index.database.engine("index"), scope) as connection:
        connection.execute(insert, {"signal": matched[0], "reporter": school})


def test_a_move_goes_by_another_signal_when_one_is_destroyed_at_that_moment(
    index: Index, matched: tuple[UUID, UUID, UUID]
) -> None:
    """Seen failing (500) without the lock on the signal in `tell_move`."""
    *signals, match = matched
    supervisor = index.supervisor()
    with ThreadPoolExecutor(1) as thread:
        with index.database.superuser.begin() as destroying:
            destroying.execute(sa.text("DELETE FROM signal WHERE id = :id"), {"id": min(signals)})
            told = thread.submit(move_of_match, index, match, supervisor)
            while not index.database.scalar("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not told.done()
        assert told.result().status_code == 201
    assert index.database.rows("SELECT signal_id FROM move") == [(max(signals),)]


def test_a_match_that_is_none_any_more_cannot_move(index: Index, matched: tuple[UUID, UUID, UUID]) -> None:
    signal, _, match = matched
    assert index.act(f"/signals/{signal}/withdrawal", {"reason": "risk_gone"}, index.reader()).status_code == 201
    index.match()
    assert slug(move_of_match(index, match, index.supervisor())) == "not-found"
