# SPDX-License-Identifier: EUPL-1.2
"""The demo's ending: its own ledger is exported and verified offline, and a tampered copy of it is caught (R25)."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
from rich.console import Console

from verwijsindex.demo.checks import Check, check
from verwijsindex.embedded.stack import Stack
from verwijsindex.settings import Clock

PATIENCE = 5.0  # seconds: after some sweeps nothing waits any more, and no newer checkpoint comes
_TAMPERED = (b'"kind":"match.read"', b'"kind":"match.ended"')
"""That somebody looked at a match becomes that it ended."""


def audit(console: Console, stack: Stack, clock: Clock) -> list[Check]:
    """Keep a checkpoint as an outsider does, export, verify, change one event in a copy, and verify that."""
    console.rule("The ledger: who did and saw what, for an auditor without access")
    kept, whole, copy = (stack.folder / name for name in ("kept.checkpoint", "demo.ledger", "tampered.ledger"))
    kept.write_text(_checkpoint(stack, clock))
    (stack.folder / "ledger.vkey").write_text(stack.ledger_key.read_text())
    console.print(f"A checkpoint that anybody may keep:\n{kept.read_text()}", markup=False, highlight=False)
    _show(console, f"ledger export {whole.name}")
    console.print(stack.run("ledger", "export", str(whole)).splitlines()[0].replace(str(whole), whole.name))
    good = _verify(console, stack, whole)
    place = _tamper(whole, copy)
    console.print(
        f"Then somebody changes event {place} in a copy: who read a match, as if nobody had.", highlight=False
    )
    bad = _verify(console, stack, copy)
    caught = bad.returncode == 1 and any(line.startswith(f"event {place}:") for line in bad.stdout.splitlines())
    return [
        check(
            "the ledger is what was sealed, as its export shows offline (R25)", [good.stdout] * bool(good.returncode)
        ),
        check("an event that was changed in a copy is found, by its number", [] if caught else [bad.stdout]),
    ]


def _checkpoint(stack: Stack, clock: Clock) -> str:
    """The newest, once it covers all that was read."""
    give_up_at = time.monotonic() + PATIENCE
    began = clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    while True:
        answer = httpx.get(f"{stack.index}/api/v1/checkpoints/newest", timeout=10)
        if answer.status_code == 200:
            note = str(answer.json()["checkpoint"])
            if note.splitlines()[3].removeprefix("time ") >= began or time.monotonic() > give_up_at:
                return note
        if time.monotonic() > 4 * PATIENCE + give_up_at:
            raise RuntimeError("no checkpoint was signed: look at the worker's log")
        time.sleep(0.2)


def _tamper(whole: Path, copy: Path) -> int:
    """One event changed, as an owner of the database could; its place."""
    place = -1
    with whole.open("rb") as good, copy.open("wb") as bad:
        for line in good:
            if place < 0 and _TAMPERED[0] in line:
                place = int(line.partition(b"\t")[0])
                bad.write(line.replace(*_TAMPERED))
            else:
                bad.write(line)
    return place


def _verify(console: Console, stack: Stack, file: Path) -> "subprocess.CompletedProcess[str]":
    """By the command, which knows neither the database nor the network."""
    given = ("--checkpoint", "kept.checkpoint", "--public-key", "ledger.vkey")
    _show(console, " ".join(("ledger verify", file.name, *given)))
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-m", "verwijsindex", "ledger", "verify", file.name, *given],
        cwd=stack.folder,
        env={name: value for name, value in stack.environment.items() if not name.startswith("VERWIJSINDEX_")},
        capture_output=True,
        text=True,
        check=False,
    )
    console.print(done.stdout + done.stderr, markup=False, highlight=False)
    return done


def _show(console: Console, command: str) -> None:
    console.print(f"$ verwijsindex {command}", markup=False, highlight=False, soft_wrap=True)
