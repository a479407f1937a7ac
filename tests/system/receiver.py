# SPDX-License-Identifier: EUPL-1.2
"""A receiver of webhooks on loopback that answers its challenge, does as it is told, and keeps what it got."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from verwijsindex.notices.signing import CHALLENGE_TYPE


@dataclass(frozen=True)
class Received:
    """One request, and when it came by the monotonic clock."""

    headers: dict[str, str]
    body: bytes
    at: float


Behaviour = Callable[["Handler", int], None]


class Receiver:
    """Answers the n-th request (from 0) as `behaviour` says, for as long as a `with` block lasts."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.received: list[Received] = []
        self.challenges: list[Received] = []
        self.confirms = True
        self.over = threading.Event()
        self.behaviour = behaviour or answering(204)
        self.lock = threading.Lock()

    def __enter__(self) -> "Receiver":
        handler = type("BoundHandler", (Handler,), {"receiver": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.socket.close()

    @property
    def ids(self) -> list[str]:
        """The webhook-id of each request, in order."""
        return [one.headers["webhook-id"] for one in self.received]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the usual 5 the kernel dropped connections: they came a second late, or too late

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a sender that was killed."""


class Handler(BaseHTTPRequestHandler):
    """Keeps the request, then behaves."""

    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"] or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # its sender was killed in the middle of it
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.receiver.confirms and json.loads(body or b"{}").get("type") == CHALLENGE_TYPE:
            self.receiver.challenges.append(Received(headers, body, time.monotonic()))
            confirming(self, json.dumps({"challenge": json.loads(body)["data"]["challenge"]}).encode())
            return
        with self.receiver.lock:
            number = len(self.receiver.received)
            self.receiver.received.append(Received(headers, body, time.monotonic()))
        self.receiver.behaviour(self, number)

    do_GET = do_POST  # noqa: N815 (a followed redirect would come here)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def answering(*statuses: int, **headers: str) -> Behaviour:
    """The n-th status to the n-th request, the last one to all later ones."""

    def behave(handler: Handler, number: int) -> None:
        handler.send_response(statuses[min(number, len(statuses) - 1)])
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return behave


def confirming(handler: Handler, answer: bytes) -> None:
    """200 with this body."""
    handler.send_response(200)
    handler.send_header("content-length", str(len(answer)))
    handler.end_headers()
    handler.wfile.write(answer)


def hanging(handler: Handler, _: int) -> None:
    """Says nothing, until the test is over."""
    handler.receiver.over.wait(120)
    handler.close_connection = True


def dripping(handler: Handler, _: int) -> None:
    """One byte of an answer's headers each tenth of a second: no single read ever times out."""
    handler.close_connection = True
    endless = b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 100_000
    try:
        for byte in endless:
            handler.wfile.write(bytes([byte]))
            if handler.receiver.over.wait(0.1):
                return
    except OSError:
        return
