# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex demo`: the whole path on this machine, played, told and checked."""

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from verwijsindex.client import ClientError
from verwijsindex.demo import account, playing, staying, telling
from verwijsindex.demo.receiver import Receiver
from verwijsindex.embedded.process import ProcessError
from verwijsindex.settings import utc_now

TICK = 1.0
"""Seconds between pushes here; a minute in production, so that their time tells nothing (R33)."""
NOT_KEPT, TERMINATED, INTERRUPTED = 1, 143, 130


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the account: status 0 if all of it is true, else 1.")
    ] = False,
    rows: Annotated[int, typer.Option(min=100, max=6000, help="Rows in all exports together.")] = 3000,
) -> None:
    """Start everything on this machine and play a day of eight institutions, with invented persons and test BSNs.

    PostgreSQL, Redis, issuer, pseudonym service, index, a Celery worker and its clock start with keys and databases
    of their own. Exports of case systems go through the real client; what came of them is told and checked. Ends
    with Ctrl-C, and leaves nothing behind.
    """
    console = account.console()
    _end_on_signals(console)
    try:
        sys.exit(_play(console, once, rows))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED if once else 0)
    except (ProcessError, RuntimeError, ClientError, httpx.HTTPError, OSError) as error:
        console.print(f"[red]The demo cannot go on:[/red] {escape(str(error))}", soft_wrap=True)
        console.print("Everything is stopped and removed. Run it again; if it fails again, tell us what stands above.")
        sys.exit(NOT_KEPT)


def _play(console: Console, once: bool, rows: int) -> int:
    """The exit status: 0 if every check was kept."""
    console.rule("Verwijsindex: who is concerned about the same youngster is told of the others")
    console.print("All persons are invented and all BSNs are test numbers. Nothing of this stays on your machine.\n")
    settings = {"VERWIJSINDEX_PUSH_TICK_SECONDS": f"{TICK:g}"}
    with Receiver(utc_now) as receiver, playing.started(console, settings) as stack:
        try:
            played = playing.play(console, stack, receiver, rows)
            telling.tell(console, played, TICK)
            checks = telling.check_all(played, stack.folder)
            console.print(account.checked(checks))
            if not once:
                staying.offer(console, stack, played)
                staying.stay(stack)
        except (ClientError, httpx.HTTPError):
            stack.check()  # a process that died says more
            raise
    return 0 if all(check.kept for check in checks) else NOT_KEPT


def _end_on_signals(console: Console) -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal end the demo in order, once: a second one changes nothing."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        console.print("\nStopping: all processes end and their data is removed.")
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(TERMINATED)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, end)
