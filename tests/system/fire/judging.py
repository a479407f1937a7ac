# SPDX-License-Identifier: EUPL-1.2
"""What is true in the end: nothing that got its 201 is lost, nothing is there twice, and matches, parties,
supervisions, inboxes and webhooks are those of the plain model (tests/matching/truth.py; I1 to I4)."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from matching.truth import DYING, LACKING, check
from standardwebhooks import Webhook, WebhookVerificationError
from system.fire.acts import Actors
from system.receiver import Handler, Receiver
from system.world import Placed, Reporter, System, until

from verwijsindex.signals.dates import amsterdam_date


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
    system: System,
    placed: list[Placed],
    reporters: list[Reporter],
    subscribers: dict[str, Subscriber],
    actors: Actors | None,
) -> Counts:
    """Wait until everything is done, then compare. `placed`: every signal on the youngsters in it; `reporters`: every
    reporter that any of them is of; `actors`: who did more than to signal."""
    system.until_no_work(120)
    until(lambda: not system.rows(DYING), 60)
    until(lambda: not system.rows(LACKING), 60)  # of the version before
    _all_there_once(system, placed, reporters)
    check(system.rows, amsterdam_date(datetime.now(UTC)))
    if actors:
        _ended_once(system, actors)
        _followed_once(system, actors)
    else:
        system.check_truth(placed)
    _inboxes(system, reporters)
    _ledger(system, actors)
    deliveries = _webhooks(system, reporters, subscribers, actors)
    [counts] = system.rows("SELECT (SELECT count(*) FROM match) AS matches, (SELECT count(*) FROM notice) AS notices")
    received = sum(len(one.receiver.received) for one in subscribers.values())
    return Counts(len(placed), counts.matches, counts.notices, deliveries, received)


def _all_there_once(system: System, placed: list[Placed], reporters: list[Reporter]) -> None:
    """I1, and idempotency: of every signal that was meant exactly one is there."""
    stored = system.rows(
        "SELECT id FROM signal WHERE reporter_id = ANY(:ids) UNION ALL"
        " SELECT id FROM archived_signal WHERE reporter_id = ANY(:ids) UNION ALL SELECT signal_id FROM tombstone",
        ids=[one.id for one in reporters],
    )
    assert len(stored) == len({row.id for row in stored}), "a signal is in two places"
    there, acknowledged = {row.id for row in stored}, Counter(one.id for one in placed)
    assert not acknowledged.keys() - there, "a signal that got its 201 is gone (I1)"
    assert not there - acknowledged.keys(), "a signal is there that nobody got a 201 for: it was placed twice"
    assert set(acknowledged.values()) <= {1}, "two signals got one id"


def _ended_once(system: System, actors: Actors) -> None:
    """I1: what was answered to have ended has, and was so answered once; and each withdrawal has one event (I4)."""
    assert set(actors.ended.values()) <= {0, 1}, "a signal ended twice"
    ended = [signal for signal, times in actors.ended.items() if times]
    assert system.rows("SELECT FROM signal WHERE id = ANY(:ids)", ids=ended) == []
    [told] = system.rows("SELECT count(*) AS n FROM event WHERE kind = 'signal.withdrawn'")
    assert told.n == actors.withdrawn > 0


def _followed_once(system: System, actors: Actors) -> None:
    """I1, I4: each act of follow-up that was answered 201 is in the ledger, and no other: once in its own match, and in
    those of siblings at the same moment."""
    print(f"follow-up: {dict(actors.followed)}")
    acts = system.rows("SELECT DISTINCT at FROM event WHERE kind IN ('round.moved', 'lead.answered')")
    assert len(acts) == actors.followed.total() > 0


def _inboxes(system: System, reporters: list[Reporter]) -> None:
    """What each reporter reads over HTTP is what was placed for it."""
    for reporter in reporters:
        there = system.rows("SELECT CAST(id AS text) AS id FROM notice WHERE reporter_id = :id", id=reporter.id)
        inbox = Counter(notice["id"] for notice in system.listed("/notices", reporter))
        assert inbox == Counter(row.id for row in there)


def _ledger(system: System, actors: Actors | None) -> None:
    """I4: of each signal, match, party and notice exactly one event. A party that left is gone, and so are the lines of
    who has no signal there any more (R16)."""
    [parties] = system.rows(
        "SELECT count(*) FILTER (WHERE kind = 'party.joined') - count(*) FILTER (WHERE kind = 'party.left') AS told,"
        " (SELECT count(*) FROM party) AS there FROM event"
    )
    assert parties.told == parties.there
    for kind, table in (
        (
            "signal.registered",
            "(SELECT id FROM signal UNION ALL SELECT id FROM archived_signal UNION ALL SELECT signal_id FROM tombstone)"
            " AS all_signals",
        ),
        ("match.opened", "match"),
        ("notice.placed", "notice"),
    ):
        [counted] = system.rows(
            f"SELECT (SELECT count(*) FROM event WHERE kind = '{kind}') AS told,"
            f" (SELECT count(*) FROM {table}) AS there"
        )
        right = counted.told >= counted.there if actors and table == "notice" else counted.told == counted.there
        assert right, f"{counted.told} events {kind}, and {counted.there} in the table {table}"


def _webhooks(
    system: System, reporters: list[Reporter], subscribers: dict[str, Subscriber], actors: Actors | None
) -> int:
    """I3: each notice of a subscriber's reporter has one delivery, and came at least once, always with its id. Where
    somebody acted, some that came are gone since (R16)."""

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
        due = {str(row.delivery) for row in there if row.oin == oin}
        assert due <= set(one.bodies) if actors else due == set(one.bodies)
    return len(there)
