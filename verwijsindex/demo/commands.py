# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex demo`: starts the demo under a guard (embedded/guard.py), in a folder of its own.

All temporary files of all its processes come into that folder. Whatever is killed, in whatever order and at whatever
moment: the guard ends every process below it, and only then is the folder removed, with keys and databases in it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from verwijsindex.embedded import guard

Once = Annotated[bool, typer.Option("--once", help="End after the account; status 0 if all of it is true, else 1.")]
Rows = Annotated[int, typer.Option(min=100, max=6000, help="Rows in all exports together.")]

INTERRUPTED = 130
"""Status after Ctrl-C, where it should have been told whether the account is true."""
GRACE = 30.0
"""Seconds in which the demo stops its processes in order; it takes some three."""


def demo(once: Once = False, rows: Rows = 3000) -> None:
    """Start everything on this machine and play a day of eight institutions, with invented persons and test BSNs.

    PostgreSQL, Redis, issuer, pseudonym service, index, Celery's workers and clock start with keys and databases
    of their own. Exports of case systems go through the real client; what came of them is told and checked. Then it
    stays up with commands to go on with, until Ctrl-C. Nothing is left behind.
    """
    folder = Path(tempfile.mkdtemp(prefix="verwijsindex-demo-"))
    try:
        folder.chmod(0o711)  # PostgreSQL runs as `nobody` where we are root
        command = [sys.executable, "-m", "verwijsindex.demo", f"--rows={rows}", *["--once"] * once]
        status = _guarded(command, folder, INTERRUPTED if once else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def _guarded(command: list[str], folder: Path, interrupted: int) -> int:
    """Run the command with this terminal until it ends or a signal ends it; its exit status, or `interrupted` after
    Ctrl-C."""
    lifeline, theirs = socket.socketpair()
    with lifeline:
        with theirs:
            guarding = subprocess.Popen(  # noqa: S603 (our own command)
                [
                    *(sys.executable, "-I", "-S", guard.__file__, f"--lifeline={theirs.fileno()}"),
                    *(f"--grace={GRACE}", f"--remove={folder}", "--", *command),
                ],
                env=os.environ | {"TMPDIR": str(folder)},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for us; the demo then stops in the right order
            )
        came: list[int] = []

        def end(number: int, _: FrameType | None) -> None:
            if not came:
                print("\nStopping: all processes end and their data is removed.", flush=True)
                guarding.terminate()
            came.append(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end)
        status = guarding.wait()
        lifeline.settimeout(GRACE)
        while lifeline.recv(32):
            """Until its end: the inner guard is gone too, also if the outer one was killed."""
    return interrupted if signal.SIGINT in came else status
