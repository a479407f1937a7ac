# SPDX-License-Identifier: EUPL-1.2
"""The table of the pseudonym service besides its limits (R37)."""

from datetime import date
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint
from sqlmodel import Field, SQLModel


class Evaluated(SQLModel, table=True):
    """How many elements a client had evaluated on a day for a reporter that it named."""

    __table_args__ = (CheckConstraint("elements > 0", name="evaluated_elements"),)

    day: date = Field(primary_key=True)
    oin: str = Field(primary_key=True, sa_type=CHAR(20))
    reporter_id: UUID = Field(primary_key=True)
    elements: int
