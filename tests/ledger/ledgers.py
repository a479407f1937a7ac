# SPDX-License-Identifier: EUPL-1.2
"""A sealed ledger, and its export as an auditor reads it."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from support import CLINIC, NOW, SCHOOL, WESTERVELD, Database

from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.checkpoint import Checkpoint, Signer
from verwijsindex.ledger.events import Actor, Event
from verwijsindex.ledger.exporting import export
from verwijsindex.ledger.verification import Verdict, verify

SIGNER = Signer("index.test/ledger", OKPKey.generate_key("Ed25519"))


def some_events(count: int, at: datetime = NOW) -> list[Event]:
    """Of several kinds, institutions and forms."""
    kinds = (
        Event(events.SIGNAL_REGISTERED, at, Actor("machine", "kompas", SCHOOL, on_behalf_of=uuid4())),
        Event(events.MATCH_OPENED, at, events.MATCHER),
        Event(events.NOTICE_PLACED, at, events.MATCHER, recipient_reporter=uuid4()),
        Event(events.MATCH_READ, at, Actor("case_supervisor", "console", municipality=WESTERVELD, person="a")),
        Event(events.ACCESS_REFUSED, at, Actor("machine", "linde", CLINIC), outcome="refused"),
    )
    made = []
    for n in range(count):
        like = kinds[n % len(kinds)]
        says: dict[str, str | int] = {}
        for name in ("signalId", "matchId"):
            if name in like.kind.fields:
                says[name] = str(uuid4())
        made.append(
            Event(
                like.kind,
                at + timedelta(milliseconds=n),
                like.actor,
                like.outcome,
                says,
                recipient_reporter=like.recipient_reporter,
            )
        )
    return made


def fill(database: Database, *batches: int, at: datetime = NOW, signer: Signer = SIGNER) -> list[Checkpoint]:
    """Seal so many events, batch after batch, a minute apart; what was signed."""
    kept = []
    for number, count in enumerate(batches):
        with database.engine("worker").begin() as connection:
            events.append(connection, some_events(count, at))
        sealing.seal(database.engine("worker"), at + timedelta(minutes=number), signer)
        note = database.scalar("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        kept.append(Checkpoint.open(note, [signer.key]))
    return kept


def exported(connection: sa.Connection, *, public: bool = False) -> bytes:
    """The file."""
    file = io.BytesIO()
    export(connection, file, public=public)
    return file.getvalue()


def verified(content: bytes, kept: Sequence[Checkpoint], signer: Signer = SIGNER) -> Verdict:
    """What an auditor with these checkpoints and this key finds."""
    return verify(io.BytesIO(content), kept, [signer.key], now=NOW + timedelta(days=1))


def export_of(database: Database, *, public: bool = False) -> bytes:
    """The file, by the owner."""
    with database.engine("owner").begin() as connection:
        return exported(connection, public=public)
