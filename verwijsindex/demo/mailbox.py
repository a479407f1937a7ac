# SPDX-License-Identifier: EUPL-1.2
"""A mail server as an operator would run one, which keeps what it gets: so the demo tells of mails that really came."""

import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from types import TracebackType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from verwijsindex.embedded.process import free_port

SENDER = "verwijsindex@index.example"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as the server took it."""

    to: str
    raw: bytes

    @property
    def text(self) -> str:
        """What a person reads."""
        part = message_from_bytes(self.raw, policy=policy.default).get_body(("plain",))
        return str(part.get_content()) if part else ""


class Mailbox:
    """Listens on loopback during its `with` block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: list[Mail] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def settings(self) -> dict[str, str]:
        """The settings by which the processes send mail here."""
        to = {"HOST": "127.0.0.1", "PORT": str(self._controller.port), "SECURITY": "none", "SENDER": SENDER}
        return {f"VERWIJSINDEX_MAIL_{name}": value for name, value in to.items()}

    def __enter__(self) -> "Mailbox":
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._controller.stop()

    def mails(self) -> list[Mail]:
        """All so far, in the order in which they came."""
        with self._lock:
            return list(self._mails)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        assert isinstance(envelope.content, bytes)  # noqa: S101 (unless it is told to decode)
        with self._lock:
            self._mails += [Mail(to, envelope.content) for to in envelope.rcpt_tos]
        return "250 OK"
