# SPDX-License-Identifier: EUPL-1.2
"""The monthly sample: which accesses of a month chance chose for a privacy officer to look at (R25, R37).

Without a database: the desk and whoever checks the desk offline use the same few functions. The definition, enough to
compute a sample with other software, stands in docs/ledger.md.
"""

import re
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, BinaryIO, Self
from zoneinfo import ZoneInfo

from pydantic_core import from_json

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, VerifierKey
from verwijsindex.ledger.kinds import ACCESSES
from verwijsindex.ledger.verification import verify

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
SETTLED = timedelta(minutes=10)
"""From the end of a month to the checkpoint that fixes its sample: longer than any transaction lasts, so that the
checkpoint covers all of the month, and nobody who acts in it can know the checkpoint's root."""
LEAST, MOST = 10, 100
"""Of how many accesses a sample is, where there are so many; between these one of each hundred."""


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of Amsterdam."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of 2026-11. Raises ValueError."""
        if not re.fullmatch(r"[12][0-9]{3}-(0[1-9]|1[0-2])", text):
            raise ValueError("write a month as 2026-11")
        return cls(int(text[:4]), int(text[5:]))

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def begins(self) -> datetime:
        """Its first moment, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=AMSTERDAM).astimezone(UTC)

    @property
    def next(self) -> Self:
        """The month after it."""
        return type(self)(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def ends(self) -> datetime:
        """The first moment after it, in UTC."""
        return self.next.begins

    @property
    def settles(self) -> datetime:
        """From when on a checkpoint fixes its sample: the first that was signed then or later does."""
        return self.ends + SETTLED

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose accesses: those by an institution's people and machines, by a municipality's, or (neither) by anybody."""

    oin: str | None = None
    municipality: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """An access in a sample."""

    place: int
    event: bytes
    """Its canonical bytes."""


@dataclass
class Choice:
    """Which of the accesses that it is shown chance chooses. Keeps no more of them than a sample can have."""

    seed: bytes
    """The root of the checkpoint that fixes it."""
    accesses: int = 0
    _least: list[tuple[bytes, int, bytes]] = field(default_factory=list)

    def show(self, place: int, leaf: bytes, event: bytes) -> None:
        """An access, in whatever order."""
        self.accesses += 1
        rank = sha256(self.seed + leaf).digest()
        if len(self._least) < MOST or rank < self._least[-1][0]:
            insort(self._least, (rank, place, event))
            del self._least[MOST:]

    def chosen(self) -> list[Chosen]:
        """The sample of what was shown, in its order."""
        return [Chosen(place, event) for _, place, event in self._least[: how_many(self.accesses)]]


def how_many(accesses: int) -> int:
    """Of how many a sample of so many accesses is: one of each hundred, at least ten and at most a hundred."""
    return min(accesses, max(LEAST, min(MOST, -(-accesses // 100))))


def fixing(checkpoints: Iterable[Checkpoint], month: Month) -> Checkpoint:
    """The one of these checkpoints that fixes the sample of a month. Raises LedgerError where there is none yet."""
    later = [one for one in checkpoints if one.at >= month.settles]
    if not later:
        raise LedgerError(
            f"none of these checkpoints fixes the sample of {month}: that does the first that was signed from"
            f" {month.settles:%F %T} UTC on. The officer's desk gives it with the sample"
        )
    return min(later, key=lambda one: (one.at, one.size))


_KIND = re.compile(rb'"kind":"(' + b"|".join(sorted(name.encode() for name in ACCESSES)) + rb')"')


def sample(
    file: BinaryIO,
    kept: Iterable[Checkpoint],
    keys: Iterable[VerifierKey],
    month: Month,
    scope: Scope,
    step: Callable[[int], None] = lambda _: None,
    *,
    now: datetime,
) -> tuple[Checkpoint, Choice]:
    """The sample of a month from a whole export, which is verified on the way; in constant memory.

    Args:
        file: open for reading bytes, at its beginning.
        kept: checkpoints from outside; of those the one that fixes the sample.
        keys, step, now: as in `verify`.

    Raises:
        LedgerError: there is no such checkpoint, or the file is not the whole ledger as it was sealed.
    """
    checkpoint = fixing(kept, month)
    choice = Choice(checkpoint.root)
    begins, ends = (_as_said(moment) for moment in (month.begins, month.ends))
    oldest = ""

    def see(place: int, leaf: bytes, event: bytes) -> None:
        nonlocal oldest
        if place >= checkpoint.size or not (_KIND.search(event) or not oldest):
            return
        said = from_json(event)
        oldest = oldest or said["at"]
        if begins <= said["at"] < ends and _is_access(said, scope):
            choice.show(place, leaf, event)

    verdict = verify(file, [checkpoint], keys, step, see, now=now)
    if not verdict.whole:
        raise LedgerError("this export has no bodies: ask for the whole one, without --public")
    if verdict.count or checkpoint not in verdict.agrees:
        raise LedgerError(
            "this export is not what was sealed: run `verwijsindex ledger verify` on it, which says what is wrong"
        )
    if verdict.dropped and oldest >= begins:
        raise LedgerError(f"of {month} events were dropped after five years: its sample cannot be made any more")
    return checkpoint, choice


def _as_said(moment: datetime) -> str:
    """As an event says when it was; these sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_access(said: dict[str, Any], scope: Scope) -> bool:
    if said["kind"] not in ACCESSES or said["outcome"] != "success":
        return False
    if scope.oin is not None:
        return bool(said["actor"].get("institution") == scope.oin)
    return scope.municipality is None or bool(said["actor"].get("municipality") == scope.municipality)
