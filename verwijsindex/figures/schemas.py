# SPDX-License-Identifier: EUPL-1.2
"""What is asked and told of figures (R32)."""

from datetime import date
from typing import Annotated

from pydantic import Field

from verwijsindex.parsing import Outgoing, Strict
from verwijsindex.written import Written


class FiguresAsked(Strict):
    """Of which quarter; there are no other periods and no filters."""

    quarter: Annotated[
        str, Field(description="For example 2026-Q3."), Written(r"^[12]\d{3}-Q[1-4]$", "a quarter as 2026-Q3")
    ]


class DeadlineFigures(Outgoing):
    """What became of a deadline."""

    in_time: int
    not_in_time: int = Field(description="Missed; or the round ended before it; or it was not over yet when counted.")


class OutcomeFigures(Outgoing):
    """How rounds were closed."""

    joint_plan: int
    no_joint_plan_needed: int
    passed_on: int
    already_together: int
    not_closed: int


class FollowUpFigures(Outgoing):
    """Youngsters of the municipality in whose matches a round of follow-up began in the quarter, each once, by its last
    round. What is left out may not be told."""

    begun: int
    contact: DeadlineFigures | None = None
    coordination: DeadlineFigures | None = None
    outcome: OutcomeFigures | None = None


class InstitutionFigures(FollowUpFigures):
    """Those with a party of this institution."""

    oin: str
    institution: str


class FollowUpFiguresOut(Outgoing):
    """The figures of a quarter, as they were published."""

    quarter: str
    published_on: date
    total: FollowUpFigures | None = Field(
        default=None, description="Each youngster once, however many institutions. Left out where it may not be told."
    )
    institutions: list[InstitutionFigures] = Field(
        description="Those with ten youngsters or more; not persons with an agreement of their own, and no institution"
        " with fewer than three reporters."
    )
