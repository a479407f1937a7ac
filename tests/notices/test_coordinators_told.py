# SPDX-License-Identifier: EUPL-1.2
"""Coordinators are told of missed deadlines of their reporters, and of nobody else's (R12, R20, R21, R36)."""

from uuid import UUID

import pytest
from ledger.told import new_events
from notices.mailing import MailPost, Taking, mail_server
from notices.test_mail import CHOICE
from notices.test_mail_preferences import put
from support import ADMINISTRATOR, CLINIC, POLICE, SCHOOL, WESTERVELD, Answer, Index, parents

from verwijsindex.followup.clock import tick
from verwijsindex.matching.service import LOCK_TRIED
from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import CoordinatorEntry


def miss(index: Index) -> None:
    """The deadline for contact is missed, and nobody does anything after the reminder."""
    for _ in range(12):
        index.clock.move(days=1)
        now = index.clock()
        tick(index.database.engine("worker"), now, now, lock=LOCK_TRIED)


def told(index: Index, headers: dict[str, str]) -> list[str]:
    """The ids of the escalations in an inbox."""
    return [one["id"] for one in index.get("/notices", headers).json["items"] if one["kind"] == "escalation"]


@pytest.fixture
def placed(index: Index) -> UUID:
    """The school's signal in a match with the clinic's, of which the deadline was missed."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    miss(index)
    return signal


def test_a_coordinator_reads_whose_signal_it_is_and_nothing_of_the_others(index: Index, placed: UUID) -> None:
    """The match stays its reporter's. Seen failing (a 404) with the function of 0018."""
    [line] = index.get("/notices", index.coordinator()).json["items"]
    assert (line["kind"], line["link"]) == ("escalation", f"/api/v1/notices/{line['id']}")
    read, events = new_events(index, lambda: index.get(f"/notices/{line['id']}", index.coordinator()))
    assert read.status_code == 200
    reporter = str(index.reporters[SCHOOL][0])
    assert read.json["ownSignals"] == [{"id": str(placed), "reporter": reporter, "reporterName": "Het Kompas 0"}]
    others = [CLINIC, "Linde", str(index.reporters[CLINIC][0]), f'"{WESTERVELD}"']
    assert not [one for one in others if one in read.text]
    assert [(event["kind"], event["noticeId"]) for event in events] == [("notice.read", line["id"])]
    assert index.get(f"/matches/{line['match']}", index.coordinator()).status_code == 404


def test_it_is_read_by_the_institutions_coordinators_alone(index: Index, placed: UUID) -> None:
    [notice] = told(index, index.coordinator())
    for headers in (index.coordinator(CLINIC), index.coordinator(POLICE), index.reader(), index.officer()):
        assert index.get(f"/notices/{notice}", headers).status_code == 404
    [of_supervision] = told(index, index.supervisor())
    assert index.get(f"/notices/{of_supervision}", index.coordinator()).status_code == 404
    read = index.get(f"/notices/{of_supervision}", index.supervisor()).json
    assert read["link"] == f"/api/v1/matches/{read['match']}"
    assert "ownSignals" not in read


def test_what_is_read_of_it_is_what_is_live_now(index: Index, placed: UUID) -> None:
    """Nothing of a party that became shielded (seen failing, its name was shown, without that condition) or withdrew,
    while the other withdrew, and the line itself goes once the institution has no signal there any more (R16; seen
    failing, it stayed, without the coordinators' part of `_LINES`)."""
    [notice] = told(index, index.coordinator())
    colleague = index.place(0, SCHOOL, 1)
    shielded = index.place(0, SCHOOL, shielded=True)
    index.match()
    [own] = index.get(f"/notices/{notice}", index.coordinator()).json["ownSignals"]
    assert own["id"] == str(colleague)
    for signal, n in ((colleague, 1), (placed, 0), (shielded, 0)):
        index.act(f"/signals/{signal}/withdrawal", {"reason": "unjustified"}, index.reader(SCHOOL, n))
        read = index.get(f"/notices/{notice}", index.coordinator())
        assert (read.status_code, read.json["ownSignals"]) == (200, [])
    index.match()
    assert index.get(f"/notices/{notice}", index.coordinator()).status_code == 404
    assert index.get("/notices", index.coordinator()).json["items"] == []


def test_a_family_match_shows_the_own_side_alone(index: Index) -> None:
    """The school stands on both siblings, and its coordinator sees in the match of the one not who is on the other.
    Seen failing (both signals in one notice) without `NOT c.elsewhere`."""
    index.allow_parents(SCHOOL, CLINIC)
    signals = [index.place(youngster, SCHOOL, youngster, parents=parents(0)) for youngster in (0, 1)]
    index.place(1, CLINIC, parents=parents(0))
    index.match()
    miss(index)
    notices = told(index, index.coordinator())
    read = [index.get(f"/notices/{notice}", index.coordinator()).json["ownSignals"] for notice in notices]
    assert sorted([own["id"] for own in one] for one in read) == sorted([str(signals[n])] for n in (0, 1, 1))


def test_each_coordinator_is_mailed(mails: MailPost) -> None:
    """Who left is not. Seen failing (no mail) while `want_mail` left coordinators out."""
    index = mails.index
    with index.database.engine("registrar").begin() as connection:
        for name in ("Tweede", "Vertrokken"):
            entry = CoordinatorEntry(oin=SCHOOL, name=name, telephone="0612345678", email=f"{name.lower()}@example.org")
            registry.add(connection, ADMINISTRATOR, index.clock(), entry)
    mails.change("UPDATE coordinator SET last_day = '2026-11-21' WHERE name = 'Vertrokken'")
    mails.address(index.coordinators[SCHOOL], "eerste@example.org", "coordinator")
    mails.address(index.coordinators[CLINIC], "linde@example.org", "coordinator")
    _escalate(mails)
    with mail_server() as (handler, port):
        assert mails.send(port) == 3
    assert sorted(to for got in handler.got for to in got.to) == [
        "eerste@example.org",
        "linde@example.org",
        "tweede@example.org",
    ]


def test_coordinators_and_named_officers_choose_each_for_themselves(mails: MailPost) -> None:
    """Seen failing (the officers had the coordinators' choice) with one inbox for both."""
    index = mails.index
    digest = {"mail": "digest", "digestAt": "16:30"}
    assert put(index, index.coordinator(), digest).status_code == 200
    assert _chosen(index.get("/mail-preference", index.officer())) == "at_once"
    assert _chosen(index.get("/mail-preference", index.coordinator(CLINIC))) == "at_once"
    assert put(index, index.officer(CLINIC), digest).status_code == 200
    assert _chosen(index.get("/mail-preference", index.coordinator(CLINIC))) == "at_once"
    _escalate(mails)
    waits = index.database.rows("SELECT coordinator_oin, digest FROM mail_wanted ORDER BY coordinator_oin")
    assert [tuple(row) for row in waits] == [(SCHOOL, True), (CLINIC, False)]


def test_the_link_in_a_coordinators_mail_is_of_the_coordinators_inbox(mails: MailPost) -> None:
    index = mails.index
    _escalate(mails)
    with mail_server() as (handler, port):
        mails.send(port)
    for got in handler.got:
        link = CHOICE.findall(got.parts["text/plain"])[0]
        assert index.http.post(link.removeprefix("https://index.example")).status_code == 200
    for headers in (index.coordinator(), index.coordinator(CLINIC)):
        assert _chosen(index.get("/mail-preference", headers)) == "digest"
    assert _chosen(index.get("/mail-preference", index.officer())) == "at_once"


def test_mail_to_a_coordinator_that_is_refused_is_shown_to_the_coordinators(mails: MailPost) -> None:
    index = mails.index
    mails.address(index.coordinators[SCHOOL], "weg@example.org", "coordinator")
    _escalate(mails)
    with mail_server(Taking({"weg@example.org": "550 nobody"})) as (_, port):
        mails.send(port)
    [refused] = index.get("/refused-mails", index.coordinator()).json["items"]
    assert (refused["recipient"], refused["person"]) == ("coordinator", str(index.coordinators[SCHOOL]))
    assert index.get("/refused-mails", index.coordinator(CLINIC)).json["items"] == []


def _chosen(answer: Answer) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json["mail"])


def _escalate(mails: MailPost) -> None:
    """A missed deadline is told to the coordinators of the school and the clinic; all other mail is forgotten."""
    mails.tell()
    for _ in range(10):
        mails.index.clock.move(days=1)
        now = mails.index.clock()
        tick(mails.index.database.engine("worker"), now, now, lock=LOCK_TRIED)
    mails.change("DELETE FROM mail_wanted WHERE coordinator_oin IS NULL")
