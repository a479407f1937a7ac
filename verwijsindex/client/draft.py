# SPDX-License-Identifier: EUPL-1.2
"""A signal as its sender knows it, before anything is blinded: here, and nowhere else, is the BSN (R7, I5)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

from verwijsindex.client.faults import Fault
from verwijsindex.pseudonyms.bsn import Bsn, hides_bsn
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.signals.dates import NotBornYet, NotUnder23, ends
from verwijsindex.signals.informing import TO_INFORM, AgeGroup, InformedTo

PostponementGround = Literal["safety", "investigation", "unreachable"]


class DraftError(ValueError):
    """A signal that cannot be sent. `faults` are all its faults; the text names columns and no value."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.column}: {fault.advice}" for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Informed:
    """The family was told of the signal (R27): when, and who."""

    on: date
    to: InformedTo
    age_group: AgeGroup | None = None
    """Of the youngster on that day, if it is stated; it must fit `to` (R26) and is not kept."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Telling the family is put off (R27): why, and when that is looked at again."""

    ground: PostponementGround
    review_date: date


@dataclass(frozen=True, slots=True, repr=False)
class SignalDraft:
    """One reporter's statement of concern about one youngster, to be sent.

    Raises DraftError with all faults: 23 or older on the Amsterdam day of `made_at`, a municipality that is no
    CBS code, a case reference that is not 1 to 36 letters, digits and hyphens or hides a BSN, no confirmation,
    parents who cannot be, an age group that does not fit who was informed. BSNs and birth date stay at the sender.
    """

    reporter: UUID
    bsn: Bsn
    birth_date: date
    residence_municipality: str
    made_at: datetime
    """When the reporter decided it, with a time zone."""
    reasonable_suspicion: bool
    """The reporter's own confirmation (R4): only True is sent."""
    informing: Informed | Postponed
    case_reference: str | None = None
    parents: tuple[Bsn, ...] = ()
    """At most two legal parents; only from who may send them by the agreement (R10)."""
    shielded: bool = False
    """The notices go to the institution's named officer, who is shown in the reporter's place (R36)."""

    def __post_init__(self) -> None:
        faults = [
            *faults_of_age(self.made_at, self.birth_date),
            *faults_of_municipality(self.residence_municipality),
            *faults_of_case_reference(self.case_reference or None),
            *faults_of_parents(self.bsn, self.parents),
            *(faults_of_age_group(self.informing) if isinstance(self.informing, Informed) else []),
        ]
        if self.reasonable_suspicion is not True:
            faults.append(Fault("reasonable_suspicion", "suspicion-not-confirmed"))
        if faults:
            raise DraftError(faults)

    def __repr__(self) -> str:
        return "SignalDraft(hidden)"

    def _without_pseudonym(self) -> dict[str, Any]:
        told = ends(self.made_at, self.birth_date)
        body: dict[str, Any] = {
            "reporter": str(self.reporter),
            "residenceMunicipality": self.residence_municipality,
            "madeAt": self.made_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "removalDate": told.removal_date.isoformat(),
            "reasonableSuspicion": True,
            "informing": _informing(self.informing),
        }
        if told.turns23_on:
            body["turns23On"] = told.turns23_on.isoformat()
        if self.case_reference:
            body["caseReference"] = self.case_reference
        if self.shielded:
            body["shielded"] = True
        return body

    def people(self) -> list[tuple[Kind, Bsn]]:
        """Whose pseudonyms are posted: the youngster's first, then those of the parents."""
        return [("youngster", self.bsn), *(("parent", parent) for parent in self.parents)]

    def body(self, key_version: int, pseudonyms: Sequence[Pseudonym]) -> Mapping[str, Any]:
        """What is posted, with the pseudonyms of `people`: no BSN, no birth date."""
        youngster, *parents = ({"keyVersion": key_version, "value": one.to_text()} for one in pseudonyms)
        return {**self._without_pseudonym(), "pseudonym": youngster} | ({"parents": parents} if parents else {})

    def canonical(self) -> bytes:
        """The same bytes for the same signal and no other: what is posted, with BSNs in the place of pseudonyms; JSON
        with sorted keys. Of a signal that says no more than it could in 0.2.0 they are what they were. Only for a key
        that is derived under a secret (`idempotency`)."""
        content = {**self._without_pseudonym(), "bsn": self.bsn.digits.decode("ascii")}
        if self.parents:
            content["parents"] = sorted(parent.digits.decode("ascii") for parent in self.parents)
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def faults_of_age(made_at: datetime, birth_date: date) -> list[Fault]:
    """Of a birth date, against the moment of the signal (R3)."""
    try:
        ends(made_at, birth_date)
    except NotUnder23:
        return [Fault("birth_date", "not-under-23")]
    except NotBornYet:
        return [Fault("birth_date", "not-born-yet")]
    except (ValueError, OverflowError):  # no time zone, or at the end of all calendars
        return [Fault("made_at", "moment-form")]
    return []


def faults_of_municipality(text: str) -> list[Fault]:
    """Of a residence municipality."""
    return [] if re.fullmatch("[0-9]{4}", text) else [Fault("residence_municipality", "municipality-form")]


def faults_of_case_reference(text: str | None) -> list[Fault]:
    """Of a case reference (R6)."""
    if text is None:
        return []
    if not re.fullmatch("[A-Za-z0-9-]{1,36}", text):
        return [Fault("case_reference", "case-reference-form")]
    return [Fault("case_reference", "case-reference-hides-bsn")] if hides_bsn(text) else []


def faults_of_parents(youngster: Bsn, parents: Sequence[Bsn]) -> list[Fault]:
    """Of a youngster's parents (R10)."""
    faults = [Fault(f"parent{n}_bsn", "parent-is-youngster") for n, one in enumerate(parents, 1) if one == youngster]
    if len(parents) > 2:
        faults.append(Fault("parent2_bsn", "too-many-parents"))
    elif len(set(parents)) < len(parents):
        faults.append(Fault("parent2_bsn", "parent-twice"))
    return faults


def faults_of_age_group(informed: Informed) -> list[Fault]:
    """Of the age group, against who was informed (R26)."""
    fits = informed.age_group is None or TO_INFORM[informed.age_group] == informed.to
    return [] if fits else [Fault("age_group", "age-group-unfit")]


def showable(case_reference: str | None) -> str | None:
    """The case reference where a report may name it: well formed, and without a number that can be a BSN, also
    not with hyphens between its digits."""
    if not case_reference or faults_of_case_reference(case_reference):
        return None
    return None if hides_bsn(re.sub("[^0-9]", "", case_reference)) else case_reference


def _informing(informing: Informed | Postponed) -> dict[str, str]:
    if isinstance(informing, Informed):
        told = {"status": "informed", "on": informing.on.isoformat(), "to": informing.to}
        return told | ({"ageGroup": informing.age_group} if informing.age_group else {})
    return {
        "status": "postponed",
        "ground": informing.ground,
        "reviewDate": informing.review_date.isoformat(),
    }
