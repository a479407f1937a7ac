# SPDX-License-Identifier: EUPL-1.2
"""The table of counters; each of the three services has one in its own database (R37)."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Text
from sqlmodel import Field, SQLModel


class LimitCounter(SQLModel, table=True):
    """How much of a limit processes have leased for one subject in one window. It only grows, and goes when its
    window is long over."""

    __tablename__ = "limit_counter"
    __table_args__ = (CheckConstraint("taken >= 0", name="limit_counter_taken_is_not_negative"),)

    window_start: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    name: str = Field(primary_key=True, sa_type=Text)
    subject: str = Field(primary_key=True, sa_type=Text)
    taken: int = Field(sa_type=BigInteger)
