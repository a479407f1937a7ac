# SPDX-License-Identifier: EUPL-1.2
"""What can be wrong with a row of an export: a code that a program can read, and what to do (R3 to R7).

A fault names a column of ours and never a value (I5).
"""

from dataclasses import dataclass

WHOLE_ROW = "row"
"""The column of a fault that is in no one column."""

ADVICE = {
    "missing": "Fill in this column.",
    "bsn-form": "Write the BSN as eight or nine digits and nothing else.",
    "bsn-eleven-test": "This number does not pass the 11-test: check it at its source.",
    "date-form": "Write the date as YYYY-MM-DD.",
    "not-born-yet": "The birth date is after the day of the signal: check both.",
    "not-under-23": "Who is 23 or older on the day of the signal cannot be signalled.",
    "municipality-form": "Write the CBS code of the residence: four digits, zeros in front too.",
    "reporter-form": "Write the reporter's id (a UUID) as the index knows it.",
    "moment-form": "Write date and time as YYYY-MM-DDTHH:MM, with an offset or as it was in Amsterdam.",
    "moment-unclear": "The clock was changed in this hour: add an offset, such as +01:00.",
    "informing-missing": "Fill in informed_on and informed_to, or postponed_ground and review_date.",
    "informing-both": "The family is informed or that is postponed: leave one pair of columns empty.",
    "informed-to": "Write youngster, representative or both.",
    "postponed-ground": "Write safety, investigation or unreachable.",
    "age-group": "Write under_12, 12_to_15 or from_16, or leave this column empty.",
    "age-group-unfit": "Under 12 the representative is informed, from 16 the youngster, between them both.",
    "age-group-alone": "An age group is stated of a family that was informed: leave this column empty.",
    "parent-is-youngster": "This is the youngster's own BSN: check both.",
    "parent-twice": "This is the other parent's BSN too: name each parent once.",
    "too-many-parents": "Name at most two legal parents.",
    "shielded": "Write yes or no, or leave this column empty.",
    "suspicion-not-confirmed": "Only what a reporter confirms with yes in this column is sent.",
    "case-reference-form": "Use 1 to 36 letters, digits and hyphens.",
    "case-reference-hides-bsn": "It holds a number that can be a BSN: use a reference of your own, "
    "or put a letter between its digits.",
    "not-utf-8": "This line is not UTF-8: export as 'CSV UTF-8'.",
    "nul-byte": "This line holds a NUL byte: export the file anew, as 'CSV UTF-8'.",
    "line-too-long": "This line is longer than any row can be: check for a missing line end.",
    "quotes": "A quotation mark is not closed, or something stands after one: export the row anew.",
    "width": "This row has another number of columns than the first line.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a row."""

    column: str
    """The column's name, or `row`."""
    code: str
    """A key of ADVICE."""

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.code]
