# SPDX-License-Identifier: EUPL-1.2
"""Receives webhooks on this machine: `WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py 8200`.

The secret is what `verwijsindex client subscription create` printed; while it is rotated, both, with a space between.

A receiver in earnest stands behind TLS and keeps the ids it has seen where they outlive the process.
"""

import argparse
import os
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verwijsindex.client import WebhookError, challenge_answer, verify_webhook

SECRETS = os.environ.get("WEBHOOK_SECRET", "").split()
LARGEST = 16 * 1024  # bytes
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for a webhook of the index, its challenge with the same, and 400 for anything else."""

    protocol_version = "HTTP/1.1"  # the connection is kept for the next one
    timeout = 30

    def do_POST(self) -> None:
        """Verifies first; then drops what it has seen, since each webhook comes at least once."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, LARGEST))
        try:
            event = verify_webhook(dict(self.headers), body, SECRETS, datetime.now(UTC))
        except WebhookError as error:
            print(f"not believed: {error}", flush=True)
            self.send_error(400)
            return
        answer = challenge_answer(event)
        if answer:
            print("this receiver is confirmed", flush=True)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        if event.id not in seen:
            seen.add(event.id)
            print(f"something new for reporter {event.subject}: read {event.data['inbox']}", flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps what comes in out of the log."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int, help="where it listens, on this machine alone; 0 is any free port")
    port = parser.parse_args().port
    if not SECRETS:
        parser.error("WEBHOOK_SECRET is not set: without the secret nothing can be believed")
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
