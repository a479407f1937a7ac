# SPDX-License-Identifier: EUPL-1.2
"""The demo as a newcomer runs it: its account is true, its commands work, and nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from support import only_long

from verwijsindex.demo.exports_day import known_test_bsns

pytestmark = pytest.mark.system

WIDTH = 100
BSNS = frozenset(known_test_bsns())


@dataclass
class Running:
    """A demo under way, and every process that was ever seen below it."""

    process: subprocess.Popen[bytes]
    output: Path
    below: dict[int, psutil.Process] = field(default_factory=dict)

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def look(self) -> None:
        """Note which processes are below it now."""
        with suppress(psutil.NoSuchProcess):
            self.below |= {one.pid: one for one in psutil.Process(self.process.pid).children(recursive=True)}

    def wait_until(self, ready: Callable[[], bool], seconds: float = 240) -> None:
        """Until it is so; fails if the demo ends before."""
        give_up_at = time.monotonic() + seconds
        while not ready():
            self.look()
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < give_up_at, self.text()
            time.sleep(0.05)
        self.look()

    def folder(self) -> Path:
        """Where all of it lives: what its guard is to remove."""
        for one in self.below.values():
            with suppress(psutil.NoSuchProcess):
                for argument in one.cmdline():
                    if argument.startswith("--remove=") and "verwijsindex-demo-" in argument:
                        return Path(argument.removeprefix("--remove="))
        raise AssertionError("no guard")

    def survivors(self) -> list[psutil.Process]:
        """Which of its processes still live after half a minute at most."""
        give_up_at = time.monotonic() + 30
        while (left := [one for one in self.below.values() if _alive(one)]) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return left


def _alive(one: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a demo with these arguments; it is ended after the test."""
    started: list[Running] = []

    def run(*arguments: str) -> Running:
        output = tmp_path / f"output-{len(started)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "verwijsindex", "demo", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(Running(process, output))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(60)


def check_account(text: str) -> None:
    """All that is promised is kept and told, and no BSN of all test BSNs is shown: with one printed by a table on
    purpose, this failed."""
    assert text.count("✓") >= 24
    assert "✗" not in text
    assert not BSNS & set(re.findall(r"[0-9]{9}", text))
    for promised in (
        "0800-2000",
        "webhook-signature",
        "case supervisor of",
        "From signal to notice",
        "signal.registered",
        "as it was sealed",
        "is not what was sealed",
        "party_withdrew",
        "escalation",
        "waits",
    ):
        assert promised in text


@only_long
def test_once_ends_with_a_true_account(start: Callable[..., Running]) -> None:
    """The same account is that of the test below; its exit status is also that of tests/demo/test_checks.py."""
    demo = start("--once", "--rows=200")
    demo.wait_until(lambda: "Started in" in demo.text())
    folder = demo.folder()
    while demo.process.poll() is None:
        demo.look()
        time.sleep(0.2)
    text = demo.text()
    assert demo.process.returncode == 0, text
    check_account(text)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert demo.survivors() == []
    assert not folder.exists()


def test_it_stays_up_and_its_commands_work(start: Callable[..., Running]) -> None:
    """Its account is true; all commands that it prints, pasted into a shell that knows nothing; then Ctrl-C, with
    status 0."""
    demo = start("--rows=200")
    demo.wait_until(lambda: "/openapi.json" in demo.text())
    account, _, commands = demo.text().partition("# first, once for each terminal\n")
    check_account(account)
    assert max(map(len, account.partition("It stays up")[0].splitlines())) <= WIDTH
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        env={"PATH": os.defpath, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for shown in ("wijkagent", "Notices", "0800-2000", "possible now", '"placedAt"', '"openapi"'):
        assert shown in done.stdout
    demo.look()
    folder = demo.folder()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert demo.survivors() == []
    assert not folder.exists()


@only_long
def test_nothing_is_left(start: Callable[..., Running]) -> None:
    """Three demos beside each other: killed while it starts, killed while it runs, terminated. With no guard above all
    of it, a folder with keys was left when it was killed while it started."""
    endings = [("", signal.SIGKILL, -signal.SIGKILL), ("Started in", signal.SIGKILL, -signal.SIGKILL)]
    endings.append(("Started in", signal.SIGTERM, 143))
    demos = [start("--once", "--rows=3000") for _ in endings]
    for demo, (printed, number, status) in zip(demos, endings, strict=True):
        demo.wait_until(lambda: printed in demo.text() and len(demo.below) > 4)  # noqa: B023 (called in here)
        folder = demo.folder()
        assert folder.exists()
        demo.process.send_signal(number)
        assert demo.process.wait(30) == status
        assert demo.survivors() == []
        assert not folder.exists()
