# SPDX-License-Identifier: EUPL-1.2
"""Tables of telling: notices (the inbox), a client's webhook subscription, its deliveries and their attempts; mail."""

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from verwijsindex.registry.models import one_of
from verwijsindex.signals.models import Moment

NOTICE_KINDS = ("match", "party_withdrew", "move", "archive", "lead", "reminder", "escalation")
SUBSCRIPTION_STATES = ("pending", "active", "paused", "failed")
ATTEMPTED = ("inbox", "challenge")
MAILED = ("reporter", "coordinator", "named_officer", "case_supervisor", "municipality")


def _archive_once(column: str, name: str) -> Index:
    """One archive notice for each recipient and archived signal (R17)."""
    where = f"archived_signal_id IS NOT NULL AND {column} IS NOT NULL"
    return Index(f"notice_of_archive_once_to_{name}", "archived_signal_id", column, unique=True, postgresql_where=where)


def _of_recipient(column: str, name: str) -> tuple[Index, Index]:
    """The inbox of one kind of recipient, and that each change is told it once (I3)."""
    its_own = f"{column} IS NOT NULL"
    return (
        Index(f"ix_notice_{name}_inbox", column, "placed_at", "id", postgresql_where=its_own),
        Index(
            f"notice_once_of_a_kind_to_{name}",
            "match_id",
            "kind",
            "change",
            column,
            unique=True,
            postgresql_where=f"{its_own} AND match_id IS NOT NULL" if name != "municipality" else its_own,
        ),
    )


class Notice(SQLModel, table=True):
    """One line in the inbox of one recipient: a reporter, a municipality's supervision, or the named officer of an
    institution (R36). Ids only (R12); of a match, or of an archived signal (R17). A reporter's or officer's
    goes with the last signal that it can be about (R16). That match and recipient are there is looked after in bulk
    (docs/decisions/0027)."""

    __table_args__ = (
        one_of("kind", NOTICE_KINDS, "notice_kind"),
        CheckConstraint(
            "num_nonnulls(reporter_id, municipality_code, officer_oin, coordinator_oin) = 1",
            name="notice_has_one_recipient",
        ),
        CheckConstraint(
            "num_nulls(match_id, archived_signal_id) = 1 AND (kind = 'archive') = (match_id IS NULL)",
            name="notice_is_of_a_match_or_an_archived_signal",
        ),
        *_of_recipient("reporter_id", "reporter"),
        *_of_recipient("municipality_code", "municipality"),
        *_of_recipient("officer_oin", "officer"),
        *_of_recipient("coordinator_oin", "coordinator"),
        _archive_once("reporter_id", "reporter"),
        _archive_once("officer_oin", "officer"),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    match_id: UUID | None = None
    archived_signal_id: UUID | None = None
    change: int
    reporter_id: UUID | None = None
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4))
    officer_oin: str | None = Field(default=None, sa_type=CHAR(20))
    coordinator_oin: str | None = Field(default=None, sa_type=CHAR(20))
    placed_at: datetime = Field(sa_type=Moment)
    quiet: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    """Its mail waits for the digest (R23); the inbox does not."""


class NoticeWithdrawal(SQLModel, table=True):
    """Of a notice of kind party_withdrew: of which institution the party was, under which agreement, and whether
    shielded (R37). It names no reporter; two parties of one institution can be one row."""

    __tablename__ = "notice_withdrawal"

    notice_id: UUID = Field(primary_key=True, foreign_key="notice.id", ondelete="CASCADE")
    oin: str = Field(primary_key=True, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    shielded: bool = Field(primary_key=True)
    agreement_id: UUID = Field(primary_key=True, foreign_key="agreement.id")


class Subscription(SQLModel, table=True):
    """Where a client wants to be told that an inbox of its institution has something new; one for each client.

    Each secret, `secret_sealed` and `previous_secret_sealed`, is sealed for the purpose webhook-secret in the context
    of the client id; `key_version` and `previous_key_version` name the index key. `gone_at` says when it failed
    because its receiver answered 410.
    """

    __table_args__ = (
        one_of("state", SUBSCRIPTION_STATES, "subscription_state"),
        CheckConstraint(
            "num_nulls(previous_key_version, previous_secret_sealed, previous_until) IN (0, 3)",
            name="subscription_previous_secret_is_whole",
        ),
        CheckConstraint(
            "state <> 'pending' OR num_nulls(challenge_id, challenge_due_at, challenge_until) = 0",
            name="subscription_pending_has_a_challenge",
        ),
        UniqueConstraint("id", name="subscription_id_key"),
    )

    client_id: str = Field(primary_key=True)
    oin: str = Field(sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")], index=True)
    address: str
    key_version: int
    secret_sealed: bytes
    created_at: datetime = Field(sa_type=Moment)
    id: UUID
    state: str
    confirmed_address: str | None = None
    secret_number: int = Field(default=1)
    previous_key_version: int | None = None
    previous_secret_sealed: bytes | None = None
    previous_until: datetime | None = Field(default=None, sa_type=Moment)
    challenge_id: UUID | None = None
    challenge_attempts: int = Field(default=0)
    challenge_due_at: datetime | None = Field(default=None, sa_type=Moment)
    challenge_until: datetime | None = Field(default=None, sa_type=Moment)
    failures: int = Field(default=0)
    rests_until: datetime | None = Field(default=None, sa_type=Moment)
    gone_at: datetime | None = Field(default=None, sa_type=Moment)


class Delivery(SQLModel, table=True):
    """A webhook that is to be delivered at least once; its id is the `webhook-id` at every try. One that is due at
    infinity is a dead letter, since `dead_at`: every try failed, and it waits until somebody wants it tried again."""

    __table_args__ = (
        UniqueConstraint("notice_id", "client_id", name="delivery_once_for_a_notice"),
        Index("ix_delivery_due", "due_at", postgresql_where="delivered_at IS NULL"),
        Index("ix_delivery_waiting", "client_id", "due_at", postgresql_where="delivered_at IS NULL"),
        Index("ix_delivery_delivered", "client_id", "delivered_at"),
        Index("ix_delivery_taken", "delivered_at"),
        Index("ix_delivery_dead", "client_id", "dead_at", "id", postgresql_where="due_at = 'infinity'"),
        CheckConstraint("due_at <> 'infinity' OR dead_at IS NOT NULL", name="delivery_dead_since_when"),
    )

    id: UUID = Field(primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id", ondelete="CASCADE")
    client_id: str = Field(foreign_key="subscription.client_id", ondelete="CASCADE")
    due_at: datetime = Field(sa_type=Moment)
    leased_until: datetime | None = Field(default=None, sa_type=Moment)
    attempts: int = Field(default=0)
    last_outcome: str | None = None
    delivered_at: datetime | None = Field(default=None, sa_type=Moment)
    dead_at: datetime | None = Field(default=None, sa_type=Moment)


class Attempt(SQLModel, table=True):
    """One try of a delivery or of a challenge, and how it ended; kept for a bounded time (`upkeep`)."""

    __table_args__ = (
        one_of("about", ATTEMPTED, "attempt_about"),
        Index("ix_attempt_client", "client_id", "at", "id"),
        Index("ix_attempt_at", "at"),
    )

    id: UUID = Field(primary_key=True)
    client_id: str = Field(foreign_key="subscription.client_id", ondelete="CASCADE")
    delivery_id: UUID
    about: str
    at: datetime = Field(sa_type=Moment)
    outcome: str
    duration_ms: int
    next_try_at: datetime | None = Field(default=None, sa_type=Moment)


class SubscriptionRequest(SQLModel, table=True):
    """A POST about subscriptions that was done, by its idempotency key; its answer is kept without any secret."""

    __tablename__ = "subscription_request"
    __table_args__ = (Index("ix_subscription_request_received_at", "received_at"),)

    client_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    key_version: int
    fingerprint: bytes
    status: int | None = None
    answer: str | None = None
    secret_number: int | None = None
    received_at: datetime = Field(sa_type=Moment)


_INBOX = ("reporter_id", "municipality_code", "officer_oin", "coordinator_oin")


def _of_one_inbox(table: str) -> CheckConstraint:
    return CheckConstraint(f"num_nonnulls({', '.join(_INBOX)}) = 1", name=f"{table}_has_one_recipient")


class MailPreference(SQLModel, table=True):
    """When mail about an inbox is wanted: at once, or one digest a day at a time of its own (R23). Without a row it is
    at once. `digest_at` is in Europe/Amsterdam, and is there every day of the year. `turned`: how often it was turned
    by a mail's link on the day `turned_on`."""

    __tablename__ = "mail_preference"
    __table_args__ = (
        _of_one_inbox("mail_preference"),
        CheckConstraint("digest_at < '02:00' OR digest_at >= '03:00'", name="mail_preference_time_is_there_every_day"),
        Index("mail_preference_once", *_INBOX, unique=True, postgresql_nulls_not_distinct=True),
    )

    id: UUID = Field(primary_key=True)
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id")
    municipality_code: str | None = Field(
        default=None, sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")]
    )
    officer_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    coordinator_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    digest: bool
    digest_at: time
    chosen_at: datetime = Field(sa_type=Moment)
    turned_on: date | None = None
    turned: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class MailWanted(SQLModel, table=True):
    """That an inbox is to be mailed about, and when: once, however much is told meanwhile. Ids only (R12)."""

    __tablename__ = "mail_wanted"
    __table_args__ = (
        _of_one_inbox("mail_wanted"),
        Index("mail_wanted_once", *_INBOX, "digest", unique=True, postgresql_nulls_not_distinct=True),
        Index("ix_mail_wanted_due", "due_at"),
    )

    id: UUID = Field(primary_key=True)
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id")
    municipality_code: str | None = Field(
        default=None, sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")]
    )
    officer_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    coordinator_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    digest: bool
    due_at: datetime = Field(sa_type=Moment)


class Mail(SQLModel, table=True):
    """One mail to one person (or to a municipality's own address) about an inbox; its id makes the Message-ID of every
    try. No address: that is looked up when it is sent (R12)."""

    __table_args__ = (
        _of_one_inbox("mail"),
        one_of("recipient", MAILED, "mail_recipient"),
        CheckConstraint("(recipient = 'municipality') = (person_id IS NULL)", name="mail_is_to_a_person_or_an_office"),
        CheckConstraint("sent_at IS NULL OR refused_at IS NULL", name="mail_ends_once"),
        Index("ix_mail_due", "due_at", postgresql_where="sent_at IS NULL AND refused_at IS NULL"),
        Index("ix_mail_person", "person_id", "municipality_code"),
        Index("ix_mail_sent", "sent_at"),
        Index("ix_mail_refused", "recipient", postgresql_where="refused_at IS NOT NULL"),
    )

    id: UUID = Field(primary_key=True)
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id")
    municipality_code: str | None = Field(
        default=None, sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")]
    )
    officer_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    coordinator_oin: str | None = Field(default=None, sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")])
    recipient: str
    person_id: UUID | None = None
    digest: bool
    made_at: datetime = Field(sa_type=Moment)
    due_at: datetime = Field(sa_type=Moment)
    leased_until: datetime | None = Field(default=None, sa_type=Moment)
    attempts: int = Field(default=0)
    last_outcome: str | None = None
    sent_at: datetime | None = Field(default=None, sa_type=Moment)
    refused_at: datetime | None = Field(default=None, sa_type=Moment)
