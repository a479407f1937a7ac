# SPDX-License-Identifier: EUPL-1.2
"""The version before and this one, side by side, under load (I1 to I4; docs/reliability.md).

The version before is taken from the clone's own history, and runs with this version's libraries.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from system.fire.fire import BACK_WITHIN, Fire, Registered, fire
from system.world import Reporter, System

from verwijsindex.embedded.process import Process, answering, free_port
from verwijsindex.embedded.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BEFORE = "76a5bd5"  # 0.4.0
HERE = Path(__file__).resolve().parents[3]
SECONDS, PAUSE = (30, 0.15) if os.environ.get("TEST_LONG") else (1, 0.5)
WORKERS, SERVERS = ("worker", "deliverer", "clock"), ("pseudonyms", "index")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The code of the version before, in a folder."""
    folder = tmp_path / "before"
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(HERE), "archive", BEFORE, "verwijsindex", "tests"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"this clone's history has no {BEFORE} (0.4.0): git fetch --unshallow, then try again")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


REGISTER = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from system.world import INSTITUTIONS, System

told = json.load(sys.stdin)
postgres = SimpleNamespace(url=lambda _: told["superuser"])
system = System(SimpleNamespace(**told["stack"], postgres=postgres, keys=Path(told["keys"])))
ids = lambda reporters: [(str(one.id), one.oin) for one in reporters]
found = {
    "reporters": ids(system.reporters(12)),
    "pairs": ids(system.reporters(2 * told["probes"], INSTITUTIONS[:2])),
}
with ThreadPoolExecutor() as threads:
    addresses = told["addresses"]
    found["secrets"] = dict(zip(addresses, threads.map(system.subscribe, addresses, addresses.values())))
print(json.dumps(found))
"""


def registering(before: Path, stack: Stack, probes: int, addresses: Mapping[str, str]) -> Registered:
    """Fill the register by the version before, which alone can fill its own tables."""
    told = {
        "superuser": stack.postgres.url("verwijsindex"),
        "keys": str(stack.keys),
        "stack": {"issuer": stack.issuer, "index": stack.index, "environment": stack.environment},
        "probes": probes,
        "addresses": dict(addresses),
    }
    done = subprocess.run(
        [sys.executable, "-c", REGISTER],
        input=json.dumps(told),
        env=stack.environment | {"PYTHONPATH": f"{before}{os.pathsep}{before / 'tests'}"},
        cwd=before,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    reporters, pairs = ([Reporter(UUID(id_), oin) for id_, oin in found[what]] for what in ("reporters", "pairs"))
    return Registered(reporters, pairs, found["secrets"])


def become(system: System, code: Path, *names: str) -> None:
    """Start some processes anew, of one version."""
    system.stack.environment["PYTHONPATH"] = str(code)
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(system.stack.restart, names))


def works(burning: Fire) -> None:
    """Some time under load, and then everything works."""
    time.sleep(SECONDS)
    assert burning.probe(time.monotonic()) < BACK_WITHIN
    burning.system.stack.check()


@contextmanager
def second_index(burning: Fire) -> Iterator[None]:
    """Another index, of this version, beside the one that is there; senders post to both, the same signal too."""
    stack, port = burning.system.stack, free_port()
    command, settings, _ = stack._service("index")
    index = Process(
        command,
        name="index beside",
        log_path=stack.folder / "index-beside.log",
        env=stack.environment | settings | {"VERWIJSINDEX_PORT": str(port), "PYTHONPATH": str(HERE)},
        cwd=stack.folder,
    )
    try:
        index.wait_until(answering(port, "/health/ready"), 60)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as door:
            burning.load.doors.append(door)
            yield
            burning.load.doors.remove(door)
            time.sleep(1)  # what is on its way through it
    finally:
        index.stop()


def migrate(system: System) -> None:
    """`db upgrade` of this version; it waits at most four seconds for a lock, and is then repeated."""
    system.stack.environment["PYTHONPATH"] = str(HERE)
    for _ in range(20):
        try:
            system.stack.run("db", "upgrade")
        except RuntimeError as error:
            if "run it again" not in str(error):
                raise
        else:
            return
    raise AssertionError("the migrations never got their locks")


def test_upgrade(before: Path) -> None:
    """The version before on its own tables; migrated while it runs; then every mixture; then this version alone.

    Seen failing: parties of 0.2.0 had no standing as long as migration 0017 was not there; a match that 0.4.0's matcher
    let another municipality supervise had no place in that one's list until upkeep looked for it.
    """
    settings = {"PYTHONPATH": str(before)}
    with fire(7, youngsters=300, probes=10, settings=settings, registering=partial(registering, before)) as burning:
        system = burning.system
        burning.load.ways = (burning.load.by_http,)  # this version's client needs this version's index
        burning.load.pause = PAUSE
        with burning.load:
            works(burning)
            migrate(system)
            become(system, HERE, "issuer")
            with second_index(burning):
                works(burning)
                become(system, HERE, *WORKERS)
                works(burning)
            become(system, HERE, *SERVERS)
            become(system, before, *WORKERS)
            works(burning)
            become(system, HERE, *WORKERS)
            works(burning)
        burning.judge()
        system.stack.run("db", "upgrade")  # nothing is left to do
