# SPDX-License-Identifier: EUPL-1.2
"""The tables of the ledger; rows are inserted and never changed (R25)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, BigInteger, CheckConstraint, DateTime, Index, SmallInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

OUTCOMES = ("success", "refused")


class Event(SQLModel, table=True):
    """What was done or seen. `body` holds the canonical bytes that count; the other columns serve searching."""

    __table_args__ = (
        CheckConstraint("outcome IN ('success', 'refused')", name="event_outcome"),
        CheckConstraint("octet_length(nonce) = 16", name="event_nonce_is_sixteen_bytes"),
        Index("ix_event_signal", "signal_id"),
        Index("ix_event_match", "match_id"),
        Index("ix_event_at", "at"),
        Index("ix_event_oin", "oin", "at", postgresql_where="oin IS NOT NULL"),
        Index("ix_event_reporter", "reporter_id", "at", postgresql_where="reporter_id IS NOT NULL"),
        Index("ix_event_person", "person", "at", postgresql_where="person IS NOT NULL"),
        Index("ix_event_municipality", "municipality_code", "at", postgresql_where="municipality_code IS NOT NULL"),
        Index("ix_event_concerned", "concerned_oin", "at", postgresql_where="concerned_oin IS NOT NULL"),
    )

    id: UUID = Field(primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    kind: str
    outcome: str
    signal_id: UUID | None = None
    match_id: UUID | None = None
    reporter_id: UUID | None = None
    oin: str | None = Field(default=None, sa_type=CHAR(20))
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4))
    client_id: str | None = None
    body: bytes
    nonce: bytes
    person: str | None = None
    """Who acted, or else a second reporter whom the event names: by a trigger, from `body`, as is `reporter_id` of who
    is named in it alone (migration 0032)."""
    concerned_oin: str | None = Field(default=None, sa_type=CHAR(20))
    """Of which institution the named officers or coordinators are whom it concerns: by the same trigger."""


class UnsealedEvent(SQLModel, table=True):
    """The queue of the sealer: an event that has no place in the tree yet. A trigger on `event` fills it."""

    __tablename__ = "unsealed_event"

    event_id: UUID = Field(primary_key=True)


class Leaf(SQLModel, table=True):
    """The place of an event in the tree. The hash stays when the event itself is dropped."""

    __table_args__ = (
        CheckConstraint("place >= 0", name="leaf_place_from_zero"),
        CheckConstraint("octet_length(hash) = 32", name="leaf_hash_is_sha256"),
        UniqueConstraint("event_id", name="leaf_one_for_an_event"),
    )

    place: int = Field(primary_key=True, sa_type=BigInteger)
    event_id: UUID
    hash: bytes


class TreeNode(SQLModel, table=True):
    """The root of a complete subtree of 2^level leaves, which never changes any more."""

    __tablename__ = "tree_node"
    __table_args__ = (
        CheckConstraint("level > 0", name="tree_node_above_leaves"),
        CheckConstraint("octet_length(hash) = 32", name="tree_node_hash_is_sha256"),
    )

    level: int = Field(primary_key=True, sa_type=SmallInteger)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes


class DroppedEvents(SQLModel, table=True):
    """A batch of events that were dropped: all before this place are, covered by the checkpoint of size `covered`."""

    __tablename__ = "dropped_events"

    before: int = Field(primary_key=True, sa_type=BigInteger)
    covered: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True))


class Checkpoint(SQLModel, table=True):
    """What was signed when the tree had this size: the note as everybody gets it."""

    __table_args__ = (Index("ix_checkpoint_at", "at"),)

    size: int = Field(primary_key=True, sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    note: str


class TalliedPlace(SQLModel, table=True):
    """Up to which place the events were counted by the hour: one row, whose lock is that of who counts."""

    __tablename__ = "tallied_place"
    __table_args__ = (CheckConstraint("only_row", name="tallied_place_is_one"),)

    only_row: bool = Field(primary_key=True)
    place: int = Field(sa_type=BigInteger)


class EventHour(SQLModel, table=True):
    """How many events of a kind and outcome there were in an hour, in the whole index. `detail` is why somebody
    searched the ledger, or why a signal was withdrawn."""

    __tablename__ = "event_hour"

    hour: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    kind: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    detail: str = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)
