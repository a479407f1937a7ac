# SPDX-License-Identifier: EUPL-1.2
"""Starting, waiting for and stopping processes (embedded/process.py)."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from verwijsindex.embedded.process import Process, ProcessError, Supervisor, free_port, listening

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def eventually(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 10
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_exit_status_is_the_commands(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit(7)"], name="seven", log_path=tmp_path / "log")
    assert process.wait(timeout=10) == 7
    assert not process.running()


def test_killed_by_a_signal_is_128_and_the_signal(tmp_path: Path) -> None:
    process = Process(SLEEP, name="sleep", log_path=tmp_path / "log")
    os.kill(process.pid, signal.SIGUSR1)
    assert process.wait(timeout=10) == 128 + signal.SIGUSR1


def test_unknown_command(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"/no/such/command: No such file or directory"):
        Process(["/no/such/command"], name="nothing", log_path=tmp_path / "log")


def test_death_before_ready_shows_the_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the key is missing')"]
    with Supervisor() as supervisor, pytest.raises(ProcessError) as caught:
        supervisor.start(command, name="index", log_path=tmp_path / "log", ready=lambda: False)
    assert str(caught.value) == (
        "index ended with status 1 before it was ready; its log ends with:\nthe key is missing"
    )


def test_never_ready_is_an_error_and_is_stopped(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with (
        pytest.raises(ProcessError, match=r"index was not ready within 0.2 seconds"),
        Supervisor() as supervisor,
    ):
        supervisor.start(SLEEP, name="index", log_path=tmp_path / "log", ready=lambda: False, timeout=0.2)
    assert set(psutil.Process().children()) == before


def test_stopped_all_at_once(tmp_path: Path) -> None:
    """Each of three ends only when all were told to: one after the other, the first would be killed and say nothing
    more. Seen failing when they were stopped one by one."""
    log = tmp_path / "log"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    print('told', flush=True)\n"
        f"    while open({str(log)!r}).read().count('told') < 3: time.sleep(0.01)\n"
        "    sys.exit(print('ended'))\n"
        "signal.signal(15, stop); print('up', flush=True); time.sleep(600)"
    )
    with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start([sys.executable, "-c", code], name=name, log_path=log, grace=3)
        eventually(lambda: log.read_text().count("up") == 3)
    assert log.read_text().count("ended") == 3


def test_only_an_unexpected_death_is_reported(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        killed = supervisor.start(SLEEP, name="worker", log_path=tmp_path / "worker")
        lost = supervisor.start(SLEEP, name="index", log_path=tmp_path / "index")
        killed.kill()
        supervisor.check()
        os.kill(lost.pid, signal.SIGKILL)
        eventually(lost.died)
        with pytest.raises(ProcessError, match="index died"):
            supervisor.check()


def test_folder_is_removed_only_without_its_parent(tmp_path: Path) -> None:
    kept, removed = tmp_path / "kept", tmp_path / "removed"
    kept.mkdir()
    removed.mkdir()
    Process(SLEEP, name="kept", log_path=tmp_path / "log", remove=kept).stop()
    assert kept.exists()
    code = (
        "import os, sys; from pathlib import Path; from verwijsindex.embedded.process import Process\n"
        "Process(sys.argv[3:], name='removed', log_path=Path(sys.argv[1]), remove=Path(sys.argv[2]))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "log"), str(removed), *SLEEP], check=False)
    eventually(lambda: not removed.exists())


def test_free_port_is_free_and_listening_tells() -> None:
    port = free_port()
    assert not listening(port)()
    with socket.create_server(("127.0.0.1", port)):
        assert listening(port)()
