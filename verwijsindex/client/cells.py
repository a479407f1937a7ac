# SPDX-License-Identifier: EUPL-1.2
"""From the texts in a row to a draft, or to all that is wrong with them."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TypeVar, cast, get_args
from uuid import UUID

from verwijsindex.client.draft import (
    Informed,
    Postponed,
    PostponementGround,
    SignalDraft,
    faults_of_age,
    faults_of_age_group,
    faults_of_case_reference,
    faults_of_municipality,
    faults_of_parents,
)
from verwijsindex.client.faults import Fault
from verwijsindex.pseudonyms.bsn import Bsn, BsnError
from verwijsindex.signals.dates import AMSTERDAM
from verwijsindex.signals.informing import AgeGroup, InformedTo

T = TypeVar("T")

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class _Wrong(Exception):  # noqa: N818
    """A text that is not of its column's form; holds the fault's code only."""


class _Row:
    """The texts of one row, and the faults found so far."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.cells = cells
        self.faults: list[Fault] = []

    def read(self, column: str, parse: Callable[[str], T]) -> T | None:
        """What `parse` makes of the column; None, and a fault more, where it is empty or wrong."""
        if not self.cells[column]:
            self.faults.append(Fault(column, "missing"))
            return None
        try:
            return parse(self.cells[column])
        except _Wrong as wrong:
            self.faults.append(Fault(column, str(wrong)))
            return None

    def read_if_there(self, column: str, parse: Callable[[str], T]) -> T | None:
        """The same for a column that may be empty."""
        return self.read(column, parse) if self.cells[column] else None


def parse_cells(cells: Mapping[str, str]) -> SignalDraft | list[Fault]:
    """The draft that the texts of all columns (`rows.COLUMNS`) make, or every fault in them."""
    row = _Row(cells)
    case_reference = cells["case_reference"] or None
    row.faults += faults_of_case_reference(case_reference)
    bsn = row.read("bsn", _bsn)
    birth_date = row.read("birth_date", _date)
    municipality = row.read("residence_municipality", str)
    if municipality:
        row.faults += faults_of_municipality(municipality)
    reporter = row.read("reporter", _uuid)
    made_at = row.read("made_at", _moment)
    if made_at and birth_date:
        row.faults += faults_of_age(made_at, birth_date)
    informing = _informing(row)
    confirmed = row.read("reasonable_suspicion", _yes)
    parents = [one for one in (row.read_if_there(f"parent{n}_bsn", _bsn) for n in (1, 2)) if one]
    if bsn:
        row.faults += faults_of_parents(bsn, parents)
    shielded = row.read_if_there("shielded", _yes_or_no)
    if bsn and birth_date and municipality and reporter and made_at and informing and not row.faults:
        return SignalDraft(
            reporter=reporter,
            bsn=bsn,
            birth_date=birth_date,
            residence_municipality=municipality,
            made_at=made_at,
            reasonable_suspicion=bool(confirmed),
            informing=informing,
            case_reference=case_reference,
            parents=tuple(parents),
            shielded=bool(shielded),
        )
    return row.faults


def _informing(row: _Row) -> Informed | Postponed | None:
    informed = row.cells["informed_on"] or row.cells["informed_to"]
    postponed = row.cells["postponed_ground"] or row.cells["review_date"]
    group = row.read_if_there("age_group", _age_group)
    if group and not informed:
        row.faults.append(Fault("age_group", "age-group-alone"))
    if informed and postponed:
        row.faults.append(Fault("informed_on", "informing-both"))
    elif informed:
        on, to = row.read("informed_on", _date), row.read("informed_to", _informed_to)
        if on and to:
            told = Informed(on, to, group)
            row.faults += faults_of_age_group(told)
            return told
    elif postponed:
        ground, review = row.read("postponed_ground", _ground), row.read("review_date", _date)
        return Postponed(ground, review) if ground and review else None
    else:
        row.faults.append(Fault("informed_on", "informing-missing"))
    return None


def _bsn(text: str) -> Bsn:
    if not re.fullmatch("[0-9]{8,9}", text):
        raise _Wrong("bsn-form")
    try:
        return Bsn.parse(text)
    except BsnError:
        raise _Wrong("bsn-eleven-test") from None


def _date(text: str) -> date:
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise _Wrong("date-form") from None


def _moment(text: str) -> datetime:
    """A time without an offset is Amsterdam's, unless it is in an hour that was skipped there or came twice."""
    if not _MOMENT.fullmatch(text):
        raise _Wrong("moment-form")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Wrong("moment-form") from None
    if moment.tzinfo:
        return moment
    local = moment.replace(tzinfo=AMSTERDAM)
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise _Wrong("moment-unclear")
    return local


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise _Wrong("reporter-form")
    return UUID(text)


def _informed_to(text: str) -> InformedTo:
    if text not in get_args(InformedTo):
        raise _Wrong("informed-to")
    return cast(InformedTo, text)


def _age_group(text: str) -> AgeGroup:
    if text not in get_args(AgeGroup):
        raise _Wrong("age-group")
    return cast(AgeGroup, text)


def _ground(text: str) -> PostponementGround:
    if text not in get_args(PostponementGround):
        raise _Wrong("postponed-ground")
    return cast(PostponementGround, text)


def _yes(text: str) -> bool:
    if text != "yes":
        raise _Wrong("suspicion-not-confirmed")
    return True


def _yes_or_no(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise _Wrong("shielded")
    return text == "yes"
