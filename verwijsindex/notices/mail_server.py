# SPDX-License-Identifier: EUPL-1.2
"""Handing mail to the operator's mail server by SMTP (RFC 5321), many by one connection.

How it went is a code of three digits or the class of an error. What the server says in words is never kept: it repeats
addresses (I5).
"""

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from verwijsindex.notices.mail_form import as_sent

SECONDS = 15
"""For each answer of the server."""
_BY_ONE_CONNECTION = 100
_GOES_AWAY = 421
"""The server ends the connection (RFC 5321, 4.2.3)."""

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Handed:
    """How handing over one mail went: `taken`; `later`, not now; `refused`, never, by what is said of its recipient or
    its content; or `trouble` with the server as a whole, whoever the mail is to."""

    how: Literal["taken", "later", "refused", "trouble"]
    outcome: str = "ok"


class _Answering(smtplib.SMTP):
    """Waits `SECONDS` for each whole answer. The timeout of a socket is one of each byte: a server that says one now
    and then, or lines without end, would keep the mailer for ever."""

    def getreply(self) -> tuple[int, bytes]:
        """As in smtplib; what has not ended in time is no answer, whatever it began with."""
        late = threading.Event()
        timer = threading.Timer(SECONDS, self._cut, [late])
        timer.start()
        try:
            answer = super().getreply()
        finally:
            timer.cancel()
        if late.is_set():
            self.close()
            raise smtplib.SMTPServerDisconnected
        return answer

    def _cut(self, late: threading.Event) -> None:
        late.set()
        if self.sock:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _AnsweringByTls(_Answering, smtplib.SMTP_SSL):
    """The same from the first byte in TLS."""


class MailServer:
    """A connection to the mail server, made when the first mail goes. For one thread.

    Args:
        security: `starttls` asks for TLS and goes on with nothing less; `tls` begins with it.
        trust: CA certificates in place of the public ones.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        security: Security,
        login: tuple[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._sender, self._security, self._login = host, port, sender, security, login
        self._trust = trust
        self._smtp: smtplib.SMTP | None = None
        self._handed = 0

    def hand_over(self, message: EmailMessage, address: str) -> Handed:
        """Hand it to the server. Never raises: what goes wrong is in the answer.

        What the server says for good (5xx) of the recipient or the content is for good; said of the connection, the
        login or the sender it is the operator's to mend, and of no recipient.

        Args:
            address: as `mail_form.deliverable` gives it.
        """
        if self._handed == _BY_ONE_CONNECTION:
            self.close()
        try:
            smtp = self._smtp = self._smtp or self._connected()
            self._handed += 1
            if not address.isascii() and not smtp.has_extn("smtputf8"):
                return Handed("refused", "SMTPUTF8")
            options = () if address.isascii() else ("SMTPUTF8",)  # RFC 6531
            smtp.sendmail(self._sender, [address], as_sent(message), options)
        except smtplib.SMTPRecipientsRefused as error:
            [(code, _)] = error.recipients.values()
            return self._said(code)
        except smtplib.SMTPDataError as error:
            return self._said(error.smtp_code)
        except smtplib.SMTPResponseException as error:
            return self._trouble(str(error.smtp_code))
        except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
            return self._trouble(type(error).__name__)
        return Handed("taken")

    def close(self) -> None:
        """Say goodbye, and let the connection go."""
        smtp, self._smtp, self._handed = self._smtp, None, 0
        if smtp:
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        named = self._sender.rpartition("@")[2]  # not this machine's own name, which is nobody's business
        context = self._trust or ssl.create_default_context()
        if self._security == "tls":
            smtp: smtplib.SMTP = _AnsweringByTls(self._host, self._port, named, timeout=SECONDS, context=context)
        else:
            smtp = _Answering(self._host, self._port, named, timeout=SECONDS)
        try:
            if self._security == "starttls":
                smtp.starttls(context=context)
            if self._login:
                smtp.login(*self._login)
            smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _said(self, code: int) -> Handed:
        if code == _GOES_AWAY:
            return self._trouble(str(code))
        return Handed("refused" if code >= 500 else "later", str(code))

    def _trouble(self, outcome: str) -> Handed:
        smtp, self._smtp, self._handed = self._smtp, None, 0
        if smtp:
            smtp.close()
        return Handed("trouble", outcome)
