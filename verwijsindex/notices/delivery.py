# SPDX-License-Identifier: EUPL-1.2
"""Delivering webhooks: at least once, each with one id, never dropped; and no receiver slows another (I3, R12).

What a receiver gets is of one type and size and says only that an inbox of its institution has something new (R33). An
address gets nothing but the challenge before its receiver has answered that.
"""

import hmac
import json
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row

from verwijsindex import metrics
from verwijsindex.database import transaction
from verwijsindex.logs import DELIVERY_DEAD, DELIVERY_NOT_TAKEN, log
from verwijsindex.notices import outcomes
from verwijsindex.notices.outcomes import Result
from verwijsindex.notices.posting import Poster, Reply
from verwijsindex.notices.receivers import Receivers
from verwijsindex.notices.schedule import asked_for
from verwijsindex.notices.signing import Sender, challenge_body, event_body, signed
from verwijsindex.settings import Clock

AT_ONCE = 128  # threads; nearly all of them wait for a receiver
CHALLENGES = 16  # of them for challenges, at most
TURN = 5.0  # seconds after which a turn ends, so that the worker's other tasks get theirs
LOOK_EVERY = 0.1  # seconds between two looks at who has something due
GATHERED = 0.02  # seconds in which results are gathered to be written back together


class Deliverer:
    """Delivers, turn after turn, for as long as the process lives: what is on the way when a turn ends goes on, and the
    next turn writes its result back. A lease covers what is lost when there is no next turn. For one thread.

    Args:
        pool: of the worker role.
    """

    def __init__(self, pool: Engine, sender: Sender, clock: Clock) -> None:
        self._pool, self._sender, self._clock = pool, sender, clock
        self._poster = Poster(
            seconds=sender.timeout,
            allow_plain_http=sender.allow_plain_http,
            destinations=sender.destinations,
            trust=sender.trust,
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deliver")
        self._receivers = Receivers(AT_ONCE - CHALLENGES)
        self._challenged = 0
        self._results: SimpleQueue[tuple[Result, bool]] = SimpleQueue()
        self._due: set[str] = set()
        self._look_at = 0.0

    def turn(self, seconds: float = TURN) -> bool:
        """Try what is due, slow receivers beside quick ones; whether anything is still due or on the way."""
        ends_at = time.monotonic() + seconds
        self._look_at = 0.0
        while True:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_EVERY
                self._look()
            self._begin()
            if not self._on_the_way or time.monotonic() >= ends_at:
                self._poster.let_go()  # also while somebody hangs: each that is kept is an open file
                return bool(self._on_the_way)
            ended = self._gather(min(self._look_at, ends_at))
            self._end(ended)
            self._begin()  # so that receivers have something to do meanwhile
            self._write_back(ended)

    def finish(self) -> None:
        """Begin nothing more, wait for what is on the way, and write it back."""
        while self._on_the_way:
            ended = self._gather(time.monotonic() + self._sender.timeout)
            self._end(ended)
            self._write_back(ended)
        self._threads.shutdown()
        self._poster.close()

    @property
    def _on_the_way(self) -> int:
        return self._receivers.on_the_way + self._challenged

    def _look(self) -> None:
        now = self._clock()
        with transaction(self._pool) as connection:
            self._due = outcomes.due_receivers(connection, now)
            challenges = outcomes.claim_challenges(connection, CHALLENGES - self._challenged, now)
        self._challenged += len(challenges)
        for row in challenges:
            self._threads.submit(self._challenge, row)

    def _begin(self) -> None:
        rooms = self._receivers.room(self._due)
        if not rooms:
            return
        with transaction(self._pool, durable=False) as connection:
            rows = outcomes.claim(connection, rooms, self._clock())
        self._receivers.began(row.client_id for row in rows)
        found = [row.client_id for row in rows]
        self._due -= {client for client, room in rooms.items() if found.count(client) < room}
        for row in rows:
            self._threads.submit(self._deliver, row)

    def _gather(self, until: float) -> list[tuple[Result, bool]]:
        """What has ended: nothing if nothing ends by then, else all that ends together with the first."""
        try:
            gathered = [self._results.get(timeout=max(0.001, until - time.monotonic()))]
        except Empty:
            return []
        if self._results.qsize() < AT_ONCE // 2:
            time.sleep(GATHERED)
        while not self._results.empty():
            gathered.append(self._results.get())
        return gathered

    def _end(self, ended: Sequence[tuple[Result, bool]]) -> None:
        for result, is_challenge in ended:
            if is_challenge:
                self._challenged -= 1
                continue
            self._receivers.ended(result.row.client_id, result.ok, result.milliseconds)
            if not result.ok:
                self._due.discard(result.row.client_id)  # it rests; the next look sees for how long

    def _write_back(self, ended: Sequence[tuple[Result, bool]]) -> None:
        deliveries = [result for result, is_challenge in ended if not is_challenge]
        now, dead = self._clock(), set[UUID]()
        if deliveries:
            with transaction(self._pool, durable=False) as connection:
                dead = outcomes.write_back(connection, deliveries, now)
        for result, is_challenge in ended:
            if is_challenge:
                self._look_at = 0.0  # what waited for it is due
                with transaction(self._pool) as connection:
                    outcomes.write_back_challenge(connection, result, now)
            if not is_challenge:
                metrics.DELIVERIES.labels(metrics.outcome_class(result.outcome)).inc()
            if result.row.id in dead:
                log(DELIVERY_DEAD, delivery=result.row.id, outcome=result.outcome)
            elif not result.ok:
                log(DELIVERY_NOT_TAKEN, delivery=result.row.id, outcome=result.outcome)

    def _deliver(self, row: Row[Any]) -> None:
        """In a thread: one try of a delivery."""
        began_at, began = self._clock(), time.monotonic()
        reply = self._post(row, lambda: event_body(self._sender, row.id, row.reporter_id, row.placed_at), began_at)
        self._results.put((self._result(row, began_at, began, reply), False))

    def _challenge(self, row: Row[Any]) -> None:
        """In a thread: one try of a challenge. The receiver must give back what it was sent, as JSON:
        {"challenge": "..."}."""
        began_at, began = self._clock(), time.monotonic()
        text = secrets.token_urlsafe(32)
        body = partial(challenge_body, self._sender, row.id, row.subscription_id, began_at, text)
        reply = self._post(row, body, began_at)
        if reply.outcome == "ok" and not _answers(reply.body, text):
            reply = Reply("another answer")
        self._results.put((self._result(row, began_at, began, reply), True))

    def _result(self, row: Row[Any], began_at: datetime, began: float, reply: Reply) -> Result:
        milliseconds = round((time.monotonic() - began) * 1000)
        return Result(row, began_at, reply.outcome, milliseconds, asked_for(reply.retry_after, self._clock()))

    def _post(self, row: Row[Any], make: Callable[[], str], now: datetime) -> Reply:
        """Never raises: what goes wrong with one concerns that one only."""
        try:
            body = make()
            headers = signed(self._sender.keys, row, row.id, body, now)
        except Exception as error:  # the index key of its secret is not here, above all
            return Reply(type(error).__name__)
        return self._poster.post(row.address, body.encode(), headers)


def _answers(body: bytes | None, challenge: str) -> bool:
    try:
        given = json.loads(body or b"")["challenge"].encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return hmac.compare_digest(given, challenge.encode())
