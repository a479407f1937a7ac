# SPDX-License-Identifier: EUPL-1.2
"""Connections to receivers are kept, and one that its receiver closed costs no try (I3)."""

import socket
import threading

import pytest
from notices.posting import LOOPBACK
from system.receiver import Handler, Receiver, answering

from verwijsindex.notices import posting
from verwijsindex.notices.posting import Poster


def test_a_connection_is_used_again_until_its_receiver_closes_it() -> None:
    """Without the look at whether it was closed, the third try failed (seen)."""
    ports: list[int] = []
    closed = threading.Event()

    def closing_the_second(handler: Handler, number: int) -> None:
        ports.append(handler.client_address[1])
        answering(204)(handler, number)
        if number == 1:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            closed.set()

    poster = Poster(seconds=10, allow_plain_http=True, destinations=LOOPBACK)
    with Receiver(closing_the_second) as receiver:
        outcomes = [poster.post(receiver.address, b"{}", {}).outcome for _ in range(2)]
        assert closed.wait(10)
        outcomes += [poster.post(receiver.address, b"{}", {}).outcome for _ in range(2)]
        poster.close()
        outcomes += [poster.post(receiver.address, b"{}", {}).outcome]
        poster.close()
    assert outcomes == ["ok"] * 5
    first, second, third, fourth, fifth = ports
    assert first == second
    assert third == fourth
    assert len({second, third, fifth}) == 3


def test_no_more_connections_are_kept_than_there_are_files_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of receivers at once, after an outage: each kept connection is an open file, and without one nobody
    else is reached. Seen failing (a second was kept) without the bound."""
    monkeypatch.setattr(posting, "KEPT_AT_MOST", 1)
    poster = Poster(seconds=10, allow_plain_http=True, destinations=LOOPBACK)
    with Receiver() as receiver:
        for name in ("127.0.0.1", "localhost") * 2:
            assert poster.post(receiver.address.replace("127.0.0.1", name), b"{}", {}).outcome == "ok"
            assert sum(map(len, poster._unused.values())) == poster._kept <= 1
        poster.close()
    assert poster._kept == 0


def test_what_comes_after_an_answer_is_no_answer_to_the_next_try() -> None:
    """Of a receiver that lies about another behind the same host, or that gives its 204 a body. Seen failing (status
    500; RemoteProtocolError) when the connection was used again."""
    for more in (b"HTTP/1.1 500 Lie\r\nContent-Length: 0\r\n\r\n", b"OK"):
        seen: list[str] = []

        def saying_more(handler: Handler, number: int, more: bytes = more, seen: list[str] = seen) -> None:
            seen.append(handler.path)
            handler.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n" + more)

        poster = Poster(seconds=10, allow_plain_http=True, destinations=LOOPBACK)
        with Receiver(saying_more) as receiver:
            for path in ("one", "other"):
                assert poster.post(f"{receiver.address}{path}", b"{}", {}).outcome == "ok"
            poster.close()
        assert len(seen) == 2
