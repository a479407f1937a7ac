# SPDX-License-Identifier: EUPL-1.2
"""Events: who acted, what it says, its canonical bytes and its row (R25, RFC 8785). What kinds there are is in `kinds`;
who writes an event speaks of them as `events.MATCH_READ`.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Connection, text

from verwijsindex.database import as_json
from verwijsindex.ledger.kinds import *  # noqa: F403
from verwijsindex.ledger.kinds import EventKind

Outcome = Literal["success", "refused"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: the client that sent the request, in which role, and for whom (as that client asserts).

    `person` is set for a person's own token or an administrator's command, `on_behalf_of` for a machine.
    """

    role: str
    client_id: str | None = None
    oin: str | None = None
    municipality: str | None = None
    person: str | None = None
    on_behalf_of: UUID | None = None


MATCHER = Actor(role="matcher")
DELIVERER = Actor(role="deliverer")
UPKEEP = Actor(role="upkeep")


def _new_id() -> UUID:
    """A UUID of version 7 (RFC 9562, section 5.7): new events stand together in their index, however many there are."""
    random = bytearray(secrets.token_bytes(10))
    random[0] = 0x70 | random[0] & 0x0F
    random[2] = 0x80 | random[2] & 0x3F
    return UUID(bytes=(time.time_ns() // 1_000_000).to_bytes(6, "big") + bytes(random))


@dataclass(frozen=True, slots=True)
class Event:
    """One event to be. `recipient_reporter` and `recipient_municipality` say whom it concerns, if not the actor."""

    kind: EventKind
    at: datetime
    actor: Actor
    outcome: Outcome = "success"
    says: dict[str, str | int] = field(default_factory=dict)
    recipient_reporter: UUID | None = None
    recipient_municipality: str | None = None
    id: UUID = field(default_factory=_new_id)

    def __post_init__(self) -> None:
        unlisted = self.says.keys() - self.kind.fields
        if unlisted:
            raise ValueError(f"an event {self.kind.name} may not say {', '.join(sorted(unlisted))}")

    def canonical_bytes(self) -> bytes:
        """The event as RFC 8785 JSON: what the ledger's tree will be made of."""
        actor = {
            "clientId": self.actor.client_id,
            "institution": self.actor.oin,
            "municipality": self.actor.municipality,
            "onBehalfOf": self.actor.on_behalf_of,
            "person": self.actor.person,
            "role": self.actor.role,
        }
        body: dict[str, Any] = {
            "id": self.id,
            "at": says_when(self.at),
            "kind": self.kind.name,
            "outcome": self.outcome,
            "actor": {name: value for name, value in actor.items() if value is not None},
            **self.says,
        }
        if self.recipient_reporter:
            body["reporter"] = self.recipient_reporter
        if self.recipient_municipality:
            body["municipality"] = self.recipient_municipality
        # Of objects with ASCII names, texts and integers these are RFC 8785's bytes: names of ASCII sort the same, and
        # pydantic escapes the very same characters in the very same way (compared with `rfc8785` in the tests). The
        # standard library's json takes four times as long, for what every signal needs.
        return to_json(dict(sorted(body.items())))


def says_when(at: datetime) -> str:
    """A moment as events say it: UTC, with microseconds (RFC 3339)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_nonce() -> bytes:
    """What hides an event whose leaf is known from who guesses at its body: 16 bytes."""
    return secrets.token_bytes(16)


COLUMNS: dict[str, str] = {
    "id": "uuid",
    "at": "timestamptz",
    "kind": "text",
    "outcome": "text",
    "signal_id": "uuid",
    "match_id": "uuid",
    "reporter_id": "uuid",
    "oin": "text",
    "municipality_code": "text",
    "client_id": "text",
    "body": "bytea",
    "nonce": "bytea",
}


def row_of(event: Event) -> dict[str, Any]:
    """The event as a row of the table `event`: name of the column to its value."""
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind.name,
        "outcome": event.outcome,
        "signal_id": event.says.get("signalId"),
        "match_id": event.says.get("matchId"),
        "reporter_id": event.recipient_reporter or event.actor.on_behalf_of,
        "oin": event.actor.oin,
        "municipality_code": event.recipient_municipality or event.actor.municipality,
        "client_id": event.actor.client_id,
        "body": event.canonical_bytes(),
        "nonce": new_nonce(),
    }


# One JSON text and not an array for each column: a batch of the matcher has some four thousand events.
_APPEND = text(
    f"INSERT INTO event ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)}"  # noqa: S608 (names from the table above)
    f" FROM json_to_recordset(CAST(:events AS json)) AS e ({', '.join(map(' '.join, COLUMNS.items()))})"
)


def append(connection: Connection, events: Sequence[Event]) -> None:
    """Write events in the transaction of what they tell (I4)."""
    if events:
        connection.execute(_APPEND, {"events": as_json([row_of(event) for event in events])})


def of_rows(
    kind: EventKind, actor: Actor, relation: str, says: Mapping[str, str], recipients: Mapping[str, str]
) -> str:
    """SQL that appends an event of this kind for each row of `relation`, in the statement that made the rows (I4).

    Where one act tells thousands, to make each event here and send it takes a quarter of the matcher's time. The bytes
    are those of `Event.canonical_bytes`: names in order, no spaces, and of ids nothing has to be escaped. Who executes
    the statement gives it `of_rows_at` besides its own parameters.

    Args:
        actor: of whom only the role is known.
        relation: a name from a `WITH` of the statement.
        says: what the events say, and the column of `relation` that has it: an id, or null where it is not said.
        recipients: likewise whom the events concern: `reporter`, `municipality`.
    """
    if unlisted := says.keys() - kind.fields:
        raise ValueError(f"an event {kind.name} may not say {', '.join(sorted(unlisted))}")
    given = {"actor": to_json({"role": actor.role}).decode(), "kind": f'"{kind.name}"', "outcome": '"success"'}
    body = {name: f"'{value}'" for name, value in given.items()}
    of_row = {"at": "CAST(:event_says_at AS text)", "id": "event_id", **says, **recipients}
    body |= {name: f"""'"' || {column} || '"'""" for name, column in of_row.items()}
    members = ", ".join(f"""',"{name}":' || {value}""" for name, value in sorted(body.items()))
    columns = {"signal_id": says.get("signalId"), "match_id": says.get("matchId")}
    columns |= {"reporter_id": recipients.get("reporter"), "municipality_code": recipients.get("municipality")}
    known = {name: column for name, column in columns.items() if column}
    # `||` makes null of what is said of nothing, and `concat` leaves that out.
    return f"""
        INSERT INTO event (id, at, kind, outcome, {", ".join(known)}, body, nonce)
        SELECT event_id, CAST(:event_at AS timestamptz), '{kind.name}', 'success', {", ".join(known.values())},
               convert_to('{{' || substring(concat({members}) FROM 2) || '}}', 'UTF8'),
               substring(CAST(:event_nonces AS bytea) FROM CAST(16 * event_number - 15 AS integer) FOR 16)
        FROM (SELECT *, uuidv7() AS event_id, row_number() OVER () AS event_number FROM {relation}) e
    """  # noqa: S608 (names from the code)


def of_rows_at(at: datetime, most: int) -> dict[str, object]:
    """What a statement with `of_rows` is given: when it is, and nonces for at most so many rows."""
    return {"event_at": at, "event_says_at": says_when(at), "event_nonces": secrets.token_bytes(16 * most)}
