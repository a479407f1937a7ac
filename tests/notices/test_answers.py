# SPDX-License-Identifier: EUPL-1.2
"""What a receiver says is heard: not so soon (429, 503), and no more (410)."""

import json
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from notices.posting import Post, now
from support import CLINIC, SCHOOL
from system.receiver import Behaviour, Handler, Receiver, answering, confirming

from verwijsindex.notices import outcomes

FAR = {"retry_after": "7200"}


def subscription(post: Post, method: str = "GET", path: str = "", body: object = None) -> Any:
    own = post.index.machine() | {"Idempotency-Key": str(uuid4())}
    address = f"/api/v1/webhook-subscriptions/{post.subscription(SCHOOL).id}{path}"
    sent: dict[str, Any] = {} if body is None else {"json": body}
    return cast(Any, post.index.http.open(address, method=method, headers=own, **sent)).json


def told(post: Post) -> list[str]:
    bodies = [json.loads(bytes(row[0])) for row in post.index.database.rows("SELECT body FROM event ORDER BY at")]
    return [one["change"] for one in bodies if one["actor"]["role"] == "deliverer"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_is_left_alone_as_long_as_it_asks(post: Post, status: int) -> None:
    """Two hours in the place of a second, for what waits as well, and the try that failed comes no sooner. Seen failing
    (a rest of a second) without it."""
    receiver = post.receiver(SCHOOL, answering(status, **FAR))
    other = post.receiver(CLINIC)
    post.tell(matches=3)
    assert post.deliver() == 1 + 3
    assert len(other.received) == 3
    row = post.subscription(SCHOOL)
    two_hours = timedelta(minutes=119), timedelta(minutes=121)
    assert two_hours[0] < row.rests_until - now() < two_hours[1]
    [tried] = [one for one in post.rows(SCHOOL) if one.attempts]
    assert two_hours[0] < tried.due_at - now() < two_hours[1]
    assert subscription(post)["restsUntil"]
    receiver.behaviour = answering(204)
    post.due()
    assert post.deliver() == 3


def test_who_asks_is_heard_though_others_of_its_tries_succeed(post: Post) -> None:
    """Of sixteen at once one is refused for an hour: the rest stands. Seen failing (the receiver was tried on) when
    whoever had taken something was not let rest."""

    def busy(handler: Handler, number: int) -> None:
        answering(*([503] if number == 7 else [204]), **(FAR if number == 7 else {}))(handler, number)

    receiver = post.receiver(SCHOOL, busy)
    post.tell(matches=40)
    post.deliver()
    assert len(receiver.received) < 40
    assert post.subscription(SCHOOL).rests_until - now() > timedelta(minutes=110)


def test_a_success_that_comes_later_does_not_end_a_rest_that_was_asked_for(post: Post) -> None:
    """Two tries at once, written back one after the other. Seen failing (no rest was left) when the rest was one
    after a failure like any other."""
    post.receiver(SCHOOL)
    post.tell(matches=2)
    worker = post.index.database.engine("worker")
    with worker.begin() as connection:
        busy, taken = outcomes.claim(connection, {f"client-{SCHOOL}": 2}, now())
    for row, outcome, asked in ((busy, "status 503", timedelta(hours=2)), (taken, "ok", timedelta(0))):
        with worker.begin() as connection:
            assert outcomes.write_back(connection, [outcomes.Result(row, now(), outcome, 5, asked)], now()) == set()
    assert post.subscription(SCHOOL).rests_until - now() > timedelta(minutes=119)


def test_other_answers_ask_for_nothing(post: Post) -> None:
    post.receiver(SCHOOL, answering(500, **FAR))
    post.tell()
    post.deliver()
    assert post.subscription(SCHOOL).rests_until - now() < timedelta(seconds=5)
    assert post.rows(SCHOOL)[0].due_at - now() < timedelta(seconds=10)


def _closing(handler: Handler, _: int) -> None:
    """Nothing at all."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _closing_early(handler: Handler, _: int) -> None:
    """Half of the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    _closing(handler, 0)


def _a_megabyte(handler: Handler, _: int) -> None:
    with suppress(OSError):  # it is not read to its end
        confirming(handler, b"x" * 2**20)


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (answering(301, location="http://127.0.0.1:1/"), "status 301"),
        (answering(500), "status 500"),
        (_closing, "RemoteProtocolError"),
        (_closing_early, "RemoteProtocolError"),
        (_a_megabyte, "ok"),
    ],
)
def test_what_else_receivers_do(post: Post, behaviour: Behaviour, outcome: str) -> None:
    """It ends the try, and the next one of another receiver is none the worse; hanging is in test_delivery."""
    receiver, other = post.receiver(SCHOOL, behaviour), post.receiver(CLINIC)
    post.tell()
    assert post.deliver() == 2
    assert (post.rows(SCHOOL)[0].last_outcome, post.rows(CLINIC)[0].last_outcome) == (outcome, "ok")
    receiver.behaviour = answering(204)
    post.change("UPDATE delivery SET delivered_at = NULL, due_at = :at", at=now())
    post.due()
    assert post.deliver() == 2
    assert post.rows(SCHOOL)[0].last_outcome == "ok"
    assert len(set(receiver.ids)) == len(set(other.ids)) == 1


def test_a_challenge_is_not_asked_again_sooner_than_asked(post: Post) -> None:
    receiver = post.stack.enter_context(Receiver(answering(503, **FAR)))
    receiver.confirms = False
    post.subscribe(SCHOOL, receiver.address, confirmed=False)
    post.deliver()
    row = post.subscription(SCHOOL)
    assert row.state == "pending"
    assert row.challenge_due_at - now() > timedelta(minutes=119)


def test_a_receiver_that_is_gone_gets_nothing_until_its_client_goes_on(post: Post) -> None:
    """410: the subscription has failed, which the ledger and its client are told; what waits is kept. Seen failing
    (active, and tried again) without it."""
    receiver = post.receiver(SCHOOL, answering(410))
    post.tell(matches=3)
    assert post.deliver() == 1
    row = post.subscription(SCHOOL)
    assert (row.state, told(post)) == ("failed", ["confirmed", "gone"])
    shown = subscription(post)
    assert (shown["state"], shown["waiting"]) == ("failed", 3)
    assert shown["goneAt"]
    post.due()
    assert post.deliver() == 0
    receiver.behaviour = answering(204)
    assert subscription(post, "PATCH", body={"state": "active"})["state"] == "active"
    assert "goneAt" not in subscription(post)
    post.due()
    assert post.deliver() == 3
    assert len(set(receiver.ids)) == 3


def test_what_the_address_before_says_ends_nothing(post: Post) -> None:
    """The client moves while the old address answers 410. Seen failing (failed) without the address in `_GONE`."""
    second = post.stack.enter_context(Receiver())

    def moving(handler: Handler, number: int) -> None:
        subscription(post, "PATCH", body={"address": second.address})
        post.change("UPDATE subscription SET state = 'active', confirmed_address = address, challenge_id = NULL")
        answering(410)(handler, number)

    post.receiver(SCHOOL, moving)
    post.tell()
    post.deliver()
    assert (post.subscription(SCHOOL).state, post.subscription(SCHOOL).gone_at) == ("active", None)
    post.due()
    assert post.deliver() == 1
    assert len(second.received) == 1


def test_a_challenge_that_is_answered_gone_is_given_up_at_once(post: Post) -> None:
    receiver = post.stack.enter_context(Receiver(answering(410)))
    receiver.confirms = False
    post.subscribe(SCHOOL, receiver.address, confirmed=False)
    assert post.deliver() == 1
    assert (post.subscription(SCHOOL).state, told(post)) == ("failed", ["failed"])
    assert subscription(post)["goneAt"]
    receiver.confirms = True
    assert subscription(post, "POST", "/challenges")["state"] == "pending"
    post.due()
    post.deliver()
    assert subscription(post)["state"] == "active"
