# SPDX-License-Identifier: EUPL-1.2
"""The way to the network itself; patience with real services is in test_client."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread

import pytest

from verwijsindex.client.channel import Channel, utc_now
from verwijsindex.client.errors import UnreachableError


class Answer(BaseHTTPRequestHandler):
    """Answers 204, or sends elsewhere."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/moved" else 204)
        self.send_header("Location", "/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def channel() -> Channel:
    return Channel(transport=None, clock=utc_now, wait=lambda _, __: None)


def test_this_machine_is_reached_without_the_environments_proxy(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert channel().send("GET", address).status_code == 204


def test_no_redirect_is_followed(address: str) -> None:
    assert channel().send("GET", f"{address}/moved").status_code == 302


def test_patience_ends_at_once_when_it_is_told_to() -> None:
    stop, waits = Event(), []

    def wait(_: Event, seconds: float) -> None:
        waits.append(seconds)
        stop.set()

    impatient = Channel(transport=None, clock=utc_now, wait=wait)
    with pytest.raises(
        UnreachableError, match=r"127\.0\.0\.1:1/x did not answer \(ConnectError\); repeat the same later"
    ):
        impatient.send("GET", "http://127.0.0.1:1/x", stop=stop)
    assert len(waits) == 1
