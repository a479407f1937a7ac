# SPDX-License-Identifier: EUPL-1.2
"""Run one command and leave nothing of it behind, whatever is killed and in whatever order.

Standard library only, and started as a plain file (`python -I -S guard.py`), so that it is up in some 30 ms.

A guard is two processes, an outer and an inner one, that do the same: wait for what lies below, and end all
of it when told to, when what lies above is gone, or when the command itself died (granian's workers outlive a
killed master). Either may be killed with -9: the other one then ends the command. Both are subreapers on
Linux, so that also a process that made a session of its own (PostgreSQL's backends) comes back to them.
Should both be killed in the same instant, PR_SET_PDEATHSIG still sends the command its stop signal.
"""

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SWEEP_SECONDS = 10.0


def main() -> int:
    """Guard the command of the command line. Returns its exit status, or 128 + n when signal n ended it."""
    options = _options()
    prctl = _prctl()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    inner_end, outer_end = os.pipe()
    inner = os.fork()
    if inner:
        os.close(inner_end)
        # The inner guard needs its own grace, and then the time to sweep.
        return watch(inner, options.lifeline, signal.SIGTERM, options.grace + SWEEP_SECONDS, options.remove)
    os.close(outer_end)
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = _start(options, prctl)
    except OSError as error:
        print(f"guard: cannot run {options.command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    with suppress(BrokenPipeError):
        os.write(options.lifeline, str(child).encode())
    return watch(child, inner_end, options.stop_signal, options.grace, options.remove)


def watch(child: int, lifeline: int, stop_signal: int, grace: float, remove: str | None) -> int:
    """Wait for `child`, ask it to stop when it is time, then end everything that is still below this process.

    `lifeline` reports end of file when whoever holds the other end is gone; only then is the folder `remove`
    removed, since a living holder may still want it. `grace` is in seconds. Returns an exit status as `main`
    does.
    """
    woken = _wake_on_signals()
    above = os.getppid()
    stop_at = 0.0
    orphaned = False
    while (status := reap(child)[0]) is None and not (stop_at and time.monotonic() > stop_at):
        readable, _, _ = select.select([woken] if orphaned else [woken, lifeline], [], [], 1.0)
        told = woken in readable and any(number in STOPPING for number in os.read(woken, 64))
        # The other end may live on in a process that its holder forked: so the parent's id is watched too.
        orphaned = orphaned or lifeline in readable or os.getppid() != above
        if (told or orphaned) and not stop_at:
            stop_at = time.monotonic() + grace
            with suppress(ProcessLookupError):
                os.kill(child, stop_signal)
    status = sweep(child, status)
    if remove and (orphaned or os.getppid() != above or lifeline in select.select([lifeline], [], [], 0)[0]):
        import shutil  # noqa: PLC0415 - a quarter of the start-up time, and seldom needed

        shutil.rmtree(remove, ignore_errors=True)
    return status


def reap(child: int) -> tuple[int | None, bool]:
    """Collect what ended below this process: the exit status of `child` if it did, and whether any is
    left."""
    status = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                status = code if code >= 0 else 128 - code
    except ChildProcessError:
        return status, False
    return status, True


def sweep(child: int, status: int | None) -> int:
    """Kill all that is below this process until nothing is left. Returns `status`, else what `child` ended
    with."""
    give_up_at = time.monotonic() + SWEEP_SECONDS
    left = True
    while left and time.monotonic() < give_up_at:
        for pid in (-child, *descendants()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended, left = reap(child)
        status = ended if status is None else status
        if left:
            time.sleep(0.005)
    return 128 + signal.SIGKILL if status is None else status


def descendants() -> list[int]:
    """The ids of all processes below this one, found in /proc; none where there is no /proc."""
    below: dict[int, list[int]] = {}
    with suppress(FileNotFoundError):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(pid))
    found = below.get(os.getpid(), [])
    for child in found:  # grows while it is walked
        found.extend(below.get(child, []))
    return found


def _start(options: argparse.Namespace, prctl: Callable[[int, int], object]) -> int:
    groups = os.getgrouplist(options.user, _group_of(options.user)) if options.user else None
    child = subprocess.Popen(  # noqa: S603
        options.command,
        stdin=subprocess.DEVNULL,
        cwd=options.cwd,
        start_new_session=True,
        user=options.user,
        group=_group_of(options.user) if options.user else None,
        extra_groups=groups,
        # Runs after the change of user, which would clear it. There are no threads here.
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, options.stop_signal),  # noqa: PLW1509
    )
    child.returncode = 0  # it is ours to wait for, not Popen's
    return child.pid


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415

    return pwd.getpwnam(user).pw_gid


def _wake_on_signals() -> int:
    """A file descriptor that gets a byte, the number of the signal, for each signal that matters here."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (*STOPPING, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return woken


def _prctl() -> Callable[[int, int], object]:
    if sys.platform != "linux":
        return lambda *_: None
    call: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return call


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m verwijsindex.embedded.guard", description=__doc__)
    parser.add_argument(
        "--lifeline", type=int, required=True, metavar="FD", help="socket to the parent, told the process id"
    )
    parser.add_argument(
        "--stop-signal",
        type=signal.Signals.__getitem__,
        default=signal.SIGTERM,
        help="what the command stops gracefully on",
    )
    parser.add_argument("--grace", type=float, default=10.0, help="seconds between the stop signal and SIGKILL")
    parser.add_argument("--user", help="run the command as this user (only root can)")
    parser.add_argument("--cwd", help="run the command in this folder")
    parser.add_argument("--remove", metavar="DIR", help="remove this folder at the end if the parent is gone")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
