# SPDX-License-Identifier: EUPL-1.2
"""Delivering webhooks: at least once, each with one id, never dropped (I3, R12).

A delivery is claimed with SKIP LOCKED and a lease, in a transaction of its own; nothing is locked while HTTP goes
on. A worker that dies leaves a lease that runs out; a try takes far less than a lease (`posting`). What a receiver
gets is of one type and size and says only that an inbox of its institution has something new (R33).
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text
from standardwebhooks import Webhook

from verwijsindex import metrics
from verwijsindex.database import transaction
from verwijsindex.logs import DELIVERY_NOT_TAKEN, log
from verwijsindex.notices.posting import Poster
from verwijsindex.pseudonyms.sealing import IndexKeys, SealError
from verwijsindex.settings import Clock
from verwijsindex.web import API_PREFIX

AT_ONCE = 32  # threads
CLAIMED = 8  # by one statement: so many of one receiver go at once before another gets its turn
TURN = 5.0  # seconds after which a run begins no more tries, so that the worker's other tasks get theirs
LEASE = timedelta(minutes=2)
EVENT_TYPE = "nl.verwijsindex.inbox-changed"
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))

_CLAIM = text(
    """
    WITH due AS (
        SELECT id FROM delivery
        WHERE delivered_at IS NULL AND due_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
          AND client_id <> ALL(:busy) AND client_id IN (SELECT client_id FROM subscription WHERE state = 'active')
        ORDER BY due_at LIMIT :size FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery d SET leased_until = :lease, attempts = d.attempts + 1
    FROM due, subscription s, notice n
    WHERE d.id = due.id AND s.client_id = d.client_id AND n.id = d.notice_id
    RETURNING d.id, d.attempts, s.client_id, s.address, s.key_version, s.secret_sealed, n.reporter_id, n.placed_at
    """
)
# Only the holder of the lease writes back: who came too late has lost it to another.
_WRITE_BACK = text(
    """
    UPDATE delivery d SET leased_until = NULL, last_outcome = r.outcome, delivered_at = r.delivered_at,
           due_at = r.due_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:outcomes AS text[]),
                CAST(:delivered AS timestamptz[]), CAST(:due AS timestamptz[]))
         AS r (id, attempts, outcome, delivered_at, due_at)
    WHERE d.id = r.id AND d.attempts = r.attempts AND d.delivered_at IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class Sender:
    """What a worker needs to deliver: keys, addresses, and whether plain http is allowed (the demo only)."""

    keys: IndexKeys
    base_url: str
    operator_oin: str
    timeout: float  # seconds, for one try in all
    allow_plain_http: bool


@dataclass(frozen=True, slots=True)
class Result:
    """How one try ended."""

    id: UUID
    attempts: int
    outcome: str
    delivered: bool


def deliver_due(pool: Engine, sender: Sender, clock: Clock) -> int:
    """Try what is due, slow receivers beside quick ones; how many tries there were (0: nothing is due).

    A result is written back as it comes. A receiver with CLAIMED tries on the way gets no more until one ends.

    Args:
        pool: of the worker role.
    """
    ends_at = time.monotonic() + TURN
    tried = 0
    on_the_way: dict[Future[Result], str] = {}
    with (
        Poster(seconds=sender.timeout, allow_plain_http=sender.allow_plain_http) as poster,
        ThreadPoolExecutor(max_workers=AT_ONCE) as threads,
    ):
        while True:
            rows = _claim(pool, clock(), on_the_way.values()) if time.monotonic() < ends_at else []
            tried += len(rows)
            on_the_way |= {threads.submit(_try, poster, sender, row, clock): row.client_id for row in rows}
            if not on_the_way:
                return tried
            if len(rows) == CLAIMED and len(on_the_way) <= AT_ONCE - CLAIMED:
                continue  # there is more, and room for it
            done, _ = wait(on_the_way, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                del on_the_way[future]
            with transaction(pool) as connection:
                _write_back(connection, [future.result() for future in done], clock())


def _claim(pool: Engine, now: datetime, receivers: Iterable[str]) -> Sequence[Row[Any]]:
    on_the_way = Counter(receivers)
    size = min(CLAIMED, AT_ONCE - on_the_way.total())
    if size <= 0:
        return []
    busy = [client for client, count in on_the_way.items() if count >= CLAIMED]
    with transaction(pool) as connection:
        return connection.execute(_CLAIM, {"now": now, "lease": now + LEASE, "size": size, "busy": busy}).all()


def _try(poster: Poster, sender: Sender, row: Row[Any], clock: Clock) -> Result:
    try:
        body = event_body(sender, row.id, row.reporter_id, row.placed_at)
        secret = sender.keys[row.key_version].open("webhook-secret", row.client_id.encode(), row.secret_sealed)
        now = clock().astimezone(UTC)
        headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/cloudevents+json",
            "webhook-id": str(row.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(str(row.id), now, body),
        }
    except (KeyError, SealError) as error:  # the index key of its secret is not here: no other delivery is to blame
        outcome = type(error).__name__
    else:
        outcome = poster.post(row.address, body.encode(), headers)
    metrics.DELIVERIES.labels(metrics.outcome_class(outcome)).inc()
    if outcome != "ok":
        log(DELIVERY_NOT_TAKEN, delivery=row.id, outcome=outcome)
    return Result(row.id, row.attempts, outcome, outcome == "ok")


def event_body(sender: Sender, delivery_id: UUID, reporter_id: UUID, at: datetime) -> str:
    """The CloudEvent (NL GOV profile) of a push: always of one size, with a link and no personal data (R12)."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(delivery_id),
            "source": f"urn:nld:oin:{sender.operator_oin}:systeem:verwijsindex",
            "type": EVENT_TYPE,
            "subject": str(reporter_id),
            "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "datacontenttype": "application/json",
            "data": {"inbox": f"{sender.base_url.rstrip('/')}{API_PREFIX}/notices"},
        },
        separators=(",", ":"),
    )


def _write_back(connection: Connection, results: Sequence[Result], now: datetime) -> None:
    connection.execute(
        _WRITE_BACK,
        {
            "ids": [r.id for r in results],
            "attempts": [r.attempts for r in results],
            "outcomes": [r.outcome for r in results],
            "delivered": [now if r.delivered else None for r in results],
            "due": [now if r.delivered else now + pause(r.attempts) for r in results],
        },
    )


def pause(attempts: int) -> timedelta:
    """How long until the next try after so many: the schedule of Standard Webhooks with up to a fifth of jitter;
    its last step repeats, since nothing is dropped."""
    return RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1] * random.uniform(1, 1.2)  # noqa: S311 (no secret)
