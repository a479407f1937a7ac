# SPDX-License-Identifier: EUPL-1.2
"""Days that go by on the demo's clock, and what they bring to whom: the inbox, and the webhooks and mails beside it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console

from verwijsindex.demo.clock import DemoClock
from verwijsindex.demo.findings import nothing_waits
from verwijsindex.demo.readers import Json, Post, Reader
from verwijsindex.embedded.stack import Stack
from verwijsindex.signals.dates import amsterdam_date

PATIENCE = 60.0  # seconds: what a day brings it brings to all matches of the demo
DIGEST = "(a digest)"


@dataclass(frozen=True, slots=True)
class Told:
    """A notice in an inbox, of which match, and how many webhooks and mails its reader got in the same step."""

    about: str
    kind: str
    to: Reader
    webhooks: int
    mails: int


@dataclass(frozen=True, slots=True)
class Step:
    """What happened on a day, and what was told of it."""

    day: date
    what: str
    told: tuple[Told, ...]


@dataclass
class Days:
    """Plays steps, for these readers. `matches` names the matches that are looked at; all others go on beside them."""

    console: Console
    stack: Stack
    clock: DemoClock
    post: Post
    readers: Mapping[str, Reader]
    matches: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    @property
    def today(self) -> date:
        """In Amsterdam."""
        return amsterdam_date(self.clock())

    def move_to(self, day: date) -> None:
        """It is the morning of this day. What is under way comes before."""
        self._settle()
        self.clock.move_to(day)
        self.console.print(f"The demo's clock is put ahead: it is {day:%A} {day.day} {day:%B %Y}.")

    def step(self, what: str, kind: str, *expected: str) -> None:
        """Until each of these has a new notice of this kind, or patience ends: a step, with all that is new to
        anybody."""
        give_up_at = time.monotonic() + PATIENCE
        waiting = set(expected)
        with self.console.status(what):
            while waiting and time.monotonic() < give_up_at:
                self.stack.check()
                waiting = {who for who in waiting if all(one["kind"] != kind for one in self._new(self.readers[who]))}
                time.sleep(0.2)
            self._settle()
        webhooks, mails = self.post.since()
        told = []
        for to in self.readers.values():
            for one in self._new(to):
                self._seen.add(one["id"])
                came = webhooks.count(to.reporter) if to.reporter else 0, mails.count(to.person.email)
                told.append(Told(self.matches[one["match"]], one["kind"], to, *came))
        self.steps.append(Step(self.today, what, tuple(told)))

    def digest(self, what: str, about: str) -> None:
        """A step with the mails that came to anybody without a notice: digests."""
        self._settle()
        _, mails = self.post.since()
        told = (Told(about, DIGEST, to, 0, mails.count(to.person.email)) for to in self.readers.values())
        self.steps.append(Step(self.today, what, tuple(one for one in told if one.mails)))

    def _new(self, to: Reader) -> list[Json]:
        new = [one for one in to.read() if one["id"] not in self._seen and one.get("match") in self.matches]
        return new[::-1]

    def _settle(self) -> None:
        """Until nothing is on its way, or patience ends."""
        give_up_at = time.monotonic() + PATIENCE
        with self.console.status("waiting for the last webhook and the last mail"):
            while not nothing_waits(self.stack, self.clock()) and time.monotonic() < give_up_at:
                self.stack.check()
                time.sleep(0.1)
