# SPDX-License-Identifier: EUPL-1.2
"""The mailing side in this process, a real mail server, and one that misbehaves as it is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from support import CLINIC, SCHOOL, Index

from verwijsindex.notices.mail_form import Form
from verwijsindex.notices.mail_server import MailServer
from verwijsindex.notices.mail_wanted import want_mail
from verwijsindex.notices.mailer import Mailer

SENDER = "verwijsindex@index.example"
LINK = "https://console.example/"


@dataclass
class Got:
    """A mail as the server took it."""

    to: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """As a mail program reads it."""
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def parts(self) -> dict[str, str]:
        """Its parts by type."""
        return {part.get_content_type(): part.get_content() for part in self.message.iter_parts()}


@dataclass
class Taking:
    """A handler that takes all, but for recipients with an answer of their own."""

    answers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.got.append(Got(list(envelope.rcpt_tos), envelope.content))
        return "250 OK"


@contextmanager
def mail_server(handler: Taking | None = None, **settings: Any) -> Iterator[tuple[Taking, int]]:
    """A real mail server on loopback: its handler, and its port."""
    handler = handler or Taking()
    controller = Controller(handler, hostname="127.0.0.1", port=_free_port(), **settings)
    controller.start()
    try:
        yield handler, controller.port
    finally:
        controller.stop()


def mailing_to(port: int) -> dict[str, str]:
    """The settings by which a system's processes send mail there."""
    mail = {"HOST": "127.0.0.1", "PORT": str(port), "SECURITY": "none", "SENDER": SENDER}
    return {f"VERWIJSINDEX_MAIL_{name}": value for name, value in mail.items()}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


HANG, CLOSE, DRIP, NO_END = "hang", "close", "a byte now and then", "lines without end"
USUAL = {
    "connect": "220 here",
    "EHLO": "250 here",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go on",
    ".": "250 OK",
    "RSET": "250 OK",
    "QUIT": "221 bye",
}


@contextmanager
def scripted(**at: str) -> Iterator[tuple[list[str], int]]:
    """A server that at one stage (`connect`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `body`) hangs, closes, comes to no end or
    answers so: what it was asked, and its port."""
    answers = USUAL | {"." if stage == "body" else stage: answer for stage, answer in at.items()}
    asked: list[str] = []
    released = threading.Event()

    def say(client: socket.socket, stage: str) -> bool:
        answer = answers.get(stage, "502 what?")
        if answer == HANG:
            released.wait(30)
        for _ in range(100) if answer in {DRIP, NO_END} else ():
            client.sendall(b"2" if answer == DRIP else b"250-and more\r\n")
            released.wait(0.1)
        if answer in {HANG, CLOSE, DRIP, NO_END}:
            asked.append(f"{answer}: done")
            return False
        client.sendall(answer.encode() + b"\r\n")
        return True

    def serve(client: socket.socket) -> None:
        in_data = False
        with client, client.makefile("rb") as lines, suppress(OSError):
            if not say(client, "connect"):
                return
            for line in lines:
                if in_data and line != b".\r\n":
                    continue
                stage = "." if in_data else line.split()[0].decode().upper().replace("HELO", "EHLO")
                asked.append(stage)
                in_data = stage == "DATA" and answers["DATA"].startswith("3")
                if not say(client, stage) or stage == "QUIT":
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield asked, listening.getsockname()[1]
        finally:
            released.set()


@dataclass
class MailPost:
    """Has inboxes told, and sends."""

    index: Index

    def tell(self) -> None:
        """A match of the first reporters of the school and the clinic: both, and Westerveld's supervision."""
        self.index.place(0, SCHOOL)
        self.index.place(0, CLINIC)
        self.index.match()

    def want(self, *reporters: UUID, quiet: bool = False) -> None:
        """That each of these is mailed about something, now."""
        now = self.index.clock()
        with self.index.database.superuser.begin() as connection:
            notices = [
                connection.execute(
                    sa.text(  # of no match, which takes an archived signal, which nothing looks for
                        "INSERT INTO notice (id, kind, archived_signal_id, change, reporter_id, placed_at, quiet)"
                        " VALUES (gen_random_uuid(), 'archive', gen_random_uuid(), 0, :reporter, :now, :quiet)"
                        " RETURNING id"
                    ),
                    {"reporter": one, "now": now, "quiet": quiet},
                ).scalar_one()
                for one in reporters
            ]
        with self.index.database.engine("worker").begin() as connection:
            want_mail(connection, notices, now, now)

    def address(self, person: UUID, address: str, table: str = "reporter") -> None:
        """As superuser, past every rule."""
        self.change(f"UPDATE {table} SET email = :address WHERE id = :id", address=address, id=person)

    def change(self, statement: str, **values: object) -> None:
        """As superuser, past every rule."""
        with self.index.database.superuser.begin() as connection:
            connection.execute(sa.text(statement), values)

    def mailer(self, port: int, **changes: Any) -> Mailer:
        """One as a worker has."""
        settings: dict[str, Any] = {"sender": SENDER, "security": "none"} | changes
        keys = self.index.app.extensions["index_keys"]
        form = Form(keys, "https://index.example", LINK, SENDER)
        server = MailServer("127.0.0.1", port, **settings)
        return Mailer(self.index.database.engine("worker"), server, form, self.index.clock)

    def send(self, port: int, **changes: Any) -> int:
        """Send what is due; how many the server took."""
        return self.mailer(port, **changes).send_due()

    def rows(self) -> list[Any]:
        """All mail, as it is stored."""
        return self.index.database.rows("SELECT * FROM mail ORDER BY id")
