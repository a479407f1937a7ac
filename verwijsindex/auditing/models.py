# SPDX-License-Identifier: EUPL-1.2
"""Tables of alerts (R37): what was done by person and day, and what was raised about it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CHAR,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

ACTING = ("reporter", "official", "client")
"""As what somebody acts: a reporter for whom a machine does, a person with a role, or a machine for nobody known."""
ALERT_KINDS = ("pseudonym_burst", "signal_burst", "read_burst", "refusal_series", "unjustified_after_read")
ALERT_STATES = ("open", "assessed", "closed")
ALERT_CODES = ("explained", "work_peak", "reported_to_employer", "misuse_found", "system_fault")
FINDINGS = ("as_expected", "asked_the_person", "not_explained")
_Moment = DateTime(timezone=True)


def _one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class WatchedPlace(SQLModel, table=True):
    """Up to which place the events of the ledger were looked at: one row, whose lock is that of who looks."""

    __tablename__ = "watched_place"
    __table_args__ = (CheckConstraint("only_row", name="watched_place_is_one"),)

    only_row: bool = Field(primary_key=True)
    place: int = Field(sa_type=BigInteger)


class Activity(SQLModel, table=True):
    """That somebody did something with a subject on a day, once however often; with the first event that tells it."""

    day: date = Field(primary_key=True)
    activity: str = Field(primary_key=True)
    who: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    event_id: UUID


class ActivityDay(SQLModel, table=True):
    """With how many subjects somebody did something on a day: the own past that a burst is compared with."""

    __tablename__ = "activity_day"
    __table_args__ = (
        _one_of("acting", ACTING, "activity_day_acting"),
        Index("ix_activity_day_day", "day"),
    )

    who: str = Field(primary_key=True)
    activity: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    acting: str
    oin: str | None = Field(default=None, sa_type=CHAR(20))
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4))
    count: int


class UnjustifiedWithdrawal(SQLModel, table=True):
    """A withdrawal as `unjustified` of a signal on whose youngster there was a match, until it was looked at."""

    __tablename__ = "unjustified_withdrawal"

    signal_id: UUID = Field(primary_key=True)
    reporter_id: UUID
    oin: str = Field(sa_type=CHAR(20))
    matches: list[UUID] = Field(sa_type=ARRAY(Uuid))
    since: datetime = Field(sa_type=_Moment)
    at: datetime = Field(sa_type=_Moment)


class Alert(SQLModel, table=True):
    """Something that a privacy officer is to look at. Two officers close it, and never one (R37)."""

    __table_args__ = (
        _one_of("kind", ALERT_KINDS, "alert_kind"),
        _one_of("acting", ACTING, "alert_acting"),
        _one_of("state", ALERT_STATES, "alert_state"),
        _one_of("code", ALERT_CODES, "alert_code"),
        CheckConstraint("counted > 0", name="alert_counted"),
        CheckConstraint("confirmed_by <> assessed_by", name="alert_two_pairs_of_eyes"),
        CheckConstraint(
            "CASE WHEN state = 'open' THEN num_nonnulls(code, assessed_by, assessed_at) = 0"
            " ELSE num_nulls(code, assessed_by, assessed_at) = 0 END",
            name="alert_is_assessed",
        ),
        CheckConstraint(
            "CASE WHEN state = 'closed' THEN num_nulls(confirmed_by, confirmed_at) = 0"
            " ELSE num_nonnulls(confirmed_by, confirmed_at) = 0 END",
            name="alert_is_confirmed",
        ),
        Index(
            "alert_one_of_a_day",
            "kind",
            "who",
            "day",
            unique=True,
            postgresql_where=text("state <> 'closed' AND kind <> 'unjustified_after_read'"),
        ),
        Index(
            "alert_once_for_a_signal",
            "signal_id",
            unique=True,
            postgresql_where=text("kind = 'unjustified_after_read'"),
        ),
        Index("ix_alert_raised_at", "raised_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    who: str
    acting: str
    oin: str | None = Field(default=None, sa_type=CHAR(20))
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4))
    day: date
    raised_at: datetime = Field(sa_type=_Moment)
    counted: int
    highest_before: int | None = None
    signal_id: UUID | None = None
    match_id: UUID | None = None
    state: str
    code: str | None = None
    assessed_by: UUID | None = None
    assessed_at: datetime | None = Field(default=None, sa_type=_Moment)
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = Field(default=None, sa_type=_Moment)


class AlertEvent(SQLModel, table=True):
    """An event that is behind an alert."""

    __tablename__ = "alert_event"

    alert_id: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("alert.id", ondelete="CASCADE")])
    event_id: UUID = Field(primary_key=True)


class Sample(SQLModel, table=True):
    """The sample of a month and a scope, once it was asked for; with neither OIN nor municipality the operator's."""

    __table_args__ = (
        CheckConstraint("num_nonnulls(oin, municipality_code) <= 1", name="sample_of_one_at_most"),
        CheckConstraint("cardinality(events) <= least(accesses, 100)", name="sample_is_part"),
        UniqueConstraint(
            "month", "oin", "municipality_code", name="sample_one_of_a_month", postgresql_nulls_not_distinct=True
        ),
    )

    id: UUID = Field(primary_key=True)
    month: date
    oin: str | None = Field(default=None, sa_type=CHAR(20))
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4))
    checkpoint_size: int = Field(sa_type=BigInteger)
    accesses: int
    events: list[UUID] = Field(sa_type=ARRAY(Uuid))


class SignOff(SQLModel, table=True):
    """What an officer found of an access in a sample: one officer for each, and never one's own."""

    __tablename__ = "sign_off"
    __table_args__ = (_one_of("finding", FINDINGS, "sign_off_finding"),)

    sample_id: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("sample.id", ondelete="CASCADE")])
    event_id: UUID = Field(primary_key=True)
    officer_id: UUID
    at: datetime = Field(sa_type=_Moment)
    finding: str
