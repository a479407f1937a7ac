# SPDX-License-Identifier: EUPL-1.2
"""The disk of PostgreSQL is full: first for its tables, then for its log too, and it ends (I1; docs/reliability.md).

The disk is a small tmpfs in a mount namespace of its own, in which the test runs itself again: as root, and not as root
in a user namespace. Nothing of it is left, whatever is killed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from support import only_long
from system.fire.fire import BACK_WITHIN, fire
from system.world import until

from verwijsindex.embedded import postgres

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

MEGABYTES = 420
_MOUNT = 'mount -t tmpfs -o size="$1"m,mode=1777 tmpfs "$2" && shift 2 && exec '


@pytest.fixture
def namespace() -> Iterator[tuple[Path, list[str]]]:
    """A folder, and what to put before a command that finds a small disk in it."""
    disk = Path(tempfile.mkdtemp(prefix="verwijsindex-disk-"))
    disk.chmod(0o755)
    prefix = ["unshare", "--mount", "sh", "-c", _MOUNT + '"$@"']
    if os.geteuid():  # root in a namespace to mount, and then who we are again
        as_user = f'unshare --user --map-user={os.getuid()} --map-group={os.getgid()} "$@"'
        prefix = ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT + as_user]
    prefix += ["sh", str(MEGABYTES), str(disk)]
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare (util-linux) on this machine")
    if tried.returncode:
        pytest.skip(f"no mount namespace here: {tried.stderr.strip()}")
    yield disk, prefix
    shutil.rmtree(disk, ignore_errors=True)


@only_long
@pytest.mark.skipif("SMALL_DISK" in os.environ, reason="this is the inner one")
def test_disk_full(namespace: tuple[Path, list[str]]) -> None:
    """Run the test below where the disk is small."""
    disk, prefix = namespace
    inner = f"{__file__}::{test_on_a_small_disk.__name__}"
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", inner],
        env=os.environ | {"SMALL_DISK": str(disk)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "1 passed" in done.stdout


@pytest.mark.skipif("SMALL_DISK" not in os.environ, reason="run by the test above")
def test_on_a_small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders see 503 and nothing else, and get their 201 when there is room again."""
    disk = os.environ["SMALL_DISK"]
    monkeypatch.setattr(postgres, "_open_folder", lambda _: disk)
    with fire(5, youngsters=300, probes=3) as burning:
        system = burning.system
        ballast = Path(disk) / "ballast"
        with burning.load:
            assert burning.probe(time.monotonic()) < BACK_WITHIN
            fill(ballast)
            before = burning.load.statuses.copy()
            until(lambda: (burning.load.statuses - before)["index 503"] > 20, 60)
            with suppress(sa.exc.DBAPIError):  # at once, rather than when sixteen megabytes are written
                for _ in range(30):
                    system.change("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'fire', repeat('x', 100000))")
            time.sleep(1)
            ballast.unlink()
            system.stack.postgres.restart()
            system.disconnect()
            assert burning.probe(time.monotonic()) < BACK_WITHIN
        assert "No space left on device" in (system.stack.folder / "postgres.log").read_text()
        burning.judge()


def fill(ballast: Path) -> None:
    """Leave no byte."""
    size = 1 << 20
    with ballast.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError:  # no space left for so many
                size //= 2
