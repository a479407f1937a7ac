# SPDX-License-Identifier: EUPL-1.2
"""Claiming what is due and writing back how it went, in batches (I3).

A delivery is claimed with SKIP LOCKED and a lease, in a transaction of its own; nothing is locked while HTTP goes on.
A worker that dies leaves a lease that runs out. Neither waits for the disk: what a dying database forgets of them is
delivered again, with the same id. A subscription's row is always locked before rows of its deliveries, as
by who changes or deletes it (`subscriptions`), so that none waits for another in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.notices.schedule import next_try, pause

LEASE = timedelta(minutes=2)
GONE = "status 410"
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
# Who failed rests, twice as long each time, or for as long as it asked; a try that had begun before the rest was set
# does not lengthen it, unless it asks. A rest that was asked for has no failures, and so `_RECOVER` leaves it. Whose
# row another holds is passed over, here and in `_RECOVER`: two workers with the same receivers would wait for each
# other in a circle, and who changes a subscription for seconds would hold up all deliveries.
_REST = text(
    """
    WITH failed AS (
        SELECT s.client_id, f.began_at, f.asked
        FROM unnest(CAST(:clients AS text[]), CAST(:began AS timestamptz[]), CAST(:asked AS interval[]))
            AS f (client_id, began_at, asked)
        JOIN subscription s USING (client_id) FOR NO KEY UPDATE OF s SKIP LOCKED
    )
    UPDATE subscription s SET failures = CASE WHEN f.asked > '0' THEN 0 ELSE s.failures + 1 END,
        rests_until = :now + CASE WHEN f.asked > '0' THEN f.asked
                             ELSE least(2 ^ least(s.failures, 20), :longest) * interval '1 second' END
    FROM failed f
    WHERE s.client_id = f.client_id AND (f.asked > '0' OR s.rests_until IS NULL OR s.rests_until <= f.began_at)
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
# Who answered 410 Gone wants no more, at this address: its client may go on. A row that is held is passed over as
# above; the next try is answered so as well.
_GONE = text(
    """
    WITH gone AS (
        SELECT s.client_id
        FROM unnest(CAST(:clients AS text[]), CAST(:addresses AS text[])) AS g (client_id, address)
        JOIN subscription s USING (client_id, address) WHERE s.state = 'active'
        FOR NO KEY UPDATE OF s SKIP LOCKED
    )
    UPDATE subscription s SET state = 'failed', gone_at = :now FROM gone g WHERE s.client_id = g.client_id
    RETURNING s.id, s.client_id, s.oin
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
# Only the holder of the lease writes back: who came too late has lost it to another. What was not taken and is not
# tried again is a dead letter: due at infinity, so that no claim looks at it.
_WRITE_BACK = text(
    """
    UPDATE delivery d SET leased_until = NULL, last_outcome = r.outcome,
           due_at = CASE WHEN r.outcome = 'ok' THEN :now ELSE coalesce(r.next_try_at, 'infinity') END,
           delivered_at = CASE WHEN r.outcome = 'ok' THEN :now END,
           dead_at = CASE WHEN r.outcome <> 'ok' AND r.next_try_at IS NULL THEN :now END
    FROM json_to_recordset(:tries) AS r (delivery_id uuid, lease timestamptz, outcome text, next_try_at timestamptz)
    WHERE d.id = r.delivery_id AND d.leased_until = r.lease AND d.delivered_at IS NULL
    RETURNING d.id, d.dead_at
    """
)


@dataclass(frozen=True, slots=True)
class Result:
    """How one try of a delivery or of a challenge ended. `row` is what was claimed."""

    row: Row[Any]
    began_at: datetime
    outcome: str
    milliseconds: int
    asked: timedelta = timedelta(0)
    """How long the receiver wants to be left alone."""

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


def write_back(connection: Connection, results: Sequence[Result], now: datetime) -> set[UUID]:
    """What became of deliveries: the receivers' rests, the attempts, and each delivery or its next try. Those that are
    dead letters by it."""
    _let_rest(connection, results, now)
    gone = {result.row.client_id: result.row.address for result in results if result.outcome == GONE}
    if gone:
        asked = {"clients": list(gone), "addresses": list(gone.values()), "now": now}
        rows = connection.execute(_GONE, asked)
        events.append(connection, [_changed("gone", row.id, row.client_id, row.oin, now) for row in rows])
    tries = as_json(
        [
            _try("inbox", r, None if r.ok else next_try(r.row.attempts, r.asked, now)) | {"lease": r.row.leased_until}
            for r in results
        ]
    )
    connection.execute(_ATTEMPTS, {"tries": tries})
    return {row.id for row in connection.execute(_WRITE_BACK, {"tries": tries, "now": now}) if row.dead_at}


def _let_rest(connection: Connection, results: Sequence[Result], now: datetime) -> None:
    taken = {result.row.client_id for result in results if result.ok}
    if taken:
        connection.execute(_RECOVER, {"clients": sorted(taken)})
    failed = [r for r in results if not r.ok and (r.asked or r.row.client_id not in taken)]
    rests = {r.row.client_id: r for r in sorted(failed, key=lambda r: r.asked)}  # of one receiver the longest
    if rests:
        began, wanted = ([r.began_at for r in rests.values()], [r.asked for r in rests.values()])
        asked = {"clients": list(rests), "began": began, "asked": wanted, "now": now, "longest": LONGEST_REST}
        connection.execute(_REST, asked)


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
    UPDATE subscription SET challenge_due_at = :due, gone_at = CASE WHEN :gone THEN :now END,
        state = CASE WHEN :due <= challenge_until AND NOT :gone THEN state ELSE 'failed' END
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
    due = now + max(pause(row.attempts), result.asked)
    asked = {"subscription": row.subscription_id, "challenge": row.id, "due": due, "now": now}
    asked |= {"gone": result.outcome == GONE}
    state = connection.execute(_CONFIRM if result.ok else _NOT_CONFIRMED, asked).scalar_one_or_none()
    tries = [_try("challenge", result, due if state == "pending" else None)]
    connection.execute(_ATTEMPTS, {"tries": as_json(tries)})
    if state in {"active", "failed"}:
        change = "confirmed" if state == "active" else "failed"
        events.append(connection, [_changed(change, row.subscription_id, row.client_id, row.oin, now)])


def _changed(change: str, subscription: UUID, client: str, oin: str, now: datetime) -> events.Event:
    says: dict[str, str | int] = {
        "change": change,
        "subscriptionId": str(subscription),
        "subscriber": client,
        "subscribingInstitution": oin,
    }
    return events.Event(events.SUBSCRIPTION_CHANGED, now, events.DELIVERER, says=says)


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
