# SPDX-License-Identifier: EUPL-1.2
"""Tables of figures: what was published of each quarter, and nothing that may not be told (R32)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CHAR, CheckConstraint, ForeignKey, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from verwijsindex.figures.suppressing import LEAST
from verwijsindex.followup.states import OUTCOMES
from verwijsindex.signals.models import Moment

IN_TIME = ("in_time", "not_in_time")
"""What became of a deadline: two cells and no more, since a group is told only if each cell is large."""
CELLS: dict[str, tuple[str, ...]] = {"contact": IN_TIME, "coordination": IN_TIME, "outcome": (*OUTCOMES, "not_closed")}
"""Of each group of figures its cells, in their order."""


class FigureQuarter(SQLModel, table=True):
    """A quarter of which figures were published, once."""

    __tablename__ = "figure_quarter"

    first_day: date = Field(primary_key=True)
    published_at: datetime = Field(sa_type=Moment)


def _cells(name: str) -> CheckConstraint:
    """A group is there whole, or not at all."""
    return CheckConstraint(
        f"cardinality({name}) = {len(CELLS[name])} AND {LEAST} <= ALL ({name})", name=f"follow_up_figure_{name}"
    )


class FollowUpFigure(SQLModel, table=True):
    """The youngsters of a municipality in whose matches a round began in the quarter, of one institution; without `oin`
    of all. What may not be told is null or no row."""

    __tablename__ = "follow_up_figure"
    __table_args__ = (
        CheckConstraint(f"begun >= {LEAST}", name="follow_up_figure_begun"),
        *(_cells(name) for name in CELLS),
        UniqueConstraint(
            "municipality_code",
            "first_day",
            "oin",
            name="follow_up_figure_once",
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: UUID = Field(primary_key=True)
    municipality_code: str = Field(sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")])
    first_day: date = Field(foreign_key="figure_quarter.first_day")
    oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    begun: int
    contact: list[int] | None = Field(default=None, sa_type=ARRAY(Integer))
    coordination: list[int] | None = Field(default=None, sa_type=ARRAY(Integer))
    outcome: list[int] | None = Field(default=None, sa_type=ARRAY(Integer))
