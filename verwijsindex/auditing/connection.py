# SPDX-License-Identifier: EUPL-1.2
"""How the officer's commands reach the index: base dependencies only, and a token that is in no argument (I5)."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import httpx
import typer

from verwijsindex.client.authorized import OBJECT, Json, content
from verwijsindex.client.channel import Channel, utc_now
from verwijsindex.client.errors import ClientProblem, ConfigError
from verwijsindex.tls import trust

Index = Annotated[str, typer.Option(help="Address of the index, as https://index.example.")]
Token = Annotated[
    str, typer.Option("--token", metavar="FILE", help="File with your access token; - reads it from standard input.")
]
CaFile = Annotated[Path | None, typer.Option(help="CA certificates (PEM) in place of the public ones.")]
FROM_INPUT = "-"
_PATIENCE = 30.0  # seconds: somebody waits at a screen


class Desk:
    """The API of the privacy officer's desk, with the officer's token. Use it in `with`.

    Raises:
        ConfigError: the address, the token or the CA certificates cannot be used.
    """

    def __init__(
        self, index: str, token: str, ca_file: Path | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        address = httpx.URL(index)
        if address.scheme not in ("http", "https") or not address.host:
            raise ConfigError("--index is no address: write it as https://index.example")
        if address.scheme == "http" and address.host not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError("--index: your token would go to another machine without TLS; write https")
        self._index = index.rstrip("/")
        self._headers = {"Authorization": f"Bearer {_read(token)}"}
        try:
            trusted = trust(ca_file)
        except ValueError as error:
            raise ConfigError(f"--ca-file: {error}") from None
        self._channel = Channel(
            transport=transport,
            clock=utc_now,
            wait=lambda _, seconds: time.sleep(seconds),
            patience=_PATIENCE,
            tell=lambda line: typer.echo(line, err=True),
            trust=trusted,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.http.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """What stands at a path below `/api/v1`. Raises ClientError."""
        answer = self._channel.send("GET", self._at(path), headers=lambda: self._headers, params=params)
        return content(answer, OBJECT)

    def document(self, path: str, params: Mapping[str, str], media: str) -> bytes:
        """The very bytes of what stands there, of this media type. Raises ClientError."""
        answer = self._channel.send(
            "GET", self._at(path), headers=lambda: self._headers | {"Accept": media}, params=params
        )
        if answer.status_code != 200 or answer.headers.get("Content-Type") != media:
            raise ClientProblem.of(answer)
        return answer.content

    def post(self, path: str, body: Json, headers: Mapping[str, str] | None = None) -> Json:
        """What is answered to this body, 200 or 201. Raises ClientError."""
        sent = {**self._headers, **(headers or {})}
        answer = self._channel.send("POST", self._at(path), headers=lambda: sent, json=body)
        return content(answer, OBJECT, {200, 201})

    def _at(self, path: str) -> str:
        return f"{self._index}/api/v1{path}"


def _read(token: str) -> str:
    text = sys.stdin.read() if token == FROM_INPUT else Path(token).read_text(encoding="ascii", errors="replace")
    found = text.strip()
    if not found or not all("!" <= character <= "~" for character in found):
        raise ConfigError("there is no access token: its three parts stand on one line, with dots between them")
    return found
