# SPDX-License-Identifier: EUPL-1.2
"""Mail goes to who is told, at least once, in one form that tells nothing (I3, I5, R12, R33)."""

import re
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from certificates import Authority
from notices.mailing import LINK, SENDER, MailPost, Taking, mail_server
from support import CLINIC, POLICE, SCHOOL, WESTERVELD, Logged

from verwijsindex.notices import mail_outcomes
from verwijsindex.notices.mail_outcomes import LEASE
from verwijsindex.notices.mail_wanted import want_mail
from verwijsindex.registry.contacts import NATIONAL_NUMBERS
from verwijsindex.tls import trust

CHOICE = re.compile(r"https://index\.example/api/v1/mail-choices/\S+?(?=[\s\"]|$)")


def test_who_is_told_gets_one_mail_of_one_form(mails: MailPost) -> None:
    """The reporters of a match and its supervision: the same text, but for the link to choose otherwise. Nobody's name,
    institution, domain or municipality, no kind, and no id but that of the mail."""
    names = {SCHOOL: "school@example.org", CLINIC: "clinic@example.org"}
    for oin, address in names.items():
        mails.address(mails.index.reporters[oin][0], address)
    mails.address(mails.index.supervisors[WESTERVELD], "regie@example.org", "case_supervisor")
    mails.tell()
    with mail_server() as (handler, port):
        assert mails.send(port) == 3
        assert mails.send(port) == 0
    assert sorted(to for got in handler.got for to in got.to) == sorted([*names.values(), "regie@example.org"])
    texts = {CHOICE.sub("", part) for got in handler.got for part in got.parts.values()}
    assert len(texts) == 2
    ids = [row[0] for row in mails.index.database.rows("SELECT id FROM match UNION SELECT id FROM notice")]
    for got in handler.got:
        said = got.message
        [mail] = [row for row in mails.rows() if str(row.id) in said["Message-ID"]]
        assert said["Message-ID"] == f"<{mail.id}@index.example>"
        assert said["Auto-Submitted"] == "auto-generated"
        assert said["From"] == f"Verwijsindex <{SENDER}>"
        assert [said["To"]] == got.to
        assert said["Date"].datetime == mail.made_at
        assert said["List-Unsubscribe"] is None
        assert (mail.attempts, mail.last_outcome, mail.leased_until) == (1, None, None)
        assert mail.sent_at
        text = got.parts["text/plain"] + got.parts["text/html"] + said["Subject"]
        assert text.count(LINK) == 4
        assert all(text.count(number.telephone) >= 4 for number in NATIONAL_NUMBERS)
        lines = got.parts["text/plain"].splitlines()  # seen failing: a template that eats its line ends
        assert lines.count("Alarmnummer: 112") == lines.count("Emergency number: 112") == 1
        assert len([line for line in lines if CHOICE.fullmatch(line)]) == 2
        personal = ["Kompas", "Linde", "Westerveld", "Regie", WESTERVELD, SCHOOL, CLINIC, "match", "school", *ids]
        assert not [one for one in personal if str(one) in text]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.languages: list[str | None] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.languages += [dict(attrs)["lang"]] if "lang" in dict(attrs) else []
        self.open += [tag] if tag not in {"meta", "hr"} else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_html_is_plain_and_says_its_languages(mails: MailPost) -> None:
    """Well-formed, with a title, headings and language for who has it read aloud; no image, style or script."""
    mails.want(mails.index.reporters[SCHOOL][0])
    with mail_server() as (handler, port):
        mails.send(port)
    html = handler.got[0].parts["text/html"]
    tags = _Tags()
    tags.feed(html)
    assert (tags.open, tags.languages) == ([], ["nl", "en", "nl", "en"])
    assert "<title>" in html
    assert not re.search(r"<(img|style|script|table)|style=|class=", html)
    assert handler.got[0].message["Content-Language"] == "nl, en"


def test_what_is_told_at_one_tick_is_one_mail_and_leaves_at_the_tick(mails: MailPost) -> None:
    reporter, now = mails.index.reporters[SCHOOL][0], mails.index.clock()
    tick = now + timedelta(seconds=60)
    with mails.index.database.engine("worker").begin() as connection:
        mails.tell()
        notices = [row[0] for row in mails.index.database.rows("SELECT id FROM notice")]
    mails.change("DELETE FROM mail_wanted")
    for _ in range(2):
        with mails.index.database.engine("worker").begin() as connection:
            want_mail(connection, notices, now, tick)
    with mail_server() as (handler, port):
        assert mails.send(port) == 0
        mails.index.clock.move(seconds=60)
        assert mails.send(port) == 3
    assert len(mails.rows()) == 3
    assert [row for row in mails.rows() if row.reporter_id == reporter]
    assert len(handler.got) == 3


def test_who_left_is_not_mailed_but_who_stands_in(mails: MailPost) -> None:
    """R34, R36: as the inbox does. A municipality's own address goes before its case supervisors."""
    index = mails.index
    mails.address(index.coordinators[SCHOOL], "coordinator@example.org", "coordinator")
    mails.address(index.officers[CLINIC], "officer@example.org", "named_officer")
    mails.change("UPDATE municipality SET email = 'samen@example.org' WHERE code = :code", code=WESTERVELD)
    index.place(0, SCHOOL)
    index.place(0, CLINIC, shielded=True)
    index.match()
    mails.change("UPDATE reporter SET designated_until = '2026-11-21' WHERE id = :id", id=index.reporters[SCHOOL][0])
    with mail_server() as (handler, port):
        mails.send(port)
    assert sorted(to for got in handler.got for to in got.to) == [
        "coordinator@example.org",
        "officer@example.org",
        "samen@example.org",
    ]


def test_who_left_after_a_first_try_is_not_mailed_but_who_stands_in(mails: MailPost) -> None:
    """The address is looked up at each try. Where nobody stands in, nobody is mailed."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    mails.address(reporter, "gone@example.org")
    mails.address(index.coordinators[SCHOOL], "coordinator@example.org", "coordinator")
    mails.want(reporter)
    with mail_server(Taking({"gone@example.org": "451 not now"})) as (handler, port):
        assert mails.send(port) == 0
        mails.change("UPDATE reporter SET designated_until = '2026-11-21' WHERE id = :id", id=reporter)
        index.clock.move(hours=1)
        assert mails.send(port) == 1
        assert [got.to for got in handler.got] == [["coordinator@example.org"]]
        mails.change("UPDATE coordinator SET last_day = '2026-11-21'")
        mails.want(reporter)
        assert mails.send(port) == 0
    assert index.database.scalar("SELECT count(*) FROM mail_wanted") == 0


def test_two_workers_at_once_send_each_mail_once(mails: MailPost) -> None:
    """Seen failing (24 mails for nine people) when a claim passed over neither locked nor leased rows."""
    reporters = [one for of in mails.index.reporters.values() for one in of]
    for number, reporter in enumerate(reporters):
        mails.address(reporter, f"reporter{number}@example.org")
    mails.want(*reporters)
    with mail_server() as (handler, port):
        mailers = [mails.mailer(port) for _ in range(3)]
        threads = [threading.Thread(target=mailer.send_due) for mailer in mailers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(to for got in handler.got for to in got.to) == [f"reporter{n}@example.org" for n in range(9)]


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from pydantic import SecretStr
from verwijsindex.database import engine
from verwijsindex.notices import mail_outcomes
from verwijsindex.notices.mail_form import Form
from verwijsindex.notices.mail_server import MailServer
from verwijsindex.notices.mailer import Mailer
from verwijsindex.pseudonyms.sealing import IndexKeys

url, keys, port, now = sys.argv[1:]
mail_outcomes.sent = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
form = Form(IndexKeys.load(Path(keys)), "https://index.example", "https://console.example/", "vi@index.example")
server = MailServer("127.0.0.1", int(port), sender="vi@index.example", security="none")
Mailer(engine(SecretStr(url), pool_size=2), server, form, lambda: datetime.fromisoformat(now)).send_due()
"""


def test_killed_after_the_server_took_it_and_before_the_commit_it_goes_again_with_the_same_id(mails: MailPost) -> None:
    """A process that is killed with -9 at that place. Not before its lease has run out, and not a third time."""
    index = mails.index
    mails.want(index.reporters[SCHOOL][0])
    url = index.database.urls["verwijsindex_worker"].get_secret_value()
    with mail_server() as (handler, port):
        command = [sys.executable, "-c", KILLED, url, str(index.folder), str(port), index.clock().isoformat()]
        assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
        assert len(handler.got) == 1
        assert mails.send(port) == 0
        index.clock.move(seconds=LEASE.total_seconds() + 1)
        assert mails.send(port) == 1
        assert mails.send(port) == 0
    assert len({got.message["Message-ID"] for got in handler.got}) == 1
    assert len(handler.got) == 2
    assert CHOICE.sub("", handler.got[0].parts["text/plain"]) == CHOICE.sub("", handler.got[1].parts["text/plain"])


def test_no_mail_leaves_before_what_it_tells_is_committed(mails: MailPost) -> None:
    """The matcher tells something more to an inbox whose mail is due at that moment. Seen failing (the mail left before
    the matcher's commit, and no other would have come) with ON CONFLICT DO NOTHING."""
    index, reporter = mails.index, mails.index.reporters[SCHOOL][0]
    mails.want(reporter)
    [notice] = [row[0] for row in index.database.rows("SELECT id FROM notice")]
    with mail_server() as (_, port):
        with index.database.engine("worker").begin() as matcher:
            want_mail(matcher, [notice], index.clock(), index.clock())
            assert mails.send(port) == 0
        assert mails.send(port) == 1


def test_after_an_outage_everybody_gets_one_mail(mails: MailPost) -> None:
    """However much was told meanwhile: what waits is one mail for each person. Seen failing (15 mails for three people)
    when a new one left the one that waited."""
    reporters = [mails.index.reporters[oin][0] for oin in (SCHOOL, CLINIC, POLICE)]
    for number, reporter in enumerate(reporters):
        mails.address(reporter, f"reporter{number}@example.org")
    refusing = Taking({f"reporter{n}@example.org": "451 the disk is full" for n in range(3)})
    with mail_server(refusing) as (_, port):
        for _ in range(5):
            mails.want(*reporters)
            assert mails.send(port) == 0
            mails.index.clock.move(minutes=1)
        assert len(mails.rows()) == 3
        refusing.answers.clear()
        mails.index.clock.move(hours=11)
        assert mails.send(port) == 3


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # of TLS from the start it does not know
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_server_is_verified_and_told_who_asks(
    mails: MailPost, tmp_path: Path, logged: Logged, security: str
) -> None:
    """With TLS asked for, or from the start; one that has a certificate of others, or offers no TLS, gets nothing."""
    import ssl  # noqa: PLC0415 (for this test alone)

    from aiosmtpd.smtp import AuthResult, LoginPassword  # noqa: PLC0415

    authority = Authority(tmp_path, "Mail CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate())
    logins: list[LoginPassword] = []

    def authenticate(*asked: object) -> AuthResult:
        logins.append(asked[-1])  # type: ignore[arg-type]
        return AuthResult(success=True)

    tls: dict[str, Any] = (
        {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    )
    asks: dict[str, Any] = {
        "authenticator": authenticate,
        "auth_required": True,
        "auth_require_tls": security == "starttls",
    }
    known: dict[str, Any] = {"security": security, "login": ("index", "hunter2"), "trust": trust(authority.file)}
    mails.want(mails.index.reporters[SCHOOL][0])
    with mail_server(**tls, **asks) as (handler, port):
        assert mails.send(port, **known | {"trust": None}) == 0
        mails.index.clock.move(minutes=1)
        assert mails.send(port, **known) == 1
    assert len(handler.got) == 1
    assert (logins[-1].login, logins[-1].password) == (b"index", b"hunter2")
    mails.want(mails.index.reporters[SCHOOL][0])
    with mail_server() as (plain, port):
        assert mails.send(port, **known) == 0
    assert plain.got == []
    assert "hunter2" not in logged.text


def test_more_mail_than_one_connection_carries(mails: MailPost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verwijsindex.notices.mail_server._BY_ONE_CONNECTION", 2)
    mails.want(*(one for of in mails.index.reporters.values() for one in of))
    with mail_server() as (handler, port):
        assert mails.send(port) == 9
    assert len(handler.got) == 9


def test_sent_mail_is_forgotten_and_refused_mail_is_not(mails: MailPost) -> None:
    from verwijsindex.notices.upkeep import MAIL_KEPT, tidy  # noqa: PLC0415 (for this test alone)

    index = mails.index
    mails.address(index.reporters[CLINIC][0], "nobody@example.org")
    mails.want(index.reporters[SCHOOL][0], index.reporters[CLINIC][0])
    with mail_server(Taking({"nobody@example.org": "550 nobody"})) as (_, port):
        mails.send(port)
    for moved, left in ((timedelta(0), 2), (MAIL_KEPT + timedelta(seconds=1), 1)):
        with index.database.engine("worker").begin() as connection:
            tidy(connection, index.clock() + moved)
        assert len(mails.rows()) == left


def test_how_many_offices_are_refused(mails: MailPost) -> None:
    index = mails.index
    mails.address(index.supervisors[WESTERVELD], "nobody@example.org", "case_supervisor")
    mails.address(index.reporters[SCHOOL][0], "nobody@example.org")
    mails.tell()
    with mail_server(Taking({"nobody@example.org": "550 nobody"})) as (_, port):
        mails.send(port)
    with index.database.engine("worker").begin() as connection:
        assert mail_outcomes.refused_offices(connection) == 1
    with index.database.engine("registrar").begin() as connection:
        shown = connection.execute(sa.text("SELECT * FROM refused_mail_of_offices()")).one()
    assert (shown.recipient, shown.person_id, shown.municipality_code, shown.outcome) == (
        "case_supervisor",
        index.supervisors[WESTERVELD],
        WESTERVELD,
        "550",
    )
