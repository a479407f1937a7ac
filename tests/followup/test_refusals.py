# SPDX-License-Identifier: EUPL-1.2
"""What is refused in follow-up: each thing by its own problem, which says what is possible, and nothing is changed
(R21, R22)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from followup.test_acts import _act, _follow_up, _match
from matching import life
from support import CLINIC, POLICE, SCHOOL, WESTERVELD, Index

Headers = dict[str, str]
TABLES = (
    "round",
    "lead",
    "mute",
    "notice",
    "mail_wanted",
    "delivery",
    "work",
    "act_request",
    "signal",
    "match",
    "party",
)


def _rows(index: Index) -> dict[str, str]:
    """All that an act could have changed."""
    rows = index.database.all_rows()
    return {table: rows[table] for table in TABLES if table in rows}


def _refused(
    index: Index, slug: str, match: str, act: str, who: str | Headers, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The problem with which this is refused: the second time too, and no row is another."""
    before = _rows(index)
    reader = index.reader(who) if isinstance(who, str) else who
    for _ in range(2):
        answer = index.act(f"/matches/{match}/{act}", body, reader)
        assert answer.json["type"] == f"urn:problem-type:verwijsindex:{slug}", answer.text
        assert answer.status_code == answer.json["status"]
        assert _rows(index) == before
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture
def match(index: Index) -> str:
    """Of a school and a clinic, which is asked to lead."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    return _match(index, SCHOOL)


def _today(index: Index, **later: int) -> str:
    return (index.clock() + timedelta(**later)).date().isoformat()


def _contact(index: Index, match: str, oin: str = SCHOOL) -> dict[str, Any]:
    answer = _act(index, match, "contact", oin, {"contactedOn": _today(index)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


ACTS: dict[str, dict[str, Any] | None] = {
    "contact": {"contactedOn": "2026-11-22"},
    "coordination": None,
    "closing": {"outcome": "already_together"},
    "lead-answer": {"answer": "accept"},
    "lead-handover": {"to": str(uuid4())},
}


@pytest.mark.parametrize("act", ACTS)
def test_who_is_no_party_is_told_nothing(index: Index, match: str, act: str) -> None:
    """Neither another institution, nor a colleague, nor who was a party until a moment ago; nor of a match that never
    was."""
    index.place(1, POLICE)
    for reader, asked in (
        (index.reader(POLICE), match),
        (index.reader(SCHOOL, 1), match),
        (index.reader(SCHOOL), str(uuid4())),
    ):
        problem = _refused(index, "match-not-found", asked, act, reader, ACTS[act])
        assert "possible" not in problem


@pytest.mark.parametrize("act", ACTS)
def test_a_match_that_ended_takes_no_act_at_that_moment(index: Index, act: str) -> None:
    """I6: its round has not lapsed yet; and then it has."""
    school = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    match = _match(index, CLINIC)
    life.end(index, school)
    for state in ("notified", "lapsed"):
        assert index.database.scalar("SELECT state FROM round") == state
        _refused(index, "match-not-found", match, act, CLINIC, ACTS[act])
        index.match()


@pytest.mark.parametrize("state", ["closed", "lapsed", "renewed"])
@pytest.mark.parametrize("act", ["contact", "coordination", "closing"])
def test_a_round_that_has_ended_takes_no_act(index: Index, match: str, act: str, state: str) -> None:
    """A lapsed or renewed one is the last of an open match for a moment only: it is made here by hand."""
    if state == "closed":
        closed = _act(index, match, "closing", SCHOOL, {"outcome": "already_together"})
        assert closed.json["possible"] == []
    else:
        with index.database.superuser.begin() as connection:
            connection.execute(
                sa.text("UPDATE round SET state = :state, ended_at = now(), next_step_on = NULL"), {"state": state}
            )
    body = {"outcome": "joint_plan"} if act == "closing" else ACTS[act]
    problem = _refused(index, "round-ended", match, act, SCHOOL, body)
    assert problem["possible"] == []


def test_each_illegal_transition_says_what_is_possible(index: Index, match: str) -> None:
    """From each state that runs, each act that the machine does not know of it."""
    at_once, no_lead = "close_at_once", {"SCHOOL": [], "CLINIC": ["accept_lead", "decline_lead"]}

    def refuses(*acts: str, possible: list[str]) -> None:
        body = {"contact": {"contactedOn": _today(index)}, "closing": {"outcome": "joint_plan"}}
        for act in acts:
            for oin, name in ((SCHOOL, "SCHOOL"), (CLINIC, "CLINIC")):
                problem = _refused(index, "not-possible-now", match, act, oin, body.get(act))
                assert problem["possible"] == [*possible, *no_lead[name]]
                assert problem["possible"] == _follow_up(index, match, oin)["possible"]

    refuses("coordination", "closing", possible=["record_contact", at_once])
    assert index.get(f"/matches/{match}", index.reader(SCHOOL)).json["followUp"]["state"] == "seen"
    refuses("coordination", "closing", possible=["record_contact", at_once])
    _contact(index, match)
    refuses("contact", "coordination", possible=["close", at_once])
    assert _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).json["state"] == "lead_agreed"
    no_lead["CLINIC"] = ["hand_over_lead"]
    refuses("contact", possible=["coordinate", "close", at_once])
    assert _act(index, match, "coordination", SCHOOL).json["state"] == "coordinated"
    refuses("contact", "coordination", possible=["close", at_once])


def test_a_lead_is_accepted_once(index: Index, match: str) -> None:
    assert _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).status_code == 201
    again = _refused(index, "lead-accepted-already", match, "lead-answer", CLINIC, {"answer": "accept"})
    assert again["possible"] == ["record_contact", "close_at_once", "hand_over_lead"]
    declined = {"answer": "decline", "reason": "no_capacity"}
    too_late = _refused(index, "not-possible-now", match, "lead-answer", CLINIC, declined)
    assert too_late["possible"] == again["possible"]


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("act", ["accept", "decline", "hand over"])
def test_a_lead_is_of_who_is_asked(index: Index, match: str, act: str, accepted: bool) -> None:
    if accepted:
        assert _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).status_code == 201
    [party] = index.get(f"/matches/{match}", index.reader(SCHOOL)).json["parties"]
    path, body = ("lead-handover", {"to": party["contact"]}) if act == "hand over" else ("lead-answer", {"answer": act})
    problem = _refused(index, "lead-not-yours", match, path, SCHOOL, body)
    assert problem["possible"] == ["record_contact", "close_at_once"]


def test_who_is_asked_hands_over_once_it_was_accepted(index: Index, match: str) -> None:
    [party] = index.get(f"/matches/{match}", index.reader(CLINIC)).json["parties"]
    hand_over = {"to": party["contact"]}
    problem = _refused(index, "not-possible-now", match, "lead-handover", CLINIC, hand_over)
    assert problem["possible"] == ["record_contact", "close_at_once", "accept_lead", "decline_lead"]
    assert _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).status_code == 201
    assert _act(index, match, "lead-handover", CLINIC, hand_over).json["lead"]["state"] == "proposed"
    assert _follow_up(index, match, SCHOOL)["lead"]["you"]


def test_a_lead_is_handed_to_another_contact_of_this_match(index: Index, match: str) -> None:
    """Not to oneself, and not by the handle of another match, though the same person stands there."""
    accepted = _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).json
    to_oneself = {"to": accepted["lead"]["contact"]}
    _refused(index, "handover-to-yourself", match, "lead-handover", CLINIC, to_oneself)
    index.place(1, SCHOOL)
    index.place(1, CLINIC)
    index.match()
    [other] = [one["id"] for one in index.get("/matches", index.reader(CLINIC)).json["items"] if one["id"] != match]
    [party] = index.get(f"/matches/{other}", index.reader(CLINIC)).json["parties"]
    for handle in (party["contact"], str(index.reporters[SCHOOL][0]), str(uuid4())):
        to = {"to": handle}
        problem = _refused(index, "contact-not-in-match", match, "lead-handover", CLINIC, to)
        assert problem["possible"] == ["record_contact", "close_at_once", "hand_over_lead"]


def test_a_contact_lies_between_the_match_and_today(index: Index, match: str) -> None:
    """Days of Amsterdam: at 23:30 there the next day has begun nowhere else that counts."""
    index.clock.now = index.clock().replace(hour=22, minute=30)
    for days, slug in ((1, "contact-in-the-future"), (-1, "contact-before-match")):
        body = {"contactedOn": _today(index, days=days)}
        _refused(index, slug, match, "contact", SCHOOL, body)
    index.clock.move(hours=1)  # half past midnight
    later = {"contactedOn": "2026-11-23"}
    assert _act(index, match, "contact", SCHOOL, later).json["contactedOn"] == "2026-11-23"


def test_a_supervisor_reads_and_may_do_nothing(index: Index, match: str) -> None:
    answer = index.get(f"/matches/{match}/follow-up", index.supervisor(WESTERVELD)).json
    assert (answer["state"], answer["possible"]) == ("notified", [])


def test_a_repeat_gets_its_first_answer_in_whatever_state(index: Index, match: str) -> None:
    """Also that which would be refused by now, or was too late in its day."""
    sent: list[tuple[str, str, dict[str, Any] | None, str, dict[str, Any]]] = []
    for act, oin, body in (
        ("contact", SCHOOL, {"contactedOn": _today(index)}),
        ("lead-answer", CLINIC, {"answer": "accept"}),
        ("coordination", SCHOOL, None),
        ("closing", SCHOOL, {"outcome": "joint_plan"}),
    ):
        key = str(uuid4())
        answer = index.act(f"/matches/{match}/{act}", body, index.reader(oin), key)
        assert answer.status_code == 201, answer.text
        sent.append((act, oin, body, key, answer.json))
    before = _rows(index)
    for act, oin, body, key, first in sent:
        again = index.act(f"/matches/{match}/{act}", body, index.reader(oin), key)
        assert (again.status_code, again.json) == (201, first)
    assert _rows(index) == before
