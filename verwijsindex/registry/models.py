# SPDX-License-Identifier: EUPL-1.2
"""Tables of the register: who may signal, and whom to call."""

from datetime import date
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, CHAR, CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlmodel import Field, SQLModel

DOMAINS = (
    "youth_care",
    "youth_health_care",
    "health_care",
    "education",
    "social_support",
    "work_and_income",
    "police_and_justice",
)
LEADING_DOMAINS = tuple(domain for domain in DOMAINS if domain not in ("education", "police_and_justice"))
"""Whose reporters may be proposed to lead a match, in the order that holds where a municipality set none (R22)."""
LEGAL_GROUNDS = ("duty", "agreement", "consent", "off")
CONTACT_POINT_KINDS = ("access_team", "crisis_line", "veilig_thuis")


def _contact_data(table: str, last_day: str) -> CheckConstraint:
    """Contact data is there, or destroyed after the last day (docs/retention.md)."""
    gone = f"name = '' AND telephone = '' AND email = '' AND coalesce({last_day} < contact_removed_on, false)"
    return CheckConstraint(f"contact_removed_on IS NULL OR ({gone})", name=f"{table}_contact_data_is_there_or_gone")


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    """A CHECK that `column` is one of `values`."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(v) for v in values)})", name=name)


class Municipality(SQLModel, table=True):
    """A municipality that takes part; its legal ground is its own setting (R35)."""

    __table_args__ = (
        CheckConstraint("code ~ '^[0-9]{4}$'", name="municipality_code_is_cbs"),
        CheckConstraint("oin ~ '^[0-9]{20}$'", name="municipality_oin_is_twenty_digits"),
        UniqueConstraint("oin", name="municipality_oin_key"),
        one_of("legal_ground", LEGAL_GROUNDS, "municipality_legal_ground"),
    )

    code: str = Field(primary_key=True, sa_type=CHAR(4))
    name: str
    legal_ground: str = Field(default="duty")
    oin: str | None = Field(default=None, sa_type=CHAR(20))
    """The municipality's own, by which its client tells a death (R14)."""
    email: str | None = None
    """Where its case supervision gets its mail; without one its case supervisors do."""
    contact_within_days: int = Field(default=5, sa_type=SmallInteger)
    coordination_within_days: int = Field(default=10, sa_type=SmallInteger)
    """Working days from a round's beginning (R21)."""
    lead_order: list[str] | None = Field(default=None, sa_type=ARRAY(String))
    """The order of domains in which a lead is proposed; without one that of `followup.leading` (R22)."""


class ContactPoint(SQLModel, table=True):
    """Where parties of a match find the municipality: access team, crisis line, Veilig Thuis (R12)."""

    __tablename__ = "contact_point"
    __table_args__ = (one_of("kind", CONTACT_POINT_KINDS, "contact_point_kind"),)

    municipality_code: str = Field(sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")], primary_key=True)
    kind: str = Field(primary_key=True)
    name: str
    telephone: str
    email: str | None = None


class Category(SQLModel, table=True):
    """A category of institutions, and whether the law designates it (R1).

    `in_person`: of persons with an agreement of their own (R2); the institution then stands for that one person.
    """

    __table_args__ = (one_of("domain", DOMAINS, "category_domain"),)

    code: str = Field(primary_key=True)
    domain: str
    name: str
    dutch_name: str
    designated: bool
    in_person: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class Institution(SQLModel, table=True):
    """An organisation, identified by its OIN."""

    __table_args__ = (CheckConstraint("oin ~ '^[0-9]{20}$'", name="institution_oin_is_twenty_digits"),)

    oin: str = Field(primary_key=True, sa_type=CHAR(20))
    name: str
    category_code: str = Field(foreign_key="category.code")


class Agreement(SQLModel, table=True):
    """An institution's written agreement with a municipality; valid on its first and last day."""

    __table_args__ = (
        CheckConstraint("valid_until >= valid_from", name="agreement_ends_after_it_begins"),
        UniqueConstraint("id", "oin", name="agreement_of_an_institution"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    oin: str = Field(sa_type=CHAR(20), sa_column_args=[ForeignKey("institution.oin")], index=True)
    municipality_code: str = Field(sa_type=CHAR(4), sa_column_args=[ForeignKey("municipality.code")])
    valid_from: date
    valid_until: date
    may_send_parents: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class _OfInstitution(SQLModel):
    """A person in the register of an institution."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    oin: str = Field(sa_type=CHAR(20), foreign_key="institution.oin", index=True)


class _OfMunicipality(SQLModel):
    """A person in the register of a municipality."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    municipality_code: str = Field(sa_type=CHAR(4), foreign_key="municipality.code", index=True)


class Serving(SQLModel):
    """Somebody who is no reporter and serves until the last day, with contact data."""

    name: str
    telephone: str
    email: str
    last_day: date | None = None
    contact_removed_on: date | None = None


class Reporter(_OfInstitution, table=True):
    """A person whom an institution has designated to signal, with the contact data a match shows (R12)."""

    __table_args__ = (
        UniqueConstraint("id", "oin", name="reporter_of_an_institution"),
        _contact_data("reporter", "designated_until"),
        Index("ix_reporter_left", "designated_until", postgresql_where="contact_removed_on IS NULL"),
    )

    name: str
    position: str
    telephone: str
    email: str
    designated_from: date
    designated_until: date | None = None
    contact_removed_on: date | None = None


class Coordinator(Serving, _OfInstitution, table=True):
    """Who manages an institution's contact data and signals, and stands beside its reporters in a match (R12).

    After the last day a match shows this one no more, and a token of theirs opens nothing (R20).
    """

    __table_args__ = (_contact_data("coordinator", "last_day"),)


class CaseSupervisor(Serving, _OfMunicipality, table=True):
    """The municipal person who checks that matched parties contacted each other (R19), up to and with the last day."""

    __tablename__ = "case_supervisor"
    __table_args__ = (_contact_data("case_supervisor", "last_day"),)


class NamedOfficer(Serving, _OfInstitution, table=True):
    """Who gets the notices of an institution's shielded signals, and stands in the reporter's place (R36)."""

    __tablename__ = "named_officer"
    __table_args__ = (_contact_data("named_officer", "last_day"),)


class PrivacyOfficer(Serving, table=True):
    """Who audits the ledger of an institution or a municipality; of neither: of the whole, for the operator (R25, R28).

    Decides nothing, and stands in no match.
    """

    __tablename__ = "privacy_officer"
    __table_args__ = (
        _contact_data("privacy_officer", "last_day"),
        CheckConstraint("num_nonnulls(oin, municipality_code) <= 1", name="privacy_officer_of_one_at_most"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    oin: str | None = Field(default=None, sa_type=CHAR(20), foreign_key="institution.oin", index=True)
    municipality_code: str | None = Field(default=None, sa_type=CHAR(4), foreign_key="municipality.code", index=True)


class RightsDeskOfficer(Serving, _OfMunicipality, table=True):
    """Who decides at a municipality's rights desk on requests of youngsters and parents (R28, R30)."""

    __tablename__ = "rights_desk_officer"
    __table_args__ = (_contact_data("rights_desk_officer", "last_day"),)
