# SPDX-License-Identifier: EUPL-1.2
"""Sending mail: at least once, each with one Message-ID; a server that hangs slows mail and nothing else (I3, R12).

Before the server said yes nothing is told of a mail; when it is killed after that and before the commit, the mail goes
again. Neither an address nor a word of the server gets into a log (I5).
"""

import threading
import time
from typing import Any

from sqlalchemy import Engine, Row

from verwijsindex import metrics
from verwijsindex.database import transaction
from verwijsindex.logs import MAIL_NOT_TAKEN, MAIL_REFUSED, MAIL_SERVER_TROUBLE, log
from verwijsindex.notices import mail_outcomes
from verwijsindex.notices.mail_form import Form, NoAddressError, deliverable, message
from verwijsindex.notices.mail_server import Handed, MailServer
from verwijsindex.settings import Clock
from verwijsindex.signals.dates import amsterdam_date

LONGEST_REST = 300
"""Seconds. After trouble with the server it is left alone for two, then four, eight..., and at most this long."""


class Mailer:
    """Sends what is due, in a thread of its own, so that whoever calls `turn` has its own work done.

    Args:
        pool: of the worker role.
    """

    def __init__(self, pool: Engine, server: MailServer, form: Form, clock: Clock) -> None:
        self._pool, self._server, self._form, self._clock = pool, server, form, clock
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._troubles = 0
        self._rests_until = 0.0

    def turn(self) -> None:
        """Begin to send what is due, unless that goes on already or the server is left alone for now."""
        if time.monotonic() < self._rests_until or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self.send_due, name="mail", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Begin no other mail, and wait so long for the one that is on the way."""
        self._stopping = True
        if self._thread:
            self._thread.join(seconds)

    def send_due(self) -> int:
        """Send what is due until there is no more, or trouble with the server; how many mails the server took."""
        taken = 0
        try:
            self._spread()
            while not self._stopping and (mail := self._claim()):
                handed = self._send(mail)
                if handed is None:
                    self._spread()
                    continue
                self._write_back(mail, handed)
                metrics.MAILS.labels(handed.how).inc()
                taken += handed.how == "taken"
                if handed.how == "trouble":
                    self._rest(handed.outcome)
                    return taken
                self._troubles = 0
        finally:
            self._server.close()
        return taken

    def _spread(self) -> None:
        more = True
        while more:
            now = self._clock()
            with transaction(self._pool) as connection:
                more = mail_outcomes.spread(connection, now, amsterdam_date(now))

    def _claim(self) -> Row[Any] | None:
        with transaction(self._pool, durable=False) as connection:
            return mail_outcomes.claim(connection, self._clock())

    def _send(self, mail: Row[Any]) -> Handed | None:
        """None where there is nobody any more at whose address it was."""
        now = self._clock()
        with transaction(self._pool) as connection:
            address = mail_outcomes.address_of(connection, mail, now, amsterdam_date(now))
        if address is None:
            return None
        try:
            to = deliverable(address)
            made = message(self._form, mail, to)
        except NoAddressError:
            return Handed("refused", "no address")
        except Exception as error:  # one that cannot be made stands in no other's way: no index key is here, above all
            return Handed("later", type(error).__name__)
        return self._server.hand_over(made, to)

    def _write_back(self, mail: Row[Any], handed: Handed) -> None:
        now = self._clock()
        with transaction(self._pool) as connection:
            if handed.how == "taken":
                mail_outcomes.sent(connection, mail, now)
            elif handed.how == "refused":
                mail_outcomes.refused(connection, mail, handed.outcome, now)
            else:
                mail_outcomes.later(connection, mail, handed.outcome, now)
        if handed.how == "refused":
            log(MAIL_REFUSED, mail=mail.id, outcome=handed.outcome)
        elif handed.how != "taken":
            log(MAIL_NOT_TAKEN, mail=mail.id, outcome=handed.outcome)

    def _rest(self, outcome: str) -> None:
        self._troubles += 1
        self._rests_until = time.monotonic() + min(2**self._troubles, LONGEST_REST)
        log(MAIL_SERVER_TROUBLE, outcome=outcome)
