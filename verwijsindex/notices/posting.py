# SPDX-License-Identifier: EUPL-1.2
"""Posting to receivers whom we do not know: one try is bounded in time and in bytes, whatever the other side does.

A usual timeout bounds each read: who sends a byte now and then holds a thread for hours. Here every step of a try, the
look-up of its name too, gets what is left of the try's time (decision 0011: slow receivers overlap and stop
nobody). So with bytes: who sends interim answers (1xx) without end, as fast as it can, took nine seconds of processor
time of a try of fifteen. Redirects are not followed, proxies and cookies do not exist.

A thread takes a connection of its receiver that nobody uses, or makes one: httpcore's own pool looks through all of
its connections at each request (6.7 ms of processor time a post with one pool for fifty receivers), and even with a
pool for each receiver it was a third of all that the deliverer did.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore

from verwijsindex.notices.destinations import Destinations, NotAllowedError

READ_AT_MOST = 4096  # bytes of an answer, so that the connection of a short one can be used again
RECEIVED_AT_MOST = 128 * 1024  # bytes in one try, interim answers too; more than headers may have
KEPT_IDLE = 120.0  # seconds that a connection is kept without use
KEPT_AT_MOST = 500  # of them; each is an open file, of which a process often has a thousand and twenty-four


@dataclass(frozen=True, slots=True)
class Reply:
    """`ok` for an answer of 2xx, else a word on what went wrong; the body, if it came whole and was short; and of 429
    and 503 the Retry-After."""

    outcome: str
    body: bytes | None = None
    retry_after: str | None = None


class Poster:
    """Posts over connections that are kept. Many threads may share it.

    Args:
        seconds: how long one try may take in all, from looking up the name to the end of the answer's headers.
        allow_plain_http: post to http addresses as well (the demo only).
        destinations: to which network addresses.
        trust: by which CA certificates receivers are verified; the public ones when left out.
    """

    def __init__(
        self,
        *,
        seconds: float,
        allow_plain_http: bool,
        destinations: Destinations,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._trust = trust or httpcore.default_ssl_context()
        self._seconds = seconds
        self._schemes = ("https://", "http://") if allow_plain_http else ("https://",)
        self._deadline = _Deadline()
        self._network = _Bounded(self._deadline, destinations)
        self._lock = threading.Lock()
        self._unused: dict[str, list[httpcore.HTTPConnection]] = {}  # by origin, the one used last at the end
        self._kept = 0  # of all origins

    def close(self) -> None:
        """Let go of every connection."""
        self._keep(lambda _: False)

    def let_go(self) -> None:
        """Of the connections that nobody used for KEPT_IDLE, or that their receivers closed."""
        self._keep(lambda connection: not connection.has_expired())

    def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One try. What it says holds nothing else of the answer."""
        if not address.startswith(self._schemes):
            return Reply("plain http")
        self._deadline.begin(self._seconds)
        try:
            url = httpcore.URL(address)
            with (
                self._connection(url.origin) as connection,
                connection.stream("POST", url, headers=_bytes(headers), content=body) as response,
            ):
                outcome = "ok" if 200 <= response.status < 300 else f"status {response.status}"
                return Reply(outcome, _drain(response), _retry_after(response))
        except NotAllowedError:
            return Reply("address not allowed")
        except Exception as error:  # whatever goes wrong with one receiver concerns that receiver only
            return Reply(type(error).__name__)

    @contextmanager
    def _connection(self, origin: httpcore.Origin) -> Iterator[httpcore.HTTPConnection]:
        """For this thread alone: the one used last, so that what is too many is not used and goes."""
        connection = self._take(str(origin))
        while connection is not None and connection.has_expired():
            connection.close()
            connection = self._take(str(origin))
        connection = connection or httpcore.HTTPConnection(
            origin, self._trust, keepalive_expiry=KEPT_IDLE, network_backend=self._network
        )
        try:
            yield connection
        finally:
            with self._lock:
                kept = connection.is_available() and self._kept < KEPT_AT_MOST and not _says_more(connection)
                if kept:
                    self._unused.setdefault(str(origin), []).append(connection)
                    self._kept += 1
            if not kept:
                connection.close()

    def _take(self, origin: str) -> httpcore.HTTPConnection | None:
        with self._lock:
            unused = self._unused.get(origin)
            if not unused:
                return None
            self._kept -= 1
            return unused.pop()

    def _keep(self, wanted: Callable[[httpcore.HTTPConnection], bool]) -> None:
        with self._lock:
            unused, self._unused = self._unused, {}
            for origin, connections in unused.items():
                kept = [connection for connection in connections if wanted(connection)]
                for connection in set(connections) - set(kept):
                    connection.close()
                if kept:
                    self._unused[origin] = kept
            self._kept = sum(map(len, self._unused.values()))


def _says_more(connection: httpcore.HTTPConnection) -> bool:
    """Whether more than an answer came: it would be taken for the answer to the next try, perhaps another client's at
    the same host. httpcore looks only at what is still in the socket."""
    under: Any = connection._connection
    return bool(under._h11_state.trailing_data[0])


def _bytes(headers: Mapping[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _retry_after(response: httpcore.Response) -> str | None:
    if response.status not in {429, 503}:
        return None
    found = (value for name, value in response.headers if name.lower() == b"retry-after")
    return next(found, b"").decode("latin-1") or None


def _drain(response: httpcore.Response) -> bytes | None:
    """A short answer, read to its end; a long or slow one is left, since its status is known already."""
    read = b""
    try:
        for chunk in response.iter_stream():
            read += chunk
            if len(read) > READ_AT_MOST:
                return None
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return None
    return read


class _Deadline(threading.local):
    """When the try of this thread must be over, by the monotonic clock, and what it has received."""

    until = 0.0
    received = 0  # bytes

    def begin(self, seconds: float) -> None:
        """Another try."""
        self.until, self.received = time.monotonic() + seconds, 0

    def left(self, otherwise: type[httpcore.TimeoutException]) -> float:
        """Seconds; raises `otherwise` when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise otherwise
        return left


class _Bounded(httpcore.NetworkBackend):
    """The network, as far as the deadline and the destinations allow. The name is looked up once, and the connection
    made to the address that was judged; one that is kept goes to that address for as long as it lives."""

    def __init__(self, deadline: _Deadline, destinations: Destinations) -> None:
        self._deadline, self._destinations = deadline, destinations
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        trouble: Exception = httpcore.ConnectError()
        try:
            addresses = self._destinations.addresses(host, port, self._deadline.left(httpcore.ConnectTimeout))
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        for address in addresses:
            left = self._deadline.left(httpcore.ConnectTimeout)
            try:
                stream = self._network.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore.ConnectError as error:
                trouble = error
            else:
                return _BoundedStream(stream, self._deadline)
        raise trouble


class _BoundedStream(httpcore.NetworkStream):
    """A connection, as far as the deadline of the thread that uses it allows."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._deadline.received > RECEIVED_AT_MOST:
            raise httpcore.ReadError
        data = self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))
        self._deadline.received += len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
