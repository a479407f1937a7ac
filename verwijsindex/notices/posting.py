# SPDX-License-Identifier: EUPL-1.2
"""Posting to receivers whom we do not know: one try is bounded in time and in bytes, whatever the other side does.

A usual timeout bounds each read: who sends a byte now and then holds a thread for hours. Here every step of a try
gets what is left of the try's time (DESIGN.md, Hot paths: slow receivers overlap and stop nobody). Redirects are not
followed, proxies and cookies do not exist.
"""

import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import httpcore

READ_AT_MOST = 4096  # bytes of an answer, so that the connection of a short one can be used again


class Poster:
    """Posts over connections that are kept until the end of a `with` block. Many threads may share it.

    Args:
        seconds: how long one try may take in all, from connecting to the end of the answer's headers.
        allow_plain_http: post to http addresses as well (the demo only).
    """

    def __init__(self, *, seconds: float, allow_plain_http: bool) -> None:
        self._seconds = seconds
        self._schemes = ("https://", "http://") if allow_plain_http else ("https://",)
        self._deadline = _Deadline()
        self._pool = httpcore.ConnectionPool(max_connections=None, network_backend=_Bounded(self._deadline))

    def __enter__(self) -> "Poster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def post(self, address: str, body: bytes, headers: Mapping[bytes | str, bytes | str]) -> str:
        """One try: `ok` for an answer of 2xx, else a word on what went wrong, without anything of the answer."""
        if not address.startswith(self._schemes):
            return "plain http"
        self._deadline.until = time.monotonic() + self._seconds
        try:
            with self._pool.stream("POST", address, headers=headers, content=body) as response:
                _drain(response)
                return "ok" if 200 <= response.status < 300 else f"status {response.status}"
        except Exception as error:  # whatever goes wrong with one receiver concerns that receiver only
            return type(error).__name__


def _drain(response: httpcore.Response) -> None:
    """Read a short answer to its end; leave a long or slow one, whose status is known already."""
    size = 0
    try:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size > READ_AT_MOST:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


class _Deadline(threading.local):
    """When the try of this thread must be over, by the monotonic clock."""

    until = 0.0

    def left(self, otherwise: type[httpcore.TimeoutException]) -> float:
        """Seconds; raises `otherwise` when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise otherwise
        return left


class _Bounded(httpcore.NetworkBackend):
    """The network, as far as the deadline allows."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        return _BoundedStream(
            self._network.connect_tcp(host, port, left, local_address, socket_options), self._deadline
        )


class _BoundedStream(httpcore.NetworkStream):
    """A connection, as far as the deadline of the thread that uses it allows."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

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
