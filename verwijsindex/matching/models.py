# SPDX-License-Identifier: EUPL-1.2
"""Tables of the matcher: youngsters, matches, their parties and the municipalities that supervise them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, ForeignKey, Index
from sqlmodel import Field, SQLModel

from verwijsindex.registry.models import one_of
from verwijsindex.signals.models import Moment

MATCH_KINDS = ("youngster",)


class Youngster(SQLModel, table=True):
    """A person under 23: a random id and the one sealed pseudonym that stands for the BSN."""

    id: UUID = Field(primary_key=True)
    key: bytes = Field(unique=True)
    key_version: int


class Match(SQLModel, table=True):
    """Two or more reporters with a live signal on one youngster (R8); open until `ended_at`.

    `change` counts what was told: each change of parties or supervisors is one, and a recipient gets at most
    one notice of it.
    """

    __table_args__ = (
        one_of("kind", MATCH_KINDS, "match_kind"),
        Index("match_one_open_for_a_youngster", "youngster_id", unique=True, postgresql_where="ended_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(default="youngster")
    youngster_id: UUID = Field(foreign_key="youngster.id", index=True)
    opened_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    change: int = Field(default=0)


class Party(SQLModel, table=True):
    """A reporter in a match, once however many signals; who ended and signals again is a new party."""

    __table_args__ = (
        Index(
            "party_once_in_a_match",
            "match_id",
            "reporter_id",
            unique=True,
            postgresql_where="left_at IS NULL",
        ),
        Index("ix_party_reporter", "reporter_id", postgresql_where="left_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    match_id: UUID = Field(foreign_key="match.id")
    reporter_id: UUID = Field(foreign_key="reporter.id")
    joined_at: datetime = Field(sa_type=Moment)
    left_at: datetime | None = Field(default=None, sa_type=Moment)


class Supervision(SQLModel, table=True):
    """A residence municipality whose case supervisors see a match (R8, R19)."""

    __table_args__ = (
        Index(
            "supervision_once_in_a_match",
            "match_id",
            "municipality_code",
            unique=True,
            postgresql_where="left_at IS NULL",
        ),
        Index("ix_supervision_municipality", "municipality_code", postgresql_where="left_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    match_id: UUID = Field(foreign_key="match.id")
    municipality_code: str = Field(sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")])
    joined_at: datetime = Field(sa_type=Moment)
    left_at: datetime | None = Field(default=None, sa_type=Moment)
