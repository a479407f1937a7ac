# SPDX-License-Identifier: EUPL-1.2
"""Claiming what is due and writing back how it went, in batches (I3).

A delivery is claimed with SKIP LOCKED and a lease, in a transaction of its own; nothing is locked while HTTP goes on.
A worker that dies leaves a lease that runs out. Neither waits for the disk: what a dying database forgets of them is
delivered again, with the same id. A subscription's row is always locked before rows of its deliveries, as
by who changes or deletes it (`subscriptions`), so that none waits for another in a circle.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events

LEASE = timedelta(minutes=2)
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
LONGEST_REST = 300
"""Seconds. A receiver that fails rests one second, then two, four, eight..., and at most this long."""

_DUE = text(
    """
    SELECT s.client_id FROM subscription s
    WHERE s.state = 'active' AND (s.rests_until IS NULL OR s.rests_until <= :now) AND EXISTS (
        SELECT FROM delivery d WHERE d.client_id = s.client_id AND d.delivered_at IS NULL AND d.due_at <= :now
            AND (d.leased_until IS NULL OR d.leased_until <= :now))
    """
)
# Of each receiver its oldest: `ix_delivery_waiting` gives them without a look at any other receiver's, however many
# wait there. Two workers that ask at once skip each other's rows.
_CLAIM = text(
    """
    WITH due AS (
        SELECT d.id FROM unnest(CAST(:clients AS text[]), CAST(:rooms AS int[])) AS asked (client_id, room)
        CROSS JOIN LATERAL (
            SELECT id FROM delivery
            WHERE client_id = asked.client_id AND delivered_at IS NULL AND due_at <= :now
              AND (leased_until IS NULL OR leased_until <= :now)
            ORDER BY due_at LIMIT asked.room FOR UPDATE SKIP LOCKED
        ) d
    )
    UPDATE delivery d SET leased_until = :lease, attempts = d.attempts + 1
    FROM due, subscription s, notice n
    WHERE d.id = due.id AND s.client_id = d.client_id AND n.id = d.notice_id
      AND s.state = 'active' AND (s.rests_until IS NULL OR s.rests_until <= :now)
    RETURNING d.id, d.attempts, d.leased_until, s.client_id, s.address, s.key_version, s.secret_sealed,
              s.previous_key_version, s.previous_secret_sealed, s.previous_until, n.reporter_id, n.placed_at
    """
)
# Who failed rests, twice as long each time; a try that had begun before the rest was set does not lengthen it. Whose
# row another holds is passed over, here and in `_RECOVER`: two workers with the same receivers would wait for each
# other in a circle, and who changes a subscription for seconds would hold up all deliveries.
_REST = text(
    """
    WITH failed AS (
        SELECT s.client_id, f.began_at
        FROM unnest(CAST(:clients AS text[]), CAST(:began AS timestamptz[])) AS f (client_id, began_at)
        JOIN subscription s USING (client_id) FOR NO KEY UPDATE OF s SKIP LOCKED
    )
    UPDATE subscription s SET failures = s.failures + 1,
        rests_until = :now + least(2 ^ least(s.failures, 20), :longest) * interval '1 second'
    FROM failed f
    WHERE s.client_id = f.client_id AND (s.rests_until IS NULL OR s.rests_until <= f.began_at)
    """
)
_RECOVER = text(
    """
    WITH recovered AS (
        SELECT client_id FROM subscription WHERE client_id = ANY(:clients) AND failures > 0
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE subscription s SET failures = 0, rests_until = NULL FROM recovered r WHERE s.client_id = r.client_id
    """
)
# The lock keeps a subscription until this commits; of one that is gone, with its deliveries, nothing is written.
_ATTEMPTS = text(
    """
    INSERT INTO attempt (id, client_id, delivery_id, about, at, outcome, duration_ms, next_try_at)
    SELECT r.id, s.client_id, r.delivery_id, r.about, r.at, r.outcome, r.duration_ms, r.next_try_at
    FROM json_to_recordset(:tries) AS r (id uuid, client_id text, delivery_id uuid, about text, at timestamptz,
                                         outcome text, duration_ms int, next_try_at timestamptz)
    JOIN subscription s USING (client_id) FOR KEY SHARE OF s
    """
)
# Only the holder of the lease writes back: who came too late has lost it to another.
_WRITE_BACK = text(
    """
    UPDATE delivery d SET leased_until = NULL, last_outcome = r.outcome, due_at = coalesce(r.next_try_at, :now),
           delivered_at = CASE WHEN r.next_try_at IS NULL THEN :now END
    FROM json_to_recordset(:tries) AS r (delivery_id uuid, lease timestamptz, outcome text, next_try_at timestamptz)
    WHERE d.id = r.delivery_id AND d.leased_until = r.lease AND d.delivered_at IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class Result:
    """How one try of a delivery or of a challenge ended. `row` is what was claimed."""

    row: Row[Any]
    began_at: datetime
    outcome: str
    milliseconds: int

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return self.outcome == "ok"


def due_receivers(connection: Connection, now: datetime) -> set[str]:
    """Clients with something due who do not rest."""
    return set(connection.execute(_DUE, {"now": now}).scalars())


def claim(connection: Connection, rooms: Mapping[str, int], now: datetime) -> Sequence[Row[Any]]:
    """For each client so many of its deliveries at most, leased to the caller; all of a claim have one lease."""
    asked = {"clients": list(rooms), "rooms": list(rooms.values()), "now": now, "lease": now + LEASE}
    return connection.execute(_CLAIM, asked).all()


def write_back(connection: Connection, results: Sequence[Result], now: datetime) -> None:
    """What became of deliveries: the receivers' rests, the attempts, and each delivery or its next try."""
    taken = {result.row.client_id for result in results if result.ok}
    failed = {r.row.client_id: r.began_at for r in results if not r.ok and r.row.client_id not in taken}
    if failed:
        asked = {"clients": list(failed), "began": list(failed.values()), "now": now, "longest": LONGEST_REST}
        connection.execute(_REST, asked)
    if taken:
        connection.execute(_RECOVER, {"clients": sorted(taken)})
    tries = as_json(
        [
            _try("inbox", r, None if r.ok else now + pause(r.row.attempts)) | {"lease": r.row.leased_until}
            for r in results
        ]
    )
    connection.execute(_ATTEMPTS, {"tries": tries})
    connection.execute(_WRITE_BACK, {"tries": tries, "now": now})


_CLAIM_CHALLENGES = text(
    """
    UPDATE subscription s SET challenge_due_at = :lease, challenge_attempts = challenge_attempts + 1
    WHERE client_id IN (SELECT client_id FROM subscription WHERE state = 'pending' AND challenge_due_at <= :now
                        ORDER BY challenge_due_at LIMIT :size FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING challenge_id AS id, challenge_attempts AS attempts, id AS subscription_id, oin, client_id, address,
              key_version, secret_sealed, previous_key_version, previous_secret_sealed, previous_until
    """
)
# An address that was changed meanwhile has another challenge: this one's answer says nothing about it.
_CONFIRM = text(
    """
    UPDATE subscription SET state = 'active', confirmed_address = address, failures = 0, rests_until = NULL,
        challenge_id = NULL, challenge_due_at = NULL, challenge_until = NULL
    WHERE id = :subscription AND challenge_id = :challenge AND state = 'pending' RETURNING state
    """
)
_NOT_CONFIRMED = text(
    """
    UPDATE subscription SET challenge_due_at = :due, state = CASE WHEN :due <= challenge_until THEN state
                                                                  ELSE 'failed' END
    WHERE id = :subscription AND challenge_id = :challenge AND state = 'pending' RETURNING state
    """
)


def claim_challenges(connection: Connection, size: int, now: datetime) -> Sequence[Row[Any]]:
    """Challenges that are due; their lease is when they are due again."""
    return connection.execute(_CLAIM_CHALLENGES, {"size": size, "now": now, "lease": now + LEASE}).all()


def write_back_challenge(connection: Connection, result: Result, now: datetime) -> None:
    """Whether an address is confirmed: the subscription is then active, or failed after the last try, with its
    event."""
    row = result.row
    due = now + pause(row.attempts)
    asked = {"subscription": row.subscription_id, "challenge": row.id, "due": due}
    state = connection.execute(_CONFIRM if result.ok else _NOT_CONFIRMED, asked).scalar_one_or_none()
    tries = [_try("challenge", result, due if state == "pending" else None)]
    connection.execute(_ATTEMPTS, {"tries": as_json(tries)})
    if state in {"active", "failed"}:
        says: dict[str, str | int] = {
            "change": "confirmed" if state == "active" else "failed",
            "subscriptionId": str(row.subscription_id),
            "subscriber": row.client_id,
            "subscribingInstitution": row.oin,
        }
        events.append(connection, [events.Event(events.SUBSCRIPTION_CHANGED, now, events.DELIVERER, says=says)])


def _try(about: str, result: Result, next_try_at: datetime | None) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "client_id": result.row.client_id,
        "delivery_id": result.row.id,
        "about": about,
        "at": result.began_at,
        "outcome": result.outcome,
        "duration_ms": result.milliseconds,
        "next_try_at": next_try_at,
    }


def pause(attempts: int) -> timedelta:
    """How long until the next try after so many: the schedule of Standard Webhooks with up to a fifth of jitter;
    its last step repeats, since nothing is dropped."""
    return RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1] * random.uniform(1, 1.2)  # noqa: S311 (no secret)
