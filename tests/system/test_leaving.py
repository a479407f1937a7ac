# SPDX-License-Identifier: EUPL-1.2
"""Nothing of a running system is left when whoever started it is stopped, interrupted or killed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.system

ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) if os.environ.get("TEST_LONG") else (signal.SIGKILL,)
STARTER = """
import signal, sys, time
from verwijsindex.embedded.stack import Stack
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with Stack(durable=False) as stack:
    print(stack.folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the guard finds what is below it in /proc")
def test_nothing_is_left(tmp_path: Path) -> None:
    """All of PostgreSQL, Redis, three servers, the workers' pools and the clock; the folder with keys too. By kill -9;
    with TEST_LONG three systems at once, which end by SIGTERM and by Ctrl-C too (as those of embedded/test_guard.py and
    of test_demo.py always do)."""
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(_start_and_end, ending, tmp_path) for ending in ENDINGS]:
            done.result()


def _start_and_end(ending: signal.Signals, folder: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert starter.stdout
        keys = Path(starter.stdout.readline().strip())
        assert keys.is_dir()
        time.sleep(3)  # the workers' pools
        below = psutil.Process(starter.pid).children(recursive=True)
        names = " ".join(" ".join(process.cmdline()) for process in below)
        assert all(
            part in names for part in ("postgres", "redis-server", "serve index", "worker@", "deliverer@", "beat")
        )
        assert len(below) > 20
        starter.send_signal(ending)
        starter.wait(30)
        _, alive = psutil.wait_procs(below, timeout=20)
        assert alive == [], f"left after {ending.name}"
        give_up_at = time.monotonic() + 5
        while keys.exists() and time.monotonic() < give_up_at:
            time.sleep(0.1)
        assert not keys.exists(), f"left after {ending.name}"
    finally:
        with suppress(ProcessLookupError):
            starter.kill()
        starter.wait()
