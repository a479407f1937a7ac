# SPDX-License-Identifier: EUPL-1.2
"""Believing a webhook: only one that the index signed, just now (Standard Webhooks, R12)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from verwijsindex.client import WebhookError, challenge_answer, verify_webhook
from verwijsindex.notices.signing import CHALLENGE_TYPE, EVENT_TYPE, Sender, challenge_body, event_body
from verwijsindex.pseudonyms.sealing import IndexKeys

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ID, REPORTER = UUID(int=7), UUID(int=8)
SENDER = Sender(IndexKeys({1: KEY}), "https://index.example", "00000001003214345000", 1, False)


def signed(body: str, at: datetime = NOW, key: bytes = KEY) -> dict[str, str]:
    """The headers that the index sends, made by the independent package `standardwebhooks`."""
    return {
        "Webhook-Id": str(ID),
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(key).sign(str(ID), at, body),
    }


BODY = event_body(SENDER, ID, REPORTER, NOW)


def test_what_the_index_sends_is_believed_and_typed() -> None:
    event = verify_webhook(signed(BODY), BODY.encode(), SECRET, NOW)
    assert event.id == str(ID)
    assert event.subject == REPORTER
    assert event.type == EVENT_TYPE
    assert event.time == NOW
    assert event.data["inbox"] == "https://index.example/api/v1/notices"


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed(BODY)
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {headers['Webhook-Signature']}"
    assert verify_webhook(headers, BODY.encode(), SECRET, NOW).id == str(ID)


def test_while_a_secret_is_rotated_either_of_two_is_enough() -> None:
    """At the index, which signs with both, and at the receiver, which knows both."""
    old, new = KEY, bytes(32)
    other = "whsec_" + base64.b64encode(new).decode()
    both = signed(BODY, key=old)
    both["Webhook-Signature"] += " " + signed(BODY, key=new)["Webhook-Signature"]
    for known in (SECRET, other, [SECRET], [other, SECRET]):
        assert verify_webhook(both, BODY.encode(), known, NOW).id == str(ID)
    assert verify_webhook(signed(BODY), BODY.encode(), [other, SECRET], NOW).id == str(ID)
    for known in (other, [other], []):
        with pytest.raises(WebhookError, match="signature"):
            verify_webhook(signed(BODY), BODY.encode(), known, NOW)


def test_a_challenge_is_answered_with_what_it_says() -> None:
    body = challenge_body(SENDER, ID, REPORTER, NOW, "what it says")
    event = verify_webhook(signed(body), body.encode(), SECRET, NOW)
    assert (event.type, event.subject) == (CHALLENGE_TYPE, REPORTER)
    assert json.loads(challenge_answer(event) or b"") == {"challenge": "what it says"}


def without(name: str) -> Mapping[str, str]:
    return {key: value for key, value in signed(BODY).items() if key != name}


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        (without("Webhook-Id"), BODY, "webhook-id is missing"),
        (without("Webhook-Timestamp"), BODY, "webhook-timestamp is missing"),
        (without("Webhook-Signature"), BODY, "webhook-signature is missing"),
        (signed(BODY), BODY + " ", "signature"),
        (signed(BODY) | {"Webhook-Id": "8"}, BODY, "signature"),
        (signed(BODY) | {"Webhook-Timestamp": str(int(NOW.timestamp()) + 1)}, BODY, "signature"),
        (signed(BODY) | {"Webhook-Timestamp": "soon"}, BODY, "no number"),
        (signed(BODY) | {"Webhook-Timestamp": "-1"}, BODY, "no number"),
        (signed(BODY) | {"Webhook-Signature": ""}, BODY, "signature"),
        (signed(BODY) | {"Webhook-Signature": "v1,\u20ac"}, BODY, "signature"),
        (signed(BODY, key=bytes(32)), BODY, "signature"),
        (signed(BODY, NOW - timedelta(minutes=5, seconds=1)), BODY, "too old"),
        (signed(BODY, NOW + timedelta(minutes=5, seconds=1)), BODY, "too old"),
        (signed("{}"), "{}", "no event"),
        (signed("x"), "x", "no event"),
    ],
)
def test_what_is_not_signed_now_by_the_index_is_not_believed(headers: Mapping[str, str], body: str, says: str) -> None:
    with pytest.raises(WebhookError, match=says):
        verify_webhook(headers, body.encode(), SECRET, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_of_another_form_is_told_from_a_forged_webhook(secret: str) -> None:
    with pytest.raises(ValueError, match="a webhook's secret") as caught:
        verify_webhook(signed(BODY), BODY.encode(), secret, NOW)
    assert not isinstance(caught.value, WebhookError)
