# SPDX-License-Identifier: EUPL-1.2
"""A mail server that says no, hangs or goes away, at each stage: nothing is lost, nothing is told (I3, I5)."""

from typing import Any

import pytest
from notices.mailing import CLOSE, DRIP, HANG, NO_END, MailPost, Taking, mail_server, scripted
from support import ADMINISTRATOR, CLINIC, SCHOOL, Logged

from verwijsindex.metrics import REGISTRY
from verwijsindex.notices.mailer import LONGEST_REST
from verwijsindex.registry import service as registry
from verwijsindex.registry.models import Reporter as RegisteredReporter
from verwijsindex.registry.schemas import EmailEntry

ADDRESS = "a.name@example.org"
SECRET = "a.name@example.org is Jan Jansen"


@pytest.fixture
def waiting(mails: MailPost) -> MailPost:
    """One mail is due."""
    reporter = mails.index.reporters[SCHOOL][0]
    mails.address(reporter, ADDRESS)
    mails.want(reporter)
    return mails


@pytest.mark.parametrize("code", ["421", "450", "550"])
@pytest.mark.parametrize("stage", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "body"])
def test_a_refusal_at_each_stage(waiting: MailPost, logged: Logged, stage: str, code: str) -> None:
    """For good is only what is said for good of the recipient or of the mail itself; all else is tried again, and goes
    when the server takes it. Seen failing when what is said of the sender was for good: one wrong setting would have
    ended all mail."""
    with scripted(**{stage: f"{code} {SECRET}"}) as (_, port):
        assert waiting.send(port) == 0
    [row] = waiting.rows()
    assert (row.attempts, row.leased_until, row.sent_at) == (1, None, None)
    assert row.last_outcome == code
    for_good = code == "550" and stage in {"RCPT", "DATA", "body"}
    assert (row.refused_at is not None) == for_good
    trouble = code == "421" or stage in {"connect", "EHLO", "MAIL"}
    expected = ["mail.refused"] if for_good else ["mail.not_taken", *(["mail_server.trouble"] if trouble else [])]
    said = logged.lines("mail.refused", "mail.not_taken", "mail_server.trouble")
    assert [line["event"] for line in said] == expected
    assert {line["outcome"] for line in said} == {code}
    assert ADDRESS not in logged.text
    assert "Jansen" not in logged.text
    with mail_server() as (handler, port):
        assert waiting.send(port) == 0
        waiting.index.clock.move(seconds=10)
        assert waiting.send(port) == (0 if for_good else 1)
    assert len(handler.got) == (0 if for_good else 1)


@pytest.mark.parametrize("how", [HANG, CLOSE, DRIP, NO_END])
@pytest.mark.parametrize("stage", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "body"])
def test_a_server_that_hangs_or_closes(
    waiting: MailPost, monkeypatch: pytest.MonkeyPatch, logged: Logged, stage: str, how: str
) -> None:
    """An answer that never ends is none: seen failing (the mailer waited on) without `_Answering`."""
    monkeypatch.setattr("verwijsindex.notices.mail_server.SECONDS", 0.3)
    with scripted(**{stage: how}) as (asked, port):
        assert waiting.send(port) == 0
        assert how in {HANG, CLOSE} or f"{how}: done" not in asked
    [row] = waiting.rows()
    assert (row.leased_until, row.sent_at, row.refused_at) == (None, None, None)
    assert row.last_outcome in {"TimeoutError", "SMTPServerDisconnected", "ConnectionResetError"}
    assert row.due_at > waiting.index.clock()
    assert ADDRESS not in logged.text


def test_nobody_listens(waiting: MailPost) -> None:
    assert waiting.send(1) == 0
    [row] = waiting.rows()
    assert row.last_outcome == "ConnectionRefusedError"


def test_trouble_with_the_server_ends_the_turn_and_one_recipient_does_not(mails: MailPost) -> None:
    """Of ten thousand mails one tries a server that is away; one address that is refused stands in nobody's way."""
    reporters = [one for of in mails.index.reporters.values() for one in of]
    mails.address(reporters[0], "nobody@example.org")
    mails.want(*reporters)
    with scripted(MAIL="451 not now") as (asked, port):
        mailer = mails.mailer(port)
        assert mailer.send_due() == 0
        assert asked.count("MAIL") == 1
        mailer.turn()
        assert mailer._thread is None, "a server that is away is left alone for a while"
    mails.index.clock.move(seconds=10)
    with mail_server(Taking({"nobody@example.org": "550 nobody"})) as (_, port):
        assert mails.send(port) == 8
    assert LONGEST_REST <= 300


def test_a_refused_address_is_shown_until_a_mail_comes_through_or_it_is_another(mails: MailPost) -> None:
    """To the institution's coordinator, and to nobody else. The next mail is tried: an address may be mended at the
    other side."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]

    def shown(oin: str = SCHOOL) -> list[Any]:
        return list(index.get("/refused-mails", index.coordinator(oin)).json["items"])

    mails.address(reporter, ADDRESS)
    for answer, left in (("550 nobody", 1), ("554 no", 1), ("", 0), ("550 nobody", 1)):
        mails.want(reporter)
        with mail_server(Taking({ADDRESS: answer} if answer else {})) as (_, port):
            mails.send(port)
        assert len(shown()) == left
    [item] = shown()
    assert (item["recipient"], item["person"], item["outcome"]) == ("reporter", str(reporter), "550")
    assert ADDRESS not in str(item)
    assert shown(CLINIC) == []
    with index.database.engine("registrar").begin() as connection:
        entry = EmailEntry(email="another@example.org")
        registry.set_email(connection, ADMINISTRATOR, index.clock(), RegisteredReporter, reporter, entry)
    assert shown() == []


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\nX: y",
        "a@example.org, b@example.org",
        "a@example.org> SIZE=1",
        "<a@example.org",
        "a@b@example.org",
        "a example.org",
        "a\x00@example.org",
        "@example.org",
        "a@",
        "x" * 300 + "@" + "y" * 300 + "\r\n.\r\nMAIL FROM:<a@example.org>",
        "",
        "=?utf-8?q?b=40example.org=2C_a?=@example.org",
        "=?utf-8?q?=0d=0aBcc=3A_b?=@example.org",
    ],
)
def test_contact_data_becomes_no_header_and_no_recipient(mails: MailPost, logged: Logged, address: str) -> None:
    """Whatever got into the register: it is no address, so nothing is sent, and the next one's mail is. Seen failing,
    each of them, without the look at an address; the two encoded words also without its first part alone: the one was
    sent to another address, the other parked the mail."""
    mails.address(mails.index.reporters[SCHOOL][0], address) if "\x00" not in address else mails.address(
        mails.index.reporters[SCHOOL][0], "a\x01@example.org"
    )
    mails.address(mails.index.reporters[CLINIC][0], "good@example.org")
    mails.want(mails.index.reporters[SCHOOL][0], mails.index.reporters[CLINIC][0])
    with mail_server() as (handler, port):
        mails.send(port)
    assert [got.to for got in handler.got] == [["good@example.org"]]
    [row] = [row for row in mails.rows() if row.refused_at]
    assert row.last_outcome == "no address"
    assert not logged.lines("unforeseen", "task.failed")


def test_addresses_that_are_not_ascii(mails: MailPost) -> None:
    """A domain goes in its ASCII form (IDNA); a name before the @ only to a server that takes SMTPUTF8 (RFC 6531)."""
    one, other = mails.index.reporters[SCHOOL][0], mails.index.reporters[CLINIC][0]
    mails.address(one, "regie@coördinatie.example")
    mails.address(other, "coördinator@example.org")
    mails.want(one, other)
    with mail_server(enable_SMTPUTF8=False) as (handler, port):
        assert mails.send(port) == 1
        assert [got.to for got in handler.got] == [["regie@xn--cordinatie-fcb.example"]]
        assert handler.got[0].raw.isascii()
    assert [row.last_outcome for row in mails.rows() if row.refused_at] == ["SMTPUTF8"]
    mails.want(other)
    with mail_server(enable_SMTPUTF8=True) as (handler, port):
        assert mails.send(port) == 1
    assert handler.got[0].to == ["coördinator@example.org"]


def test_tries_are_counted_by_how_they_ended(waiting: MailPost) -> None:
    def taken() -> float:
        return REGISTRY.get_sample_value("verwijsindex_mails_total", {"outcome": "taken"}) or 0

    before = taken()
    with mail_server() as (_, port):
        waiting.send(port)
    assert taken() == before + 1
