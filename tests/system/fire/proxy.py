# SPDX-License-Identifier: EUPL-1.2
"""A TCP proxy before PostgreSQL that makes it slow or takes it away. What a client sends at once is one statement."""

import asyncio
import contextlib
import threading
from types import TracebackType


class Proxy:
    """Passes connections on to a port of loopback, for as long as a `with` block lasts.

    `delay`: seconds by which each message of a client comes later.
    """

    def __init__(self, port: int) -> None:
        self.port, self.delay = 0, 0.0
        self._to, self._cut = port, False
        self._writers: set[asyncio.StreamWriter] = set()
        self._listens, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def cut(self) -> None:
        """Break all connections, and take no others until `mend`."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """Take connections again."""
        self._cut = False

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._over.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if not self._cut:
                there, back = await asyncio.open_connection("127.0.0.1", self._to)
                self._writers |= {writer, back}
                await asyncio.gather(self._pass(reader, back, slowly=True), self._pass(there, writer))
                self._writers -= {writer, back}
        writer.transport.abort()

    async def _pass(self, one: asyncio.StreamReader, other: asyncio.StreamWriter, *, slowly: bool = False) -> None:
        with contextlib.suppress(OSError):
            while part := await one.read(1 << 20):
                if slowly and self.delay:
                    await asyncio.sleep(self.delay)
                other.write(part)
                await other.drain()
        with contextlib.suppress(OSError):
            other.close()
