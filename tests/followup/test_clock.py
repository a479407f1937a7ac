# SPDX-License-Identifier: EUPL-1.2
"""Missed deadlines, and who does not answer (R21, R22)."""

from support import CLINIC, SCHOOL, WESTERVELD, Index

from verwijsindex.followup.clock import Ticked, tick
from verwijsindex.matching.service import LOCK_TRIED


def _tick(index: Index) -> Ticked:
    now = index.clock()
    return tick(index.database.engine("worker"), now, now, lock=LOCK_TRIED)


def _kinds(index: Index, headers: dict[str, str]) -> list[str]:
    return [item["kind"] for item in index.get("/notices", headers).json["items"]]


def test_each_step_after_a_missed_deadline_is_done_once_in_its_order(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    told: list[tuple[int, tuple[str, ...]]] = []
    for day in range(1, 31):
        index.clock.move(days=1)
        if _tick(index).steps:
            assert _tick(index).steps == 0
            told.append((day, tuple(r.told for r in index.database.rows(_TOLD, now=index.clock()))))
        index.match()
    assert [what for _, what in told] == [
        ("parties",), ("coordinators",), ("case_supervisors",), ("parties",), ("coordinators",), ("case_supervisors",),
    ]  # fmt: skip
    assert _kinds(index, index.reader(SCHOOL)).count("reminder") == 2
    assert _kinds(index, index.coordinator(SCHOOL)).count("escalation") == 2
    assert _kinds(index, index.supervisor(WESTERVELD)).count("escalation") == 2


_TOLD = (
    "SELECT (convert_from(body, 'UTF8')::json ->> 'told') AS told FROM event"
    " WHERE kind = 'follow_up.step_done' AND at = :now ORDER BY id"
)


def test_a_clock_that_was_away_does_all_steps_once(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(days=60)
    assert _tick(index).steps == 6
    assert _tick(index).steps == 0
    assert _kinds(index, index.reader(SCHOOL)).count("reminder") == 1


def test_who_does_not_answer_is_asked_no_more_and_everybody_may_take_the_lead(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(days=8)
    assert _tick(index).unanswered == 1
    index.match()
    [match] = index.get("/matches", index.reader(SCHOOL)).json["items"]
    answer = index.act(f"/matches/{match['id']}/lead-answer", {"answer": "accept"}, index.reader(SCHOOL))
    assert (answer.status_code, answer.json["lead"]["state"]) == (201, "accepted")


def test_a_supervisor_lists_by_deadline_and_by_state(index: Index) -> None:
    for youngster in (0, 1):
        index.place(youngster, SCHOOL)
        index.place(youngster, CLINIC)
        index.match()
        index.clock.move(days=3)
    supervisor = index.supervisor(WESTERVELD)
    found = index.get("/follow-ups", supervisor).json["items"]
    assert [one["state"] for one in found] == ["notified", "notified"]
    assert found[0]["contactDueOn"] < found[1]["contactDueOn"]
    first = index.get("/follow-ups?limit=1", supervisor).json
    assert first["items"] == found[:1]
    assert index.get(f"/follow-ups?limit=1&cursor={first['nextCursor']}", supervisor).json["items"] == found[1:]
    index.clock.move(days=4)
    missed = index.get("/follow-ups?deadline=missed", index.supervisor(WESTERVELD)).json["items"]
    assert [(one["id"], one["missed"]) for one in missed] == [(found[0]["id"], "contact")]
    assert index.get("/follow-ups?state=closed", index.supervisor(WESTERVELD)).json["items"] == []
    assert index.get("/follow-ups", index.reader(SCHOOL)).status_code == 403


def test_of_who_is_shielded_the_officer_is_told_and_not_the_coordinator(index: Index) -> None:
    """R36: that a deadline was missed tells that there is a match. Seen failing (the coordinator was told) when the
    step of the coordinators did not ask who is shielded."""
    index.place(0, SCHOOL, shielded=True)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(days=60)
    assert _tick(index).steps == 6
    told = index.database.rows(
        "SELECT coordinator_oin, officer_oin FROM notice WHERE kind = 'escalation' AND municipality_code IS NULL"
    )
    assert {tuple(row) for row in told} == {(CLINIC, None), (None, SCHOOL)}
    assert _kinds(index, index.coordinator(SCHOOL)) == []
