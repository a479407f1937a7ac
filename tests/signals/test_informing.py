# SPDX-License-Identifier: EUPL-1.2
"""Informing the family is a tracked task; it goes forward, and the age group is not kept (R26, R27)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from access.test_matrix import nothing_changed
from ledger.told import new_events
from signals.evidence import places, slug
from support import CLINIC, SCHOOL, Answer, Index

POSTPONED = {"status": "postponed", "ground": "safety", "reviewDate": "2027-05-01"}
SOONER = POSTPONED | {"reviewDate": "2026-12-01"}
INFORMED = {"status": "informed", "on": "2026-11-22", "ageGroup": "12_to_15"}


def record(index: Index, signal: object, informing: Any, headers: dict[str, str], key: str | None = None) -> Answer:
    return index.act(f"/signals/{signal}/informing", {"informing": informing}, headers, key)


def stands(index: Index, signal: object) -> Any:
    return index.get(f"/signals/{signal}", index.reader()).json["informing"]


@pytest.mark.parametrize(
    ("group", "to"), [("under_12", "representative"), ("12_to_15", "both"), ("from_16", "youngster")]
)
def test_who_was_informed_follows_from_the_age_group_which_is_not_kept(index: Index, group: str, to: str) -> None:
    """R26: whom to inform is told by the group; it is in no table, no answer and no event."""
    signal = index.place(informing=POSTPONED)
    index.match()
    answer, [event] = new_events(
        index, lambda: record(index, signal, INFORMED | {"ageGroup": group}, index.coordinator())
    )
    assert (answer.status_code, answer.json) == (201, {"recordedAt": "2026-11-22T10:00:00Z", "status": "informed"})
    assert stands(index, signal) == {"status": "informed", "on": "2026-11-22", "to": to, "overdue": False}
    assert event | {"id": "", "at": "", "actor": ""} == {
        "id": "",
        "at": "",
        "actor": "",
        "kind": "signal.informing_recorded",
        "outcome": "success",
        "signalId": str(signal),
        "status": "informed",
        "reporterId": str(index.reporters[SCHOOL][0]),
    }
    kept = [row for table in ("signal", "act_request") for row in index.database.rows(f"SELECT * FROM {table}")]
    assert group not in f"{kept} {answer.text} {event}"
    assert index.database.scalar("SELECT count(*) FROM work") == 0  # no match changes by it


def test_it_goes_forward_only(index: Index) -> None:
    signal, done = index.place(0, informing=POSTPONED), index.place(1)
    assert record(index, signal, SOONER, index.reader()).status_code == 201
    assert stands(index, signal)["reviewDate"] == "2026-12-01"
    assert record(index, signal, INFORMED, index.reader()).status_code == 201
    with nothing_changed(index.database, events=0):
        for one in (signal, done):
            for again in (POSTPONED, INFORMED, INFORMED | {"on": "2026-11-21"}):
                answer = record(index, one, again, index.reader())
                assert (answer.status_code, slug(answer)) == (409, "already-informed")


def test_a_repeat_gets_its_first_answer_however_late(index: Index) -> None:
    signal = index.place(informing=POSTPONED)
    first = record(index, signal, SOONER, index.reader(), "once")
    index.clock.move(days=20)
    with nothing_changed(index.database, events=0):
        assert record(index, signal, SOONER, index.reader(), "once").data == first.data
        assert places(record(index, signal, SOONER, index.reader())) == {"#/informing/reviewDate"}


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (INFORMED | {"ageGroup": "13"}, {"#/informing/ageGroup"}),
        ({"status": "informed", "on": "2026-11-22"}, {"#/informing/ageGroup"}),
        (INFORMED | {"on": "2026-11-23"}, {"#/informing/on"}),
        (INFORMED | {"on": "2025-11-21"}, {"#/informing/on"}),
        (INFORMED | {"to": "both"}, {"#/informing"}),
        (POSTPONED | {"ageGroup": "under_12"}, {"#/informing"}),
        (POSTPONED | {"reviewDate": "2026-11-21"}, {"#/informing/reviewDate"}),
        (POSTPONED | {"reviewDate": "2027-11-23"}, {"#/informing/reviewDate"}),
        (POSTPONED | {"ground": "a story"}, {"#/informing/ground"}),
        ({"status": "told"}, {"#/informing"}),
    ],
)
def test_what_the_request_alone_shows_to_be_wrong_is_a_400(index: Index, wrong: Any, where: set[str]) -> None:
    signal = index.place(informing=POSTPONED)
    with nothing_changed(index.database, events=0):
        assert places(record(index, signal, wrong, index.reader())) == where


def test_anothers_an_ended_one_and_none_are_one_404(index: Index) -> None:
    signal = index.place(informing=POSTPONED)
    clinic = index.reader(CLINIC)
    with nothing_changed(index.database, events=2):
        anothers, none = (record(index, one, INFORMED, clinic) for one in (signal, uuid4()))
    assert index.act(f"/signals/{signal}/withdrawal", {"reason": "risk_gone"}, index.reader()).status_code == 201
    with nothing_changed(index.database, events=1):
        ended = record(index, signal, INFORMED, index.reader())
    assert slug(ended) == "signal-not-found"
    assert anothers.data == none.data == ended.data


DUE = [
    # made at, review date, due on: a month after the Amsterdam day of the signal, or the review date before that
    ("2026-11-22T10:00:00", "2027-05-01", "2026-12-22"),
    ("2026-11-22T23:30:00", "2027-05-01", "2026-12-23"),
    ("2027-01-31T10:00:00", "2027-05-01", "2027-02-28"),
    ("2028-01-31T10:00:00", "2028-05-01", "2028-02-29"),
    ("2026-11-22T10:00:00", "2026-12-01", "2026-12-01"),
]


@pytest.mark.parametrize(("made", "review", "due"), DUE)
def test_it_is_due_on_a_day_and_overdue_from_it(index: Index, made: str, review: str, due: str) -> None:
    """R27. Seen in the own list, the coordinator's, and in both lists of what is overdue. Seen failing, for half past
    eleven at night, when the month was counted from the day in UTC."""
    index.clock.now = datetime.fromisoformat(made).replace(tzinfo=UTC)
    signal = index.place(0, informing=POSTPONED | {"reviewDate": review})
    index.place(1)
    day = datetime.fromisoformat(due).replace(tzinfo=UTC)
    for moment, overdue in ((day - timedelta(hours=1, minutes=1), False), (day, True)):
        index.clock.now = moment
        for who in (index.reader(), index.coordinator()):
            [one] = [item for item in index.get("/signals", who).json["items"] if item["id"] == str(signal)]
            assert (one["informing"]["dueOn"], one["informing"]["overdue"]) == (due, overdue)
            listed = index.get("/signals?informing=overdue", who).json["items"]
            assert [item["id"] for item in listed] == [str(signal)] * overdue
    assert record(index, signal, INFORMED | {"on": due}, index.reader()).status_code == 201
    for who in (index.reader(), index.coordinator()):
        assert index.get("/signals?informing=overdue", who).json == {"items": []}


def test_a_match_makes_it_overdue_unless_the_reporter_may_not_know_of_it(index: Index) -> None:
    """R27, R36: of a shielded signal the reporter hears of no match, by this neither. Seen failing when the date of the
    first match counted for a shielded signal too."""
    signals = [index.place(n, SCHOOL, informing=POSTPONED) for n in range(3)]
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql(f"UPDATE signal SET shielded = true WHERE id = '{signals[1]}'")
    index.match()
    assert index.get("/signals?informing=overdue", index.reader()).json == {"items": []}
    for n in range(2):
        index.place(n, CLINIC)
    index.match()
    assert index.database.scalar("SELECT count(*) FROM signal WHERE first_matched_at IS NOT NULL") == 3
    for who in (index.reader(), index.coordinator()):
        listed = index.get("/signals?informing=overdue", who).json["items"]
        assert [(one["id"], one["informing"]["dueOn"]) for one in listed] == [(str(signals[0]), "2026-11-22")]


def test_overdue_is_the_one_thing_to_ask_for(index: Index) -> None:
    assert places(index.get("/signals?informing=informed", index.reader())) == {"informing"}


def test_an_open_signal_beside_a_shielded_one_does_not_tell_of_the_match(index: Index) -> None:
    """R36: who is shielded as a whole sees no match, and not by the day on which informing is due. Seen failing when
    each signal was looked at by itself."""
    signal = index.place(informing=POSTPONED)
    index.place(shielded=True)
    before = stands(index, signal)
    index.place(0, CLINIC)
    index.match()
    assert stands(index, signal) == before
