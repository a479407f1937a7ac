# SPDX-License-Identifier: EUPL-1.2
"""The table of the ledger; rows are inserted and never changed (R25)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, DateTime, Index
from sqlmodel import Field, SQLModel

OUTCOMES = ("success", "refused")


class Event(SQLModel, table=True):
    """What was done or seen. `body` holds the canonical bytes that count; the other columns serve searching."""

    __table_args__ = (
        CheckConstraint("outcome IN ('success', 'refused')", name="event_outcome"),
        CheckConstraint("octet_length(nonce) = 16", name="event_nonce_is_sixteen_bytes"),
        Index("ix_event_signal", "signal_id"),
        Index("ix_event_match", "match_id"),
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
