# SPDX-License-Identifier: EUPL-1.2
"""No act and no read without its event, in the same transaction (I4, R25)."""

from functools import partial
from uuid import UUID, uuid4

import pytest
from access.test_matrix import nothing_changed
from ledger.faults import failing
from ledger.told import new_events
from matching import life
from signals.evidence import counts, slug
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


def _reads(index: Index, match: UUID) -> dict[str, tuple[str, dict[str, str]]]:
    signal = index.database.scalar("SELECT id FROM signal WHERE oin = :oin", oin=SCHOOL)
    reader, supervisor = index.reader(), index.supervisor()
    return {
        "signals.listed": ("/signals", reader),
        "signal.read": (f"/signals/{signal}", reader),
        "notices.listed": ("/notices", reader),
        "notice.read": (f"/notices/{_notice(index)}", reader),
        "matches.listed": ("/matches", reader),
        "match.read": (f"/matches/{match}", reader),
        "notices.listed by a supervisor": ("/notices", supervisor),
        "matches.listed by a supervisor": ("/matches", supervisor),
        "match.read by a supervisor": (f"/matches/{match}", supervisor),
        "signals.listed by a coordinator": ("/signals", index.coordinator()),
        "signal.read by a coordinator": (f"/signals/{signal}", index.coordinator()),
        "orphaned_signals.listed by a coordinator": ("/orphaned-signals", index.coordinator()),
        "reporters.listed by a coordinator": ("/reporters", index.coordinator()),
        "reporter.read by a coordinator": (f"/reporters/{index.reporters[SCHOOL][0]}", index.coordinator()),
        "coordinators.listed by a coordinator": ("/coordinators", index.coordinator()),
        "matches.listed by a coordinator": ("/matches", index.coordinator()),
        "notices.listed by a coordinator": ("/notices", index.coordinator()),
        "archived_signal.read": (f"/archived-signals/{_archived(index)}", reader),
    }


def _notice(index: Index) -> object:
    told = "SELECT id FROM notice WHERE kind = 'match' AND reporter_id = :reporter"
    return index.database.scalar(told, reporter=index.reporters[SCHOOL][0])


def _archived(index: Index) -> object:
    return index.database.scalar("SELECT id FROM archived_signal")


NAMES = [
    "signals.listed",
    "signal.read",
    "notices.listed",
    "notice.read",
    "matches.listed",
    "match.read",
    "notices.listed by a supervisor",
    "matches.listed by a supervisor",
    "match.read by a supervisor",
    "signals.listed by a coordinator",
    "signal.read by a coordinator",
    "orphaned_signals.listed by a coordinator",
    "reporters.listed by a coordinator",
    "reporter.read by a coordinator",
    "coordinators.listed by a coordinator",
    "matches.listed by a coordinator",
    "notices.listed by a coordinator",
    "archived_signal.read",
]


@pytest.mark.parametrize("name", NAMES)
def test_each_read_makes_one_event_that_says_who_and_for_whom(index: Index, match: UUID, name: str) -> None:
    path, headers = _reads(index, match)[name]
    answer, [event] = new_events(index, lambda: index.get(path, headers))
    assert answer.status_code == 200
    assert event["kind"] == name.partition(" ")[0]
    if name.endswith("supervisor"):
        assert event["actor"] == {
            "role": "case_supervisor",
            "clientId": "console",
            "person": str(index.supervisors[WESTERVELD]),
            "municipality": WESTERVELD,
        }
    elif name.endswith("coordinator"):
        assert event["actor"] == {
            "role": "coordinator",
            "clientId": "console",
            "person": str(index.coordinators[SCHOOL]),
            "institution": SCHOOL,
        }
    else:
        assert event["actor"] == {
            "role": "machine",
            "clientId": f"client-{SCHOOL}",
            "institution": SCHOOL,
            "onBehalfOf": str(index.reporters[SCHOOL][0]),
        }
    if event["kind"] == "match.read":
        assert event["matchId"] == str(match)


@pytest.mark.parametrize("name", NAMES)
def test_a_read_whose_event_cannot_be_written_shows_nothing(
    index: Index, match: UUID, logged: Logged, name: str
) -> None:
    """I4. Seen failing when a failure to write the event was only logged."""
    path, headers = _reads(index, match)[name]
    before = counts(index.database)
    with failing(index.database, "event", "INSERT"):
        answer = index.get(path, headers)
    assert (answer.status_code, slug(answer)) == (500, "internal-error")
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert counts(index.database) == before
    assert "sabotage" not in logged.text


@pytest.mark.parametrize("act", ["withdrawal", "informing", "handover", "move", "move of a match"])
def test_an_act_whose_event_cannot_be_written_is_not_done(index: Index, match: UUID, act: str) -> None:
    """I4; and it uses up no idempotency key. Then it can be written, and there is one event."""
    postponed = {"status": "postponed", "ground": "safety", "reviewDate": "2026-12-22"}
    signal = index.place(1, informing=postponed)
    index.match()
    to_dordrecht = {"residenceMunicipality": DORDRECHT}
    path, body, headers = {
        "withdrawal": (f"/signals/{signal}/withdrawal", {"reason": "risk_gone"}, index.reader()),
        "informing": (f"/signals/{signal}/informing", {"informing": postponed}, index.reader()),
        "handover": (f"/signals/{signal}/handover", {"to": str(index.reporters[SCHOOL][1])}, index.coordinator()),
        "move": (f"/signals/{signal}/move", to_dordrecht, index.reader()),
        "move of a match": (f"/matches/{match}/move", to_dordrecht, index.supervisor()),
    }[act]
    with nothing_changed(index.database, events=0), failing(index.database, "event", "INSERT"):
        assert index.act(path, body, headers, "a-key").status_code == 500
    answer, [_] = new_events(index, lambda: index.act(path, body, headers, "a-key"))
    assert answer.status_code == 201, answer.text


def test_a_signal_whose_event_cannot_be_written_is_not_stored(index: Index) -> None:
    """I4: one statement. Nor is the refusal of one answered."""
    before = counts(index.database)
    with failing(index.database, "event", "INSERT"):
        assert index.post(index.signal()).status_code == 500
        assert index.post(index.signal(oin=CLINIC), SCHOOL).status_code == 500
    assert counts(index.database) == before


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
