# SPDX-License-Identifier: EUPL-1.2
"""What a POST asks is done once: a repeat with the same idempotency key waits and gets the first answer, and a key that
was used for something else is refused (docs/protocol.md). Kept for seven days, as with signals.

Registering signals has its own way, in the one statement of intake.
"""

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import Connection, text

from verwijsindex.problems import IDEMPOTENCY_KEY_REUSED, Problem
from verwijsindex.pseudonyms.bsn import hides_bsn
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.written import Written

KEPT = timedelta(days=7)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _hides_no_bsn(key: str) -> str:
    if hides_bsn(key) and not _UUID.fullmatch(key):
        raise ValueError(
            "a run of eight or nine digits in it passes the 11-test, as a BSN does: use a UUID, or make it anew"
        )
    return key


KeyText = Annotated[
    str,
    Field(
        description="New for each new signal, a UUID for instance. One in which a BSN may hide is refused.",
    ),
    Written(r"^[A-Za-z0-9_-]{1,64}$", "1 to 64 letters, digits, hyphens and underscores, such as a UUID"),
    AfterValidator(_hides_no_bsn),
]
"""An idempotency key: the sender's own name of one request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON of an answer. `is_repeat` says that it was given before."""

    status: int
    body: dict[str, Any]
    is_repeat: bool = False

    @classmethod
    def of(cls, status: int, body: BaseModel) -> "Answer":
        """With the body written as the API writes it."""
        return cls(status, json.loads(body.model_dump_json(by_alias=True, exclude_none=True)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: who asks, its idempotency key, and `content`: all that a repeat must have in common."""

    caller: str
    key: str
    content: bytes
    now: datetime


class Requests:
    """A table of requests that were done, by who asked and by key."""

    def __init__(self, table: str, caller: str) -> None:
        """`table` and the name of its column for who asked: constants, never anything that came in."""
        mine = f"WHERE {caller} = :caller AND key = :key"
        # Waits for another transaction that holds the same key, and then does nothing: the row is read after that.
        self._claim = text(
            f"INSERT INTO {table} ({caller}, key, key_version, fingerprint, received_at)"  # noqa: S608
            " VALUES (:caller, :key, :key_version, :fingerprint, :now) ON CONFLICT DO NOTHING"
        )
        self._first = text(f"SELECT key_version, fingerprint, status, answer FROM {table} {mine}")  # noqa: S608
        self._keep = text(f"UPDATE {table} SET status = :status, answer = :answer {mine}")  # noqa: S608
        self._forget = text(
            f"DELETE FROM {table} WHERE ({caller}, key) IN (SELECT {caller}, key FROM {table}"  # noqa: S608
            f" WHERE received_at < :before ORDER BY received_at, {caller}, key LIMIT 5000)"
        )

    def once(self, connection: Connection, keys: IndexKeys, asked: Asked, do: Callable[[], Answer]) -> Answer:
        """The answer of `do`, done in this transaction, or the first answer if this is a repeat.

        Raises:
            Problem: 422 for a key that was used for another request; what `do` raises leaves no record.
        """
        row: dict[str, Any] = {"caller": asked.caller, "key": asked.key}
        record = f"{asked.caller}\0{asked.key}\0".encode() + asked.content
        current = keys.current
        claim = {
            "key_version": current.version,
            "fingerprint": current.fingerprint("body", record),
            "now": asked.now,
        }
        if connection.execute(self._claim, row | claim).rowcount:
            made = do()
            connection.execute(self._keep, row | {"status": made.status, "answer": json.dumps(made.body)})
            return made
        first = connection.execute(self._first, row).one()
        compared = keys.get(first.key_version)  # once the index key has turned and is gone, nothing can be compared
        if compared and not hmac.compare_digest(first.fingerprint, compared.fingerprint("body", record)):
            raise Problem(IDEMPOTENCY_KEY_REUSED)
        return Answer(first.status, json.loads(first.answer), is_repeat=True)

    def forget_old(self, connection: Connection, now: datetime) -> int:
        """Delete what is older than KEPT, at most 5000 at a time; how many. Right when two run at once."""
        return connection.execute(self._forget, {"before": now - KEPT}).rowcount


ACTS = Requests("act_request", "caller")
"""Acts on signals and matches."""
