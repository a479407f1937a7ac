# SPDX-License-Identifier: EUPL-1.2
"""What telling leaves behind and nobody needs any more: old secrets, attempts, taken deliveries, sent mail, answers.

docs/retention.md lists what is kept for how long.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.notices.repeating import REQUESTS
from verwijsindex.notices.subscriptions import REPLAY_REACHES

ATTEMPTS_KEPT = timedelta(days=30)
"""P; what a client can ask of `attempts`."""
DELIVERIES_KEPT = REPLAY_REACHES + timedelta(days=1)
"""From when they were taken; a replay at its edge finds its rows. One that is not taken yet is kept."""

MAIL_KEPT = timedelta(days=31)
"""From when it was sent (P). One that was refused is kept as long as it says something (`mail_outcomes`)."""

_DESTROY = text(
    "UPDATE subscription SET previous_key_version = NULL, previous_secret_sealed = NULL, previous_until = NULL"
    " WHERE client_id IN (SELECT client_id FROM subscription WHERE previous_until <= :now"
    " FOR NO KEY UPDATE SKIP LOCKED) RETURNING id, client_id, oin"
)
_FORGET_ATTEMPTS = text(
    "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE at < :before ORDER BY at LIMIT 5000)"
)
# By ctid: a delivery that is sent again between the look and the delete has another, and so is left.
_FORGET_DELIVERIES = text(
    "DELETE FROM delivery WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM delivery WHERE delivered_at < :before ORDER BY delivered_at LIMIT 5000))"
)


_FORGET_MAIL = text(
    "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE sent_at < :before ORDER BY sent_at LIMIT 5000)"
)


def tidy(connection: Connection, now: datetime) -> None:
    """All of it, a bounded number of rows at a time; right when two run at once, and when it runs late."""
    destroy_old_secrets(connection, now)
    forget_old_attempts(connection, now)
    forget_old_deliveries(connection, now)
    forget_sent_mail(connection, now)
    REQUESTS.forget_old(connection, now)


def destroy_old_secrets(connection: Connection, now: datetime) -> None:
    """Those that were rotated and whose time is over; signing has stopped by itself (`signing.signed`)."""
    gone = [
        events.Event(
            events.SUBSCRIPTION_CHANGED,
            now,
            events.DELIVERER,
            says={
                "change": "old secret destroyed",
                "subscriptionId": str(row.id),
                "subscriber": row.client_id,
                "subscribingInstitution": row.oin,
            },
        )
        for row in connection.execute(_DESTROY, {"now": now})
    ]
    events.append(connection, gone)


def forget_old_attempts(connection: Connection, now: datetime) -> int:
    """Attempts older than ATTEMPTS_KEPT, at most 5000 at a time; how many."""
    return connection.execute(_FORGET_ATTEMPTS, {"before": now - ATTEMPTS_KEPT}).rowcount


def forget_old_deliveries(connection: Connection, now: datetime) -> int:
    """Deliveries that were taken longer ago than DELIVERIES_KEPT, at most 5000 at a time; how many."""
    return connection.execute(_FORGET_DELIVERIES, {"before": now - DELIVERIES_KEPT}).rowcount


def forget_sent_mail(connection: Connection, now: datetime) -> int:
    """Mail that was sent longer ago than MAIL_KEPT, at most 5000 at a time; how many."""
    return connection.execute(_FORGET_MAIL, {"before": now - MAIL_KEPT}).rowcount
