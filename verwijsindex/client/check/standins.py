# SPDX-License-Identifier: EUPL-1.2
"""Stand-ins for issuer, pseudonym service and index on this machine, which keep what a sender asks of them.

They speak the protocol exactly and judge nothing: where the real services would refuse a sender's mistake they go
on, so that the rest of it is seen as well. What they keep is in memory only, and of test BSNs (I5).
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from verwijsindex.client.check.cases import EVALUATORS, Trouble, key_list
from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.voprf import PointError, hash_to_group

SERVICES = ("index", "pseudonyms", "issuer")
RETRY_AFTER = 2  # seconds
_LARGEST = 4 * 1024 * 1024  # bytes
_REFUSAL = {
    "type": "urn:problem-type:verwijsindex:no-valid-agreement",
    "title": "The institution has no agreement that is valid today",
    "status": 403,
    "detail": "Ask the municipality for an agreement.",
}


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A request."""

    round: int
    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes
    at: float
    """Seconds, of a clock that only runs."""

    def whole(self) -> bytes:
        """Address, headers and body."""
        headers = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.path}\n{headers}\n".encode() + self.body

    def json(self) -> Any:
        """The body, or None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def signals(self) -> list[tuple[str, Any]]:
        """Each signal in it with its idempotency key."""
        body = self.json()
        if (self.service, self.method) != ("index", "POST"):
            return []
        if self.path == "/api/v1/signals":
            return [(self.headers.get("idempotency-key", ""), body)]
        items = body.get("signals") if isinstance(body, dict) and self.path == "/api/v1/signal-batches" else None
        items = items if isinstance(items, list) else []
        return [(str(item.get("idempotencyKey", "")), item.get("signal")) for item in items if isinstance(item, dict)]


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class StandIns:
    """The three services, from the beginning of a `with` block to its end."""

    def __init__(self, host: str, port: int) -> None:
        """Listens on `port` and the two after it, or on free ports where it is 0. Raises OSError."""
        self.round = 0
        self.trouble: Trouble = "none"
        self.seen: list[Seen] = []
        self._posts = 0
        self._began = datetime.now(UTC)
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self._servers = [
            ThreadingHTTPServer((host, port and port + n), _handler(self, service))
            for n, service in enumerate(SERVICES)
        ]
        self.addresses = {
            service: f"http://{host}:{server.server_port}"
            for service, server in zip(SERVICES, self._servers, strict=True)
        }

    def __enter__(self) -> "StandIns":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
        self.close()

    def close(self) -> None:
        """Let go of the ports, without having begun."""
        for server in self._servers:
            server.server_close()

    def begin(self, number: int, trouble: Trouble) -> None:
        """The next round."""
        with self._lock:
            self.round, self.trouble, self._posts = number, trouble, 0

    def token_for(self, bearer: str) -> str:
        """The address that a token was asked for, of its Authorization header; empty where it is not one of ours."""
        return self._tokens.get(bearer.removeprefix("Bearer "), "")

    def answer(self, service: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Reply | None:
        """What a service answers; None is a connection that is cut."""
        seen = Seen(self.round, service, method, path, headers, body, time.monotonic())
        with self._lock:
            self.seen.append(seen)
        if method == "GET" and path == "/api/v1/key-versions" and service != "issuer":
            return _Reply(200, {"keyList": key_list(self.trouble, service, self._began)})
        if service == "issuer":
            return self._issue(seen)
        if service == "pseudonyms" and (method, path) == ("POST", "/api/v1/evaluations"):
            return self._evaluate(seen)
        if signals := seen.signals():
            return self._register(seen, len(signals))
        return _problem(404, "not-found")

    def _issue(self, seen: Seen) -> _Reply:
        issuer = self.addresses["issuer"]
        if seen.path == "/.well-known/oauth-authorization-server":
            return _Reply(200, {"issuer": issuer, "token_endpoint": f"{issuer}/token"})
        if (seen.method, seen.path) != ("POST", "/token"):
            return _problem(404, "not-found")
        resource = parse_qs(seen.body.decode("latin-1")).get("resource", [""])[0]
        if resource.rstrip("/") not in self.addresses.values():
            return _Reply(400, {"error": "invalid_target"})
        token = f"check-{uuid4()}"
        self._tokens[token] = resource.rstrip("/")
        return _Reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def _evaluate(self, seen: Seen) -> _Reply:
        if not self.token_for(seen.headers.get("authorization", "")):
            return _problem(401, "not-authenticated")
        body = seen.json()
        version = body.get("keyVersion") if isinstance(body, dict) else None
        if version not in EVALUATORS:
            return _problem(400, "invalid-input")
        try:
            elements = [decode_base64url(text) for text in body["blindedElements"]]
            used = EVALUATORS[1 if self.trouble == "key" else version]
            evaluation = used.evaluate(elements)
        except (KeyError, TypeError, ValueError, PointError):
            return _problem(400, "invalid-input")
        proof = evaluation.proof
        if self.trouble == "proof":
            proof = used.evaluate([hash_to_group(b"another")]).proof
        texts = [encode_base64url(element) for element in evaluation.elements]
        return _Reply(200, {"keyVersion": version, "evaluatedElements": texts, "proof": encode_base64url(proof)})

    def _register(self, seen: Seen, count: int) -> _Reply | None:
        if not self.token_for(seen.headers.get("authorization", "")):
            return _problem(401, "not-authenticated")
        with self._lock:
            self._posts += 1
            post = self._posts
        if self.trouble == "away" and post == 1:
            return None
        if self.trouble == "away" and post == 2:
            reply = _problem(503, "unavailable")
            return _Reply(reply.status, reply.content, {"Retry-After": str(RETRY_AFTER)})
        refused = self.trouble == "refused"
        if seen.path == "/api/v1/signals":
            return _Reply(403, _REFUSAL) if refused else _Reply(201, _registered())
        one = {"status": 403, "problem": _REFUSAL} if refused else {"status": 201, "signal": _registered()}
        return _Reply(200, {"items": [one] * count})


def _registered() -> dict[str, str]:
    return {"id": str(uuid4()), "receivedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _problem(status: int, slug: str) -> _Reply:
    kind = f"urn:problem-type:verwijsindex:{slug}"
    return _Reply(status, {"type": kind, "title": slug, "status": status, "detail": "As the protocol says."})


def _handler(services: StandIns, service: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _answer(self) -> None:
            length = self.headers.get("Content-Length") or "0"
            body = self.rfile.read(min(int(length), _LARGEST)) if length.isdigit() else b""
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = services.answer(service, self.command, self.path, headers, body)
            if reply is None:
                self.close_connection = True
                return
            content = json.dumps(reply.content).encode()
            self.send_response(reply.status)
            kind = "application/json" if reply.status < 400 else "application/problem+json"
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            """Keeps what comes in out of the log."""

    return Handler


def of_round(seen: Sequence[Seen], number: int) -> list[Seen]:
    """The requests of one round."""
    return [one for one in seen if one.round == number]
