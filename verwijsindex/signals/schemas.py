# SPDX-License-Identifier: EUPL-1.2
"""What a sender says of a signal, and what it gets back (R3 to R7, R10, R26, R36). Nothing else is accepted (R5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import not_
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from verwijsindex.parsing import Day, Outgoing, ParseContext, Strict, UtcMoment
from verwijsindex.problems import Fault
from verwijsindex.pseudonyms.bsn import hides_bsn
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.signals.dates import amsterdam_date, misfit, years_after
from verwijsindex.signals.informing import TO_INFORM, AgeGroup, InformedTo
from verwijsindex.written import Written

MADE_AT_MOST_AGO = timedelta(days=7)
MADE_AT_MOST_AHEAD = timedelta(minutes=5)

MunicipalityCode = Annotated[
    str,
    Field(description="CBS code of four digits.", examples=["1701"]),
    Written(r"^[0-9]{4}$", "the CBS code of four digits, zeros in front too, such as 0505"),
]


def _pseudonym(value: object, info: ValidationInfo) -> Pseudonym:
    if not isinstance(value, str):
        raise ValueError("a pseudonym is a text of 43 characters of base64url")
    return Pseudonym.parse(value, info.data.get("key_version", 0))  # 0: the version is a fault of its own


PseudonymText = Annotated[
    Pseudonym,
    PlainValidator(_pseudonym),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "minLength": 43, "maxLength": 43}),
]


class PseudonymIn(Strict):
    """What stands for the BSN: N of the protocol, and the version of the key that made it."""

    key_version: int = Field(ge=1, le=999_999_999, description="Version of the pseudonym service's key.")
    value: PseudonymText = Field(description="N = k·H(input), 32 bytes in unpadded base64url.")


MAX_PARENTS = 2


def _two_at_most(value: object) -> object:
    """Before any of them is read: to list the faults of thousands would cost more than to find them."""
    if isinstance(value, list) and len(value) > MAX_PARENTS:
        raise PydanticCustomError("too_many", "Name at most two legal parents.")
    return value


def _each_once(parents: list[PseudonymIn]) -> list[PseudonymIn]:
    if len({parent.value.value for parent in parents}) < len(parents):
        raise PydanticCustomError("duplicate", "The same parent is named twice: name each once.")
    return parents


Parents = Annotated[list[PseudonymIn], BeforeValidator(_two_at_most), AfterValidator(_each_once)]


class Informed(Strict):
    """The family has been informed (R27)."""

    status: Literal["informed"]
    on: Day
    to: InformedTo
    age_group: AgeGroup | None = Field(
        default=None,
        exclude_if=not_,
        description="Stated, it must fit `to`: under_12 representative, 12_to_15 both, from_16 youngster. Not kept.",
    )

    @field_validator("age_group")
    @classmethod
    def _fits(cls, group: AgeGroup | None, info: ValidationInfo) -> AgeGroup | None:
        to = info.data.get("to")
        if group and to and to != TO_INFORM[group]:
            raise ValueError(
                "under 12 the representative is informed, from 16 the youngster, between them both: mend to or ageGroup"
            )
        return group

    @field_validator("on")
    @classmethod
    def _not_ahead(cls, on: date, info: ValidationInfo) -> date:
        context: ParseContext | None = info.context
        if context and on > amsterdam_date(context.now):
            context.clock_faults.append(
                Fault("body", "#/informing/on", "in_the_future", "It must not lie in the future: use postponed.")
            )
        return on


class Postponed(Strict):
    """Informing the family is postponed, on a ground and until a review (R27)."""

    status: Literal["postponed"]
    ground: Literal["safety", "investigation", "unreachable"]
    review_date: Day


def without_mapping(schema: dict[str, Any]) -> None:
    """The status is a constant of each form: a mapping to their names would say it twice."""
    schema.pop("discriminator", None)


def _misplaced(status: str, member: str, detail: str) -> ValidationError:
    """A fault of a member of `informing` that shows only beside the rest of the signal."""
    fault = InitErrorDetails(type="value_error", loc=(status, member), input=None, ctx={"error": ValueError(detail)})
    return ValidationError.from_exception_data("informing", [fault])


Informing = Annotated[Informed | Postponed, Field(discriminator="status", json_schema_extra=without_mapping)]


def _case_reference(value: object) -> object:
    if isinstance(value, str) and hides_bsn(value):
        raise ValueError(
            "a run of eight or nine digits in it passes the 11-test, as a BSN does: write it with a letter or a"
            " hyphen between the digits"
        )
    return value


CaseReference = Annotated[
    str, Written(r"^[A-Za-z0-9-]{1,36}$", "1 to 36 letters, digits and hyphens"), BeforeValidator(_case_reference)
]


def _confirmed(value: object) -> object:
    if value is not True:  # Literal[True] alone takes the number 1 for it
        raise ValueError("a signal is made only with the reporter's confirmation: true")
    return value


Confirmed = Annotated[Literal[True], BeforeValidator(_confirmed)]


class SignalIn(Strict):
    """One human act about one youngster (R4): the reporter's statement of concern."""

    reporter: UUID = Field(description="The reporter who made the signal.")
    pseudonym: PseudonymIn
    parents: Parents = Field(
        default_factory=list,
        json_schema_extra={"maxItems": MAX_PARENTS},
        description="Pseudonyms of kind parent, of the same key version: only if the agreement says they may be sent.",
    )
    residence_municipality: MunicipalityCode
    made_at: UtcMoment = Field(description="When the reporter made it: at most seven days ago, in UTC.")
    turns23_on: Day | None = Field(
        default=None, alias="turns23On", description="The 23rd birthday, only if within seven years."
    )
    removal_date: Day = Field(description="The earlier of two years after madeAt (Amsterdam) and turns23On.")
    reasonable_suspicion: Confirmed = Field(description="The reporter's confirmation (Jeugdwet 7.1.4.1).")
    informing: Informing
    case_reference: CaseReference | None = Field(
        default=None, description="The sender's own reference; only the sender ever gets it back."
    )
    shielded: bool = Field(
        default=False,
        exclude_if=not_,
        description="Its notices go to the institution's named officer, who stands in the reporter's place in matches.",
    )

    @field_validator("parents")
    @classmethod
    def _of_one_version(cls, parents: list[PseudonymIn], info: ValidationInfo) -> list[PseudonymIn]:
        """Else the same parent could come twice, and a repeat could not be compared."""
        pseudonym: PseudonymIn | None = info.data.get("pseudonym")
        if pseudonym and any(parent.key_version != pseudonym.key_version for parent in parents):
            raise ValueError("compute the pseudonyms of youngster and parents with one key version")
        return parents

    @field_validator("made_at")
    @classmethod
    def _made_lately(cls, made_at: datetime, info: ValidationInfo) -> datetime:
        context: ParseContext | None = info.context
        if context and not context.now - MADE_AT_MOST_AGO <= made_at <= context.now + MADE_AT_MOST_AHEAD:
            context.clock_faults.append(
                Fault(
                    "body",
                    "#/madeAt",
                    "out_of_time",
                    "A signal must be sent at most seven days after it was made, and never before.",
                )
            )
        return made_at

    @field_validator("turns23_on")
    @classmethod
    def _under_23(cls, turns23_on: date | None, info: ValidationInfo) -> date | None:
        made_at: datetime | None = info.data.get("made_at")
        if turns23_on is None or made_at is None:
            return turns23_on
        wrong = misfit(made_at, date.max, turns23_on)
        if wrong and wrong.field == "turns23_on":
            raise ValueError(wrong.detail)
        context: ParseContext | None = info.context
        if context and turns23_on <= amsterdam_date(context.now):
            context.clock_faults.append(
                Fault("body", "#/turns23On", "not_under_23", "Only someone under 23 can be signalled.")
            )
        return turns23_on

    @field_validator("informing")
    @classmethod
    def _is_about_this_signal(cls, informing: Informed | Postponed, info: ValidationInfo) -> Informed | Postponed:
        """A date that has nothing to do with the signal might be a birth date (R5)."""
        made_at: datetime | None = info.data.get("made_at")
        if made_at is not None:
            made_on = amsterdam_date(made_at)
            if isinstance(informing, Informed) and informing.on < years_after(made_on, -1):
                raise _misplaced("informed", "on", "the day of informing must lie at most a year before madeAt")
            if isinstance(informing, Postponed) and not made_on <= informing.review_date <= years_after(made_on, 1):
                raise _misplaced("postponed", "reviewDate", "the review date must lie within a year after madeAt")
        return informing

    @field_validator("removal_date")
    @classmethod
    def _fits(cls, removal_date: date, info: ValidationInfo) -> date:
        made_at: datetime | None = info.data.get("made_at")
        if made_at is not None and "turns23_on" in info.data:
            wrong = misfit(made_at, removal_date, info.data["turns23_on"])
            if wrong:
                raise ValueError(wrong.detail)
        return removal_date


@dataclass(frozen=True, slots=True)
class Submission:
    """A signal as it was sent, with its own idempotency key and what only the clock shows to be wrong with it."""

    key: str
    signal: SignalIn
    clock_faults: Sequence[Fault] = ()
    signal_id: UUID = field(default_factory=uuid4)


class RegisteredSignal(Outgoing):
    """The answer to a signal; the same whether or not anything was known (I7)."""

    id: UUID
    received_at: datetime


class InformingOut(Outgoing):
    """How the family was informed, as the sender said."""

    status: str
    on: date | None = None
    to: str | None = None
    ground: str | None = None
    review_date: date | None = None
    due_on: date | None = Field(
        default=None, description="Of what is postponed: the first of a month after madeAt, a match, and reviewDate."
    )
    overdue: bool = Field(description="Whether that day has come (R27).")


class SignalOut(Outgoing):
    """A signal that has not ended, as its reporter and the coordinator of its institution may see it."""

    id: UUID
    reporter: UUID
    made_at: datetime
    received_at: datetime
    removal_date: date
    residence_municipality: str
    informing: InformingOut
    case_reference: str | None = Field(default=None, description="For the reporter only: the sender's own reference.")


class SignalsOut(Outgoing):
    """A page of own or the institution's signals, oldest first."""

    items: list[SignalOut]
    next_cursor: str | None = Field(default=None, description="Send as cursor to get the next page.")
