# SPDX-License-Identifier: EUPL-1.2
"""A POST about a subscription is done once: a repeat with the same idempotency key waits and gets the first answer.

What a client may change in a day is limited (R37): each replay sends everything again, and each challenge goes to an
address that nobody has confirmed.

Kept for seven days, as with signals. No secret is kept here: an answer that held one gets it from the subscription, for
as long as it is the current one.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import Connection, text

from verwijsindex.notices.subscriptions import current_secret
from verwijsindex.problems import IDEMPOTENCY_KEY_REUSED, LIMIT_REACHED, Problem
from verwijsindex.pseudonyms.sealing import IndexKeys

# Waits for another transaction that holds the same key, and then does nothing: the record is read after that.
_CLAIM = text(
    "INSERT INTO subscription_request (client_id, key, key_version, fingerprint, received_at)"
    " VALUES (:client_id, :key, :key_version, :fingerprint, :now) ON CONFLICT DO NOTHING"
)
_FIRST = text(
    "SELECT key_version, fingerprint, status, answer, secret_number FROM subscription_request"
    " WHERE client_id = :client_id AND key = :key"
)
_KEEP = text(
    "UPDATE subscription_request SET status = :status, answer = :answer, secret_number ="
    " (SELECT secret_number FROM subscription WHERE id = :subscription)"
    " WHERE client_id = :client_id AND key = :key"
)
# The one that has to be older than a day before another is taken. The request's own row is the newest. Who sends some
# at once may get so many more: they do not see each other's.
_TOO_LATE = text(
    "SELECT received_at FROM subscription_request WHERE client_id = :client_id AND received_at > :since"
    " ORDER BY received_at DESC OFFSET :most LIMIT 1"
)
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON of an answer; `secret_of` names the subscription whose secret stands in it. `is_repeat` says that
    it was given before."""

    status: int
    body: dict[str, Any]
    secret_of: UUID | None = None
    is_repeat: bool = False

    @classmethod
    def of(cls, status: int, body: BaseModel, secret_of: UUID | None = None) -> "Answer":
        """With the body written as the API writes it."""
        return cls(status, json.loads(body.model_dump_json(by_alias=True, exclude_none=True)), secret_of)


def once(
    connection: Connection,
    keys: IndexKeys,
    client_id: str,
    key: str,
    request: bytes,
    now: datetime,
    most: int,
    do: Callable[[], Answer],
) -> Answer:
    """The answer of `do`, done in this transaction, or the first answer if this is a repeat.

    Args:
        request: the operation, what it is about, and its body: all that a repeat must have in common.
        most: how much the client may change in a day; a repeat counts for nothing.

    Raises:
        Problem: 422 for a key that was used for another request, 429 over the limit; what `do` raises leaves no record.
    """
    record = f"{client_id}\0{key}\0".encode() + request
    asked: dict[str, Any] = {"client_id": client_id, "key": key}
    current = keys.current
    claim = {
        "key_version": current.version,
        "fingerprint": current.fingerprint("body", record),
        "now": now,
    }
    if connection.execute(_CLAIM, asked | claim).rowcount:
        _check_limit(connection, client_id, now, most)
        made = do()
        kept = {name: value for name, value in made.body.items() if name != "secret"}
        values = {"status": made.status, "answer": json.dumps(kept), "subscription": made.secret_of}
        connection.execute(_KEEP, asked | values)
        return made
    first = connection.execute(_FIRST, asked).one()
    compared = keys.get(first.key_version)  # once the index key has turned and is gone, nothing can be compared
    if compared and not hmac.compare_digest(first.fingerprint, compared.fingerprint("body", record)):
        raise Problem(IDEMPOTENCY_KEY_REUSED)
    body: dict[str, Any] = json.loads(first.answer)
    if first.secret_number is not None:
        secret = current_secret(connection, keys, UUID(body["id"]), first.secret_number)
        body |= {"secret": secret} if secret else {}
    return Answer(first.status, body, is_repeat=True)


def count_change(connection: Connection, keys: IndexKeys, client_id: str, now: datetime, most: int) -> None:
    """One more change, by a request that has no idempotency key. Raises Problem 429 over `most` in a day."""
    row = {"client_id": client_id, "key": f"change {uuid4()}", "now": now}  # no client's own key has a space
    connection.execute(_CLAIM, row | {"key_version": keys.current.version, "fingerprint": b""})
    _check_limit(connection, client_id, now, most)


def _check_limit(connection: Connection, client_id: str, now: datetime, most: int) -> None:
    values = {"client_id": client_id, "since": now - DAY, "most": most}
    oldest = connection.execute(_TOO_LATE, values).scalar_one_or_none()
    if oldest is not None:
        seconds = max(1, ceil((oldest + DAY - now).total_seconds()))
        detail = "This client has changed its subscription too often; try again after the seconds in Retry-After."
        raise Problem(LIMIT_REACHED, detail=detail, headers={"Retry-After": str(seconds)})
