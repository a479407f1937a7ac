# SPDX-License-Identifier: EUPL-1.2
"""What parties do in the follow-up of a match (R21, R22)."""

from typing import Any

import pytest
from support import CLINIC, POLICE, SCHOOL, WESTERVELD, Index, parents


def _match(index: Index, oin: str) -> str:
    [found] = index.get("/matches", index.reader(oin)).json["items"]
    return str(found["id"])


def _follow_up(index: Index, match: str, oin: str) -> dict[str, Any]:
    answer = index.get(f"/matches/{match}/follow-up", index.reader(oin))
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def _act(index: Index, match: str, act: str, oin: str, body: dict[str, Any] | None = None) -> Any:
    return index.act(f"/matches/{match}/{act}", body, index.reader(oin))


@pytest.fixture
def match(index: Index) -> str:
    """Of a school and a clinic."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    return _match(index, SCHOOL)


def test_from_match_to_closed(index: Index, match: str) -> None:
    today = index.clock().date().isoformat()
    assert index.get(f"/matches/{match}", index.supervisor(WESTERVELD)).status_code == 200
    assert _follow_up(index, match, CLINIC)["state"] == "notified"
    assert index.get(f"/matches/{match}", index.reader(SCHOOL)).status_code == 200
    assert _follow_up(index, match, CLINIC)["state"] == "seen"
    lead = _follow_up(index, match, CLINIC)["lead"]
    assert (lead["state"], lead["you"], lead["reason"]) == ("proposed", True, "only_candidate")
    assert _follow_up(index, match, SCHOOL)["lead"]["you"] is False
    assert _act(index, match, "lead-answer", SCHOOL, {"answer": "accept"}).status_code == 409
    assert _act(index, match, "contact", SCHOOL, {"contactedOn": today}).json["state"] == "contacted"
    assert _act(index, match, "coordination", CLINIC).status_code == 409
    accepted = _act(index, match, "lead-answer", CLINIC, {"answer": "accept"})
    assert accepted.status_code == 201, accepted.text
    assert (accepted.json["state"], accepted.json["lead"]["state"]) == ("lead_agreed", "accepted")
    assert _act(index, match, "lead-answer", CLINIC, {"answer": "accept"}).status_code == 409
    assert _act(index, match, "coordination", CLINIC).json["state"] == "coordinated"
    closed = _act(index, match, "closing", CLINIC, {"outcome": "joint_plan"}).json
    assert (closed["state"], closed["outcome"], closed["possible"]) == ("closed", "joint_plan", ["hand_over_lead"])


def test_who_declines_is_followed_by_another_and_then_by_whoever_takes_it(index: Index, match: str) -> None:
    declined = _act(index, match, "lead-answer", CLINIC, {"answer": "decline", "reason": "no_capacity"})
    assert declined.status_code == 201, declined.text
    assert declined.json["lead"] == {
        "state": "proposed",
        "you": False,
        "reason": "next_is_sought",
    }
    index.match()
    taken = _act(index, match, "lead-answer", SCHOOL, {"answer": "accept"})
    assert taken.status_code == 201, taken.text
    assert (taken.json["lead"]["you"], taken.json["lead"]["reason"]) == (True, "volunteered")


def test_one_lead_for_the_family_answers_once(index: Index) -> None:
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, CLINIC, parents=parents(0))
    index.place(1, SCHOOL, parents=parents(0))
    index.match()
    of_clinic, of_school = _match(index, CLINIC), _match(index, SCHOOL)
    assert of_clinic != of_school
    assert _act(index, of_clinic, "lead-answer", CLINIC, {"answer": "accept"}).status_code == 201
    today = index.clock().date().isoformat()
    assert _act(index, of_school, "contact", SCHOOL, {"contactedOn": today}).json["state"] == "lead_agreed"
    assert _follow_up(index, of_clinic, CLINIC)["state"] == "lead_agreed"
    assert _follow_up(index, of_school, SCHOOL)["lead"]["you"] is False


def test_who_is_no_party_learns_nothing_and_a_supervisor_only_reads(index: Index, match: str) -> None:
    assert _act(index, match, "closing", POLICE, {"outcome": "already_together"}).status_code == 404
    answer = index.get(f"/matches/{match}/follow-up", index.supervisor(WESTERVELD))
    assert (answer.status_code, answer.json["state"]) == (200, "notified")
    refused = index.act(f"/matches/{match}/closing", {"outcome": "already_together"}, index.supervisor(WESTERVELD))
    assert refused.status_code == 403


def test_a_contact_in_the_future_is_refused(index: Index, match: str) -> None:
    assert _act(index, match, "contact", SCHOOL, {"contactedOn": "2999-01-01"}).status_code == 400
    assert _follow_up(index, match, SCHOOL)["state"] == "notified"
