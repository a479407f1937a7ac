# SPDX-License-Identifier: EUPL-1.2
"""The delivering side in this process, and the receivers of a test."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from support import CLINIC, SCHOOL, Index
from system.receiver import Behaviour, Receiver

from verwijsindex.notices.delivery import Deliverer
from verwijsindex.notices.destinations import Destinations
from verwijsindex.notices.signing import Sender

LOOPBACK = Destinations([IPv4Network("127.0.0.0/8")])  # where tests have their receivers
SECONDS = 10.0  # for one try


def now() -> datetime:
    """The real clock: what is signed has the time of now."""
    return datetime.now(UTC)


@dataclass
class Post:
    """Subscribes receivers, places what they are told, and delivers."""

    index: Index
    stack: ExitStack
    secrets: dict[str, str] = field(default_factory=dict)

    def subscribe(self, oin: str, address: str, *, confirmed: bool = True) -> str:
        """The institution's client, at this address, its challenge asked and answered; the subscription's id."""
        self.index.app.extensions |= {"allow_plain_http": True, "webhook_destinations": LOOPBACK}
        made = self.index.http.post(
            "/api/v1/webhook-subscriptions",
            json={"address": address},
            headers=self.index.machine(oin) | {"Idempotency-Key": str(uuid4())},
        )
        assert made.json
        self.secrets[oin] = made.json["secret"]
        self.due()
        if confirmed:
            self.deliver()
            assert self.subscription(oin).state == "active"
        return str(made.json["id"])

    def receiver(self, oin: str, behaviour: Behaviour | None = None) -> Receiver:
        """One that is subscribed and has answered its challenge."""
        made = self.stack.enter_context(Receiver(behaviour))
        self.subscribe(oin, made.address)
        return made

    def tell(self, matches: int = 1) -> None:
        """As many matches of the school and the clinic: one notice, and one webhook, for each side of each."""
        for youngster in range(matches):
            self.index.place(youngster, SCHOOL)
            self.index.place(youngster, CLINIC)
        self.index.match()
        self.due()

    def due(self) -> None:
        """Everything that waits is due now, and no receiver rests."""
        self.change("UPDATE delivery SET due_at = :now WHERE due_at < 'infinity'", now=now())
        self.change("UPDATE subscription SET rests_until = NULL")
        self.change(
            "UPDATE subscription SET challenge_due_at = :now, challenge_until = :until WHERE state = 'pending'",
            now=now(),
            until=now() + timedelta(hours=24),
        )

    def change(self, statement: str, **values: object) -> None:
        """As superuser, past every rule."""
        with self.index.database.superuser.begin() as connection:
            connection.execute(sa.text(statement), values)

    def deliverer(self, **changes: Any) -> Deliverer:
        """One as a worker has."""
        settings: dict[str, Any] = {"timeout": SECONDS, "allow_plain_http": True, "destinations": LOOPBACK} | changes
        keys = self.index.app.extensions["index_keys"]
        sender = Sender(keys, "https://index.example/", "00000009999999999000", **settings)
        return Deliverer(self.index.database.engine("worker"), sender, now)

    def deliver(self, **changes: Any) -> int:
        """Deliver until nothing is due or on the way; how many tries there were."""
        before = self.tries()
        deliverer = self.deliverer(**changes)
        while deliverer.turn():
            pass
        deliverer.finish()
        return self.tries() - before

    def tries(self) -> int:
        """How many tries were written down."""
        return int(self.index.database.scalar("SELECT count(*) FROM attempt"))

    def rows(self, oin: str) -> list[Any]:
        """The institution's deliveries."""
        return self.index.database.rows(
            "SELECT id, attempts, leased_until, last_outcome, delivered_at, dead_at,"
            " nullif(due_at, 'infinity') AS due_at FROM delivery WHERE client_id = :client ORDER BY id",
            client=f"client-{oin}",
        )

    def subscription(self, oin: str) -> Any:
        """The institution's subscription, as it is stored."""
        [row] = self.index.database.rows("SELECT * FROM subscription WHERE oin = :oin", oin=oin)
        return row
