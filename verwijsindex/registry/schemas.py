# SPDX-License-Identifier: EUPL-1.2
"""What an administrator may write into the register, and what a coordinator reads of it; forms of numbers and codes."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from verwijsindex.parsing import Outgoing
from verwijsindex.registry.models import LEADING_DOMAINS
from verwijsindex.written import Written

Oin = Annotated[str, Written(r"^[0-9]{20}$", "the twenty digits of an OIN")]
MunicipalityCode = Annotated[str, Written(r"^[0-9]{4}$", "the CBS code: four digits, zeros in front too, such as 0505")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Telephone = Annotated[
    str, Written(r"^\+?[0-9][0-9 ()-]{2,30}$", "a telephone number, in digits, such as +31 20 555 0100")
]
Email = Annotated[str, Written(r"^[^@\s]{1,64}@[^@\s]{1,190}$", "a mail address, such as name@institution.example")]
LegalGround = Literal["duty", "agreement", "consent", "off"]
ContactPointKind = Literal["access_team", "crisis_line", "veilig_thuis"]


class Entry(BaseModel):
    """One entry of the register."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MunicipalityEntry(Entry):
    """A municipality that takes part."""

    code: MunicipalityCode
    name: Text
    legal_ground: LegalGround = "duty"


class ContactPointEntry(Entry):
    """Where a municipality can be reached by parties of a match."""

    municipality_code: MunicipalityCode
    kind: ContactPointKind
    name: Text
    telephone: Telephone
    email: Email | None = None


class InstitutionEntry(Entry):
    """An organisation in a category."""

    oin: Oin
    name: Text
    category_code: Text


class MunicipalityOin(Entry):
    """A municipality's own OIN, by which its machine is known (R14)."""

    code: MunicipalityCode
    oin: Oin


class FollowUpEntry(Entry):
    """A municipality's own deadlines, in working days (R21), and in which order of domains a lead is proposed (R22):
    who is of another domain is not. None: as it is."""

    code: MunicipalityCode
    contact_within_days: int | None = Field(default=None, ge=1, le=60)
    coordination_within_days: int | None = Field(default=None, ge=1, le=120)
    lead_order: tuple[str, ...] | None = Field(default=None, min_length=1)

    @field_validator("lead_order")
    @classmethod
    def _may_lead(cls, order: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if order and (set(order) - set(LEADING_DOMAINS) or len(set(order)) < len(order)):
            may = ", ".join(LEADING_DOMAINS)
            raise ValueError(f"Name domains, each once, of: {may}. Education and police are never proposed.")
        return order


class EmailEntry(Entry):
    """Where somebody, or a municipality's case supervision, gets mail."""

    email: Email


class AgreementEntry(Entry):
    """An institution's agreement with a municipality."""

    oin: Oin
    municipality_code: MunicipalityCode
    valid_from: date
    valid_until: date
    may_send_parents: bool = False

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "AgreementEntry":
        if self.valid_until < self.valid_from:
            raise ValueError("An agreement ends after it begins: check both days.")
        return self


class PersonEntry(Entry):
    """Contact data of a person."""

    name: Text
    telephone: Telephone
    email: Email


class ReporterEntry(PersonEntry):
    """A reporter whom an institution has designated."""

    oin: Oin
    position: Text
    designated_from: date


class CoordinatorEntry(PersonEntry):
    """A coordinator of an institution."""

    oin: Oin


class CaseSupervisorEntry(PersonEntry):
    """A case supervisor of a municipality."""

    municipality_code: MunicipalityCode


class NamedOfficerEntry(PersonEntry):
    """A named officer of an institution (R36)."""

    oin: Oin


class RightsDeskOfficerEntry(PersonEntry):
    """An officer of a municipality's rights desk (R28)."""

    municipality_code: MunicipalityCode


class PrivacyOfficerEntry(PersonEntry):
    """A privacy officer of an institution or a municipality; of neither: of the operator (R25, R28)."""

    oin: Oin | None = None
    municipality_code: MunicipalityCode | None = None

    @model_validator(mode="after")
    def _of_one_at_most(self) -> "PrivacyOfficerEntry":
        if self.oin and self.municipality_code:
            raise ValueError("a privacy officer is of an institution or of a municipality, not of both")
        return self


class ReporterOut(Outgoing):
    """A reporter as the own institution's coordinator sees it (R20)."""

    id: UUID
    name: str
    position: str
    telephone: str
    email: str
    designated_from: date
    designated_until: date | None = Field(default=None, description="The last day; not there while none is set.")


class ReportersOut(Outgoing):
    """A page of the institution's reporters, also of those who left, until their contact data is removed."""

    items: list[ReporterOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")


class CoordinatorOut(Outgoing):
    """A coordinator of the own institution."""

    id: UUID
    name: str
    telephone: str
    email: str


class CoordinatorsOut(Outgoing):
    """A page of the institution's coordinators of today."""

    items: list[CoordinatorOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
