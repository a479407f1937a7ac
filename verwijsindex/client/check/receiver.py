# SPDX-License-Identifier: EUPL-1.2
"""Plays the index to a receiver of webhooks: good events, forged ones, and a challenge (R12, R33; Standard Webhooks).

The events name a reporter and an inbox that are nobody's, so nothing can be read with them.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

from verwijsindex import __version__
from verwijsindex.client.check.rules import RECEIVER
from verwijsindex.client.check.verdicts import Verdicts
from verwijsindex.client.webhooks import CHALLENGE_TYPE, secret_key

IN_TIME = 15.0  # seconds
LARGEST_EVENT = 16 * 1024  # bytes
FLOOD = 4 * 1024 * 1024  # bytes
INBOX_CHANGED = "nl.verwijsindex.inbox-changed"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int | None
    """None: none that could be read."""
    body: bytes
    connection: object
    """The same for answers over one connection; None where that cannot be seen."""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status is not None and 400 <= self.status < 500

    def __str__(self) -> str:
        return f"HTTP {self.status}" if self.status else "no answer"


class ReceiverCheck:
    """One run against one receiver.

    Args:
        address: of the receiver.
        secret: `whsec_` and base64, as the receiver has it for its subscription.
        transport: in the place of the network, for tests.
    """

    def __init__(self, address: str, secret: str, transport: httpx.BaseTransport | None = None) -> None:
        self.verdicts = Verdicts(RECEIVER)
        self._address = address
        self._key = secret_key(secret)
        on_this_machine = httpx.URL(address).host in {"127.0.0.1", "localhost", "::1"}
        self._http = httpx.Client(
            transport=transport,
            timeout=IN_TIME,
            follow_redirects=False,
            trust_env=not on_this_machine,
            headers={"User-Agent": f"verwijsindex-check/{__version__}", "Content-Type": "application/cloudevents+json"},
        )

    def run(self) -> Verdicts:
        """Tries everything; takes a few seconds with a receiver that answers at once."""
        with self._http:
            first = self._must_take("V1", "a signed event", _event())
            if first.status is None:
                for rule in RECEIVER[1:]:
                    self.verdicts.unseen(rule.id, "the receiver does not answer")
                return self.verdicts
            self._forged()
            self._rotation_and_repeats()
            self._unknown_and_large()
            self._challenge()
        return self.verdicts

    def _forged(self) -> None:
        event, now = _event(), int(time.time())
        body = json.dumps(event).encode()
        good = self._headers(event, body)
        self._must_refuse("V2", "a signature by another secret", body, self._headers(event, body, key=b"x" * 32))
        self._must_refuse("V2", "a signature over another id", body, good | {"webhook-id": str(uuid4())})
        self._must_refuse("V3", "a blank more in the body", body + b" ", good)
        self._must_refuse("V3", "another subject in the body", json.dumps(_event(id=event["id"])).encode(), good)
        for minutes in (-10, 10):
            when = "ago" if minutes < 0 else "ahead"
            headers = self._headers(event, body, at=now + 60 * minutes)
            self._must_refuse("V4", f"signed ten minutes {when}", body, headers)
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            self._must_refuse("V5", f"no {name}", body, {k: v for k, v in good.items() if k != name})
        self._must_refuse("V5", "a timestamp that is no number", body, good | {"webhook-timestamp": "now"})
        signature = good["webhook-signature"].removeprefix("v1,")
        for other in (f"v2,{signature}", f"v1a,{signature}", signature, ""):
            self._must_refuse("V6", "signatures of other versions only", body, good | {"webhook-signature": other})

    def _rotation_and_repeats(self) -> None:
        for tried in ("another secret's first", "another secret's last", "one of an unknown version first"):
            event = _event()
            body = json.dumps(event).encode()
            headers, others = self._headers(event, body), self._headers(event, body, key=secrets.token_bytes(32))
            parts = [others["webhook-signature"], headers["webhook-signature"]]
            if tried.endswith("last"):
                parts.reverse()
            elif tried.startswith("one of"):
                parts[0] = "v1a" + parts[0].removeprefix("v1")
            answer = self._post(body, headers | {"webhook-signature": " ".join(parts)})
            self.verdicts.judge("V7", f"two signatures, {tried}", "" if answer.taken else f"{tried}: {answer}")
        again = self._post(body, self._headers(event, body))
        self.verdicts.judge("V8", "the same event again", "" if again.taken else f"a repeat: {again}")
        if answer.connection is None or again.connection != answer.connection:
            self.verdicts.unseen(
                "V14", f"the connection is closed after an answer. {self.verdicts.by_id['V14'].rule.advice}"
            )
        else:
            self.verdicts.judge("V14", "several events over one connection")

    def _unknown_and_large(self) -> None:
        self._must_take(
            "V9", "a member more, and one more in data", _event(more={"a": [1]}, data={"inbox": "", "b": 1})
        )
        self._must_take("V9", "an event of another type", _event(type="nl.verwijsindex.something-new"))
        event = _event()
        room = LARGEST_EVENT - len(json.dumps(event | {"padding": ""}).encode())
        self._must_take("V10", "an event of 16 KiB", event | {"padding": "x" * room})
        flood = self._post(b"x" * FLOOD, {})
        after = self._post_event(_event())
        wrong = ""
        if flood.taken:
            wrong = f"4 MiB without a signature: {flood}"
        elif not after.taken:
            wrong = f"an event after a flood: {after}"
        self.verdicts.judge("V11", "4 MiB without a signature, then an event", wrong)

    def _challenge(self) -> None:
        event = _event(type=CHALLENGE_TYPE, data={"challenge": secrets.token_urlsafe(24)})
        body = json.dumps(event).encode()
        answer = self._post(body, self._headers(event, body))
        echoed = answer.taken and _echoed(answer.body) == event["data"]["challenge"]
        self.verdicts.judge(
            "V12", "a challenge", "" if echoed else f"a challenge: {answer}, and it is not in the answer"
        )
        event = _event(type=CHALLENGE_TYPE, data={"challenge": secrets.token_urlsafe(24)})
        body = json.dumps(event).encode()
        answer = self._post(body, self._headers(event, body, key=b"x" * 32))
        forged = answer.taken or event["data"]["challenge"].encode() in answer.body
        self.verdicts.judge("V12", "one that is not signed", f"a forged challenge: {answer}" if forged else "")

    def _must_take(self, rule: str, tried: str, event: Mapping[str, Any]) -> _Answer:
        answer = self._post_event(event)
        self.verdicts.judge(rule, tried, "" if answer.taken else f"{tried}: {answer}")
        return answer

    def _must_refuse(self, rule: str, tried: str, body: bytes, headers: Mapping[str, str]) -> None:
        answer = self._post(body, headers)
        self.verdicts.judge(rule, tried, "" if answer.refused else f"{tried}: {answer}, must be 4xx")

    def _post_event(self, event: Mapping[str, Any]) -> _Answer:
        body = json.dumps(event).encode()
        return self._post(body, self._headers(event, body))

    def _post(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        began = time.monotonic()
        try:
            response = self._http.post(self._address, content=body, headers=dict(headers))
        except httpx.RequestError as error:
            # Who cuts off a flood may do so before our last byte.
            if isinstance(error, httpx.TimeoutException):
                self.verdicts.judge("V13", "every event", f"no answer within {IN_TIME:.0f} seconds")
            return _Answer(None, b"", None)
        seconds = time.monotonic() - began
        late = f"an answer after {seconds:.0f} seconds" if seconds > IN_TIME else ""
        self.verdicts.judge("V13", "every event", late)
        return _Answer(response.status_code, response.content, _connection(response))

    def _headers(
        self, event: Mapping[str, Any], body: bytes, *, key: bytes | None = None, at: int | None = None
    ) -> dict[str, str]:
        timestamp = int(time.time()) if at is None else at
        content = f"{event['id']}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.digest(key or self._key, content, "sha256")).decode()
        return {
            "webhook-id": event["id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature}",
        }


def _event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "urn:nld:oin:00000000000000000000:systeem:verwijsindex",
        "type": INBOX_CHANGED,
        "subject": str(uuid4()),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": {"inbox": "https://index.invalid/api/v1/notices"},
        **changes,
    }


def _connection(response: httpx.Response) -> object:
    """Our end of the connection; None where it is closed already, or there is none."""
    stream = response.extensions.get("network_stream")
    try:
        return stream and stream.get_extra_info("client_addr")
    except OSError:
        return None


def _echoed(body: bytes) -> object:
    try:
        return json.loads(body)["challenge"]
    except (ValueError, TypeError, KeyError):
        return None
