# SPDX-License-Identifier: EUPL-1.2
"""What a receiver gets: CloudEvents (NL GOV profile), signed as Standard Webhooks says, by one secret or by two."""

import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from standardwebhooks import Webhook

from verwijsindex.notices.destinations import Destinations
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import API_PREFIX

EVENT_TYPE = "nl.verwijsindex.inbox-changed"
CHALLENGE_TYPE = "nl.verwijsindex.webhook-challenge"


@dataclass(frozen=True, slots=True)
class Sender:
    """What a worker needs to deliver: keys, addresses, whether plain http is allowed (the demo only), by which CA
    certificates receivers are verified (None: the public ones), and to which network addresses webhooks may go."""

    keys: IndexKeys
    base_url: str
    operator_oin: str
    timeout: float  # seconds, for one try in all
    allow_plain_http: bool
    trust: ssl.SSLContext | None = None
    destinations: Destinations = field(default_factory=Destinations)


def event_body(sender: Sender, delivery_id: UUID, reporter_id: UUID, at: datetime) -> str:
    """The event of a push: always of one size, with a link and no personal data (R12)."""
    data = {"inbox": f"{sender.base_url.rstrip('/')}{API_PREFIX}/notices"}
    return _event(sender, EVENT_TYPE, delivery_id, reporter_id, at, data)


def challenge_body(sender: Sender, challenge_id: UUID, subscription: UUID, at: datetime, challenge: str) -> str:
    """The event that asks a receiver whether it wants to be one; its subject is the subscription."""
    return _event(sender, CHALLENGE_TYPE, challenge_id, subscription, at, {"challenge": challenge})


def signed(keys: IndexKeys, subscription: Row[Any], message: UUID, body: str, now: datetime) -> dict[str, str]:
    """The headers of one try. While a rotated secret lives it signs too, so that a receiver that knows either of the
    two believes it.

    Args:
        subscription: with client_id, key_version, secret_sealed and the three columns of the previous secret.

    Raises:
        KeyError, SealError: the index key of a secret is not here, or does not open it.
    """
    sealed = [(subscription.key_version, subscription.secret_sealed)]
    if subscription.previous_until is not None and subscription.previous_until > now:
        sealed.append((subscription.previous_key_version, subscription.previous_secret_sealed))
    context = subscription.client_id.encode()
    secrets = [keys[version].open("webhook-secret", context, secret) for version, secret in sealed]
    now = now.astimezone(UTC)
    return {
        "content-type": "application/cloudevents+json",
        "webhook-id": str(message),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(str(message), now, body) for secret in secrets),
    }


def _event(sender: Sender, kind: str, message: UUID, subject: UUID, at: datetime, data: dict[str, str]) -> str:
    event = {
        "specversion": "1.0",
        "id": str(message),
        "source": f"urn:nld:oin:{sender.operator_oin}:systeem:verwijsindex",
        "type": kind,
        "subject": str(subject),
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event, separators=(",", ":"))
