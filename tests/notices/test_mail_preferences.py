# SPDX-License-Identifier: EUPL-1.2
"""Mail at once or as a digest, as its recipient chose, also on the days when the clocks change (R23)."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from ledger.told import new_events
from notices.mailing import MailPost, mail_server
from signals.evidence import slug
from support import CLINIC, SCHOOL, WESTERVELD, Answer, Index

from verwijsindex.notices import mail_links
from verwijsindex.notices.mail_links import Choice, link

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OWN = "/mail-preference"


def put(index: Index, headers: dict[str, str], body: object, path: str = OWN) -> Answer:
    """Choose."""
    return index.http.put(f"/api/v1{path}", json=body, headers=headers)  # type: ignore[return-value]


def due(mails: MailPost, reporter: UUID) -> list[tuple[bool, datetime]]:
    """What waits for a reporter: whether it is a digest, and when it leaves, in Amsterdam."""
    rows = mails.index.database.rows(
        "SELECT digest, due_at FROM mail_wanted WHERE reporter_id = :id ORDER BY due_at", id=reporter
    )
    return [(row.digest, row.due_at.astimezone(AMSTERDAM)) for row in rows]


def test_each_chooses_for_the_own_inbox(mails: MailPost) -> None:
    """A machine for its reporter, a coordinator for one of the institution's or for its coordinators, a named officer
    for the officers, a supervisor for the municipality. Done twice it is the same; each is in the ledger."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    chosen = {"mail": "digest", "digestAt": "16:30"}
    of_reporter = f"/reporters/{reporter}/mail-preference"
    asked: list[tuple[dict[str, str], str, dict[str, Any]]] = [
        (index.reader(), OWN, {"reporter": str(reporter)}),
        (index.supervisor(), OWN, {"municipality": WESTERVELD}),
        (index.coordinator(), OWN, {"coordinatorsOf": SCHOOL}),
        (index.officer(), OWN, {"officersOf": SCHOOL}),
        (index.coordinator(), of_reporter, {"reporter": str(reporter)}),
    ]
    for headers, path, whose in asked:
        usual = {"mail": "at_once", "digestAt": "07:00"}
        before = chosen if path == of_reporter else usual
        assert index.get(path, headers).json == before
        for _ in range(2):
            answer, told = new_events(index, lambda h=headers, p=path: put(index, h, chosen, p))  # type: ignore[misc]
            assert (answer.status_code, answer.json) == (200, chosen)
            [event] = told
            assert event["kind"] == "mail_preference.changed"
            assert event.items() >= (whose | chosen).items()
        assert index.get(path, headers).json == chosen
    assert index.database.scalar("SELECT count(*) FROM mail_preference") == 4


def test_another_institutions_reporter_is_a_404(index: Index) -> None:
    path = f"/reporters/{index.reporters[CLINIC][0]}/mail-preference"
    assert put(index, index.coordinator(), {"mail": "digest"}, path).status_code == 404
    assert index.database.scalar("SELECT count(*) FROM mail_preference") == 0


@pytest.mark.parametrize("at", ["02:00", "02:30", "02:59"])
def test_a_time_that_is_not_there_when_the_clocks_change_is_refused(index: Index, at: str) -> None:
    """Its own problem, and it changes nothing. Seen failing (the database refused it, with a 500) without the check."""
    answer = put(index, index.reader(), {"mail": "digest", "digestAt": at})
    assert (answer.status_code, slug(answer)) == (400, "digest-time-not-every-day")
    assert index.database.scalar("SELECT count(*) FROM mail_preference") == 0


@pytest.mark.parametrize("at", ["24:00", "7:00", "07:00:00", "", None, 7])
def test_what_is_no_time_is_refused(index: Index, at: object) -> None:
    answer = put(index, index.reader(), {"mail": "digest", "digestAt": at})
    assert (answer.status_code, slug(answer)) == (400, "invalid-input")


@pytest.mark.parametrize("at", ["00:00", "01:59", "03:00", "07:00", "23:59"])
@pytest.mark.parametrize("day", ["2027-03-27", "2027-03-28", "2027-10-30", "2027-10-31", "2027-07-01"])
def test_a_digest_leaves_the_next_time_it_is_that_time(mails: MailPost, day: str, at: str) -> None:
    """On the days when the clocks change as on every other, each hour of the day; once each day."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    put(index, index.reader(), {"mail": "digest", "digestAt": at})
    began = datetime.fromisoformat(f"{day}T00:10:00").replace(tzinfo=AMSTERDAM).astimezone(UTC)
    for hours in range(0, 25, 3):
        index.clock.now = began + timedelta(hours=hours)
        mails.want(reporter)
        [(digest, leaves)] = due(mails, reporter)
        assert digest
        assert leaves.strftime("%H:%M") == at
        assert timedelta(0) < leaves.astimezone(UTC) - index.clock.now <= timedelta(hours=25)
        mails.change("DELETE FROM mail_wanted")


def test_a_digest_is_one_mail_with_a_link_to_choose_otherwise(mails: MailPost) -> None:
    """RFC 2369, RFC 8058. A whole day is one mail, and what came at once leaves at once still."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    put(index, index.reader(), {"mail": "digest", "digestAt": "16:30"})
    for _ in range(3):
        mails.want(reporter)
        index.clock.move(minutes=10)
    with mail_server() as (handler, port):
        assert mails.send(port) == 0
        index.clock.move(hours=6)
        assert mails.send(port) == 1
    said = message_from_bytes(handler.got[0].raw)
    assert said["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = "".join(str(said["List-Unsubscribe"]).split()).strip("<>")
    assert address.startswith("https://index.example/api/v1/mail-choices/")
    assert str(reporter) not in address
    path = address.removeprefix("https://index.example")
    page = index.http.get(path)
    assert (page.status_code, index.get(OWN, index.reader()).json["mail"]) == (200, "digest")
    assert b"<form" in page.data
    assert b"mail at once each time" in page.data, "which of the two one gets"
    answer, told = new_events(
        index,
        lambda: index.http.post(path, data={"List-Unsubscribe": "One-Click"}),  # type: ignore[arg-type, return-value]
    )
    assert answer.status_code == 200
    assert index.get(OWN, index.reader()).json == {"mail": "at_once", "digestAt": "16:30"}
    [event] = told
    assert (event["kind"], event["actor"]["role"], event["reporter"]) == (
        "mail_preference.changed",
        "mail link",
        str(reporter),
    )
    again, told = new_events(index, lambda: index.http.post(path))  # type: ignore[arg-type, return-value]
    assert (again.status_code, told) == (200, [])  # else whoever has the link fills the ledger


def test_a_link_turns_mail_ten_times_a_day(index: Index) -> None:
    """Each time is an event (R37). Seen failing (twelve of them) without the bound in `turn_mail`. It binds the link
    alone: who signs in chooses as before."""
    keys, reporter = index.app.extensions["index_keys"], index.reporters[SCHOOL][0]
    links = [
        link("https://index.example", keys.current, Choice(reporter, None, None, None, digest=digest))
        for digest in (True, False)
    ]

    def turn(times: int) -> int:
        def post() -> Answer:
            answers = [index.http.post(mail_links.PATH + "/" + links[i % 2].rpartition("/")[2]) for i in range(times)]
            return answers[-1]  # type: ignore[return-value]

        return len(new_events(index, post)[1])

    assert turn(12) == 10
    assert index.get(OWN, index.reader()).json["mail"] == "at_once"
    assert put(index, index.reader(), {"mail": "digest", "digestAt": "16:30"}).status_code == 200
    assert turn(2) == 0
    index.clock.move(days=1)
    assert turn(2) == 1, "the first is so already"


def test_links_are_all_of_one_length(index: Index) -> None:
    """Else the size of a mail tells that it is to a named officer, and so that something is shielded (R33, R36). Seen
    failing, with six lengths, when what is sealed was as long as it happened to be."""
    key, reporter = index.app.extensions["index_keys"].current, index.reporters[SCHOOL][0]
    inboxes = [
        (reporter, None, None, None),
        (None, WESTERVELD, None, None),
        (None, None, SCHOOL, None),
        (None, None, None, SCHOOL),
    ]
    links = [link("https://index.example", key, Choice(*one, digest=d)) for one in inboxes for d in (True, False)]
    assert len({len(one) for one in links}) == 1


def test_a_link_that_is_none_says_so_and_changes_nothing(index: Index) -> None:
    """Changed, of another key, or of what is no link at all: nothing tells which."""
    keys = index.app.extensions["index_keys"]
    good = link(
        "https://index.example", keys.current, Choice(index.reporters[SCHOOL][0], None, None, None, digest=True)
    )
    token = good.rpartition("/")[2]
    changed = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    answers = [index.http.post(f"{mail_links.PATH}/{one}") for one in (changed, "AAAA", "x", token[:8], "ë", "A" * 500)]
    assert index.database.scalar("SELECT count(*) FROM mail_preference") == 0
    assert index.database.scalar("SELECT count(*) FROM event WHERE kind LIKE 'mail%'") == 0
    assert {(answer.status_code, answer.data) for answer in answers} == {(200, answers[0].data)}
    assert b"does not work" in answers[0].data
    for _ in range(2):  # the second time it is so already, which the answer does not tell
        assert b"received: one mail a day" in index.http.post(f"{mail_links.PATH}/{token}").data
    assert index.get(OWN, index.reader()).json == {"mail": "digest", "digestAt": "07:00"}


def test_what_is_quiet_waits_for_the_digest_and_nothing_else_does(mails: MailPost) -> None:
    """R23: also of who wants mail at once; the inbox has it at once."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    mails.want(reporter, quiet=True)
    mails.want(reporter)
    [(now_digest, at_once), (later_digest, later)] = due(mails, reporter)
    assert (now_digest, at_once) == (False, index.clock().astimezone(AMSTERDAM))
    assert (later_digest, later.strftime("%d %H:%M")) == (True, "23 07:00")
    assert len(index.get("/notices", index.reader()).json["items"]) == 2


def test_what_waits_leaves_when_it_would_have(mails: MailPost) -> None:
    """Who chooses otherwise is not told later of what was told before."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    mails.want(reporter)
    put(index, index.reader(), {"mail": "digest"})
    assert due(mails, reporter) == [(False, index.clock().astimezone(AMSTERDAM))]
