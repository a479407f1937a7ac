# SPDX-License-Identifier: EUPL-1.2
"""Sending a request until it is answered, with patience that has an end. All our requests may be repeated."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event

import httpx

from verwijsindex import __version__
from verwijsindex.client.errors import UnreachableError

ATTEMPTS = 6
FIRST_DELAY = 0.5  # seconds; doubled at every further attempt
LONGEST_DELAY = 60.0  # seconds; who asks for more in Retry-After is not waited for

Clock = Callable[[], datetime]
Wait = Callable[[Event, float], object]
"""Waits so many seconds, or until the event is set."""


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
    """

    def __init__(self, *, transport: httpx.BaseTransport | None, clock: Clock, wait: Wait) -> None:
        self.http = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(30, connect=5),
            headers={"User-Agent": f"verwijsindex-client/{__version__}", "Accept": "application/json"},
            follow_redirects=False,
            # A proxy in the environment stands between this machine and others, not before itself.
            mounts={f"all://{host}": transport for host in ("127.0.0.1", "localhost", "[::1]")},
        )
        self.clock = clock
        self._wait = wait

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
            UnreachableError: no such answer after ATTEMPTS attempts.
        """
        stop = stop or Event()
        trouble = ""
        for attempt in range(ATTEMPTS):
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            try:
                response = self.http.request(
                    method,
                    url,
                    headers=headers(),
                    params=params,
                    json=json,
                    data=form() if form else None,
                )
            except httpx.RequestError as error:
                trouble = f"did not answer ({type(error).__name__})"
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return response
                trouble = f"answered with HTTP {response.status_code}"
                asked = self._retry_after(response)
                if asked > LONGEST_DELAY:
                    trouble += f" and asks to come back after {asked:.0f} seconds"
                    break
                delay = max(delay, asked)
            if stop.is_set():
                break
            if attempt < ATTEMPTS - 1:
                self._wait(stop, delay)
        raise UnreachableError(f"{httpx.URL(url).copy_with(query=None)} {trouble}; repeat the same later")

    def _retry_after(self, response: httpx.Response) -> float:
        """Seconds (RFC 9110, section 10.2.3), 0 where it says none."""
        value = response.headers.get("Retry-After", "")
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            return max(0.0, (parsedate_to_datetime(value) - self.clock()).total_seconds())
        except (TypeError, ValueError):
            return 0.0
