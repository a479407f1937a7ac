# SPDX-License-Identifier: EUPL-1.2
"""What no signal tells the matcher, the clock finds: a match without a round or a lead, and a lead who left (R22)."""

from datetime import date

import sqlalchemy as sa
from support import ADMINISTRATOR, CLINIC, NOW, SCHOOL, Index

from verwijsindex.followup.clock import Ticked, ask_for_lacking, tick
from verwijsindex.followup.working_days import is_working_day, working_days_after
from verwijsindex.matching.service import LOCK_TRIED
from verwijsindex.registry import service as registry
from verwijsindex.workers.upkeep import Upkeep

_ROUNDS = "SELECT number, state, CAST(began_at AS date) AS began FROM round ORDER BY number"
_LEADS = "SELECT r.oin, l.state, l.reason FROM lead l LEFT JOIN reporter r ON r.id = l.reporter_id"


def _day(index: Index) -> Ticked:
    now = index.clock()
    ticked = tick(index.database.engine("worker"), now, now, lock=LOCK_TRIED)
    index.match()
    return ticked


def _match(index: Index) -> str:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [match] = index.database.rows("SELECT id FROM match")
    return str(match.id)


def _leave(index: Index, oin: str, last: date) -> None:
    with index.database.engine("registrar").begin() as connection:
        registry.end_designation(connection, ADMINISTRATOR, NOW, index.reporters[oin][0], last)


def test_a_match_of_the_version_before_is_given_a_round_and_a_proposal(index: Index) -> None:
    """Its matcher opened matches without (migration 0023). They begin on the day on which they are found."""
    _match(index)
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("DELETE FROM round"))
        connection.execute(sa.text("DELETE FROM lead"))
    index.clock.move(days=30)
    Upkeep(365).run(index.database.engine("worker"), index.clock())
    index.match()
    with index.database.engine("worker").begin() as connection:
        assert ask_for_lacking(connection, index.clock()) == 0
    assert index.database.rows(_ROUNDS) == [(1, "notified", index.clock().date())]
    assert index.database.rows(_LEADS) == [(CLINIC, "proposed", "only_candidate")]


def test_a_match_of_the_version_before_is_given_its_place_in_a_list(index: Index) -> None:
    """Its matcher let a municipality supervise without saying which state the round is in (migration 0037): a list by
    state lacked it for ever (seen under fire, `test_upgrade`)."""
    _match(index)
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE supervision SET round_state = NULL, due_on = DEFAULT"))
    Upkeep(365).run(index.database.engine("worker"), index.clock())
    index.match()
    assert index.database.rows("SELECT v.round_state, v.due_on = r.contact_due_on FROM supervision v, round r") == [
        ("notified", True)
    ]


def test_who_left_leads_no_more(index: Index) -> None:
    """Nobody signalled anything; without `_LEFT` in the clock the one who left led for ever (seen)."""
    match = _match(index)
    accepted = index.act(f"/matches/{match}/lead-answer", {"answer": "accept"}, index.reader(CLINIC))
    assert accepted.status_code == 201
    _leave(index, CLINIC, NOW.date())
    assert _day(index).asked == 0  # it is the last day
    index.clock.move(days=1)
    assert _day(index).asked == 1
    assert _day(index).asked == 0
    assert index.database.rows(_LEADS) == [(None, "proposed", "nobody_to_propose")]


def test_a_coordinator_leads_in_the_place_of_who_left(index: Index) -> None:
    """Also where nobody is left to propose, the lead is open to who stands there. Who left is asked no more, and the
    coordinator who takes it keeps it."""
    match = _match(index)
    for oin in (SCHOOL, CLINIC):
        _leave(index, oin, NOW.date())
    index.clock.move(days=1)
    assert _day(index).asked == 1
    assert _day(index).asked == 0
    assert index.database.rows(_LEADS) == [(None, "proposed", "nobody_to_propose")]
    taken = index.act(f"/matches/{match}/lead-answer", {"answer": "accept"}, index.coordinator(CLINIC))
    assert taken.status_code == 201, taken.text
    assert _day(index).asked == 0
    assert index.database.rows(_LEADS) == [(CLINIC, "accepted", "volunteered")]


def test_the_days_of_the_law_are_no_working_days() -> None:
    """Good Friday and Easter Monday, and the fifth of May also where it is not in a fifth year."""
    no_working_days = (date(2027, 3, 26), date(2027, 3, 29), date(2027, 5, 5), date(2026, 4, 27), date(2026, 12, 26))
    assert not any(is_working_day(day) for day in no_working_days)
    assert working_days_after(date(2027, 5, 4), 2) == date(2027, 5, 10)  # Ascension Day is the sixth


def test_everybody_is_told_when_nobody_is_left_to_ask(index: Index) -> None:
    """Whether somebody declined or did not answer, and once. The year (test_year) found that nobody was told."""
    match = _match(index)
    declined = index.act(f"/matches/{match}/lead-answer", {"answer": "decline"}, index.reader(CLINIC))
    assert declined.json["lead"]["reason"] == "next_is_sought"
    for _ in range(2):
        index.clock.move(minutes=1)
        _day(index)
        for oin in (SCHOOL, CLINIC):
            kinds = [one["kind"] for one in index.get("/notices", index.reader(oin)).json["items"]]
            assert kinds == ["lead", "match"]
