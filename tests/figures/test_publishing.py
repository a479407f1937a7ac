# SPDX-License-Identifier: EUPL-1.2
"""Figures of follow-up: counted once for each quarter, for the own municipality, and nothing in them under ten (R19,
R32)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from followup.test_acts import _act
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, WESTERVELD, Answer, Index, bsn
from system.world import until

from verwijsindex.figures import publishing
from verwijsindex.figures.publishing import publish
from verwijsindex.figures.quarters import Quarter
from verwijsindex.figures.suppressing import LEAST

TWELVE = 12


def _read(index: Index, municipality: str = WESTERVELD, quarter: str = "2026-Q4") -> Answer:
    return index.get(f"/follow-up-figures?quarter={quarter}", index.supervisor(municipality))


def _figures(index: Index, municipality: str = WESTERVELD) -> dict[str, Any]:
    answer = _read(index, municipality)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def _publish(index: Index, day: str = "2027-02-01") -> list[str]:
    """The upkeep of that day."""
    index.clock.now = datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC)
    return [str(one) for one in publish(index.database.engine("worker"), index.clock())]


def _matches(index: Index, *oins: str, first: int = 0, number: int = TWELVE) -> None:
    assert bsn(first)
    for youngster in range(first, first + number):
        for oin in oins:
            index.place(youngster, oin)
    index.match()


@pytest.fixture
def counted(index: Index) -> Index:
    """24 youngsters with the school and the clinic, of half of whom they had contact in time and closed; three more
    with the school and the police, of whom nobody did anything."""
    _matches(index, SCHOOL, CLINIC, number=2 * TWELVE)
    for one in index.get("/matches?limit=200", index.reader(SCHOOL)).json["items"][:TWELVE]:
        for act, body in (("contact", {"contactedOn": "2026-11-22"}), ("closing", {"outcome": "passed_on"})):
            assert _act(index, one["id"], act, SCHOOL, body).status_code == 201
    for youngster in range(100, 103):
        index.place(youngster, POLICE, residenceMunicipality=DORDRECHT)
        index.place(youngster, SCHOOL)
    index.match()
    return index


def test_a_quarter_is_published_a_month_after_it_and_told_to_the_own_municipality(counted: Index) -> None:
    """The police have three, so that they are not there; nor are outcomes, of which some are of nobody."""
    assert _publish(counted, "2027-01-31") == []
    refused = _read(counted)
    assert (refused.status_code, "from 2027-02-01" in refused.json["detail"]) == (404, True)
    assert _publish(counted) == ["2026-Q4"]
    found = _figures(counted)
    assert (found["quarter"], found["publishedOn"]) == ("2026-Q4", "2027-02-01")
    clinic, school = found["institutions"]
    halves, of_school = {"inTime": 12, "notInTime": 12}, {"inTime": 12, "notInTime": 15}
    assert clinic == {"oin": CLINIC, "institution": "De Linde", "begun": 24, "contact": halves, "coordination": halves}
    told = {"begun": 27, "contact": of_school, "coordination": of_school}
    assert school == {"oin": SCHOOL, "institution": "Het Kompas", **told}
    assert found["total"] == told
    assert _figures(counted, DORDRECHT) == {"quarter": "2026-Q4", "publishedOn": "2027-02-01", "institutions": []}


def test_what_was_done_too_late_is_not_in_time(counted: Index) -> None:
    """Contact and closing on the day after the deadline of contact, which is in time for coordination."""
    [due_on] = {row.contact_due_on for row in counted.database.rows("SELECT contact_due_on FROM round")}
    counted.clock.move(days=(due_on - counted.clock().date()).days + 1)
    listed = counted.get("/follow-ups?state=notified&limit=200", counted.supervisor()).json["items"]
    for one in listed[:TWELVE]:
        for act, body in (
            ("contact", {"contactedOn": counted.clock().date().isoformat()}),
            ("closing", {"outcome": "joint_plan"}),
        ):
            assert _act(counted, one["id"], act, SCHOOL, body).status_code == 201
    _publish(counted)
    total = _figures(counted)["total"]
    assert total == {"begun": 27, "contact": {"inTime": 12, "notInTime": 15}}  # coordination: 24 and 3


def test_what_was_published_stays_whoever_is_destroyed(counted: Index) -> None:
    """Else the difference of two looks would be about one youngster. Of whom the parties were is then forgotten."""
    _publish(counted)
    before = _figures(counted)
    assert counted.database.scalar("SELECT count(*) FROM round WHERE institutions IS NOT NULL") == 0
    with counted.database.superuser.begin() as connection:
        connection.exec_driver_sql("DELETE FROM mute")
        connection.exec_driver_sql("DELETE FROM lead")
        connection.exec_driver_sql("DELETE FROM round")
    assert _publish(counted, "2027-02-02") == []
    assert _figures(counted) == before


def test_a_person_with_an_own_agreement_is_in_no_figures_but_the_total(index: Index) -> None:
    """R2: the institution is one reporter. Seen failing when `rounds` kept it."""
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text("UPDATE institution SET category_code = 'general_practitioner' WHERE oin = :oin"), {"oin": CLINIC}
        )
    _matches(index, SCHOOL, CLINIC)
    assert index.database.rows("SELECT DISTINCT institutions FROM round") == [([SCHOOL],)]
    _publish(index)
    found = _figures(index)
    assert ([one["oin"] for one in found["institutions"]], found["total"]["begun"]) == ([SCHOOL], TWELVE)


def test_an_institution_of_two_reporters_is_in_no_figures(index: Index) -> None:
    """Its figures would be theirs, and each would know the other's. Seen failing when nobody counted reporters."""
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text("UPDATE reporter SET designated_until = '2026-09-30' WHERE id = :id"),
            {"id": index.reporters[CLINIC][2]},
        )
    _matches(index, SCHOOL, CLINIC)
    _publish(index)
    assert [one["oin"] for one in _figures(index)["institutions"]] == [SCHOOL]


def test_a_youngster_with_many_rounds_is_one(index: Index) -> None:
    """Ten rounds of one family are not ten youngsters. Seen failing when rounds were counted."""
    for n in range(3):
        for oin in (SCHOOL, CLINIC, POLICE):
            index.place(0, oin, n)
            index.match()
    with index.database.superuser.begin() as connection:  # and as many again
        connection.exec_driver_sql(
            "INSERT INTO round (id, match_id, number, state, began_at, ended_at, contact_due_on, contact_steps,"
            " coordination_due_on, coordination_steps, institutions) SELECT gen_random_uuid(), match_id, number + 100,"
            " 'renewed', began_at, began_at, contact_due_on, 0, coordination_due_on, 0, institutions FROM round"
        )
    assert index.database.scalar("SELECT count(*) FROM round") >= 2 * LEAST - 4
    _publish(index)
    found = _figures(index)
    assert (found["institutions"], "total" in found) == ([], False)


def test_two_at_once_publish_once(counted: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first, whose claim is not committed yet. Seen failing (the unique constraint spoke) when
    the claim was not `ON CONFLICT DO NOTHING`."""
    real, first_counts, go_on = publishing._counted, Event(), Event()

    def counting(*asked: Any) -> Any:
        first_counts.set()
        assert go_on.wait(30)
        return real(*asked)

    monkeypatch.setattr(publishing, "_counted", counting)
    with ThreadPoolExecutor(2) as both:
        first = both.submit(_publish, counted)
        assert first_counts.wait(30)
        second = both.submit(_publish, counted)
        until(lambda: bool(counted.database.rows("SELECT FROM pg_locks WHERE NOT granted")), 30)
        go_on.set()
        assert (first.result(30), second.result(30)) == (["2026-Q4"], [])
    assert counted.database.scalar("SELECT count(*) FROM figure_quarter") == 1


@pytest.mark.parametrize("quarter", ["2026", "2026-Q5", "2026-11-22", "2026-Q4&institution=x", ""])
def test_there_are_no_other_periods_and_no_filters(index: Index, quarter: str) -> None:
    assert _read(index, quarter=quarter).status_code == 400


def test_quarters_follow_each_other_without_a_gap() -> None:
    one = Quarter.parse("2026-Q3")
    assert (str(one.next), str(one.next.next)) == ("2026-Q4", "2027-Q1")
    assert one.next.began_at == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert one.next.next.began_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert Quarter.of(one.next.first_day) == one.next
