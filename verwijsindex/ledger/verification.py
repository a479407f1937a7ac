# SPDX-License-Identifier: EUPL-1.2
"""Verifying an export of the ledger: without a database, without a network, in constant memory (R25).

The form of an export stands in docs/ledger.md. What is wrong is told by the place of the event; where somebody made
all hashes anew, only the checkpoints that were kept outside say between which two places it is.
"""

import json
import re
from binascii import Error as NotHex
from binascii import unhexlify
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, VerifierKey
from verwijsindex.ledger.tree import HASH_BYTES, Frontier, leaf_hash

FORM = "verwijsindex-ledger-1"
KEPT_YEARS = 5
_SHOWN = 100
_STEP = 4096  # lines between two looks at how far it is
_LONGEST_LINE = 1 << 20
_UNKNOWN = bytes(HASH_BYTES)
_NO_NAME = re.compile("[^a-z_,]")
See = Callable[[int, bytes, bytes], None]
"""Is shown an event: its place, its leaf, its canonical bytes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and with which event; None where it is not one event's."""

    place: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.place is None else f"event {self.place}: {self.what}"


@dataclass
class Verdict:
    """What an export is. It is as it was sealed where `count` is 0."""

    whole: bool
    size: int = 0
    dropped: int = 0
    agrees: list[Checkpoint] = field(default_factory=list)
    """The checkpoints with which it agrees, in the order of their sizes."""
    findings: list[Finding] = field(default_factory=list)
    """The first of them."""
    count: int = 0

    def find(self, what: str, place: int | None = None) -> None:
        """Put down that something is wrong."""
        self.count += 1
        if len(self.findings) < _SHOWN:
            self.findings.append(Finding(place, what))


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which part of the events is in it, the newest checkpoint, and what was dropped by then."""

    part: str
    checkpoint: str
    dropped_before: int = 0
    dropped_checkpoint: str = ""

    def line(self) -> bytes:
        """As it is written."""
        dropped = (
            {"before": self.dropped_before, "checkpoint": self.dropped_checkpoint} if self.dropped_before else None
        )
        return (
            json.dumps({"form": FORM, "part": self.part, "checkpoint": self.checkpoint, "dropped": dropped}).encode()
            + b"\n"
        )

    @classmethod
    def read(cls, line: bytes) -> "Header":
        """Raises LedgerError."""
        try:
            found = json.loads(line)
            if found["form"] != FORM or found["part"] not in {"whole", "public"}:
                raise ValueError
            dropped = found["dropped"] or {"before": 0, "checkpoint": ""}
            return cls(found["part"], str(found["checkpoint"]), int(dropped["before"]), str(dropped["checkpoint"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise LedgerError(
                f"this is no export of a ledger of form {FORM}: its first line says another thing"
            ) from None


def verify(
    file: BinaryIO,
    kept: Sequence[Checkpoint],
    keys: Iterable[VerifierKey],
    step: Callable[[int], None] = lambda _: None,
    see: See = lambda *_: None,
    *,
    now: datetime,
) -> Verdict:
    """Read an export from its first line to its last, and compare it with itself and with checkpoints kept outside.

    Args:
        file: open for reading bytes, at its beginning.
        kept: what was signed, opened already, of any size.
        keys: whose signature under the checkpoints in the file counts.
        step: hears now and then how many events were read.
        see: is shown each event that is what was sealed, in the order of their places.
        now: by the clock of who verifies: what was dropped is five years old by it as well.

    Raises:
        LedgerError: it is no export.
    """
    header, known = Header.read(file.readline(_LONGEST_LINE)), list(keys)
    verdict = Verdict(whole=header.part == "whole")
    checkpoints = sorted({*kept, *_of_the_file(header, known, verdict)}, key=lambda one: one.size)
    may_be_dropped = _dropped(header, known, checkpoints, verdict, now)
    _read(file, verdict, checkpoints, may_be_dropped, step, see)
    return verdict


def _of_the_file(header: Header, keys: list[VerifierKey], verdict: Verdict) -> list[Checkpoint]:
    try:
        return [Checkpoint.open(header.checkpoint, keys)]
    except LedgerError as error:
        verdict.find(f"the newest checkpoint in the file: {error}")
        return []


def _dropped(
    header: Header, keys: list[VerifierKey], checkpoints: list[Checkpoint], verdict: Verdict, now: datetime
) -> int:
    """Before which place events may be dropped: those that a checkpoint covers which is five years older than the
    newest. Its root is compared as well, so that nobody can make up an old checkpoint without the key. Nor with it:
    what was kept outside of fewer events is as old, and so it is by the verifier's clock."""
    if not header.dropped_before:
        return 0
    try:
        base = Checkpoint.open(header.dropped_checkpoint, keys)
    except LedgerError as error:
        verdict.find(f"the checkpoint that says what could be dropped: {error}")
        return 0
    at = max((one.at for one in checkpoints if one.size < base.size), default=base.at)
    if not checkpoints or max(at, base.at) > years_before(min(checkpoints[-1].at, now), KEPT_YEARS):
        verdict.find(f"what was dropped is less than {KEPT_YEARS} years old")
        return 0
    checkpoints.append(base)
    checkpoints.sort(key=lambda one: one.size)
    return min(header.dropped_before, base.size)


def years_before(at: datetime, years: int) -> datetime:
    """The same moment so many years earlier; of 29 February the 28th, as PostgreSQL has it."""
    try:
        return at.replace(year=at.year - years)
    except ValueError:
        return at.replace(year=at.year - years, day=28)


class _Comparison:
    """The tree of what was read, compared with each checkpoint when it has its size."""

    def __init__(self, checkpoints: list[Checkpoint], verdict: Verdict) -> None:
        self.frontier = Frontier()
        self.newest = checkpoints[-1].size if checkpoints else 0
        self._waiting = checkpoints[::-1]
        self._due = checkpoints[0].size if checkpoints else -1
        self._agreed = 0
        self._verdict = verdict

    def push(self, leaf: bytes) -> None:
        self.frontier.push(leaf)
        while self.frontier.size == self._due:
            self._compare(self._waiting.pop())
            self._due = self._waiting[-1].size if self._waiting else -1

    def _compare(self, checkpoint: Checkpoint) -> None:
        if checkpoint.root == self.frontier.root():
            self._verdict.agrees.append(checkpoint)
            self._agreed = checkpoint.size
        else:
            self._verdict.find(
                f"the first {checkpoint.size} events are not those of the checkpoint of {checkpoint.at:%F %T} UTC:"
                f" something was changed, put in or taken out at a place from {self._agreed} to {checkpoint.size - 1}"
            )

    def end(self) -> None:
        """What no line was left for, and what was left over."""
        size = self._verdict.size = self.frontier.size
        for missed in self._waiting[::-1]:
            self._verdict.find(
                f"the file ends after {size} events, and the checkpoint of {missed.at:%F %T} UTC has {missed.size}: the"
                " ledger was cut off, or the export is older than the checkpoint"
            )
        if self.newest and size > self.newest:
            self._verdict.find(f"{size - self.newest} events stand after the last that is sealed", self.newest)


def _read(
    file: BinaryIO,
    verdict: Verdict,
    checkpoints: list[Checkpoint],
    may_be_dropped: int,
    step: Callable[[int], None],
    see: See,
) -> None:
    tree = _Comparison(checkpoints, verdict)
    while line := file.readline(_LONGEST_LINE):
        expected = tree.frontier.size
        place, leaf = _leaf(line, expected, tree.newest, verdict, may_be_dropped, see)
        if leaf is None:
            continue
        for missing in range(expected, place):
            verdict.find("is not in the file: it was taken out", missing)
            tree.push(_UNKNOWN)
        tree.push(leaf)
        if not place % _STEP:
            step(place)
    step(tree.frontier.size)
    tree.end()


def _leaf(
    line: bytes, expected: int, newest: int, verdict: Verdict, may_be_dropped: int, see: See
) -> tuple[int, bytes | None]:
    """The place and the leaf of a line, after a look at what else it says; no leaf where it has no place of its own."""
    parts = line.rstrip(b"\n").split(b"\t")
    try:
        if parts[0] == b"-":
            verdict.find(f"an event is in no tree and in no queue: somebody put it there {_id(parts)}")
            return expected, None
        place, leaf = int(parts[0]), unhexlify(parts[1])
        nonce = unhexlify(parts[2]) if len(parts) > 3 else b""
        if not line.endswith(b"\n") or len(leaf) != HASH_BYTES or not expected <= place <= max(newest, expected):
            raise ValueError
    except (ValueError, NotHex, IndexError):
        verdict.find("its line cannot be read, stands twice or not in its order", expected)
        return expected, None
    if len(parts) > 3:
        if leaf_hash(nonce, parts[3]) != leaf:
            verdict.find("is not what was sealed: it, its nonce or its hash was changed", place)
        else:
            see(place, leaf, parts[3])
        if len(parts) > 4:
            columns = _NO_NAME.sub("?", parts[4].decode("ascii", "replace"))
            verdict.find(f"what it is searched by is not what it says: {columns}", place)
    elif verdict.whole:
        if place < may_be_dropped:
            verdict.dropped += 1
        else:
            verdict.find("is missing: it was taken out, and was not old enough to be dropped", place)
    return place, leaf


def _id(parts: list[bytes]) -> str:
    """Only if it is one: a line is whoever's who made the file, and an auditor's screen obeys what it is shown."""
    try:
        return f"(id {UUID(json.loads(parts[3])['id'])})"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
