# SPDX-License-Identifier: EUPL-1.2
"""When a deadline is over, and on which days the steps after it are due (R21). Days of Amsterdam, and no times."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from verwijsindex.followup.working_days import working_days_after

Step = Literal["parties", "coordinators", "case_supervisors"]
STEPS: tuple[Step, ...] = get_args(Step)
"""Who is told that a deadline was missed, one after the other."""

BETWEEN_STEPS = 2
"""Working days from one step to the next (P)."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One deadline of a round: the last day that is in time, and how many of the steps after it are done."""

    due_on: date
    steps: int = 0

    @property
    def next_on(self) -> date | None:
        """The day on which the next step is due: the first comes on the working day after the deadline."""
        if self.steps == len(STEPS):
            return None
        return working_days_after(self.due_on, 1 + self.steps * BETWEEN_STEPS)

    def steps_due(self, today: date) -> tuple[Step, ...]:
        """The steps that are still to be done and are due today, also those that nobody did in time."""
        due = [
            step
            for number, step in enumerate(STEPS[self.steps :], self.steps)
            if working_days_after(self.due_on, 1 + number * BETWEEN_STEPS) <= today
        ]
        return tuple(due)


def after(before: Clock | None, *, met: bool, today: date, days: int) -> Clock:
    """The clock of a new round: the one of the round before goes on while it runs, so that newcomers put nothing off.

    Args:
        met: whether what it waited for was done in the round before.
        days: working days that a new clock gives.
    """
    if before is None or met or before.steps == len(STEPS):
        return Clock(working_days_after(today, days))
    return before


def first_step(clocks: Iterable[Clock]) -> date | None:
    """The day of the first step that any of these will want."""
    return min((clock.next_on for clock in clocks if clock.next_on), default=None)
