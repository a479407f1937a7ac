# SPDX-License-Identifier: EUPL-1.2
"""A client's own webhook subscription: make, change, challenge anew, rotate its secret, replay, delete (I3, I8).

Every statement names the subscription by its id alone: row-level security lets the caller's own through and no other.
An act first locks the subscription's row, so that two acts come one after the other, and a deliverer that comes
between is seen. Nothing that waits is lost by any of them but by deleting, which says how much.
"""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from verwijsindex.notices.subscription_schemas import ReplayIn, SubscriptionMade, SubscriptionOut
from verwijsindex.problems import INSTITUTION_NOT_REGISTERED, NOT_FOUND, SUBSCRIPTION_EXISTS, Problem
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeys

CHALLENGE_LASTS = timedelta(hours=24)
"""How long a challenge is tried before the subscription has failed (P)."""
REPLAY_REACHES = timedelta(days=30)
"""How far back a replay may ask (P)."""

# Two creates of one client: the second waits for the first and then does nothing.
_CREATE = text(
    """
    INSERT INTO subscription (id, client_id, oin, address, key_version, secret_sealed, created_at, state,
                              challenge_id, challenge_due_at, challenge_until)
    VALUES (:id, :client_id, :oin, :address, :key_version, :secret, :now, 'pending', :challenge, :now, :until)
    ON CONFLICT (client_id) DO NOTHING
    """
)
_REGISTERED = text("SELECT EXISTS (SELECT FROM institution WHERE oin = :oin)")
_SELECT = """
    SELECT s.*, w.waiting, w.dead_letters FROM subscription s CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE due_at < 'infinity') AS waiting,
               count(*) FILTER (WHERE due_at = 'infinity') AS dead_letters
        FROM delivery d WHERE d.client_id = s.client_id AND d.delivered_at IS NULL) w
    """
_LIST = text(_SELECT)
_READ = text(f"{_SELECT} WHERE s.id = :id")
# Weaker than FOR UPDATE: a replay or a deletion of very much takes seconds, and the matcher, which needs the row to be
# there and no more, does not wait for it with everybody's matches (`service`).
_LOCK = text("SELECT * FROM subscription WHERE id = :id FOR NO KEY UPDATE")
_CHANGE = text(
    """
    UPDATE subscription SET address = :address, state = :state, failures = 0, rests_until = NULL,
        challenge_id = :challenge, challenge_attempts = 0, challenge_due_at = :due, challenge_until = :until
    WHERE id = :id
    """
)
_ROTATE = text(
    """
    UPDATE subscription SET previous_key_version = key_version, previous_secret_sealed = secret_sealed,
        previous_until = :until, key_version = :key_version, secret_sealed = :secret,
        secret_number = secret_number + 1
    WHERE id = :id
    """
)
# What is much goes first, under the weak lock and in the order of `upkeep`; the foreign keys take along the rest: what
# came meanwhile, and what is on the way, whose deliverer writes back under a lock that the last step waits for.
_DISCARD_ATTEMPTS = text("DELETE FROM attempt WHERE client_id = :client_id")
_DISCARD_DELIVERIES = text("DELETE FROM delivery WHERE client_id = :client_id AND leased_until IS NULL")
_DELETE = text("DELETE FROM subscription WHERE id = :id")
# What was taken goes out again with its own id, and what waits is tried at once, dead letters too; what is on the way
# at this moment is left to its lease. Its attempts count from none again, so that its pauses do as well.
_REPLAY = text(
    """
    UPDATE delivery SET due_at = :now, attempts = 0, delivered_at = NULL
    WHERE client_id = :client_id AND (id = :delivery OR delivered_at >= :since OR (:all AND delivered_at IS NULL))
      AND (leased_until IS NULL OR leased_until <= :now)
    """
)
_DELIVERY = text("SELECT EXISTS (SELECT FROM delivery WHERE id = :delivery)")
_WAKE = text("UPDATE subscription SET failures = 0, rests_until = NULL WHERE id = :id")


def create(
    connection: Connection, key: IndexKey, client_id: str, oin: str, address: str, now: datetime
) -> SubscriptionMade:
    """A new subscription, pending until its receiver answers the challenge, with its secret.

    Raises Problem: 409 when the client has one, 403 for an institution that is not registered.
    """
    if not connection.execute(_REGISTERED, {"oin": oin}).scalar_one():
        raise Problem(INSTITUTION_NOT_REGISTERED)
    subscription, secret = uuid4(), secrets.token_bytes(32)
    values = {
        "id": subscription,
        "client_id": client_id,
        "oin": oin,
        "address": address,
        "key_version": key.version,
        "secret": key.seal("webhook-secret", client_id.encode(), secret),
        "now": now,
        "challenge": uuid4(),
        "until": now + CHALLENGE_LASTS,
    }
    if not connection.execute(_CREATE, values).rowcount:
        raise Problem(SUBSCRIPTION_EXISTS)
    return _made(connection, subscription, secret)


def every(connection: Connection) -> list[SubscriptionOut]:
    """The client's subscriptions: none or one."""
    return [_out(row) for row in connection.execute(_LIST)]


def read(connection: Connection, subscription: UUID) -> SubscriptionOut:
    """One of them. Raises Problem 404, for another client's as for none."""
    row = connection.execute(_READ, {"id": subscription}).first()
    if row is None:
        raise Problem(NOT_FOUND)
    return _out(row)


def change(
    connection: Connection, subscription: UUID, address: str | None, paused: bool | None, now: datetime
) -> SubscriptionOut:
    """Set the address, pause, or go on (`paused` False). An address that no challenge has confirmed makes it pending,
    with a new challenge; what is on the way to the old address at this moment still arrives there. Raises Problem 404.
    """
    row = _lock(connection, subscription)
    address = address or row.address
    paused = row.state == "paused" if paused is None else paused
    if address == row.address and paused == (row.state == "paused") and row.state != "failed":
        return read(connection, subscription)
    confirmed = address == row.confirmed_address
    _set(connection, subscription, address, "paused" if paused else "active" if confirmed else "pending", now)
    return read(connection, subscription)


def challenge_anew(connection: Connection, subscription: UUID, now: datetime) -> SubscriptionOut:
    """A new challenge for a pending or failed subscription, at once; of another nothing changes. Raises Problem 404."""
    row = _lock(connection, subscription)
    if row.state in {"pending", "failed"}:
        _set(connection, subscription, row.address, "pending", now)
    return read(connection, subscription)


def rotate(
    connection: Connection, key: IndexKey, subscription: UUID, now: datetime, overlap: timedelta
) -> SubscriptionMade:
    """A new secret; the one before goes on signing beside it for `overlap`, and one before that no more. Raises
    Problem 404."""
    row = _lock(connection, subscription)
    secret = secrets.token_bytes(32)
    sealed = key.seal("webhook-secret", row.client_id.encode(), secret)
    values = {"id": subscription, "until": now + overlap, "key_version": key.version, "secret": sealed}
    connection.execute(_ROTATE, values)
    return _made(connection, subscription, secret)


def delete(connection: Connection, subscription: UUID) -> int:
    """End it; its deliveries and attempts go with it, and no notice of any inbox. How many were never taken. Raises
    Problem 404."""
    row = _lock(connection, subscription)
    found = read(connection, subscription)
    connection.execute(_DISCARD_ATTEMPTS, {"client_id": row.client_id})
    connection.execute(_DISCARD_DELIVERIES, {"client_id": row.client_id})
    connection.execute(_DELETE, {"id": subscription})
    return found.waiting + found.dead_letters


def replay(connection: Connection, subscription: UUID, what: ReplayIn, now: datetime) -> int:
    """Send again what was taken since a moment, what waits and what is a dead letter, or one delivery; how many. Raises
    Problem 404, for another client's delivery as for none."""
    row = _lock(connection, subscription)
    if what.delivery and not connection.execute(_DELIVERY, {"delivery": what.delivery}).scalar_one():
        raise Problem(NOT_FOUND)
    values = {
        "client_id": row.client_id,
        "delivery": what.delivery,
        "since": what.since,
        "all": what.since is not None,
        "now": now,
    }
    connection.execute(_WAKE, {"id": subscription})
    return connection.execute(_REPLAY, values).rowcount


def current_secret(connection: Connection, keys: IndexKeys, subscription: UUID, number: int) -> str | None:
    """The secret, if it still is the one of this number: for the repeat of the request that made it."""
    row = connection.execute(_READ, {"id": subscription}).first()
    key = keys.get(row.key_version) if row else None
    if row is None or key is None or row.secret_number != number:
        return None
    return _written(key.open("webhook-secret", row.client_id.encode(), row.secret_sealed))


def _lock(connection: Connection, subscription: UUID) -> Row[Any]:
    row = connection.execute(_LOCK, {"id": subscription}).first()
    if row is None:
        raise Problem(NOT_FOUND)
    return row


def _set(connection: Connection, subscription: UUID, address: str, state: str, now: datetime) -> None:
    pending = state == "pending"
    values = {
        "id": subscription,
        "address": address,
        "state": state,
        "challenge": uuid4() if pending else None,
        "due": now if pending else None,
        "until": now + CHALLENGE_LASTS if pending else None,
    }
    connection.execute(_CHANGE, values)


def _out(row: Row[Any]) -> SubscriptionOut:
    return SubscriptionOut(
        id=row.id,
        address=row.address,
        state=row.state,
        created_at=row.created_at,
        gone_at=row.gone_at if row.state == "failed" else None,
        waiting=row.waiting,
        dead_letters=row.dead_letters,
        rests_until=row.rests_until,
        challenge_ends_at=row.challenge_until,
        previous_secret_ends_at=row.previous_until,
    )


def _made(connection: Connection, subscription: UUID, secret: bytes) -> SubscriptionMade:
    return SubscriptionMade(**read(connection, subscription).model_dump(), secret=_written(secret))


def _written(secret: bytes) -> str:
    """In the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secret).decode()
