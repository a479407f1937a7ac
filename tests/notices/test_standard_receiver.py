# SPDX-License-Identifier: EUPL-1.2
"""A receiver that is written with `standardwebhooks` and nothing of ours believes what we send, and nothing else."""

import json
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

from notices.posting import Post, now
from standardwebhooks import Webhook, WebhookVerificationError
from support import SCHOOL
from system.receiver import Handler, Receiver, answering, confirming


class Standard:
    """Knows one secret: 400 for what is not signed with it, the challenge's answer, or 204."""

    def __init__(self) -> None:
        self.secret = "whsec_" + "A" * 43 + "="
        self.believed = 0

    def __call__(self, handler: Handler, number: int) -> None:
        got = handler.receiver.received[number]
        try:
            event = Webhook(self.secret).verify(got.body, got.headers)
        except WebhookVerificationError:
            answering(400)(handler, number)
            return
        self.believed += 1
        if "challenge" in event["data"]:
            confirming(handler, json.dumps({"challenge": event["data"]["challenge"]}).encode())
        else:
            answering(204)(handler, number)


def test_it_believes_us_also_while_a_secret_is_rotated(post: Post) -> None:
    """By the old secret and by the new one until the old one's time is over, then by the new one alone. Seen failing
    (400 for who knows the new one) when only the old secret signed, and (400 for who knows the old) the other way."""
    standard = Standard()
    receiver = post.stack.enter_context(Receiver(standard))
    receiver.confirms = False
    path = f"/api/v1/webhook-subscriptions/{post.subscribe(SCHOOL, receiver.address, confirmed=False)}"

    def outcome() -> str:
        post.change("UPDATE delivery SET delivered_at = NULL, due_at = :at", at=now())
        post.due()
        assert post.deliver() == 1
        return str(post.rows(SCHOOL)[0].last_outcome)

    assert post.deliver() == 1
    assert (post.subscription(SCHOOL).state, standard.believed) == ("pending", 0)
    standard.secret = old = post.secrets[SCHOOL]
    post.due()
    assert post.deliver() == 1
    assert (post.subscription(SCHOOL).state, standard.believed) == ("active", 1)
    post.tell()
    assert outcome() == "ok"
    keyed = post.index.machine() | {"Idempotency-Key": str(uuid4())}
    new = cast(Any, post.index.http.post(f"{path}/secrets", headers=keyed)).json["secret"]
    post.change("UPDATE subscription SET previous_until = :at", at=now() + timedelta(minutes=5))
    for standard.secret in (old, new):
        assert outcome() == "ok"
    standard.secret = "whsec_" + "A" * 43 + "="
    assert outcome() == "status 400"
    post.change("UPDATE subscription SET previous_until = :at", at=now())
    standard.secret = old
    assert outcome() == "status 400"
    standard.secret = new
    assert outcome() == "ok"
