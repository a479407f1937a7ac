# SPDX-License-Identifier: EUPL-1.2
"""The demo itself, as `verwijsindex demo` starts it: `python -m verwijsindex.demo`."""

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from verwijsindex.client import ClientError
from verwijsindex.demo import account, auditing, playing, staying, telling
from verwijsindex.demo.clock import DemoClock
from verwijsindex.demo.commands import Once, Rows
from verwijsindex.demo.mailbox import Mailbox
from verwijsindex.demo.readers import Post
from verwijsindex.demo.receiver import Receiver
from verwijsindex.embedded.process import ProcessError

TICK = 1.0
"""Seconds between pushes here, between sweeps and between checkpoints; in production a minute, so that their time tells
nothing (R33), five seconds, and half a minute."""
NOT_KEPT, TERMINATED = 1, 143


def main(once: Once = False, rows: Rows = 3000) -> None:
    """Play, tell and check; without --once stay up until stopped."""
    console = account.console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        sys.exit(_play(console, once, rows))
    except (ProcessError, RuntimeError, ClientError, httpx.HTTPError, OSError) as error:
        console.print(f"[red]The demo cannot go on:[/red] {escape(str(error))}", soft_wrap=True)
        console.print("Everything is stopped and removed. Run it again; if it fails again, tell us what stands above.")
        sys.exit(NOT_KEPT)


def _play(console: Console, once: bool, rows: int) -> int:
    """The exit status: 0 if every check was kept."""
    console.rule("Verwijsindex: who is concerned about the same youngster is told of the others")
    console.print(
        "All persons are invented and all BSNs are test numbers. Nothing of this stays on your machine, and no mail"
        " leaves it.\n"
    )
    settings = {f"VERWIJSINDEX_{what}_SECONDS": f"{TICK:g}" for what in ("PUSH_TICK", "SWEEP", "SEAL")}
    with ExitStack() as undo:
        clock = DemoClock(Path(undo.enter_context(tempfile.TemporaryDirectory())) / "ahead")
        receiver, mailbox = undo.enter_context(Receiver(clock)), undo.enter_context(Mailbox())
        stack = undo.enter_context(playing.started(console, settings | clock.settings | mailbox.settings))
        try:
            played = playing.play(console, stack, clock, Post(receiver, mailbox), rows)
            telling.tell(console, played, TICK)
            checks = [*telling.check_all(played, stack.folder), *auditing.audit(console, stack, clock)]
            console.print(account.checked(checks))
            if not once:
                staying.offer(console, stack, played)
                staying.stay(stack)
        except (ClientError, httpx.HTTPError):
            stack.check()  # a process that died says more
            raise
    return 0 if all(check.kept for check in checks) else NOT_KEPT


if __name__ == "__main__":
    typer.run(main)
