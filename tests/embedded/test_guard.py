# SPDX-License-Identifier: EUPL-1.2
"""The guard leaves no process behind: whatever is killed, and in whatever way (embedded/guard.py)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

# A command with a child in its own group and one in a session of its own, both deaf to SIGTERM.
TREE = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", deaf])
subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""

WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""

CELERY = """
from celery import Celery
app = Celery("lonely", broker="memory://")
"""

# What stands for the demo or a test run. SIGTERM and Ctrl-C end its `with` block.
PARENT = """
import signal, sys, time
from pathlib import Path
from verwijsindex.embedded.process import Supervisor
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with Supervisor() as supervisor:
    process = supervisor.start(sys.argv[2:], name="command", log_path=Path(sys.argv[1]), grace=1)
    print(process.pid, flush=True)
    time.sleep(600)
"""


@dataclass
class Family:
    """A parent, its two guards, the guarded command, and all processes there are of them."""

    parent: psutil.Process
    outer: psutil.Process
    inner: psutil.Process
    command: psutil.Process
    everyone: list[psutil.Process]


# How far each command is when its log says so: a granian that gets SIGTERM earlier than that may not hear it.
STARTED = {"tree": "up", "granian": "Started worker-2", "celery": "ready."}


def command_line(kind: str, folder: Path) -> list[str]:
    """A command with two children or more, that do not end when it is killed."""
    if kind == "granian":
        (folder / "wsgi.py").write_text(WSGI)
        options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", "0", "--workers", "2"]
        return [sys.executable, "-m", "granian", *options, "--working-dir", str(folder), "wsgi:app"]
    if kind == "celery":
        (folder / "lonely.py").write_text(CELERY)
        options = ["--pool", "prefork", "--concurrency", "2", "--without-heartbeat", "--without-mingle"]
        logging = ["--loglevel", "INFO"]
        return [
            *(sys.executable, "-m", "celery", "--workdir", str(folder), "-A", "lonely", "worker"),
            *(*options, *logging),
        ]
    return [sys.executable, "-c", TREE]


@pytest.fixture(
    params=[
        "tree",
        pytest.param("granian", marks=pytest.mark.system),
        pytest.param("celery", marks=pytest.mark.system),
    ]
)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Family]:
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(log), *command_line(request.param, tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that signalling its process group is what a terminal does at Ctrl-C
    )
    everyone = [psutil.Process(parent.pid)]
    try:
        assert parent.stdout is not None
        guarded = psutil.Process(int(parent.stdout.readline()))
        inner = guarded.parents()[0]
        while STARTED[request.param] not in log.read_text():
            assert guarded.is_running(), log.read_text()
            time.sleep(0.02)
        everyone += everyone[0].children(recursive=True)
        yield Family(everyone[0], inner.parents()[0], inner, guarded, everyone)
    finally:
        for process in filter(psutil.Process.is_running, everyone):
            process.kill()
        parent.communicate()


CAUSES: dict[str, Callable[[Family], None]] = {
    "parent killed": lambda family: family.parent.kill(),
    "outer guard killed": lambda family: family.outer.kill(),
    "inner guard killed": lambda family: family.inner.kill(),
    "command killed": lambda family: family.command.kill(),
    "parent terminated": lambda family: family.parent.terminate(),
    "guard terminated": lambda family: family.outer.terminate(),
    "Ctrl-C in the terminal": lambda family: os.killpg(family.parent.pid, signal.SIGINT),
}


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def survivors(family: Family) -> list[psutil.Process]:
    """Who still lives after twenty seconds, apart from the parent."""
    give_up_at = time.monotonic() + 20
    while left := [process for process in family.everyone[1:] if alive(process)]:
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.02)
    return left


@pytest.mark.parametrize("cause", CAUSES)
def test_nothing_is_left(family: Family, cause: str) -> None:
    """With PR_SET_CHILD_SUBREAPER taken out of the guard, the child with a session of its own was left for
    every cause."""
    assert len(family.everyone) >= 6
    CAUSES[cause](family)
    assert survivors(family) == []


@pytest.mark.system
@pytest.mark.parametrize("family", ["granian"], indirect=True)
def test_both_guards_killed_at_once(family: Family) -> None:
    """PR_SET_PDEATHSIG is all that is left then: granian's master gets SIGTERM and ends its workers.

    Without it all three processes of granian lived on.
    """
    family.outer.kill()
    family.inner.kill()
    assert survivors(family) == []
