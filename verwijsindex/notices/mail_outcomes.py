# SPDX-License-Identifier: EUPL-1.2
"""Claiming a mail that is due and writing back how it went (I3), as for webhooks (`outcomes`).

Claimed one by one with SKIP LOCKED and a lease, each in a transaction of its own: nothing is locked while SMTP goes on.
Who is killed between the server's yes and the commit leaves a lease that runs out, and the mail goes again, with the
same Message-ID.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.notices.schedule import pause

LEASE = timedelta(minutes=10)
"""Longer than one mail can take: each step of SMTP has fifteen seconds for each of its answers."""
_SPREAD_AT_ONCE = 500
OFFICES = ("named_officer", "case_supervisor", "municipality")
"""Of whom no coordinator is told that their mail is refused, but the administrator."""

_SPREAD = text("SELECT spread_mail(:now, :today, :size)")
_CLAIM = text(
    """
    WITH due AS (
        SELECT id FROM mail WHERE sent_at IS NULL AND refused_at IS NULL AND due_at <= :now
          AND (leased_until IS NULL OR leased_until <= :now)
        ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE mail m SET leased_until = :lease, attempts = m.attempts + 1 FROM due WHERE m.id = due.id
    RETURNING m.id, m.reporter_id, m.municipality_code, m.officer_oin, m.coordinator_oin, m.digest, m.made_at,
              m.attempts, m.leased_until
    """
)
_ADDRESS = text("SELECT mail_address(:id, :today)")
# Who has the address no more left since: the inbox is mailed about anew, to who reads it now; to nobody if nobody does.
_BACK = text(
    """
    WITH gone AS (DELETE FROM mail WHERE id = :id AND leased_until = :lease RETURNING *)
    INSERT INTO mail_wanted (id, reporter_id, municipality_code, officer_oin, coordinator_oin, digest, due_at)
    SELECT uuidv7(), reporter_id, municipality_code, officer_oin, coordinator_oin, digest, :now FROM gone
    ON CONFLICT (reporter_id, municipality_code, officer_oin, coordinator_oin, digest)
        DO UPDATE SET due_at = least(mail_wanted.due_at, excluded.due_at)
    """
)
# Only the holder of the lease writes back: who came too late has lost it to another.
_LATER = text(
    "UPDATE mail SET leased_until = NULL, due_at = :due_at, last_outcome = :outcome"
    " WHERE id = :id AND leased_until = :lease"
)
# That an earlier one was refused says nothing any more once a later one came through, or was refused as well.
_ENDED = text(
    """
    WITH ended AS (
        UPDATE mail SET leased_until = NULL, last_outcome = :outcome, sent_at = :sent_at, refused_at = :refused_at
        WHERE id = :id AND leased_until = :lease RETURNING *
    )
    DELETE FROM mail m USING ended e
    WHERE m.refused_at IS NOT NULL AND m.id <> e.id AND m.recipient = e.recipient
      AND m.person_id IS NOT DISTINCT FROM e.person_id AND m.municipality_code IS NOT DISTINCT FROM e.municipality_code
    """
)
_REFUSED = text("SELECT count(*) FROM mail WHERE refused_at IS NOT NULL AND recipient = ANY(:offices)")


def spread(connection: Connection, now: datetime, today: date) -> bool:
    """Make of what is due one mail for each person; whether there may be more."""
    asked = {"now": now, "today": today, "size": _SPREAD_AT_ONCE}
    return bool(connection.execute(_SPREAD, asked).scalar_one() == _SPREAD_AT_ONCE)


def claim(connection: Connection, now: datetime) -> Row[Any] | None:
    """The mail that is due longest, leased to the caller; None when none is."""
    return connection.execute(_CLAIM, {"now": now, "lease": now + LEASE}).one_or_none()


def address_of(connection: Connection, mail: Row[Any], now: datetime, today: date) -> str | None:
    """Where a claimed mail goes; None when its person left since, and then there is no such mail any more."""
    address: str | None = connection.execute(_ADDRESS, {"id": mail.id, "today": today}).scalar_one()
    if address is None:
        connection.execute(_BACK, {"id": mail.id, "lease": mail.leased_until, "now": now})
    return address


def later(connection: Connection, mail: Row[Any], outcome: str, now: datetime) -> None:
    """Not taken; it is tried again (`schedule.pause`). `outcome`: a code or a word, never what a server said."""
    due_at = now + pause(mail.attempts)
    _write(connection, _LATER, mail, due_at=due_at, outcome=outcome)


def sent(connection: Connection, mail: Row[Any], now: datetime) -> None:
    """The server took it."""
    _write(connection, _ENDED, mail, outcome=None, sent_at=now, refused_at=None)


def refused(connection: Connection, mail: Row[Any], outcome: str, now: datetime) -> None:
    """The server says that it never will: that is shown until one comes through or the address is another one."""
    _write(connection, _ENDED, mail, outcome=outcome, sent_at=None, refused_at=now)


def refused_offices(connection: Connection) -> int:
    """To how many named officers, case supervisors and municipalities mail does not come."""
    offices: Sequence[str] = list(OFFICES)
    return int(connection.execute(_REFUSED, {"offices": offices}).scalar_one())


def _write(connection: Connection, statement: Any, mail: Row[Any], **values: object) -> None:
    identity: dict[str, UUID | datetime] = {"id": mail.id, "lease": mail.leased_until}
    connection.execute(statement, identity | values)
