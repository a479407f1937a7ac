# SPDX-License-Identifier: EUPL-1.2
"""A POST about a subscription is done once (`verwijsindex.repeating`), and its secret is told once.

What a client may change in a day is limited (R37): each replay sends everything again, and each challenge goes to an
address that nobody has confirmed.

No secret is kept here: an answer that held one gets it from the subscription, for as long as it is the current one.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from verwijsindex.notices.subscriptions import current_secret
from verwijsindex.problems import LIMIT_REACHED, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.repeating import Answer, Asked, Requests

REQUESTS = Requests("subscription_request", "client_id")
_MINE = "WHERE client_id = :client_id AND key = :key"
_TOLD = text(
    "UPDATE subscription_request SET secret_number = "  # noqa: S608 (constants)
    f"(SELECT secret_number FROM subscription WHERE id = :subscription) {_MINE}"
)
_WHICH_SECRET = text(f"SELECT secret_number FROM subscription_request {_MINE}")  # noqa: S608 (constants)
_COUNT = text(
    "INSERT INTO subscription_request (client_id, key, key_version, fingerprint, received_at)"
    " VALUES (:client_id, :key, :key_version, '', :now)"
)
# The one that has to be older than a day before another is taken. The request's own row is the newest. Who sends some
# at once may get so many more: they do not see each other's.
_TOO_LATE = text(
    "SELECT received_at FROM subscription_request WHERE client_id = :client_id AND received_at > :since"
    " ORDER BY received_at DESC OFFSET :most LIMIT 1"
)
DAY = timedelta(hours=24)


def once(connection: Connection, keys: IndexKeys, asked: Asked, most: int, do: Callable[[], Answer]) -> Answer:
    """The answer of `do`, done in this transaction, or the first answer if this is a repeat; with the secret that `do`
    told, if that is still the current one.

    Args:
        most: how much the client may change in a day; a repeat counts for nothing.

    Raises:
        Problem: 422 for a key that was used for another request, 429 over the limit; what `do` raises leaves no record.
    """
    secret: dict[str, Any] = {}
    record = {"client_id": asked.caller, "key": asked.key}

    def within_the_limit() -> Answer:
        _check_limit(connection, asked.caller, asked.now, most)
        made = do()
        secret.update({name: made.body.pop(name) for name in ("secret",) if name in made.body})
        if secret:
            connection.execute(_TOLD, record | {"subscription": made.body["id"]})
        return made

    done = REQUESTS.once(connection, keys, asked, within_the_limit)
    if done.is_repeat:
        number = connection.execute(_WHICH_SECRET, record).scalar_one()
        current = number and current_secret(connection, keys, UUID(done.body["id"]), number)
        secret = {"secret": current} if current else {}
    return Answer(done.status, done.body | secret, done.is_repeat)


def count_change(connection: Connection, keys: IndexKeys, client_id: str, now: datetime, most: int) -> None:
    """One more change, by a request that has no idempotency key. Raises Problem 429 over `most` in a day."""
    row = {"client_id": client_id, "key": f"change {uuid4()}", "now": now}  # no client's own key has a space
    connection.execute(_COUNT, row | {"key_version": keys.current.version})
    _check_limit(connection, client_id, now, most)


def _check_limit(connection: Connection, client_id: str, now: datetime, most: int) -> None:
    values = {"client_id": client_id, "since": now - DAY, "most": most}
    oldest = connection.execute(_TOO_LATE, values).scalar_one_or_none()
    if oldest is not None:
        seconds = max(1, ceil((oldest + DAY - now).total_seconds()))
        detail = "This client has changed its subscription too often; try again after the seconds in Retry-After."
        raise Problem(LIMIT_REACHED, detail=detail, headers={"Retry-After": str(seconds)})
