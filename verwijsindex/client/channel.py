# SPDX-License-Identifier: EUPL-1.2
"""Sending a request until it is answered, with patience that has an end. All our requests may be repeated."""

import random
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

import httpx

from verwijsindex import __version__
from verwijsindex.client.errors import ClientProblem, UnreachableError

PATIENCE = 120.0
"""Seconds that one request is waited for in all, unless told otherwise: the pauses, without the tries."""
FIRST_DELAY = 0.5  # seconds; doubled at every further attempt
LONGEST_DELAY = 30.0  # seconds, unless Retry-After asks for more
WORTH_TELLING = 2.0  # seconds
LONGEST_ASKED = 10**9  # seconds; beyond any patience, and within the calendar
LARGEST_ANSWER = 8 << 20  # bytes; a batch of a thousand, each refused at length, has some 4 MiB
LONGEST_ANSWER = 60.0  # seconds from the first of its bytes to the last

_OF_THE_WAY = {b"content-encoding", b"content-length", b"transfer-encoding"}

Clock = Callable[[], datetime]
Wait = Callable[[Event, float], object]
"""Waits so many seconds, or until the event is set."""
Tell = Callable[[str], None]
"""Says in one line what is waited for; may be called by any thread."""


def utc_now() -> datetime:
    """The clock of a running client."""
    return datetime.now(UTC)


class Channel:
    """An HTTP client with patience: connection errors, 429 and 5xx are tried again, after `Retry-After` or with
    a delay that doubles. May be used by many threads.

    Args:
        transport: in the place of the network, for tests.
        clock: gives the present moment, in UTC.
        wait: how a thread waits between two attempts.
        patience: seconds that one request is waited for in all.
        tell: hears of pauses that somebody may notice.
        trust: whose certificates are believed; those of the public CAs when left out.
    """

    def __init__(
        self,
        *,
        transport: httpx.BaseTransport | None,
        clock: Clock,
        wait: Wait,
        patience: float = PATIENCE,
        tell: Tell = lambda _: None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.http = httpx.Client(
            transport=transport,
            verify=trust or True,
            timeout=httpx.Timeout(30, connect=5),
            headers={
                "User-Agent": f"verwijsindex-client/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # what is packed can unpack to any size
            },
            follow_redirects=False,
            # A proxy in the environment stands between this machine and others, not before itself.
            mounts={f"all://{host}": transport for host in ("127.0.0.1", "localhost", "[::1]")},
        )
        self.clock = clock
        self._wait = wait
        self._patience = patience
        self._tell = tell

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Callable[[], Mapping[str, str]] | None = None,
        stop: Event | None = None,
    ) -> httpx.Response:
        """The first answer that is not 429 or 5xx.

        Args:
            headers, form: made anew for each attempt: a token may have expired, an assertion is used up.
            stop: ends the patience at once.

        Raises:
            UnreachableError: no such answer in time.
        """
        patience = self.patience(str(httpx.URL(url).copy_with(query=None)), stop)
        while True:
            try:
                response = self._answer(
                    method,
                    url,
                    headers=headers(),
                    params=params,
                    json=json,
                    data=form() if form else None,
                )
            except httpx.RequestError as error:
                patience.wait(f"did not answer ({type(error).__name__})")
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return response
                trouble = f"answered with HTTP {response.status_code}"
                patience.wait(trouble, self._retry_after(response), ClientProblem.of(response))

    def _answer(self, method: str, url: str, **parts: Any) -> httpx.Response:
        """The whole answer, or nothing of one that is packed all the same. Raises RequestError, also for one without
        end."""
        content = bytearray()
        with self.http.stream(method, url, **parts) as response:
            packed = response.headers.get("Content-Encoding", "identity") != "identity"
            began = time.monotonic()
            for part in () if packed else response.iter_bytes():
                content += part
                if len(content) > LARGEST_ANSWER or time.monotonic() - began > LONGEST_ANSWER:
                    raise httpx.ReadError("an answer without end")
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WAY]
        return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=response.request)

    def patience(self, whom: str, stop: Event | None) -> "Patience":
        """Patience for one request to `whom`, fresh."""
        return Patience(whom, stop or Event(), self._patience, self.clock, self._wait, self._tell)

    def _retry_after(self, response: httpx.Response) -> float:
        """Seconds (RFC 9110, section 10.2.3), 0 where it says none."""
        value = response.headers.get("Retry-After", "")
        if value.isascii() and value.isdigit():
            return min(float(value), LONGEST_ASKED)
        try:
            asked = (parsedate_to_datetime(value) - self.clock()).total_seconds()
            return min(max(0.0, asked), LONGEST_ASKED)
        except (TypeError, ValueError, OverflowError):
            return 0.0


class Patience:
    """The pauses between the attempts of one request; together never longer than the limit."""

    def __init__(self, whom: str, stop: Event, limit: float, clock: Clock, wait: Wait, tell: Tell) -> None:
        self._whom = whom
        self._stop = stop
        self._left = limit
        self._clock = clock
        self._wait = wait
        self._tell = tell
        self._delay = FIRST_DELAY

    def lasts(self, asked: float) -> bool:
        """Whether so many seconds are left of it."""
        return asked <= self._left

    def wait(self, trouble: str, asked: float = 0.0, problem: ClientProblem | None = None) -> None:
        """Pauses before another attempt.

        Args:
            trouble: what `whom` did, such as `did not answer`.
            asked: seconds that `whom` asks for, LONGEST_ASKED at most.
            problem: what `whom` said, for the error.

        Raises:
            UnreachableError: no patience is left for that, or it was ended.
        """
        delay = max(asked, self._delay * random.uniform(0.5, 1))  # noqa: S311
        trouble = f"{self._whom} {trouble}"
        if not self.lasts(asked):
            hours = f" ({asked / 3600:.1f} hours)" if asked >= 3600 else ""
            trouble += f" and asks to come back after {asked:.0f} seconds{hours}"
        elif delay <= self._left and not self._stop.is_set():
            if delay >= WORTH_TELLING:
                self._tell(f"{trouble}: going on in {delay:.0f} s")
            self._left -= delay
            self._delay = min(LONGEST_DELAY, self._delay * 2)
            self._wait(self._stop, delay)
            if not self._stop.is_set():
                return
        again_at = self._clock() + timedelta(seconds=asked) if asked else None
        raise UnreachableError(f"{trouble}; repeat the same later", problem=problem, again_at=again_at)
