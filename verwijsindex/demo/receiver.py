# SPDX-License-Identifier: EUPL-1.2
"""A webhook receiver as an institution would run one: it believes nothing unsigned, and answers its challenge."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from verwijsindex.client import Event, WebhookError, challenge_answer, verify_webhook
from verwijsindex.settings import Clock

LARGEST = 10_000  # bytes; an event has some 400


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook as it came in; `event` is None where its signature was not the index's."""

    headers: Mapping[str, str]
    body: bytes
    arrived_at: datetime
    event: Event | None


class Receiver:
    """Listens on loopback during its `with` block, and keeps what it gets but for the challenge.

    Set `secret` before the first webhook comes: it is told only when the subscription is made.
    """

    def __init__(self, clock: Clock) -> None:
        self.secret = ""
        self._clock = clock
        self._lock = threading.Lock()
        self._received: list[Received] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not (length.isascii() and length.isdigit() and int(length) <= LARGEST):
                    self.send_error(413)
                    return
                status, answer = outer._take(dict(self.headers.items()), self.rfile.read(int(length)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing: the demo tells what came."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/verwijsindex"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def received(self) -> list[Received]:
        """All webhooks so far, in the order in which they came, repeats too."""
        with self._lock:
            return list(self._received)

    def _take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        now = self._clock()
        try:
            event = verify_webhook(headers, body, self.secret, now)
        except WebhookError:
            event = None
        challenge = challenge_answer(event) if event else None
        if challenge is not None:
            return 200, challenge
        with self._lock:
            self._received.append(Received(headers, body, now, event))
        return (204 if event else 400), b""
