# SPDX-License-Identifier: EUPL-1.2
"""What an operator sees of running processes: metrics of all of a server's processes together, and who is dead."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis
from system.receiver import Receiver
from system.world import INSTITUTIONS, System, until

from verwijsindex.embedded.process import answering, free_port

pytestmark = pytest.mark.system


def metrics(address: str) -> dict[str, float]:
    """The samples that a process serves, once it has started."""
    until(answering(int(re.findall(r":(\d+)/", address)[0]), "/metrics"), 30)
    lines = httpx.get(address, trust_env=False).text.splitlines()
    return {name: float(number) for name, _, number in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def test_what_happens_is_counted_in_each_process(system: System) -> None:
    mine, other = system.reporters(2, INSTITUTIONS[:2])
    before = {name: metrics(address) for name, address in system.stack.metrics.items()}

    def more(name: str, sample: str) -> float:
        key = f"verwijsindex_{sample}"
        return metrics(system.stack.metrics[name]).get(key, 0) - before[name].get(key, 0)

    with Receiver() as receiver:
        system.subscribe(mine.oin, receiver.address)
        for youngster in system.youngsters(5):
            system.place(youngster, mine)
            system.place(youngster, other)
        until(lambda: more("deliverer", 'deliveries_total{outcome="delivered"}') >= 5, 30)
    assert more("index", "signals_accepted_total") == 10
    assert more("index", 'requests_total{operation="registerSignal",status="201"}') == 10
    # A clock that has found Redis away may have done some; nobody else can.
    assert more("worker", "work_matched_total") + more("clock", "work_matched_total") >= 10
    assert more("worker", "notices_placed_total") + more("clock", "notices_placed_total") >= 10
    until(lambda: metrics(system.stack.metrics["clock"])['verwijsindex_waiting{queue="match"}'] == 0, 10)
    clock = metrics(system.stack.metrics["clock"])
    assert clock['verwijsindex_up{part="postgresql"}'] == clock['verwijsindex_up{part="redis"}'] == 1
    everything = "".join(httpx.get(address, trust_env=False).text for address in system.stack.metrics.values())
    for secret in (mine.oin, str(mine.id), "client-", receiver.address):
        assert secret not in everything


@contextmanager
def _index_of_two(system: System, folder: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """Another index on the same database, of two processes: its address, and that of its metrics."""
    port, metrics_port = free_port(), free_port()
    settings = {
        "VERWIJSINDEX_BASE_URL": system.stack.index,
        "VERWIJSINDEX_PORT": str(port),
        "VERWIJSINDEX_WORKERS": "2",
        "VERWIJSINDEX_METRICS_PORT": str(metrics_port),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "verwijsindex", "serve", "index"]
    with subprocess.Popen(command, env=system.stack.environment | settings, stderr=subprocess.DEVNULL) as server:
        try:
            until(answering(port, "/health/live"), 30)
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", server
        finally:
            server.terminate()
            server.wait(20)


def test_a_servers_processes_are_counted_together_and_leave_nothing(system: System, tmp_path: Path) -> None:
    """Also those of a process that was killed: a counter never goes back."""
    sample = 'verwijsindex_requests_total{operation="listSignals",status="401"}'
    with _index_of_two(system, tmp_path) as (address, counted, server):
        for _ in range(40):  # each over a connection of its own, so that both processes get some
            assert httpx.get(f"{address}/api/v1/signals", trust_env=False).status_code == 401
        assert metrics(counted)[sample] == 40
        files = [file.stem for folder in tmp_path.iterdir() for file in folder.glob("counter_*.db")]
        assert len(files) >= 2, "one process did it all"
        child = next(c for c in psutil.Process(server.pid).children() if f"counter_{c.pid}" in files)
        os.kill(child.pid, signal.SIGKILL)
        until(lambda: not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE, 10)
        assert metrics(counted)[sample] == 40
        taken = subprocess.run(
            [sys.executable, "-m", "verwijsindex", "serve", "index"],
            env=system.stack.environment
            | {
                "VERWIJSINDEX_BASE_URL": system.stack.index,
                "VERWIJSINDEX_PORT": str(free_port()),
                "VERWIJSINDEX_METRICS_PORT": re.findall(r":(\d+)/", counted)[0],
                "TMPDIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert taken.returncode == 1
        assert "VERWIJSINDEX_METRICS_PORT of its own" in taken.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["deliverer", "clock", "worker"])
def test_health_says_who_is_dead(part: str, system: System) -> None:
    """Its mark fades within a minute; here it is taken away."""
    assert _healthy(system)
    system.stack.process(part).kill()
    with Redis.from_url(system.stack.redis.url) as redis:
        redis.delete(f"verwijsindex.health.{part}")
    try:
        with pytest.raises(RuntimeError, match=rf"failed: {part}: ") as said:
            system.stack.run("health")
        assert len(str(said.value).splitlines()) == 1
    finally:
        system.stack.restart(part)
    until(lambda: _healthy(system), 30)


def _healthy(system: System) -> bool:
    try:
        return "do their work" in system.stack.run("health")
    except RuntimeError:
        return False
