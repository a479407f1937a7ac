# SPDX-License-Identifier: EUPL-1.2
"""Events: what kinds there are, which fields each may hold, and their canonical bytes (R25, RFC 8785).

A kind's fields are an allow-list: what is not listed cannot be written, so that no call can leak a value (I5).
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

Outcome = Literal["success", "refused"]


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of act or read; `fields` are what its events may say besides who, when and outcome."""

    name: str
    fields: frozenset[str] = frozenset()


def _kind(name: str, *fields: str) -> EventKind:
    return EventKind(name, frozenset(fields))


SIGNAL_REGISTERED = _kind("signal.registered", "signalId")
SIGNAL_REFUSED = _kind("signal.refused", "problem")
LIMIT_REACHED = _kind("limit.reached", "limit", "count")
DEATH_TOLD = _kind("death.told")
SIGNAL_RESTRICTED = _kind("signal.restricted", "signalId", "reporterId")
SIGNAL_RESTRICTION_LIFTED = _kind("signal.restriction_lifted", "signalId", "reporterId")
SIGNAL_ENDED = _kind("signal.ended", "signalId", "reporterId", "reason")
SIGNALS_LISTED = _kind("signals.listed", "count")
SIGNAL_READ = _kind("signal.read", "signalId")
ARCHIVED_SIGNAL_READ = _kind("archived_signal.read", "signalId")
# `reporterId` in these: of a coordinator's act the reporter on whose behalf it is; of a handover the receiver.
SIGNAL_WITHDRAWN = _kind("signal.withdrawn", "signalId", "reason", "reporterId")
INFORMING_RECORDED = _kind("signal.informing_recorded", "signalId", "status", "reporterId")
SIGNAL_HANDED_OVER = _kind("signal.handed_over", "signalId", "reporterId")
SIGNAL_MOVED = _kind("signal.moved", "signalId", "reporterId")
ORPHANED_SIGNALS_LISTED = _kind("orphaned_signals.listed", "count")
MATCH_OPENED = _kind("match.opened", "matchId")
MATCH_ENDED = _kind("match.ended", "matchId")
PARTY_JOINED = _kind("party.joined", "matchId", "signalId")
PARTY_LEFT = _kind("party.left", "matchId")
FAMILY_MATCH_OPENED = _kind("family_match.opened", "matchId")
FAMILY_MATCH_ENDED = _kind("family_match.ended", "matchId")
SIGNAL_ARCHIVED = _kind("signal.archived", "signalId")
SIGNAL_DESTROYED = _kind("signal.destroyed", "signalId")
NOTICE_PLACED = _kind("notice.placed", "matchId", "signalId", "noticeId", "coordinatorsOf")
NOTICES_LISTED = _kind("notices.listed", "count")
NOTICE_READ = _kind("notice.read", "noticeId")
MATCHES_LISTED = _kind("matches.listed", "count")
MATCH_READ = _kind("match.read", "matchId")
MATCH_MOVED = _kind("match.moved", "matchId")
ROUND_BEGAN = _kind("round.began", "matchId")
ROUND_RENEWED = _kind("round.renewed", "matchId")
ROUND_LAPSED = _kind("round.lapsed", "matchId")
ROUND_MOVED = _kind("round.moved", "matchId", "act")
FOLLOW_UP_READ = _kind("follow_up.read", "matchId")
FOLLOW_UPS_LISTED = _kind("follow_ups.listed", "count")
LEAD_ANSWERED = _kind("lead.answered", "matchId", "act", "reason")
LEAD_PROPOSED = _kind("lead.proposed", "matchId")
STEP_DONE = _kind("follow_up.step_done", "matchId", "told")
LEAD_UNANSWERED = _kind("lead.unanswered", "matchId")
LEAD_ENDED = _kind("lead.ended", "matchId")
PAIRS_MUTED = _kind("pairs.muted", "matchId", "count")
MUTES_LISTED = _kind("mutes.listed", "count")
MUTE_UNDONE = _kind("mute.undone", "matchId")
FIGURES_PUBLISHED = _kind("figures.published", "quarter")
FIGURES_READ = _kind("figures.read", "quarter")
REPORTERS_LISTED = _kind("reporters.listed", "count")
REPORTER_READ = _kind("reporter.read", "reporterId")
COORDINATORS_LISTED = _kind("coordinators.listed", "count")
ACCESS_REFUSED = _kind(
    *("access.refused", "problem", "operation"),
    *("signalId", "archivedSignalId", "matchId", "noticeId", "reporterId", "subscriptionId", "muteId"),
)
REGISTRY_CHANGED = _kind("registry.changed", "record", "recordId", "change")
INDEX_KEY_CHANGED = _kind("index_key.changed", "change", "version", "pseudonymVersion")
PSEUDONYM_KEY_CHANGED = _kind("pseudonym_key.changed", "change", "version")
CONTACT_DATA_REMOVED = _kind("contact_data.removed", "record", "recordId")
SUBSCRIPTION_CHANGED = _kind(
    "subscription.changed", "change", "subscriptionId", "subscriber", "subscribingInstitution", "count"
)
SUBSCRIPTIONS_LISTED = _kind("subscriptions.listed", "count")
SUBSCRIPTION_READ = _kind("subscription.read", "subscriptionId")
DEAD_LETTERS_LISTED = _kind("dead_letters.listed", "count")
DEAD_LETTERS_REPLAYED = _kind("dead_letters.replayed", "count")
MAIL_PREFERENCE_CHANGED = _kind("mail_preference.changed", "mail", "digestAt", "officersOf", "coordinatorsOf")
MAIL_PREFERENCE_READ = _kind("mail_preference.read", "officersOf", "coordinatorsOf")
REFUSED_MAILS_LISTED = _kind("refused_mails.listed", "count")
ATTEMPTS_LISTED = _kind("attempts.listed", "subscriptionId", "count")
EVENTS_DROPPED = _kind("events.dropped", "count")
LEDGER_EXPORTED = _kind("ledger.exported", "part")
OWN_EVENTS_READ = _kind("own_events.read", "signalId", "count")

KINDS: dict[str, EventKind] = {k.name: k for k in list(vars().values()) if isinstance(k, EventKind)}


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
            "at": _says_when(self.at),
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


def _says_when(at: datetime) -> str:
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
    return {"event_at": at, "event_says_at": _says_when(at), "event_nonces": secrets.token_bytes(16 * most)}
