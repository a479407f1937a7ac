# SPDX-License-Identifier: EUPL-1.2
"""An address gets nothing before its receiver has answered the challenge, and nothing while paused; two secrets sign
while one is rotated; a replay keeps its id (I3, R12)."""

import json
import socket
import time
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from notices.posting import Post, now
from standardwebhooks import Webhook, WebhookVerificationError
from support import CLINIC, SCHOOL, Answer
from system.receiver import Behaviour, Handler, Receiver, answering, confirming, dripping, hanging

from verwijsindex.client import challenge_answer, verify_webhook
from verwijsindex.database import transaction
from verwijsindex.notices.signing import CHALLENGE_TYPE, EVENT_TYPE
from verwijsindex.notices.upkeep import tidy


def ask(post: Post, method: str, path: str, body: object = None, oin: str = SCHOOL) -> Answer:
    headers = post.index.machine(oin) | {"Idempotency-Key": str(uuid4())}
    sent: dict[str, Any] = {} if body is None else {"json": body}
    found = post.index.http.open(f"/api/v1/webhook-subscriptions/{path}", method=method, headers=headers, **sent)
    return cast(Answer, found)


def last_attempt(post: Post) -> Any:
    return post.index.database.rows("SELECT * FROM attempt ORDER BY at DESC, id LIMIT 1")[0]


def told(post: Post) -> list[str]:
    """What the ledger says that the deliverer did."""
    rows = post.index.database.rows("SELECT body FROM event ORDER BY at")
    events = [json.loads(bytes(row[0])) for row in rows]
    return [event["change"] for event in events if event["actor"]["role"] == "deliverer"]


def test_nothing_but_a_signed_challenge_comes_before_its_answer(post: Post) -> None:
    """And all that waited comes after it. Seen failing (the webhooks came first) without the state in the claim."""
    receiver = post.stack.enter_context(Receiver())
    subscription = post.subscribe(SCHOOL, receiver.address, confirmed=False)
    receiver.confirms = False
    post.tell(matches=2)
    assert post.deliver() == 1
    [got] = receiver.received
    event = Webhook(post.secrets[SCHOOL]).verify(got.body, got.headers)
    assert (event["type"], event["subject"]) == (CHALLENGE_TYPE, subscription)
    assert len(event["data"]["challenge"]) == 43
    answer = challenge_answer(verify_webhook(got.headers, got.body, post.secrets[SCHOOL], now()))
    assert json.loads(answer or b"") == event["data"]
    assert post.subscription(SCHOOL).state == "pending"
    assert (last_attempt(post).about, last_attempt(post).outcome) == ("challenge", "another answer")
    assert told(post) == []
    receiver.confirms = True
    post.due()
    assert post.deliver() == 1 + 2
    assert post.subscription(SCHOOL).state == "active"
    assert told(post) == ["confirmed"]
    [challenge] = receiver.challenges
    assert challenge.headers["webhook-id"] == got.headers["webhook-id"]
    assert json.loads(challenge.body)["data"] != event["data"], "each try asks something new"
    types = [json.loads(one.body)["type"] for one in receiver.received[1:]]
    assert types == [EVENT_TYPE, EVENT_TYPE]
    assert post.index.get("/notices", post.index.reader()).json["items"]


def saying(answer: bytes) -> Behaviour:
    return lambda handler, _: confirming(handler, answer)


def late(handler: Handler, _: int) -> None:
    """The right status at once, and then no body for a long time."""
    handler.send_response(200)
    handler.send_header("content-length", "60")
    handler.end_headers()
    handler.receiver.over.wait(30)


WRONG = {
    "no body": answering(204),
    "no JSON": saying(b"yes"),
    "no object": saying(b"[]"),
    "no challenge": saying(b'{"ok": true}'),
    "another": saying(b'{"challenge": "x"}'),
    "no text": saying(b'{"challenge": null}'),
    "deep": saying(b"[" * 4000),
    "long": saying(b'{"challenge": "' + b"x" * 5000 + b'"}'),
    "late": late,
    "refusal": answering(403),
    "silence": hanging,
    "drips": dripping,
}


def test_no_other_answer_confirms_an_address(post: Post) -> None:
    """Not even the right status; and nothing of what came is kept. Seen failing when any 2xx confirmed."""
    receiver = post.stack.enter_context(Receiver())
    receiver.confirms = False
    post.subscribe(SCHOOL, receiver.address, confirmed=False)
    outcomes = {"refusal": "status 403", "silence": "ReadTimeout", "drips": "ReadTimeout"}
    for name, behaviour in WRONG.items():
        receiver.behaviour = behaviour
        post.due()
        assert post.deliver(timeout=0.5) == 1, name
        assert post.subscription(SCHOOL).state == "pending"
        assert last_attempt(post).outcome == outcomes.get(name, "another answer"), name
        assert last_attempt(post).next_try_at > now()


def test_a_challenge_is_given_up_after_a_while_and_can_be_asked_anew(post: Post) -> None:
    receiver = post.stack.enter_context(Receiver(answering(500)))
    receiver.confirms = False
    subscription = post.subscribe(SCHOOL, receiver.address, confirmed=False)
    post.tell()
    post.change("UPDATE subscription SET challenge_until = :at", at=now() + timedelta(seconds=1))
    assert post.deliver() == 1
    assert (post.subscription(SCHOOL).state, last_attempt(post).next_try_at) == ("failed", None)
    assert told(post) == ["failed"]
    post.due()
    assert post.deliver() == 0
    receiver.confirms = True
    assert ask(post, "POST", f"{subscription}/challenges").json["state"] == "pending"
    post.due()
    assert post.deliver() == 2, "the challenge, and what had waited"
    assert ask(post, "GET", subscription).json["state"] == "active"


def test_an_answer_from_the_address_before_confirms_nothing(post: Post) -> None:
    """The address is changed while the challenge of the one before is on the way. Seen failing (the new address was
    active) when a result was written back whatever challenge it was of."""
    first = post.stack.enter_context(Receiver())
    second = post.stack.enter_context(Receiver())
    second.confirms = False
    subscription = post.subscribe(SCHOOL, first.address, confirmed=False)

    def moving(handler: Handler, _: int) -> None:
        ask(post, "PATCH", subscription, {"address": second.address})
        confirming(handler, json.dumps(json.loads(first.received[0].body)["data"]).encode())

    first.confirms, first.behaviour = False, moving
    post.deliver()  # perhaps the challenge of the new address as well
    row = post.subscription(SCHOOL)
    assert (row.state, row.address, row.confirmed_address) == ("pending", second.address, None)
    assert "ok" in {one.outcome for one in post.index.database.rows("SELECT outcome FROM attempt")}


def test_who_pauses_gets_nothing_and_loses_nothing(post: Post) -> None:
    """Seen failing (all came at once) without the state in the claim."""
    receiver, other = post.receiver(SCHOOL), post.receiver(CLINIC)
    subscription = str(post.subscription(SCHOOL).id)
    assert ask(post, "PATCH", subscription, {"state": "paused"}).json["state"] == "paused"
    post.tell(matches=3)
    assert post.deliver() == 3
    assert (len(receiver.received), len(other.received)) == (0, 3)
    assert ask(post, "GET", subscription).json["waiting"] == 3
    ask(post, "PATCH", subscription, {"state": "active"})
    assert post.deliver() == 3
    assert len(receiver.received) == 3


def test_two_secrets_sign_until_the_old_ones_time_is_over(post: Post) -> None:
    """A receiver that knows either believes it; after the overlap the old secret signs nothing, and is destroyed. Seen
    failing (the old one still verified) when `signed` did not look at previous_until."""
    receiver = post.receiver(SCHOOL)
    subscription = str(post.subscription(SCHOOL).id)
    old = post.secrets[SCHOOL]
    new = ask(post, "POST", f"{subscription}/secrets").json["secret"]
    post.change("UPDATE subscription SET previous_until = :at", at=now() + timedelta(minutes=1))
    post.tell()
    post.deliver()
    [got] = receiver.received
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for known in (old, new, [old, new]):
        assert verify_webhook(got.headers, got.body, known, now()).type == EVENT_TYPE
    Webhook(old).verify(got.body, got.headers)
    post.change("UPDATE subscription SET previous_until = :at", at=now())
    post.change("UPDATE delivery SET delivered_at = NULL, due_at = :at", at=now())
    post.deliver()
    after = receiver.received[-1]
    Webhook(new).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after.body, after.headers)
    for _ in range(2):
        with transaction(post.index.database.engine("worker")) as connection:
            tidy(connection, now())
    row = post.subscription(SCHOOL)
    assert (row.previous_secret_sealed, row.previous_key_version, row.previous_until) == (None, None, None)
    assert told(post) == ["confirmed", "old secret destroyed"]


def test_a_replay_comes_with_the_id_that_it_had(post: Post) -> None:
    """Seen failing with a webhook-id of its own for each try."""
    receiver = post.receiver(SCHOOL)
    subscription = str(post.subscription(SCHOOL).id)
    post.tell(matches=3)
    assert post.deliver() == 3
    first = list(receiver.ids)
    assert ask(post, "POST", f"{subscription}/replays", {"delivery": first[1]}).json == {"count": 1}
    post.due()
    assert post.deliver() == 1
    assert receiver.ids[3:] == [first[1]]
    assert receiver.received[3].body == receiver.received[1].body
    assert {UUID(one) for one in first} == {row.id for row in post.rows(SCHOOL)}


def test_attempts_tell_of_each_try(post: Post) -> None:
    post.receiver(SCHOOL, answering(500, 200))
    subscription = str(post.subscription(SCHOOL).id)
    post.tell()
    for _ in range(2):
        post.due()
        post.deliver()
    items = ask(post, "GET", f"{subscription}/attempts").json["items"]
    assert [(one["about"], one["outcome"]) for one in items] == [
        ("inbox", "ok"),
        ("inbox", "status 500"),
        ("challenge", "ok"),
    ]
    assert [("nextTryAt" in one) for one in items] == [False, True, False]
    assert {one["delivery"] for one in items[:2]} == {str(post.rows(SCHOOL)[0].id)}
    assert all(0 <= one["durationMs"] < 10_000 for one in items)


def test_old_attempts_and_answers_are_forgotten(post: Post) -> None:
    post.receiver(SCHOOL)
    for days, attempts, answers in ((6, 1, 1), (8, 1, 0), (31, 0, 0)):
        with transaction(post.index.database.engine("worker")) as connection:
            tidy(connection, post.index.clock() + timedelta(days=days))
        assert post.tries() == attempts
        assert post.index.database.scalar("SELECT count(*) FROM subscription_request") == answers


def test_a_receiver_that_fails_rests_longer_each_time_and_is_forgiven(post: Post) -> None:
    receiver = post.receiver(SCHOOL, answering(500))
    post.tell(matches=8)
    for seconds in (1, 2, 4, 8):
        before = now()
        assert post.deliver() == 1
        until = post.subscription(SCHOOL).rests_until
        assert until - now() <= timedelta(seconds=seconds) <= until - before
        post.change("UPDATE subscription SET rests_until = :at", at=now())
    receiver.behaviour = answering(204)
    post.due()
    assert post.deliver() == 8
    row = post.subscription(SCHOOL)
    assert (row.failures, row.rests_until) == (0, None)


def test_a_name_that_is_not_looked_up_in_time_ends_its_try(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's look-up knows no deadline. Seen failing (the try lasted as long as the look-up) with the
    look-up in the try's own thread."""
    receiver = post.receiver(SCHOOL)
    elsewhere = receiver.address.replace("127.0.0.1", "receiver.test")
    post.change("UPDATE subscription SET address = :address, confirmed_address = :address", address=elsewhere)
    post.tell()
    look_up = socket.getaddrinfo
    asked = []

    def slow(host: str, *rest: Any, **more: Any) -> Any:
        if host != "receiver.test":
            return look_up(host, *rest, **more)
        asked.append(time.monotonic())
        time.sleep(2)
        return look_up("127.0.0.1", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert post.deliver(timeout=0.5) == 1
    assert last_attempt(post).outcome == "ConnectTimeout"
    assert last_attempt(post).duration_ms < 2000
    post.due()
    assert post.deliver(timeout=8) == 1
    assert (len(receiver.received), len(asked)) == (1, 2)


def test_what_is_on_the_way_when_a_turn_ends_is_written_back_by_the_next(post: Post) -> None:
    receiver = post.receiver(SCHOOL, hanging)
    post.tell()
    deliverer = post.deliverer(timeout=2.0)
    assert deliverer.turn(0.3), "it is on the way"
    assert post.rows(SCHOOL)[0].last_outcome is None
    while deliverer.turn(0.3):
        pass
    assert post.rows(SCHOOL)[0].last_outcome == "ReadTimeout"
    receiver.over.set()
    post.due()
    receiver.behaviour = answering(204)
    assert deliverer.turn(0.0)
    deliverer.finish()
    assert post.rows(SCHOOL)[0].last_outcome == "ok"
