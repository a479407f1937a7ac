# SPDX-License-Identifier: EUPL-1.2
"""Tables of the matcher: youngsters and parents, who stands on whom, matches, parties, supervision, who was told.

What the matcher writes by the thousand refers to what is there by triggers that run once for a statement, and not by
foreign keys (docs/decisions/0027).
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CHAR, CheckConstraint, Index, Uuid
from sqlmodel import Field, SQLModel

from verwijsindex.registry.models import one_of
from verwijsindex.signals.models import Moment

MATCH_KINDS = ("youngster", "family")


class Youngster(SQLModel, table=True):
    """A person under 23: a random id and the one sealed pseudonym that stands for the BSN."""

    id: UUID = Field(primary_key=True)
    key: bytes = Field(unique=True)
    key_version: int


class Parent(SQLModel, table=True):
    """A legal parent (R10): as a youngster, a random id and the one sealed pseudonym; there while a signal names it.

    `crowded`: more youngsters have this parent than anybody has; it makes no siblings of them as long as they do.
    """

    __table_args__ = (Index("ix_parent_crowded", "id", postgresql_where="crowded"),)

    id: UUID = Field(primary_key=True)
    key: bytes = Field(unique=True)
    key_version: int
    crowded: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class SignalParent(SQLModel, table=True):
    """That a signal names a parent; gone with the signal, never archived (R10)."""

    __tablename__ = "signal_parent"

    signal_id: UUID = Field(foreign_key="signal.id", ondelete="CASCADE", primary_key=True)
    parent_id: UUID = Field(foreign_key="parent.id", primary_key=True, index=True)


class FormerParent(SQLModel, table=True):
    """That a signal named a parent until it was handed over to who may not (R10, R34); until the matcher has looked
    whether another still does."""

    __tablename__ = "former_parent"

    signal_id: UUID = Field(primary_key=True)
    parent_id: UUID = Field(primary_key=True)


class Standing(SQLModel, table=True):
    """A reporter on a youngster without a break: from the first signal until none is left. Who signals again after that
    has a new one, and all are told again (docs/rules.md, Telling). `handed_over_at`: when a signal last left it (R34).
    """

    id: UUID = Field(primary_key=True)
    youngster_id: UUID = Field(index=True)
    reporter_id: UUID
    handed_over_at: datetime | None = Field(default=None, sa_type=Moment)


class Match(SQLModel, table=True):
    """What the reporters of one youngster see of each other (kind youngster, R8) or of the reporters of its siblings
    (kind family, R10); open until `ended_at`. The youngster is gone once it is destroyed.

    `change` counts what was told: each change of parties or supervisors is one, and a recipient gets at most
    one notice of it.
    """

    __table_args__ = (
        one_of("kind", MATCH_KINDS, "match_kind"),
        Index("match_one_open_of_a_kind", "youngster_id", "kind", unique=True, postgresql_where="ended_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(default="youngster")
    youngster_id: UUID | None = Field(foreign_key="youngster.id", ondelete="SET NULL", index=True)
    opened_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    change: int = Field(default=0)


class FamilyMatch(SQLModel, table=True):
    """An unordered pair of youngsters who share a legal parent, with live signals of different reporters (R10); once,
    however many parents they share. No reader ever sees a pair."""

    __tablename__ = "family_match"
    __table_args__ = (
        CheckConstraint("youngster_id < sibling_id", name="family_match_is_an_unordered_pair"),
        CheckConstraint(
            "ended_at IS NOT NULL OR num_nulls(youngster_id, sibling_id) = 0", name="family_match_open_has_both"
        ),
        Index("family_match_once", "youngster_id", "sibling_id", unique=True, postgresql_where="ended_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    youngster_id: UUID | None = Field(foreign_key="youngster.id", ondelete="SET NULL", index=True)
    sibling_id: UUID | None = Field(foreign_key="youngster.id", ondelete="SET NULL", index=True)
    opened_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class Party(SQLModel, table=True):
    """A reporter in a match, once however many signals; who ended and signals again is a new party. One that leaves
    is deleted: that it was there stands in the ledger (R16, R25). `left_at` is of the version before.

    Of a family match the parties are the youngster's own reporters; whom they see there is computed when it is read.
    """

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
    match_id: UUID
    reporter_id: UUID
    standing_id: UUID | None = Field(default=None, index=True)
    joined_at: datetime = Field(sa_type=Moment)
    left_at: datetime | None = Field(default=None, sa_type=Moment)


class Supervision(SQLModel, table=True):
    """A residence municipality whose case supervisors see a match (R8, R19). `round_state`, `due_on`: of the match's
    present round, and of its next deadline, in whose order they are listed; kept by a trigger on `round`. `opened_at`:
    the match's, in whose order those are listed."""

    __table_args__ = (
        Index(
            "supervision_once_in_a_match",
            "match_id",
            "municipality_code",
            unique=True,
            postgresql_where="left_at IS NULL",
        ),
        Index("ix_supervision_due", "municipality_code", "due_on", "match_id", postgresql_where="left_at IS NULL"),
        Index(
            "ix_supervision_state",
            *("municipality_code", "round_state", "due_on", "match_id"),
            postgresql_where="left_at IS NULL",
        ),
        Index(
            "ix_supervision_opened",
            *("municipality_code", "opened_at", "match_id"),
            postgresql_where="left_at IS NULL",
        ),
    )

    id: UUID = Field(primary_key=True)
    match_id: UUID
    municipality_code: str = Field(sa_type=CHAR(4))
    joined_at: datetime = Field(sa_type=Moment)
    left_at: datetime | None = Field(default=None, sa_type=Moment)
    opened_at: datetime = Field(sa_type=Moment)
    round_state: str | None = None
    due_on: date = Field(default=date.min, sa_column_kwargs={"server_default": "0001-01-01"})


class Told(SQLModel, table=True):
    """That who stands here was told of another who stands on the same youngster, or on a sibling; nobody is told of
    the same one twice (R8, R10, R30). `to_officer`: the named officer was told in the reporter's place (R36)."""

    __table_args__ = (one_of("kind", MATCH_KINDS, "told_kind"),)

    standing_id: UUID = Field(primary_key=True)
    contact_id: UUID = Field(primary_key=True, index=True)
    kind: str = Field(primary_key=True)
    to_officer: bool = Field(default=False, primary_key=True, sa_column_kwargs={"server_default": "false"})


class ToldCircle(SQLModel, table=True):
    """Those who stand on one youngster and were all told of each other, as `told` of kind youngster says it of two:
    nearly always all who stand there (docs/decisions/0027). Standings: `reporters`, of whom the reporter was told,
    `officers`, of whom the named officer was (R36)."""

    __tablename__ = "told_circle"

    youngster_id: UUID = Field(primary_key=True)
    reporters: list[UUID] = Field(sa_type=ARRAY(Uuid))
    officers: list[UUID] = Field(sa_type=ARRAY(Uuid))


class ToldSupervision(SQLModel, table=True):
    """That a municipality's supervisors were told of who stands in a match; as long as they supervise it."""

    __tablename__ = "told_supervision"

    match_id: UUID = Field(primary_key=True)
    municipality_code: str = Field(sa_type=CHAR(4), primary_key=True)
    contact_id: UUID = Field(primary_key=True, index=True)
