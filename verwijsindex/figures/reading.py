# SPDX-License-Identifier: EUPL-1.2
"""Reading figures: those of the scope's municipality, as they were published (R19, R32)."""

from typing import Any

from sqlalchemy import Connection, Row, text

from verwijsindex.figures.models import CELLS
from verwijsindex.figures.quarters import Quarter
from verwijsindex.figures.schemas import FollowUpFigures, FollowUpFiguresOut, InstitutionFigures
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.signals.dates import amsterdam_date

_READ = text("SELECT * FROM visible_follow_up_figures(:first_day)")


def follow_up_figures(connection: Connection, quarter: Quarter) -> FollowUpFiguresOut:
    """The figures of a quarter. Raises Problem 404 for one that was not published."""
    rows = connection.execute(_READ, {"first_day": quarter.first_day}).all()
    if not rows:
        due = f"Those of {quarter} are published from {quarter.published_from} on"
        detail = f"{due}; there are none of a quarter in which nothing was followed up in your municipality."
        raise Problem(NOT_FOUND, detail=detail)
    totals = [FollowUpFigures(**_figures(row)) for row in rows if row.begun and row.oin is None]
    return FollowUpFiguresOut(
        quarter=str(quarter),
        published_on=amsterdam_date(rows[0].published_at),
        total=totals[0] if totals else None,
        institutions=[
            InstitutionFigures(oin=row.oin, institution=row.institution, **_figures(row)) for row in rows if row.oin
        ],
    )


def _figures(row: Row[Any]) -> dict[str, Any]:
    """A row's counts, its groups by the names of their cells."""
    groups = {name: row._mapping[name] for name in CELLS if row._mapping[name] is not None}
    return {"begun": row.begun} | {name: dict(zip(CELLS[name], cells, strict=True)) for name, cells in groups.items()}
