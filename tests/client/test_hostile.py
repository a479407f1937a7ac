# SPDX-License-Identifier: EUPL-1.2
"""Services that mean ill or are broken: no answer brings a traceback, eats the memory or holds us for ever."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from threading import Event
from uuid import UUID

import httpx
import pytest
from client.services import INDEX, ISSUER, Services, bsns, draft

from verwijsindex.client import Accepted, ClientError, ClientProblem, UnreachableError, channel, posting
from verwijsindex.client.posting import PATH


def sent(services: Services, reporter: UUID) -> list[object]:
    with services.client() as client:
        return list(client.submit([draft(reporter, bsn) for bsn in bsns(3)]))


@pytest.mark.parametrize(
    "asked",
    ["9" * 5000, "Sun, 22 Nov 99999999999 06:00:00 GMT", "Sun, 22 Nov 2026 06:00:00 +99999999999999", "-1", "soon"],
)
def test_any_retry_after_is_survived(services: Services, asked: str) -> None:
    """Seen failing with an OverflowError: for the first without LONGEST_ASKED, for the second with the exception let
    out."""
    [reporter] = services.register(["Anna de Vries"])
    services.intervene = lambda r: httpx.Response(503, headers={"Retry-After": asked}) if r.url.path == PATH else None
    with pytest.raises(UnreachableError, match="repeat the same later"):
        sent(services, reporter)


def test_an_item_may_ask_for_more_seconds_than_there_are(services: Services) -> None:
    """Seen failing with an OverflowError."""
    [reporter] = services.register(["Anna de Vries"])
    problem = {"type": "urn:problem-type:verwijsindex:limit-reached", "retryAfter": 10**400}

    def later(request: httpx.Request) -> httpx.Response | None:
        body = {"items": [{"status": 429, "problem": problem}] * 3}
        return httpx.Response(200, content=json.dumps(body)) if request.url.path == PATH else None

    services.intervene = later
    with pytest.raises(UnreachableError, match="asks to come back after"):
        sent(services, reporter)


def test_a_token_for_longer_than_the_calendar_is_used(services: Services) -> None:
    """Seen failing with an OverflowError."""
    [reporter] = services.register(["Anna de Vries"])

    def forever(request: httpx.Request) -> httpx.Response | None:
        if str(request.url) != f"{ISSUER}/token":
            return None
        return httpx.Response(200, json={**json.loads(services.answer(request).read()), "expires_in": 10**15})

    services.intervene = forever
    assert all(isinstance(outcome, Accepted) for outcome in sent(services, reporter))


class _Endless(httpx.SyncByteStream):
    """Sends for ever; counts what was taken."""

    def __init__(self, part: bytes) -> None:
        self.part, self.taken, self.closed = part, 0, False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += len(self.part)
            yield self.part

    def close(self) -> None:
        self.closed = True


def _answering(stream: _Endless) -> channel.Channel:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    return channel.Channel(transport=transport, clock=channel.utc_now, wait=lambda *_: None, patience=0)


def test_an_answer_without_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size; and one that drips, by its time. Seen failing without the bound on the one (no memory left) and on
    the other (read until it was too large)."""
    flood, drip = _Endless(b"x" * (1 << 20)), _Endless(b"x")
    with pytest.raises(UnreachableError, match="did not answer"), closing((flooded := _answering(flood)).http):
        flooded.send("GET", INDEX)
    assert flood.closed
    assert flood.taken <= channel.LARGEST_ANSWER + (1 << 20)
    monkeypatch.setattr(channel, "LONGEST_ANSWER", 0.01)
    with pytest.raises(UnreachableError), closing((dripping := _answering(drip)).http):
        dripping.send("GET", INDEX)
    assert drip.closed
    assert drip.taken < channel.LARGEST_ANSWER


def test_nothing_is_unpacked(services: Services) -> None:
    """A few packed bytes can be any number of others. We ask for none, and what comes all the same is no answer: seen
    failing (a list of nothing) when it was read."""
    [reporter] = services.register(["Anna de Vries"])
    packed = gzip.compress(b'{"items": []}')
    services.intervene = lambda request: (
        httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip"})
        if request.url.path == "/api/v1/signals"
        else None
    )
    with services.client() as client, pytest.raises(ClientProblem, match="not this API's"):
        list(client.signals(reporter))
    assert {request.headers["Accept-Encoding"] for request in services.requests} == {"identity"}


def test_ctrl_c_is_not_held_up_by_an_issuer_that_is_away(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its patience is not begun anew by each thread. Seen failing (199 seconds of a patience of 60: each of four
    waited by itself, one after the other) when who asks for a token was not told to stop."""
    monkeypatch.setattr(posting, "BATCH", 1)
    [reporter] = services.register(["Anna de Vries"])
    waits: list[float] = []

    def wait(stop: Event, seconds: float) -> None:
        waits.append(seconds)
        stop.wait(0.05)

    services.intervene = lambda r: httpx.Response(503) if r.url.path == "/token" else None
    with services.client(patience=60) as client:
        client._channel._wait = wait
        with pytest.raises(UnreachableError):
            list(client.submit_batches([draft(reporter, bsn)] for bsn in bsns(4)))
    assert sum(waits) <= 60 + 30  # one's patience, and what another may have begun before it was told to stop


def test_who_waits_is_not_waited_for_when_something_stands_in_the_way_of_all(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch meets a 503 and waits; the second learns that nothing is allowed. Seen failing (a minute of
    patience was waited to its end) when the second did not end the patience of the first."""
    monkeypatch.setattr(posting, "BATCH", 1)
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    waits: list[float] = []
    waiting = Event()

    def wait(stop: Event, seconds: float) -> None:
        waits.append(seconds)
        waiting.set()
        stop.wait(2)

    def answers(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != PATH:
            return None
        if str(anna).encode() in request.content:
            return httpx.Response(503)
        waiting.wait(30)
        return httpx.Response(403, json={"type": "urn:problem-type:verwijsindex:not-allowed", "detail": "No."})

    services.intervene = answers
    with services.client(patience=60) as client:
        client._channel._wait = wait
        with pytest.raises(ClientError):
            list(client.submit_batches([draft(who, bsn)] for who, bsn in zip((anna, bert), bsns(2), strict=True)))
    assert len(waits) == 1


def test_a_pseudonym_that_is_refused_twice_is_no_fate_of_its_signal(services: Services) -> None:
    """An index that accepts no version of the key stands in the way of all. Seen failing: each row was reported, and
    put down in the journal, as refused for good."""
    [reporter] = services.register(["Anna de Vries"])
    fault = {"location": {"in": "body", "pointer": "#/pseudonym/keyVersion"}, "code": "unknown", "detail": "Not known."}
    problem = {"type": "urn:problem-type:verwijsindex:invalid-input", "status": 400, "detail": "", "errors": [fault]}

    def refuse(request: httpx.Request) -> httpx.Response | None:
        items = {"items": [{"status": 400, "problem": problem}] * 3}
        return httpx.Response(200, json=items) if request.url.path == PATH else None

    services.intervene = refuse
    with pytest.raises(ClientProblem, match="keyVersion"):
        sent(services, reporter)
