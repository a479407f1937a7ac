# SPDX-License-Identifier: EUPL-1.2
"""A load of prepared HTTP/1.1 requests over keep-alive connections, cheap enough not to be what is measured."""

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of requests took."""

    seconds: float
    latencies: list[float]
    """Seconds of each request, sorted."""

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Seconds within which so many percent of the requests were answered."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


def request(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of a POST."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(
    url: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    expect: bytes = b"HTTP/1.1 201",
    per_second: float | None = None,
) -> Load:
    """Send all requests, spread over so many connections, each waiting for its answer.

    Args:
        per_second: evenly spread at this rate; the time of each counts from when it was due, so that a pause of the
            server tells in all that should have been sent meanwhile. As fast as answers come unless given.

    Raises:
        RuntimeError: an answer that does not begin as expected.
    """
    address = (str(urlsplit(url).hostname), int(urlsplit(url).port or 80))
    shares = [requests[n::connections] for n in range(connections)]
    pause = connections / per_second if per_second else 0.0
    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as threads:
        begins = [began + n * pause / connections for n in range(connections)]
        taken = list(threads.map(lambda begin, share: _send(address, share, expect, begin, pause), begins, shares))
    return Load(time.perf_counter() - began, sorted(latency for share in taken for latency in share))


def _send(
    address: tuple[str, int], requests: Sequence[bytes], expect: bytes, begin: float, pause: float
) -> list[float]:
    latencies = []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n, one in enumerate(requests):
            due = begin + n * pause if pause else time.perf_counter()
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.sendall(one)
            answer = _answer(connection)
            latencies.append(time.perf_counter() - due)
            if not answer.startswith(expect):
                raise RuntimeError(answer.decode(errors="replace"))
    return latencies


def _answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
