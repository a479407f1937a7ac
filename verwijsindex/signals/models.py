# SPDX-License-Identifier: EUPL-1.2
"""Tables of a signal: itself, what is told of it, its archive and tombstone, the requests that brought it or changed it
(idempotency), and the work it gives the matcher."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CHAR,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
)
from sqlmodel import BigInteger, Field, Identity, SQLModel

from verwijsindex.registry.models import LEGAL_GROUNDS, one_of

INFORMED_TO = ("youngster", "representative", "both")
POSTPONEMENT_GROUNDS = ("safety", "investigation", "unreachable")
END_REASONS = ("unjustified", "risk_gone", "upheld_request", "death")
ARCHIVED = ("risk_gone", "expired")
Moment = DateTime(timezone=True)
_INFORMING_DUE_ON = (
    "CASE WHEN informing_status = 'postponed' THEN LEAST("
    "((made_at AT TIME ZONE 'Europe/Amsterdam')::date + interval '1 month')::date, review_date,"
    " CASE WHEN NOT shielded THEN (first_matched_at AT TIME ZONE 'Europe/Amsterdam')::date END) END"
)
"""From that day informing the family is overdue (R27)."""


class Signal(SQLModel, table=True):
    """One reporter's statement of concern about one youngster (R4, R6).

    Until the matcher attaches it, the sealed pseudonyms of youngster and parents stand here; from then on only on the
    youngster and the parents. `held_since` is set when it is handed over (R34); before that it is held since receipt.
    `ended_at` is set by an act; a signal ends at its removal date without any (R14). `archive_due`: it was attached
    and has not told yet of what is in the archive, since it was restricted (R17, R30). That reporter and agreement are
    the institution's, and that there is such a municipality, is looked after in bulk (docs/decisions/0027).
    """

    __table_args__ = (
        CheckConstraint(
            "removal_date <= (made_at AT TIME ZONE 'Europe/Amsterdam')::date + interval '2 years'",
            name="signal_ends_in_two_years",
        ),
        CheckConstraint("octet_length(sealed_pseudonym) = 48", name="signal_pseudonym_is_sealed"),
        CheckConstraint("(sealed_pseudonym IS NULL) <> (youngster_id IS NULL)", name="signal_is_attached_or_sealed"),
        CheckConstraint("cardinality(parents_sealed) BETWEEN 1 AND 2", name="signal_has_two_parents_at_most"),
        one_of("legal_ground", LEGAL_GROUNDS[:-1], "signal_legal_ground"),
        CheckConstraint(
            "CASE informing_status"
            " WHEN 'informed' THEN informed_on IS NOT NULL AND informed_to IS NOT NULL"
            "  AND postponed_ground IS NULL AND review_date IS NULL"
            " WHEN 'postponed' THEN informed_on IS NULL AND informed_to IS NULL"
            "  AND postponed_ground IS NOT NULL AND review_date IS NOT NULL"
            " ELSE false END",
            name="signal_informing_is_whole",
        ),
        one_of("informed_to", INFORMED_TO, "signal_informed_to"),
        one_of("end_reason", END_REASONS, "signal_end_reason"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="signal_end_is_whole"),
        one_of("postponed_ground", POSTPONEMENT_GROUNDS, "signal_postponed_ground"),
        Index("ix_signal_youngster", "youngster_id", "removal_date", "reporter_id"),
        Index("ix_signal_reporter", "reporter_id", "received_at", "id"),
        Index("ix_signal_removal_date", "removal_date"),
        Index("ix_signal_ended", "ended_at", postgresql_where="ended_at IS NOT NULL"),
        Index("ix_signal_shielded", "oin", postgresql_where="shielded"),
        {
            "comment": "By law (Jeugdwet 7.1.4.3): reporter, times, removal date, sealed pseudonym. "
            "Ours besides (R6, P): residence_municipality, informing_*, informed_*, postponed_ground, review_date, "
            "turns23_on_sealed, case_reference_sealed."
        },
    )

    id: UUID = Field(primary_key=True)
    # By law (Jeugdwet 7.1.4.3): who, when, until when, about whom.
    reporter_id: UUID
    oin: str = Field(sa_type=CHAR(20))
    agreement_id: UUID
    legal_ground: str
    client_id: str
    made_at: datetime = Field(sa_type=Moment)
    received_at: datetime = Field(sa_type=Moment)
    removal_date: date
    key_version: int
    sealed_pseudonym: bytes | None = None
    youngster_id: UUID | None = Field(default=None, foreign_key="youngster.id")
    # Ours besides (R6, P).
    residence_municipality: str = Field(sa_type=CHAR(4))
    informing_status: str
    informed_on: date | None = None
    informed_to: str | None = None
    postponed_ground: str | None = None
    review_date: date | None = None
    turns23_on_sealed: bytes | None = None
    informing_due_on: date | None = Field(default=None, sa_column_args=[Computed(_INFORMING_DUE_ON, persisted=False)])
    case_reference_sealed: bytes | None = None
    parents_sealed: list[bytes] | None = Field(default=None, sa_type=ARRAY(LargeBinary))
    shielded: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # How it goes on and ends.
    standing_id: UUID | None = Field(default=None, index=True)
    held_since: datetime | None = Field(default=None, sa_type=Moment)
    first_matched_at: datetime | None = Field(default=None, sa_type=Moment)
    restricted_at: datetime | None = Field(default=None, sa_type=Moment)
    archive_due: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    end_reason: str | None = None


class IdempotencyRecord(SQLModel, table=True):
    """A request that was accepted, and its answer; kept seven days for each client.

    `key` is the fingerprint of the idempotency key under a version of the index key, `<version>:<43 characters>`; the
    key as it was sent where no version of the index key knows requests yet (`turning.models`). `key_version` is that of
    the other fingerprints.
    """

    __tablename__ = "idempotency_record"

    client_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    key_version: int
    body_fingerprint: bytes
    pseudonym_fingerprint: bytes
    pseudonym_version: int
    signal_id: UUID
    received_at: datetime = Field(sa_type=Moment, index=True)


class Work(SQLModel, table=True):
    """A signal whose youngster the matcher must look at (again); of one that is gone there is nothing to look at."""

    __table_args__ = (Index("ix_work_waiting", "id", postgresql_where="parked_at IS NULL"),)

    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=[Identity(always=True)], primary_key=True)
    signal_id: UUID
    parked_at: datetime | None = Field(default=None, sa_type=Moment)


class ArchivedSignal(SQLModel, table=True):
    """A signal in the archive, withdrawn because the risk is gone or expired; kept apart until `destroy_on` (R15, R16).

    What need not be kept for an archive notice (R17) or a request (R28) is gone: parents, residence, references.
    `restricted`: when it ended; nobody is ever told of it (R30).
    """

    __tablename__ = "archived_signal"
    __table_args__ = (one_of("end_reason", ARCHIVED, "archived_signal_end_reason"),)

    id: UUID = Field(primary_key=True)
    youngster_id: UUID = Field(foreign_key="youngster.id", index=True)
    reporter_id: UUID = Field(index=True)
    oin: str = Field(sa_type=CHAR(20))
    agreement_id: UUID
    shielded: bool
    restricted: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    received_at: datetime = Field(sa_type=Moment)
    ended_at: datetime = Field(sa_type=Moment)
    end_reason: str
    destroy_on: date = Field(index=True)


class Tombstone(SQLModel, table=True):
    """That a signal was destroyed, and nothing else of it (R16)."""

    signal_id: UUID = Field(primary_key=True)
    destroyed_at: datetime = Field(sa_type=Moment, index=True)


class Move(SQLModel, table=True):
    """That a youngster moved, as a reporter (or, without one, a case supervisor) tells it; until the matcher has set it
    on all its signals (R24)."""

    id: UUID = Field(primary_key=True)
    signal_id: UUID = Field(foreign_key="signal.id", ondelete="CASCADE", index=True)
    municipality_code: str = Field(sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")])
    reporter_id: UUID | None = Field(default=None, foreign_key="reporter.id")
    told_at: datetime = Field(sa_type=Moment)


class Death(SQLModel, table=True):
    """That a youngster died, as a municipality tells it by pseudonym, sealed under each version of the index key in
    use; counts from `told_at`, and stands until the matcher has ended what it ends (R14)."""

    __table_args__ = (Index("ix_death_key", "key"),)

    id: UUID = Field(primary_key=True)
    key: bytes
    key_version: int = Field(primary_key=True)
    told_at: datetime = Field(sa_type=Moment)


class ActRequest(SQLModel, table=True):
    """An act that was done by a request, by its caller's idempotency key, and its answer; kept seven days."""

    __tablename__ = "act_request"

    caller: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    key_version: int
    fingerprint: bytes
    status: int | None = None
    answer: str | None = None
    received_at: datetime = Field(sa_type=Moment, index=True)
