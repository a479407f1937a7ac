# SPDX-License-Identifier: EUPL-1.2
"""What is true in the end: nothing that got its 201 is lost, nothing is there twice, and matches, parties,
supervisions, inboxes and webhooks are those of the plain model (tests/matching/model.py; I1 to I4)."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

import sqlalchemy as sa
from matching.model import Inboxes, Model, Signal, alike
from standardwebhooks import Webhook, WebhookVerificationError
from system.receiver import Handler, Receiver
from system.world import Placed, Reporter, System, until


class Subscriber:
    """The receiver of an institution: it checks each webhook, and refuses one in twenty the first time."""

    def __init__(self) -> None:
        self.receiver = Receiver(self._behave)
        self.secret = ""
        self.bodies: dict[str, bytes] = {}
        self.trouble: list[str] = []

    def _behave(self, handler: Handler, number: int) -> None:
        one = handler.receiver.received[number]
        try:
            Webhook(self.secret).verify(one.body, one.headers)
        except WebhookVerificationError:
            self.trouble.append("a webhook that is not signed")
        id_ = one.headers["webhook-id"]
        first = id_ not in self.bodies
        if self.bodies.setdefault(id_, one.body) != one.body:
            self.trouble.append("one webhook-id with two bodies")
        handler.send_response(503 if first and int(id_[-2:], 16) < 13 else 204)
        handler.send_header("content-length", "0")
        handler.end_headers()


@dataclass
class Counts:
    """How much there was of everything."""

    signals: int
    matches: int
    notices: int
    webhooks: int
    webhooks_received: int


def judge(
    system: System, placed: list[Placed], reporters: list[Reporter], subscribers: dict[str, Subscriber]
) -> Counts:
    """Wait until everything is done, then compare. `placed`: every signal on the youngsters in it; `reporters`: every
    reporter that any of them is of."""
    system.until_no_work(120)
    _all_there_once(system, placed, reporters)
    system.check_truth(placed)
    _told_as_by_the_model(system, placed)
    _inboxes(system, reporters)
    _ledger(system)
    deliveries = _webhooks(system, reporters, subscribers)
    [counts] = system.rows("SELECT (SELECT count(*) FROM match) AS matches, (SELECT count(*) FROM notice) AS notices")
    received = sum(len(one.receiver.received) for one in subscribers.values())
    return Counts(len(placed), counts.matches, counts.notices, deliveries, received)


def _all_there_once(system: System, placed: list[Placed], reporters: list[Reporter]) -> None:
    """I1, and idempotency: of every signal that was meant exactly one is there."""
    stored = system.rows("SELECT id FROM signal WHERE reporter_id = ANY(:ids)", ids=[one.id for one in reporters])
    there, acknowledged = {row.id for row in stored}, Counter(one.id for one in placed)
    assert not acknowledged.keys() - there, "a signal that got its 201 is gone (I1)"
    assert not there - acknowledged.keys(), "a signal is there that nobody got a 201 for: it was placed twice"
    assert set(acknowledged.values()) <= {1}, "two signals got one id"


def _told_as_by_the_model(system: System, placed: list[Placed]) -> None:
    """The plain model, given the signals in the batches in which the matcher had them, tells the same."""
    numbers = {one.id: one.youngster for one in placed}
    rows = system.rows("SELECT id, youngster_id FROM signal WHERE id = ANY(:ids)", ids=list(numbers))
    youngsters = {row.youngster_id: numbers[row.id] for row in rows}
    model, day, never = Model(), date(2026, 1, 1), date(9999, 1, 1)
    seen: dict[tuple[int, int], list[Placed]] = defaultdict(list)
    came = _came(system, youngsters)
    for one in placed:
        if (change := came.get((one.youngster, str(one.reporter)))) is not None:
            seen[one.youngster, max(change, came[one.youngster, one.residence])].append(one)
    numbered = count()
    for _, batch in sorted(seen.items(), key=lambda item: item[0]):
        for one in batch:
            model.place(Signal(next(numbered), one.youngster, str(one.reporter), one.residence, day, never))
        model.run(day, len(batch))
    told: Inboxes = defaultdict(list)
    for row in system.rows(
        "SELECT m.youngster_id, m.id, coalesce(CAST(n.reporter_id AS text), n.municipality_code) AS who"
        " FROM notice n JOIN match m ON m.id = n.match_id WHERE m.youngster_id = ANY(:ids)",
        ids=list(youngsters),
    ):
        line: tuple[int, Hashable] = (youngsters[row.youngster_id], row.id)
        told[row.who].append(line)
    assert alike(model.inboxes, told), "the inboxes are not those of the model"


def _came(system: System, youngsters: dict[Any, int]) -> dict[tuple[int, str], int]:
    """With which change of the youngster's match each party and each municipality came into it."""
    changes = (
        "WITH change AS (SELECT DISTINCT m.id, m.youngster_id, n.change, n.placed_at FROM match m"
        " JOIN notice n ON n.match_id = m.id WHERE m.youngster_id = ANY(:ids))"
    )
    return {
        (youngsters[row.youngster_id], row.who): row.change
        for row in system.rows(
            f"{changes} SELECT c.youngster_id, c.change, CAST(p.reporter_id AS text) AS who"
            " FROM change c JOIN party p ON p.match_id = c.id AND p.joined_at = c.placed_at"
            " UNION ALL SELECT c.youngster_id, c.change, v.municipality_code"
            " FROM change c JOIN supervision v ON v.match_id = c.id AND v.joined_at = c.placed_at",
            ids=list(youngsters),
        )
    }


def _inboxes(system: System, reporters: list[Reporter]) -> None:
    """What each reporter reads over HTTP is what was placed for it."""
    for reporter in reporters:
        there = system.rows("SELECT CAST(id AS text) AS id FROM notice WHERE reporter_id = :id", id=reporter.id)
        inbox = Counter(notice["id"] for notice in system.listed("/notices", reporter))
        assert inbox == Counter(row.id for row in there)


def _ledger(system: System) -> None:
    """I4: of each signal, match, party and notice exactly one event."""
    for kind, table in (
        ("signal.registered", "signal"),
        ("match.opened", "match"),
        ("party.joined", "party"),
        ("notice.placed", "notice"),
    ):
        [counted] = system.rows(
            f"SELECT (SELECT count(*) FROM event WHERE kind = '{kind}') AS told,"
            f" (SELECT count(*) FROM {table}) AS there"
        )
        assert counted.told == counted.there, f"{counted.told} events {kind}, and {counted.there} in the table {table}"


def _webhooks(system: System, reporters: list[Reporter], subscribers: dict[str, Subscriber]) -> int:
    """I3: each notice of a subscriber's reporter has one delivery, and came at least once, always with its id."""

    def undelivered() -> list[sa.Row[Any]]:
        # Rather than wait for the lease of who was killed, and for the later tries of who was refused.
        system.change("UPDATE delivery SET leased_until = NULL, due_at = now() WHERE delivered_at IS NULL")
        return system.rows("SELECT FROM delivery WHERE delivered_at IS NULL LIMIT 1")

    until(lambda: not undelivered(), 120, every=0.5)
    there = system.rows(
        "SELECT n.id AS notice, d.id AS delivery, r.oin FROM notice n JOIN reporter r ON r.id = n.reporter_id"
        " LEFT JOIN delivery d ON d.notice_id = n.id WHERE r.id = ANY(:ids)",
        ids=[one.id for one in reporters],
    )
    assert all(row.delivery for row in there), "a notice without its delivery"
    assert len({row.notice for row in there}) == len(there)
    for oin, one in subscribers.items():
        assert not one.trouble, Counter(one.trouble)
        assert set(one.bodies) == {str(row.delivery) for row in there if row.oin == oin}
    return len(there)
