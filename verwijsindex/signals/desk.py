# SPDX-License-Identifier: EUPL-1.2
"""What the rights desk decides of a placed signal: hidden during an objection (R30), or destroyed on an upheld request
(R15).

Of a signal that the desk's municipality contracted, and of no other: which ones those are is the database's to say, in
the one function that changes them, so that the desk reads no signal at all (R18, I8). Nobody is told (docs/rules.md,
Telling); the matcher hides or revives the party.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.parsing import Outgoing
from verwijsindex.problems import SIGNAL_NOT_FOUND, Problem

Decision = Literal["restrict", "lift", "destroy"]
_DECIDE = text("SELECT decide_on_signal(:signal, :decision, :now)")
_KINDS: dict[Decision, events.EventKind] = {
    "restrict": events.SIGNAL_RESTRICTED,
    "lift": events.SIGNAL_RESTRICTION_LIFTED,
    "destroy": events.SIGNAL_ENDED,
}


class RestrictionOut(Outgoing):
    """Whether the signal is restricted now; the same however often it was said before."""

    restricted: bool


class DestructionOut(Outgoing):
    """The signal has ended; it is destroyed within minutes, and never archived."""

    ended_at: datetime
    reason: Literal["upheld_request"] = Field(default="upheld_request")


def decide(connection: Connection, actor: events.Actor, now: datetime, signal_id: UUID, decision: Decision) -> None:
    """Restrict a signal, lift that, or end it; with its event and the matcher's work.

    Raises:
        Problem: 404 for one that is not placed, or that the desk's municipality did not contract.
    """
    values = {"signal": signal_id, "decision": decision, "now": now}
    reporter: UUID | None = connection.execute(_DECIDE, values).scalar_one()
    if reporter is None:
        raise Problem(SIGNAL_NOT_FOUND)
    says: dict[str, str | int] = {"signalId": str(signal_id), "reporterId": str(reporter)}
    if decision == "destroy":
        says["reason"] = "upheld_request"
    events.append(connection, [events.Event(_KINDS[decision], now, actor, says=says)])
