# SPDX-License-Identifier: EUPL-1.2
"""For who receives webhooks: is this one the index's, and what does it say (R12, R33).

A push says only that an inbox has something new. A receiver must
- verify each one before it believes it (`verify`), and answer 2xx within a few seconds, or it comes again;
- answer a challenge with what `challenge_answer` gives: before that it gets nothing else;
- drop repeats by `Event.id`: each comes at least once (I3);
- expect no order, and read the inbox (`VerwijsindexClient.notices`) instead of counting pushes;
- keep the secret as it keeps a password; after a rotation it may know two, and believes what either has signed.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

CHALLENGE_TYPE = "nl.verwijsindex.webhook-challenge"
TOLERANCE = timedelta(minutes=5)
"""How old, or how far ahead, a webhook's timestamp may be."""


class WebhookError(ValueError):
    """Not a webhook to believe: answer 400 and do nothing. The text holds nothing of what came in."""


class Event(BaseModel):
    """A CloudEvent (NL GOV profile): something is new for a recipient, or a challenge. Unknown attributes are passed
    over."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: str
    """The same at each repeat: drop those you have seen."""
    source: str
    type: str
    subject: UUID
    """The reporter whose inbox it is; of a challenge the subscription."""
    time: AwareDatetime
    data: dict[str, Any]
    """`inbox`: the address to read it from; of a challenge `challenge`."""


def verify(headers: Mapping[str, str], body: bytes, secret: str | Sequence[str], now: datetime) -> Event:
    """The event in a webhook that is signed as Standard Webhooks says.

    Args:
        headers: of the request; upper and lower case are the same.
        body: the very bytes that came in.
        secret: `whsec_` and base64, as it was given with the subscription; or several, while one is rotated.
        now: with a time zone; a webhook older than TOLERANCE may be a replay.

    Raises:
        WebhookError: a header is missing, the time is not now, the signature is made with none of these
            secrets, or the content is no such event.
        ValueError: a secret is not of its form.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = named["webhook-id"], named["webhook-timestamp"]
        signatures = named["webhook-signature"]
    except KeyError as missing:
        raise WebhookError(f"the header {missing.args[0]} is missing") from None
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        raise WebhookError("the webhook-timestamp is no number of seconds")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise WebhookError("the webhook is too old, or this machine's clock is not right")
    content = f"{message_id}.{timestamp}.".encode() + body
    keys = [secret_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    expected = [base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    given = [part.removeprefix("v1,").encode("utf-8", "replace") for part in signatures.split(" ") if part[:3] == "v1,"]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise WebhookError("the signature is not made with this secret")
    try:
        return Event.model_validate_json(body)
    except ValidationError:
        raise WebhookError("the content is no event of this index") from None


def challenge_answer(event: Event) -> bytes | None:
    """The body (JSON) of the 200 that a verified challenge is answered with; None for any other event."""
    if event.type != CHALLENGE_TYPE:
        return None
    return json.dumps({"challenge": event.data.get("challenge")}).encode()


def secret_key(secret: str) -> bytes:
    """The bytes in a secret, `whsec_` and base64. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a webhook's secret is whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook's secret has 24 to 64 bytes")
    return key
