# SPDX-License-Identifier: EUPL-1.2
"""Delivering webhooks: at least once, each with one id, never dropped (I3, R12).

A delivery is claimed with SKIP LOCKED and a lease, in a transaction of its own; nothing is locked while HTTP goes
on. A worker that dies leaves a lease that runs out. What a receiver gets is of one type and size and says only
that an inbox of its institution has something new (R33).
"""

import json
import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Connection, Engine, Row, text
from standardwebhooks import Webhook

from verwijsindex.database import transaction
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import Clock
from verwijsindex.web import API_PREFIX

log = logging.getLogger(__name__)

BATCH = 64
AT_ONCE = 32  # threads
LEASE = timedelta(minutes=2)
EVENT_TYPE = "nl.verwijsindex.inbox-changed"
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))

_CLAIM = text(
    """
    WITH due AS (
        SELECT id FROM delivery
        WHERE delivered_at IS NULL AND due_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
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
    timeout: float  # seconds
    allow_plain_http: bool


@dataclass(frozen=True, slots=True)
class Result:
    """How one try ended."""

    id: UUID
    attempts: int
    outcome: str
    delivered: bool


def deliver_due(pool: Engine, sender: Sender, clock: Clock, *, size: int = BATCH) -> int:
    """Try one batch of what is due; how many were tried (0: nothing is due).

    Args:
        pool: of the worker role.
    """
    now = clock()
    with transaction(pool) as connection:
        rows = connection.execute(_CLAIM, {"now": now, "lease": now + LEASE, "size": size}).all()
    if not rows:
        return 0
    with (
        httpx.Client(timeout=sender.timeout, follow_redirects=False, trust_env=False) as http,
        ThreadPoolExecutor(max_workers=AT_ONCE) as threads,
    ):
        results = list(threads.map(lambda row: _try(http, sender, row, clock()), rows))
    with transaction(pool) as connection:
        _write_back(connection, results, clock())
    return len(rows)


def _try(http: httpx.Client, sender: Sender, row: Row[Any], now: datetime) -> Result:
    outcome = "ok"
    try:
        if not sender.allow_plain_http and not row.address.startswith("https://"):
            raise ValueError
        body = event_body(sender, row.id, row.reporter_id, row.placed_at)
        secret = sender.keys[row.key_version].open("webhook-secret", row.client_id.encode(), row.secret_sealed)
        signature = Webhook(secret).sign(str(row.id), now.astimezone(UTC), body)
        headers = {
            "content-type": "application/cloudevents+json",
            "webhook-id": str(row.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        with http.stream("POST", row.address, content=body.encode(), headers=headers) as response:
            if not response.is_success:
                outcome = f"status {response.status_code}"
    except Exception as error:  # whatever goes wrong with one receiver concerns that receiver only
        outcome = type(error).__name__
    if outcome != "ok":
        log.info("delivery %s not taken: %s", row.id, outcome)
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
