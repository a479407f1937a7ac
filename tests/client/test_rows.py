# SPDX-License-Identifier: EUPL-1.2
"""Reading an export: every row a draft or all its faults, and never a value in what is told (R3 to R7, I5)."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verwijsindex.client import FileRefused, Informed, Postponed, RefusedRow, SignalRow, read_rows
from verwijsindex.client.faults import ADVICE
from verwijsindex.client.rows import COLUMNS, REQUIRED

REPORTER = "7b0f3c66-3b0e-4c53-9d6e-2f6f1f0b8a11"
GOOD = {
    "case_reference": "Z-2026-0007",
    "bsn": "999900006",
    "birth_date": "2012-05-05",
    "residence_municipality": "0971",
    "reporter": REPORTER,
    "made_at": "2026-11-22T10:00:00+01:00",
    "informed_on": "2026-11-20",
    "informed_to": "both",
    "postponed_ground": "",
    "review_date": "",
    "reasonable_suspicion": "yes",
}


def export(*rows: dict[str, str], delimiter: str = ",", columns: tuple[str, ...] = COLUMNS) -> BinaryIO:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return io.BytesIO(text.getvalue().encode())


def read_one(**changes: str) -> SignalRow | RefusedRow:
    [row] = read_rows(export({**GOOD, **changes}))
    assert row.line == 2
    return row


def codes(row: SignalRow | RefusedRow) -> list[tuple[str, str]]:
    return [(fault.column, fault.code) for fault in row.faults] if isinstance(row, RefusedRow) else []


def test_a_good_row_is_a_draft() -> None:
    row = read_one()
    assert isinstance(row, SignalRow)
    draft = row.draft
    assert str(draft.reporter) == REPORTER
    assert draft.bsn.digits == b"999900006"
    assert draft.birth_date == date(2012, 5, 5)
    assert draft.made_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert draft.informing == Informed(date(2026, 11, 20), "both")
    assert draft.case_reference == "Z-2026-0007"


def test_telling_the_family_may_be_postponed_and_a_case_reference_may_be_missing() -> None:
    row = read_one(
        informed_on="", informed_to="", postponed_ground="safety", review_date="2026-12-20", case_reference=""
    )
    assert isinstance(row, SignalRow)
    assert row.draft.informing == Postponed("safety", date(2026, 12, 20))
    assert row.draft.case_reference is None


def test_parents_a_shield_and_an_age_group_may_be_there() -> None:
    row = read_one(parent1_bsn="999900018", parent2_bsn="99990003", shielded="yes", age_group="12_to_15")
    assert isinstance(row, SignalRow)
    assert [parent.digits for parent in row.draft.parents] == [b"999900018", b"099990003"]
    assert row.draft.shielded
    assert row.draft.informing == Informed(date(2026, 11, 20), "both", "12_to_15")
    only_second = read_one(parent2_bsn="999900018", shielded="no")
    assert isinstance(only_second, SignalRow)
    assert len(only_second.draft.parents) == 1
    assert not only_second.draft.shielded
    assert codes(read_one(parent1_bsn="99990003", parent2_bsn="099990003")) == [("parent2_bsn", "parent-twice")]
    postponed = {"informed_on": "", "informed_to": "", "postponed_ground": "safety", "review_date": "2026-12-20"}
    assert codes(read_one(**postponed, age_group="12_to_15")) == [("age_group", "age-group-alone")]


def test_an_export_of_before_parents_is_read_as_it_was() -> None:
    [row] = read_rows(export(GOOD, columns=REQUIRED))
    assert isinstance(row, SignalRow)
    assert (row.draft.parents, row.draft.shielded) == ((), False)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22 10:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),  # Amsterdam, winter
        ("2026-07-22T10:00", datetime(2026, 7, 22, 8, tzinfo=UTC)),  # and summer
        ("2026-10-25T02:30+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T03:00", datetime(2026, 10, 25, 2, tzinfo=UTC)),
    ],
)
def test_a_moment_without_an_offset_is_amsterdams(text: str, moment: datetime) -> None:
    row = read_one(made_at=text)
    assert isinstance(row, SignalRow)
    assert row.draft.made_at == moment


FAULTY = [
    ("bsn", "", "missing"),
    ("bsn", "9999000", "bsn-form"),
    ("bsn", "9999.00.006", "bsn-form"),
    ("bsn", "٩٩٩٩٠٠٠٠٦", "bsn-form"),
    ("bsn", "999900007", "bsn-eleven-test"),
    ("bsn", "000000000", "bsn-eleven-test"),
    ("birth_date", "", "missing"),
    ("birth_date", "05-05-2012", "date-form"),
    ("birth_date", "2012-02-30", "date-form"),
    ("birth_date", "2003-11-22", "not-under-23"),
    ("birth_date", "2026-11-23", "not-born-yet"),
    ("residence_municipality", "", "missing"),
    ("residence_municipality", "971", "municipality-form"),
    ("residence_municipality", "Stein", "municipality-form"),
    ("reporter", "", "missing"),
    ("reporter", "Anna", "reporter-form"),
    ("reporter", "{" + REPORTER + "}", "reporter-form"),
    ("made_at", "", "missing"),
    ("made_at", "2026-11-22", "moment-form"),
    ("made_at", "22-11-2026 10:00", "moment-form"),
    ("made_at", "2026-11-22T25:00", "moment-form"),
    ("made_at", "2026-11-22T10:00+25:00", "moment-form"),
    ("made_at", "0001-01-01T00:00+14:00", "moment-form"),
    ("made_at", "2026-10-25T02:30", "moment-unclear"),  # it was twice half past two
    ("made_at", "2026-03-29T02:30", "moment-unclear"),  # and never
    ("informed_on", "", "missing"),
    ("informed_on", "20 november", "date-form"),
    ("informed_to", "", "missing"),
    ("informed_to", "mother", "informed-to"),
    ("reasonable_suspicion", "", "missing"),
    ("reasonable_suspicion", "no", "suspicion-not-confirmed"),
    ("reasonable_suspicion", "True", "suspicion-not-confirmed"),
    ("parent1_bsn", "9999.00.018", "bsn-form"),
    ("parent2_bsn", "999900007", "bsn-eleven-test"),
    ("parent1_bsn", "999900006", "parent-is-youngster"),
    ("shielded", "true", "shielded"),
    ("age_group", "13", "age-group"),
    ("age_group", "from_16", "age-group-unfit"),
    ("case_reference", "Z 7", "case-reference-form"),
    ("case_reference", "Z" * 37, "case-reference-form"),
    ("case_reference", "Zaak-999900006", "case-reference-hides-bsn"),
]


@pytest.mark.parametrize(("column", "text", "code"), FAULTY)
def test_a_fault_is_named_by_column_and_code(column: str, text: str, code: str) -> None:
    assert codes(read_one(**{column: text})) == [(column, code)]


def test_informing_is_one_of_two_and_whole() -> None:
    nothing = {"informed_on": "", "informed_to": ""}
    postponed = {"postponed_ground": "safety", "review_date": "2026-12-20"}
    assert codes(read_one(**nothing)) == [("informed_on", "informing-missing")]
    assert codes(read_one(**postponed)) == [("informed_on", "informing-both")]
    assert codes(read_one(**nothing, postponed_ground="safety")) == [("review_date", "missing")]
    assert codes(read_one(**nothing, review_date="2026-12-20")) == [("postponed_ground", "missing")]
    assert codes(read_one(**nothing, **{**postponed, "postponed_ground": "holiday"})) == [
        ("postponed_ground", "postponed-ground")
    ]


def test_all_faults_of_a_row_come_at_once() -> None:
    row = read_one(bsn="1", birth_date="1990-01-01", residence_municipality="x", reporter="", informed_to="aunt")
    assert set(codes(row)) == {
        ("bsn", "bsn-form"),
        ("birth_date", "not-under-23"),
        ("residence_municipality", "municipality-form"),
        ("reporter", "missing"),
        ("informed_to", "informed-to"),
    }


def test_a_refused_row_shows_its_case_reference_only_where_that_hides_no_bsn() -> None:
    shown = {
        reference: read_one(bsn="1", case_reference=reference).case_reference  # type: ignore[union-attr]
        for reference in ("Z-2026-0007", "999900006", "a999900006", "9999-00-006", "Jan de Vries")
    }
    assert shown == {
        "Z-2026-0007": "Z-2026-0007",
        "999900006": None,
        "a999900006": None,
        "9999-00-006": None,
        "Jan de Vries": None,
    }


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_both_delimiters_a_bom_and_both_line_ends_are_read(delimiter: str, bom: bytes, end: bytes) -> None:
    content = export(GOOD, GOOD, delimiter=delimiter).read().replace(b"\r\n", end)
    rows = list(read_rows(io.BytesIO(bom + content.rstrip())))  # also without an end of the last line
    assert [type(row) for row in rows] == [SignalRow, SignalRow]
    assert [row.line for row in rows] == [2, 3]


def test_columns_may_stand_in_any_order_and_empty_lines_are_passed_over() -> None:
    content = export(GOOD, columns=tuple(reversed(COLUMNS))).read()
    rows = list(
        read_rows(
            io.BytesIO(content + b"\r\n;;;\r\n\r\n" + b"," * (len(COLUMNS) - 1) + b"\r\n" + content.splitlines()[1])
        )
    )
    assert [(row.line, type(row)) for row in rows] == [(2, SignalRow), (4, RefusedRow), (7, SignalRow)]
    assert codes(rows[1]) == [("row", "width")]


BROKEN = [
    (b"a,b,c", "width"),
    (b"a\x00b", "nul-byte"),
    ("Zo\u00eb,".encode("latin-1") * 11, "not-utf-8"),
    (b'"' + b"a,b", "quotes"),
    (b'"a"b,c', "quotes"),
    (b"x" * 5000, "line-too-long"),
    (b"x" * 4096, "line-too-long"),
    (b"x" * 1_000_000, "line-too-long"),
]


@pytest.mark.parametrize(("line", "code"), BROKEN)
def test_a_broken_line_is_refused_alone(line: bytes, code: str) -> None:
    good = export(GOOD).read()
    rows = list(read_rows(io.BytesIO(good + line + b"\r\n" + good.splitlines(keepends=True)[1])))
    assert [(row.line, codes(row)) for row in rows] == [(2, []), (3, [("row", code)]), (4, [])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (export(GOOD).read().decode().encode("utf-16"), "UTF-16"),
        (export(GOOD).read().decode().encode("utf-16-le"), "UTF-16"),
        (b"case_reference,\xff", "not UTF-8"),
        (b'case_reference,"bsn', "quotation mark"),
        (b"x" * 100_000, "longer than any list of columns"),
        (",".join((*COLUMNS, "name")).encode(), f"in place {len(COLUMNS) + 1}"),
        (",".join((*COLUMNS, "bsn")).encode(), "twice are bsn"),
        (",".join(COLUMNS[1:]).encode(), "missing are case_reference"),
        (",".join(COLUMNS).upper().encode(), "missing are"),
        (",".join(GOOD.values()).encode(), "missing are"),  # no first line: a BSN stands there
    ],
)
def test_a_file_of_another_form_is_refused_with_what_to_do(content: bytes, says: str) -> None:
    with pytest.raises(FileRefused, match=says) as caught:
        list(read_rows(io.BytesIO(content)))
    assert "9999" not in str(caught.value)
    assert "2012" not in str(caught.value)


def test_a_file_of_nothing_but_its_first_line_has_no_rows() -> None:
    assert list(read_rows(export())) == []


def test_a_file_of_any_size_takes_little_memory() -> None:
    """A line of 52 MB and five thousand rows; reading line by line without a limit took the line's size."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            [first, row] = export(GOOD).read().splitlines(keepends=True)
            self.parts: Iterator[bytes] = iter([first, *[b"x" * 65536] * 800, b"\n", *[row] * 5_000])

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            part = next(self.parts, b"")
            memoryview(buffer)[: len(part)] = part  # type: ignore[arg-type]
            return len(part)

    file = io.BufferedReader(Endless(), buffer_size=65536)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 5_001
    assert peak < 2_000_000


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_whatever_bytes_come_they_are_rows_or_refused(lines: list[bytes]) -> None:
    content = export(GOOD).read() + b"\n".join(lines)
    for row in read_rows(io.BytesIO(content)):
        assert isinstance(row, SignalRow) or row.faults


@given(st.fixed_dictionaries({column: st.text(max_size=20) for column in COLUMNS}))
def test_whatever_texts_stand_in_a_row_none_is_told(cells: dict[str, str]) -> None:
    cells = {**cells, "bsn": "999900006", "birth_date": "1904-02-29"}
    for row in read_rows(export(cells)):
        assert isinstance(row, RefusedRow)
        assert "999900006" not in repr(row)
        assert "1904" not in repr(row)


def test_every_code_that_is_used_has_its_advice() -> None:
    for column, text, code in FAULTY:
        assert ADVICE[code], (column, text)
    assert all(advice.endswith(".") and len(advice) < 120 for advice in ADVICE.values())
