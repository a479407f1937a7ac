# SPDX-License-Identifier: EUPL-1.2
"""Alerts (R37): each story raises one of its kind and no other, once, whoever looks and whenever it dies."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from auditing.searches import every
from auditing.watched import HOUR, Watched, coordinator, reads, refusals, reporter, signals, supervisor
from sqlalchemy.exc import IntegrityError
from support import CLINIC, NOW, SCHOOL, WESTERVELD, Database, Index

from verwijsindex.auditing import bursts, detecting
from verwijsindex.auditing.detecting import detect
from verwijsindex.ledger import events
from verwijsindex.ledger.events import Actor, Event

DAY = timedelta(days=1)


@pytest.fixture
def watched(index_database: Database) -> Watched:
    """An empty ledger."""
    return Watched(index_database)


def test_who_signals_a_neighbours_ten_children_is_seen(watched: Watched) -> None:
    """A newcomer has the floor. Seen failing with the floor at eleven."""
    who = reporter()
    assert watched.raised(signals(who, 10)) == [("signal_burst", str(who.on_behalf_of), 10)]
    [alert] = watched.alerts()
    assert (alert.state, alert.oin, alert.municipality_code, alert.day) == ("open", SCHOOL, None, NOW.date())
    behind = watched.database.scalar("SELECT count(*) FROM alert_event WHERE alert_id = :id", id=alert.id)
    assert behind == 10
    told = watched.database.rows("SELECT * FROM event WHERE kind = 'alert.raised'")
    assert [row.reporter_id for row in told] == [who.on_behalf_of]


def test_a_large_family_is_no_burst(watched: Watched) -> None:
    who = reporter()
    assert watched.raised(signals(who, 9)) == []


def test_who_reads_ten_matches_is_seen(watched: Watched) -> None:
    who = reporter()
    assert watched.raised(reads(who, 10)) == [("read_burst", str(who.on_behalf_of), 10)]


def test_a_program_that_reads_one_match_every_minute_is_no_burst(watched: Watched) -> None:
    """Seen failing when events were counted, and not what was read."""
    assert watched.raised(reads(reporter(), 400, match=str(uuid4()))) == []


def test_who_reads_what_notices_told_of_is_no_burst(watched: Watched) -> None:
    """All at once after holidays; more than twice as much is. Seen failing without `waiting`."""
    who = reporter()
    told = [
        Event(
            events.NOTICE_PLACED,
            NOW - DAY,
            events.MATCHER,
            says={"matchId": str(uuid4())},
            recipient_reporter=who.on_behalf_of,
        )
        for _ in range(12)
    ]
    assert watched.raised(told, reads(who, 24)) == []
    assert watched.raised(reads(who, 1)) == [("read_burst", str(who.on_behalf_of), 25)]


def test_an_official_after_holidays(watched: Watched) -> None:
    """The mean of a day before times the days away; from more than twice that on it is a burst. Seen failing without
    `waiting`."""
    who = supervisor()
    before = [event for day in range(21, 49) for event in reads(who, 4, NOW - day * DAY)]
    assert watched.raised(before, reads(who, 130)) == []
    assert [kind for kind, _, _ in watched.raised(reads(who, 40))] == ["read_burst"]


def test_an_official_reads_for_a_whole_municipality(watched: Watched) -> None:
    who = supervisor()
    assert watched.raised(reads(who, 29)) == []
    assert watched.raised(reads(who, 1)) == [("read_burst", who.person, 30)]
    [alert] = watched.alerts()
    assert (alert.acting, alert.oin, alert.municipality_code) == ("official", None, WESTERVELD)


def test_a_coordinator_who_opens_every_signal_is_seen(watched: Watched) -> None:
    who = coordinator()
    opened = [Event(events.SIGNAL_READ, NOW, who, says={"signalId": str(uuid4())}) for _ in range(30)]
    assert watched.raised(opened) == [("read_burst", who.person, 30)]
    [alert] = watched.alerts()
    assert alert.oin == CLINIC


def test_refused_attempts_in_series(watched: Watched) -> None:
    """Whoever it is; of reporters who are not there their client."""
    one, other = reporter(), supervisor()
    nobody = [
        Event(
            events.SIGNAL_REFUSED,
            NOW,
            Actor("machine", "kompas", SCHOOL, on_behalf_of=uuid4()),
            "refused",
            {"problem": "reporter-not-designated"},
        )
        for _ in range(20)
    ]
    assert sorted(watched.raised(refusals(one, 10), refusals(other, 10), nobody)) == sorted(
        [
            ("refusal_series", str(one.on_behalf_of), 10),
            ("refusal_series", str(other.person), 10),
            ("refusal_series", "kompas", 20),
        ]
    )


@pytest.mark.parametrize("problem", ["no-valid-agreement", "limit-reached", "legal-ground-off"])
def test_an_agreement_that_ended_is_no_series(watched: Watched, problem: str) -> None:
    assert watched.raised(refusals(reporter(), 50, problem=problem)) == []


def test_the_own_past_says_what_is_much(watched: Watched) -> None:
    """Eight weeks: who often signals seven is seen from fifteen on; after a longer break the floor counts. Seen
    failing without the comparison, and with all of the past."""
    who = reporter()
    quiet = [event for week in range(1, 5) for event in signals(who, 7, NOW - week * 7 * DAY)]
    assert watched.raised(quiet, signals(who, 14)) == []
    assert watched.raised(signals(who, 1)) == [("signal_burst", str(who.on_behalf_of), 15)]
    watched.now = NOW + 58 * DAY
    assert len(watched.raised(signals(who, 10, watched.now))) == 2


def test_who_doubles_every_day_is_seen(watched: Watched) -> None:
    """Nine, eighteen, thirty-six: none is more than twice the day before, and within a week it is the whole school.
    Seen failing when the own past was its highest day alone."""
    who = reporter()
    for day, count in enumerate((9, 18, 36, 72)):
        watched.now = NOW + day * DAY
        found = watched.raised(signals(who, count, watched.now))
    assert found == [("signal_burst", str(who.on_behalf_of), 72)]


def test_a_refusal_for_anothers_reporter_is_its_clients(index: Index) -> None:
    """`On-Behalf-Of` is what a client says. A client of the clinic that names the school's reporter makes no past for
    them, and no alert about them that the clinic's officer would see. Seen failing when who was named was believed."""
    watched = Watched(index.database)
    of_school = reporter(CLINIC, index.reporters[SCHOOL][0])
    assert watched.raised(refusals(of_school, 20)) == [("refusal_series", of_school.client_id, 20)]
    mine = reporter(SCHOOL, index.reporters[SCHOOL][0])
    assert ("refusal_series", str(mine.on_behalf_of), 10) in watched.raised(refusals(mine, 10))
    assert watched.database.scalar("SELECT oin FROM alert WHERE acting = 'reporter'") == SCHOOL


def test_a_burst_of_pseudonyms_for_anothers_reporter_is_its_institutions(index: Index) -> None:
    """The pseudonym service knows no register: whom a client of the clinic names is not heard as the school's reporter,
    and hides nothing of the school's own. Seen failing: the larger of both was the alert, and the clinic's."""
    who = str(index.reporters[SCHOOL][0])
    told = [
        {"oin": oin, "reporterId": who, "day": "2026-11-22", "elements": elements}
        for oin, elements in ((SCHOOL, 50), (CLINIC, 90))
    ]
    for raised in (2, 0):
        with index.database.engine("worker").begin() as connection:
            assert bursts.raise_pseudonym_bursts(connection, told, NOW) == raised
    found = {(alert.oin, alert.acting, alert.who, alert.counted) for alert in Watched(index.database).alerts()}
    assert found == {(SCHOOL, "reporter", who, 50), (CLINIC, "client", CLINIC, 90)}


@pytest.mark.parametrize("body", [b"{", rb'{"actor":"\u0000"}', b"\xff", b'"' + 3000 * b"x"])
def test_an_event_that_cannot_be_read_holds_up_no_alert(watched: Watched, body: bytes) -> None:
    """Whoever put it there: it is passed over, and what came with it is seen. Seen failing when one such event stopped
    all alerts for good."""
    poison = (
        "INSERT INTO event (id, at, kind, outcome, body, nonce)"
        " VALUES (uuidv7(), :at, 'match.read', 'success', :body, :nonce)"
    )
    with watched.database.engine("worker").begin() as connection:
        connection.execute(sa.text(poison), {"at": NOW, "body": body, "nonce": bytes(16)})
    who = reporter()
    assert watched.raised(signals(who, 10)) == [("signal_burst", str(who.on_behalf_of), 10)]


def test_an_alert_is_one_and_grows_with_its_day(watched: Watched) -> None:
    """Seen failing without `grown`, and without what is behind it."""
    who = reporter()
    for count in (10, 12, 14):
        assert watched.raised(signals(who, 2 if count > 10 else 10)) == [("signal_burst", str(who.on_behalf_of), count)]
    assert watched.database.scalar("SELECT count(*) FROM alert_event") == 14


def test_what_comes_after_an_alert_was_closed_is_another(watched: Watched) -> None:
    """If it is as much again: nobody gets ten explained, and then goes on unseen. Seen failing with one alert a day."""
    who = reporter()
    watched.raised(signals(who, 10))
    with watched.database.superuser.begin() as connection:
        close = (
            "UPDATE alert SET state = 'closed', code = 'explained', assessed_by = :a, assessed_at = :now,"
            " confirmed_by = :b, confirmed_at = :now"
        )
        connection.execute(sa.text(close), {"a": uuid4(), "b": uuid4(), "now": NOW})
    assert len(watched.raised(signals(who, 9))) == 1
    assert [count for _, _, count in watched.raised(signals(who, 1))] == [10, 20]


def test_a_day_is_a_day_in_the_netherlands(watched: Watched) -> None:
    """Half past eleven in the evening in London is the next day here."""
    who = reporter()
    assert watched.raised(signals(who, 9, NOW + 12.5 * HOUR), signals(who, 9, NOW + 13.5 * HOUR)) == []
    assert watched.database.scalar("SELECT count(*) FROM activity_day") == 2


@pytest.mark.parametrize("places", [1, 3, 7])
def test_nothing_is_missed_between_batches(watched: Watched, places: int) -> None:
    """Nor counted twice. Seen failing when the place was moved one too far with batches of three."""
    who, others = reporter(), reporter()
    watched.places = places
    watched.happen(signals(others, 5), signals(who, 10), reads(others, 5))
    watched.look()
    assert [(alert.who, alert.counted) for alert in watched.alerts()] == [(str(who.on_behalf_of), 10)]
    assert watched.database.scalar("SELECT sum(count) FROM activity_day") == 20


def test_who_dies_between_loses_none(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the end of the batch that raises: nothing of it is there, and the next one raises it. Seen failing when
    the place was moved in a transaction of its own."""
    who = reporter()
    watched.happen(signals(who, 10))

    def die(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as dying:
        dying.setattr(detecting, "forget", die)
        with pytest.raises(ZeroDivisionError):
            watched.look()
    assert watched.alerts() == []
    assert watched.look() == 1


def test_many_at_once_raise_one(watched: Watched) -> None:
    """The lock sees to it; seen passing without it as well, since the keys of `activity` and `alert` hold then."""
    who = [reporter() for _ in range(5)]
    watched.happen(*(signals(one, 10) for one in who), *(refusals(one, 10) for one in who))
    raised: list[int] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            while (looked := detect(watched.database.engine("worker"), NOW, most=9)).places:
                raised.append(looked.raised)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, sum(raised), len(watched.alerts())) == ([], 10, 10)
    assert {alert.counted for alert in watched.alerts()} == {10}


def test_the_database_holds_one_alert_of_a_day(watched: Watched) -> None:
    """Whoever raises it without the lock."""
    watched.raised(signals(reporter(), 10))
    again = "INSERT INTO alert SELECT (jsonb_populate_record(a, jsonb_build_object('id', uuidv7()))).* FROM alert a"
    with watched.database.superuser.begin() as connection, pytest.raises(IntegrityError, match="alert_one_of_a_day"):
        connection.execute(sa.text(again))


def test_what_was_kept_long_enough_is_destroyed(watched: Watched) -> None:
    """docs/retention.md."""
    watched.raised(signals(reporter(), 10))
    kept = {"activity": detecting.SUBJECTS_KEPT, "activity_day": bursts.PAST + DAY, "alert": timedelta(days=1826)}
    for table, period in kept.items():
        for over, expected in ((timedelta(0), True), (DAY, False)):
            watched.now = NOW + period + over - (HOUR if table == "alert" and expected else timedelta(0))
            watched.raised(signals(reporter(), 1, watched.now))
            there = watched.database.scalar(f"SELECT count(*) > 0 FROM {table} WHERE day = :day", day=NOW.date())
            assert there == expected, table
    assert watched.database.scalar("SELECT count(*) FROM alert_event") == 0


def test_a_withdrawal_as_unjustified_after_the_match_was_read(index: Index) -> None:
    """Once; not of one that withdrew before the match was read, nor of who says that the risk is gone. What is behind
    it are the withdrawal and the read. Seen failing without the trigger."""
    watched = Watched(index.database, index.clock())
    read, unread, gone = (index.place(0, oin) for oin in (SCHOOL, CLINIC, "00000003333333333000"))
    index.match()
    [match] = index.get("/matches", index.reader(SCHOOL)).json["items"]
    index.clock.move(minutes=1)
    for oin in (SCHOOL, "00000003333333333000"):
        assert index.get(f"/matches/{match['id']}", index.reader(oin)).status_code == 200
    index.clock.move(minutes=1)
    for signal, oin, reason in (
        (read, SCHOOL, "unjustified"),
        (unread, CLINIC, "unjustified"),
        (gone, "00000003333333333000", "risk_gone"),
    ):
        done = index.act(f"/signals/{signal}/withdrawal", {"reason": reason}, index.reader(oin))
        assert done.status_code == 201, done.text
    index.match()
    index.clock.move(minutes=1)
    watched.seal()
    for _ in range(2):
        watched.look()
        [alert] = watched.alerts()
        assert (alert.kind, alert.signal_id, alert.match_id) == ("unjustified_after_read", read, UUID(match["id"]))
        assert alert.who == str(index.reporters[SCHOOL][0])
    behind = index.database.rows("SELECT e.kind FROM alert_event a JOIN event e ON e.id = a.event_id ORDER BY e.at")
    assert [row.kind for row in behind] == ["match.read", "signal.withdrawn"]
    assert index.database.scalar("SELECT count(*) FROM unjustified_withdrawal") == 0


def test_who_read_the_match_and_handed_the_signal_over(index: Index) -> None:
    """Whoever has it then withdraws what another read, also where it was handed on. Nothing of it where a colleague
    read the match who never held the signal. Seen failing (no alert) with the function of index_0038."""
    watched = Watched(index.database, index.clock())
    read, others = index.place(0, SCHOOL), index.place(0, SCHOOL, 1)
    index.place(0, CLINIC)
    index.match()
    [match] = index.get("/matches", index.reader(SCHOOL)).json["items"]
    index.clock.move(minutes=1)
    assert index.get(f"/matches/{match['id']}", index.reader(SCHOOL)).status_code == 200

    def act(path: str, body: dict[str, str]) -> None:
        index.clock.move(minutes=1)
        assert index.act(f"/signals/{path}", body, index.coordinator(SCHOOL)).status_code == 201
        index.match()
        watched.seal()
        watched.look()

    act(f"{others}/withdrawal", {"reason": "unjustified"})
    for receiver in index.reporters[SCHOOL][1:]:
        act(f"{read}/handover", {"to": str(receiver)})
    assert watched.alerts() == []
    act(f"{read}/withdrawal", {"reason": "unjustified"})
    [alert] = watched.alerts()
    assert (alert.kind, alert.signal_id, alert.match_id) == ("unjustified_after_read", read, UUID(match["id"]))
    assert (alert.who, alert.counted) == (str(index.reporters[SCHOOL][-1]), 1)
    behind = index.database.rows("SELECT e.kind FROM alert_event a JOIN event e ON e.id = a.event_id ORDER BY e.at")
    handed_over = ["signal.handed_over"] * len(index.reporters[SCHOOL][1:])
    assert [row.kind for row in behind] == ["match.read", *handed_over, "signal.withdrawn"]
    found = every(
        index, SCHOOL, eventIds=[str(row[0]) for row in index.database.rows("SELECT event_id FROM alert_event")]
    )
    assert len(found) == len(behind), "the officer looks at all of it"
