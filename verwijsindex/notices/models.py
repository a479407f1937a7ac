# SPDX-License-Identifier: EUPL-1.2
"""Tables of telling: notices (the inbox), a client's webhook subscription, and its deliveries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from verwijsindex.registry.models import one_of
from verwijsindex.signals.models import Moment

NOTICE_KINDS = ("match",)


class Notice(SQLModel, table=True):
    """One line in the inbox of one recipient: a reporter or a municipality's supervision. Ids only (R12)."""

    __table_args__ = (
        one_of("kind", NOTICE_KINDS, "notice_kind"),
        CheckConstraint("(reporter_id IS NULL) <> (municipality_code IS NULL)", name="notice_has_one_recipient"),
        UniqueConstraint("match_id", "change", "reporter_id", name="notice_once_for_a_reporter"),
        UniqueConstraint("match_id", "change", "municipality_code", name="notice_once_for_a_supervision"),
        Index("ix_notice_reporter", "reporter_id", "placed_at", "id"),
        Index("ix_notice_municipality", "municipality_code", "placed_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    match_id: UUID = Field(foreign_key="match.id")
    change: int
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id")
    municipality_code: str | None = Field(
        default=None, sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")]
    )
    placed_at: datetime = Field(sa_type=Moment)


class Subscription(SQLModel, table=True):
    """Where a client wants to be told that an inbox of its institution has something new; one for each client."""

    client_id: str = Field(primary_key=True)
    oin: str = Field(sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")], index=True)
    address: str
    key_version: int
    secret_sealed: bytes
    created_at: datetime = Field(sa_type=Moment)


class Delivery(SQLModel, table=True):
    """A webhook that is to be delivered at least once; its id is the `webhook-id` at every try."""

    __table_args__ = (
        UniqueConstraint("notice_id", "client_id", name="delivery_once_for_a_notice"),
        Index("ix_delivery_due", "due_at", postgresql_where="delivered_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id")
    client_id: str = Field(foreign_key="subscription.client_id")
    due_at: datetime = Field(sa_type=Moment)
    leased_until: datetime | None = Field(default=None, sa_type=Moment)
    attempts: int = Field(default=0)
    last_outcome: str | None = None
    delivered_at: datetime | None = Field(default=None, sa_type=Moment)
