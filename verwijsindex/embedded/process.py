# SPDX-License-Identifier: EUPL-1.2
"""Processes that end with us (embedded/guard.py): start, wait until ready, stop all at once."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType

from verwijsindex.embedded import guard

LOG_TAIL_LINES = 20


class ProcessError(RuntimeError):
    """A process did not start, did not get ready or died; the text ends with the last lines of its log."""


class Process:
    """One guarded process: it ends at `stop()`, at the latest when this Python process is gone.

    `command` is a list of arguments; `env` is the whole environment (default: ours); `log_path` gets its
    standard output and error; `user` is who it runs as (only root can say so); `stop_signal` is what it stops
    gracefully on, and `grace` the seconds until it is killed. The folder `remove` is removed if it has to end
    without us. Raises ProcessError if it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        remove: Path | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._expected_to_run = True
        options = [f"--stop-signal={stop_signal.name}", f"--grace={grace}"]
        options += [f"--cwd={cwd}"] if cwd else []
        options += [f"--user={user}"] if user else []
        options += [f"--remove={remove}"] if remove else []
        self._lifeline, theirs = socket.socketpair()
        with theirs, log_path.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-I", "-S", guard.__file__, f"--lifeline={theirs.fileno()}"),
                    *(*options, "--", *command),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=None if env is None else dict(env),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for us; we then stop in the right order
            )
        reported = self._lifeline.recv(32)
        if not reported:
            self.stop()
            raise self.error("could not be started")
        self.pid = int(reported)

    def running(self) -> bool:
        return self._guard.poll() is None

    def died(self) -> bool:
        """Whether it ended without `stop()` or `kill()`."""
        return self._expected_to_run and not self.running()

    def wait(self, timeout: float) -> int:
        """Its exit status, waited for at most `timeout` seconds (subprocess.TimeoutExpired)."""
        status = self._guard.wait(timeout)
        self.stop()
        return status

    def stop(self) -> None:
        """Stop it gracefully and end all its descendants. Harmless if it has ended already."""
        self._expected_to_run = False
        if self.running():
            self._guard.terminate()
        self._guard.wait()
        if self._lifeline.fileno() >= 0:
            self._lifeline.recv(1)  # end of file: the inner guard is gone too, also if the outer one was killed
            self._lifeline.close()

    def kill(self) -> None:
        """Kill the process itself with SIGKILL, as the kernel would; the guard ends what it leaves behind."""
        self._expected_to_run = False
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def error(self, what: str) -> ProcessError:
        """A ProcessError of one line about this process, followed by the last lines of its log."""
        return ProcessError(f"{self.name} {what}; its log ends with:\n{self.log_tail()}")

    def wait_until(self, ready: Callable[[], bool], timeout: float = 30.0) -> None:
        """Return once `ready()` is true; ProcessError if it dies first or takes over `timeout` seconds."""
        give_up_at = time.monotonic() + timeout
        while not ready():
            if not self.running():
                raise self.error(f"ended with status {self._guard.returncode} before it was ready")
            if time.monotonic() > give_up_at:
                raise self.error(f"was not ready within {timeout:g} seconds")
            time.sleep(0.02)


class Supervisor:
    """Starts processes, and stops them all at once at the end of its `with` block: none of them needs another to end
    well."""

    def __init__(self) -> None:
        self.processes: list[Process] = []

    def start(
        self,
        command: Sequence[str],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        remove: Path | None = None,
        ready: Callable[[], bool] | None = None,
        timeout: float = 30.0,
    ) -> Process:
        """Start one process (see Process) and wait until `ready()` is true, at most `timeout` seconds."""
        process = Process(
            command,
            name=name,
            log_path=log_path,
            env=env,
            cwd=cwd,
            stop_signal=stop_signal,
            grace=grace,
            remove=remove,
        )
        self.processes.append(process)
        if ready:
            process.wait_until(ready, timeout)
        return process

    def check(self) -> None:
        """Raises ProcessError if one of the processes died without being told to."""
        for process in self.processes:
            if process.died():
                raise process.error("died")

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.processes:
            with ThreadPoolExecutor(len(self.processes)) as threads:
                list(threads.map(Process.stop, self.processes))


def free_port() -> int:
    """A loopback TCP port that nobody listens on, below the ports of outgoing connections."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def listening(port: int) -> Callable[[], bool]:
    """For `ready=`: whether something accepts connections on this loopback port."""

    def ready() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return ready


def answering(port: int, path: str) -> Callable[[], bool]:
    """For `ready=`: whether a GET of `path` on this loopback port is answered with status 200."""

    def ready() -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            try:
                connection.request("GET", path)
                return connection.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False

    return ready
