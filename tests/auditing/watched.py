# SPDX-License-Identifier: EUPL-1.2
"""A ledger that is watched: what people did, made straight as events, sealed and looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from support import CLINIC, NOW, SCHOOL, WESTERVELD, Database

from verwijsindex.auditing.detecting import BATCH, detect
from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.checkpoint import Signer
from verwijsindex.ledger.events import Actor, Event

SIGNER = Signer("index.test/ledger", OKPKey.generate_key("Ed25519"))
HOUR = timedelta(hours=1)


def reporter(oin: str = SCHOOL, person: UUID | None = None) -> Actor:
    """A reporter, for whom the institution's client acts."""
    return Actor("machine", f"client-{oin}", oin, on_behalf_of=person or uuid4())


def supervisor(municipality: str = WESTERVELD) -> Actor:
    """A case supervisor."""
    return Actor("case_supervisor", "console", municipality=municipality, person=str(uuid4()))


def coordinator(oin: str = CLINIC) -> Actor:
    """A coordinator of an institution."""
    return Actor("coordinator", "console", oin, person=str(uuid4()))


def signals(actor: Actor, count: int, at: datetime = NOW) -> list[Event]:
    """So many signals."""
    return [Event(events.SIGNAL_REGISTERED, at, actor, says={"signalId": str(uuid4())}) for _ in range(count)]


def reads(actor: Actor, count: int, at: datetime = NOW, match: str = "") -> list[Event]:
    """So many matches read, or one so many times."""
    return [Event(events.MATCH_READ, at, actor, says={"matchId": match or str(uuid4())}) for _ in range(count)]


def refusals(actor: Actor, count: int, at: datetime = NOW, problem: str = "match-not-found") -> list[Event]:
    """So many matches asked for that are not theirs, or never were."""
    return [
        Event(
            events.ACCESS_REFUSED,
            at,
            actor,
            "refused",
            {"problem": problem, "operation": "getMatch", "matchId": str(uuid4())},
        )
        for _ in range(count)
    ]


@dataclass
class Watched:
    """A database whose ledger is sealed and looked at."""

    database: Database
    now: datetime = NOW
    places: int = field(default=BATCH)

    def happen(self, *happened: Sequence[Event]) -> None:
        """Write these, and seal them; nobody has looked yet."""
        with self.database.engine("worker").begin() as connection:
            events.append(connection, [event for some in happened for event in some])
        self.seal()

    def seal(self) -> None:
        """Give what waits its places."""
        while sealing.seal(self.database.engine("worker"), self.now, SIGNER):
            pass

    def look(self) -> int:
        """Look at all there is; how many alerts were raised."""
        raised = 0
        while (looked := detect(self.database.engine("worker"), self.now, most=self.places)).places:
            raised += looked.raised
        return raised + looked.raised

    def alerts(self) -> list[sa.Row[Any]]:
        """All of them, the oldest first."""
        return self.database.rows("SELECT * FROM alert ORDER BY raised_at, id")

    def raised(self, *happened: Sequence[Event]) -> list[tuple[str, str, int]]:
        """What was raised of these in all: kind, whom it is about, and how many."""
        self.happen(*happened)
        self.look()
        return [(alert.kind, alert.who, alert.counted) for alert in self.alerts()]
