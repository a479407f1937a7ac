# SPDX-License-Identifier: EUPL-1.2
"""A signal as its sender knows it, before anything is blinded: here, and nowhere else, is the BSN (R7, I5)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

from verwijsindex.client.faults import Fault
from verwijsindex.pseudonyms.bsn import Bsn, hides_bsn
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.signals.dates import NotBornYet, NotUnder23, ends

InformedTo = Literal["youngster", "representative", "both"]
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


@dataclass(frozen=True, slots=True)
class Postponed:
    """Telling the family is put off (R27): why, and when that is looked at again."""

    ground: PostponementGround
    review_date: date


@dataclass(frozen=True, slots=True, repr=False)
class SignalDraft:
    """One reporter's statement of concern about one youngster, to be sent.

    Raises DraftError with all faults: 23 or older on the Amsterdam day of `made_at`, a municipality that is no
    CBS code, a case reference that is not 1 to 36 letters, digits and hyphens or hides a BSN, no confirmation.
    BSN and birth date stay at the sender.
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

    def __post_init__(self) -> None:
        faults = [
            *faults_of_age(self.made_at, self.birth_date),
            *faults_of_municipality(self.residence_municipality),
            *faults_of_case_reference(self.case_reference or None),
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
        return body

    def body(self, key_version: int, pseudonym: Pseudonym) -> Mapping[str, Any]:
        """What is posted: no BSN, no birth date."""
        sealed_later = {"keyVersion": key_version, "value": pseudonym.to_text()}
        return {**self._without_pseudonym(), "pseudonym": sealed_later}

    def canonical(self) -> bytes:
        """The same bytes for the same signal and no other: what is posted, with the BSN in the pseudonym's
        place; JSON with sorted keys. Only for a key that is derived under a secret (`idempotency`)."""
        content = {**self._without_pseudonym(), "bsn": self.bsn.digits.decode("ascii")}
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


def showable(case_reference: str | None) -> str | None:
    """The case reference where a report may name it: well formed, and without a number that can be a BSN, also
    not with hyphens between its digits."""
    if not case_reference or faults_of_case_reference(case_reference):
        return None
    return None if hides_bsn(re.sub("[^0-9]", "", case_reference)) else case_reference


def _informing(informing: Informed | Postponed) -> dict[str, str]:
    if isinstance(informing, Informed):
        return {"status": "informed", "on": informing.on.isoformat(), "to": informing.to}
    return {
        "status": "postponed",
        "ground": informing.ground,
        "reviewDate": informing.review_date.isoformat(),
    }
