# SPDX-License-Identifier: EUPL-1.2
"""Refusals and their events (I4, R25); of what is done and read see test_promises.py and test_background.py."""

from functools import partial
from uuid import UUID, uuid4

import pytest
from ledger.faults import failing
from ledger.told import new_events
from matching import life
from signals.evidence import slug
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, WESTERVELD, Index, Logged


@pytest.fixture
def match(index: Index) -> UUID:
    """The id of a match of the school's and the clinic's first reporters, in Westerveld; the latter had signalled
    before."""
    life.end(index, index.place(0, CLINIC))
    index.match()
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    found = index.database.scalar("SELECT id FROM match")
    assert isinstance(found, UUID)
    return found


def test_what_fails_is_told_to_nobody_and_logged_without_what_was_in_it(
    index: Index, match: UUID, logged: Logged
) -> None:
    """I5. That nothing is shown and done without its event is in test_promises.py, for every operation."""
    with failing(index.database, "event", "INSERT"):
        answer = index.get(f"/matches/{match}", index.reader())
    assert (answer.status_code, slug(answer)) == (500, "internal-error")
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert "sabotage" not in logged.text


def test_a_refusal_whose_event_cannot_be_written_is_no_refusal(index: Index, logged: Logged) -> None:
    """Seen failing: Flask answered 500 and logged the whole error with the row in it."""
    with failing(index.database, "event", "INSERT"):
        answer = index.get(f"/signals/{uuid4()}", index.reader())
    assert (answer.status_code, slug(answer)) == (503, "unavailable")
    assert "sabotage" not in logged.text
    assert [line["error"] for line in logged.lines("refusal.not_recorded")] == ["ProgrammingError < RaiseException"]


def test_403_and_404_of_a_known_caller_are_one_event(index: Index, match: UUID) -> None:
    """And 404 for another's match or signal, as for none at all (R1)."""
    signal = index.database.scalar("SELECT id FROM signal WHERE oin = :oin", oin=CLINIC)
    unknown = uuid4()
    refused: list[tuple[str, dict[str, str], int, dict[str, str]]] = [
        (f"/signals/{signal}", index.reader(), 404, {"signalId": str(signal)}),
        (f"/signals/{unknown}", index.reader(), 404, {"signalId": str(unknown)}),
        (f"/matches/{match}", index.reader(POLICE), 404, {"matchId": str(match)}),
        (f"/matches/{match}", index.reader(SCHOOL, 1), 404, {"matchId": str(match)}),
        (f"/matches/{match}", index.supervisor(DORDRECHT), 404, {"matchId": str(match)}),
        (f"/matches/{unknown}", index.supervisor(), 404, {"matchId": str(unknown)}),
        ("/signals", index.supervisor(), 403, {}),
        (f"/signals/{signal}", index.supervisor(), 403, {"signalId": str(signal)}),
        ("/matches", index.machine(SCHOOL, "signals:write") | {"On-Behalf-Of": str(unknown)}, 403, {}),
        ("/notices", index.machine() | {"On-Behalf-Of": str(index.reporters[CLINIC][0])}, 403, {}),
        ("/notices", index.machine() | {"On-Behalf-Of": str(unknown)}, 403, {}),
        ("/notices", index.supervisor(person=unknown), 403, {}),
        ("/notices", index.supervisor(DORDRECHT, index.supervisors[WESTERVELD]), 403, {}),
        ("/notices", index.supervisor() | {"On-Behalf-Of": str(index.reporters[SCHOOL][0])}, 403, {}),
    ]
    for path, headers, status, says in refused:
        answer, made = new_events(index, partial(index.get, path, headers))
        assert answer.status_code == status, (path, answer.text)
        [event] = made
        assert (event["kind"], event["outcome"]) == ("access.refused", "refused")
        assert event["problem"] == slug(answer)
        assert {name: event[name] for name in ("signalId", "matchId") if name in event} == says


def test_another_institutions_reporter_and_an_unknown_one_read_alike(index: Index) -> None:
    """R1, I8."""
    answers = [
        index.get("/notices", index.machine() | {"On-Behalf-Of": str(reporter)})
        for reporter in (index.reporters[CLINIC][0], uuid4())
    ]
    assert answers[0].status_code == 403
    assert answers[0].data == answers[1].data


def test_400_401_and_what_is_nowhere_are_no_events(index: Index) -> None:
    for path, headers, status in (
        ("/signals", index.machine(), 400),
        ("/matches", index.machine(), 400),
        ("/notices", index.machine() | {"On-Behalf-Of": "999900006"}, 400),
        ("/notices?bsn=999900006", index.reader(), 400),
        ("/notices?limit=0", index.reader(), 400),
        ("/signals/999900006", index.reader(), 400),
        ("/matches/1%20OR%201", index.reader(), 400),
        ("/signals", {}, 401),
        ("/signals", {"Authorization": "Bearer a.b.c"}, 401),
        ("/youngsters", index.reader(), 404),
    ):
        answer, made = new_events(index, partial(index.get, path, headers))
        assert (answer.status_code, made) == (status, []), path
        assert "999900006" not in answer.text


def test_a_reporter_goes_on_reading_when_the_agreement_has_ended(index: Index, match: UUID) -> None:
    """docs/rules.md, Leaving: it stops new signals only."""
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("UPDATE agreement SET valid_until = valid_from")
    index.clock.move(days=2)
    assert slug(index.post(index.signal())) == "no-valid-agreement"
    assert index.get(f"/matches/{match}", index.reader()).status_code == 200
