# SPDX-License-Identifier: EUPL-1.2
"""The one step from a request to typed parts: what it takes for a day or a moment, and what its faults say (I5)."""

from datetime import UTC, date, datetime
from typing import Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from verwijsindex.parsing import Day, Strict, UtcMoment, faults_of

CANARY = "Kanarie7f3a"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00.5Z", datetime(2026, 11, 22, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2028-02-29T23:59:59.999999Z", datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_moment_is_written_in_utc(text: str, moment: datetime) -> None:
    assert TypeAdapter(UtcMoment).validate_python(text) == moment


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22T10:00:00",
        "2026-11-22T10:00:00+00:00",
        "2026-11-22T10:00:00z",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T24:00:01Z",
        "2026-02-29T10:00:00Z",
        "2026-11-22T10:00:00.1234567Z",
        "0999-11-22T10:00:00Z",
        "3000-01-01T00:00:00Z",
        "2026-11-22T10:00:00Z\n",
        "٢٠٢٦-11-22T10:00:00Z",
        1795341600,
        None,
        True,
    ],
)
def test_nothing_else_is_a_moment(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(UtcMoment).validate_python(value)


@pytest.mark.parametrize(
    "value",
    ["2026-2-1", "20260201", "2026-02-30", "2026-W05-1", "0001-01-01", "9999-12-31", "1-1-2026", 20260201, None],
)
def test_what_is_no_day_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(value)
    assert TypeAdapter(Day).validate_python("2028-02-29") == date(2028, 2, 29)


class Inner(Strict):
    """A part."""

    kind: Literal["inner"]
    number: int = Field(ge=1, le=9)


class Outer(Strict):
    """The whole."""

    part: Inner
    some_name: str = Field(pattern="^[a-z]{1,3}$")
    confirmed: bool
    parts: list[Inner] = Field(default=[], max_length=1)


def _faults(json: str) -> list[tuple[str, str]]:
    try:
        Outer.model_validate_json(json)
    except ValidationError as error:
        found = faults_of(error, "body", Outer)
        assert CANARY not in repr(found)
        return sorted((fault.place, fault.code) for fault in found)
    return []


def test_every_fault_is_found_at_its_place_and_none_repeats_the_input() -> None:
    assert _faults('{"part": {"kind": "inner", "number": 1}, "someName": "a", "confirmed": true}') == []
    wrong = f"""{{"part": {{"kind": "{CANARY}", "number": 10, "{CANARY}": 1, "{CANARY}2": 1}}, "someName": "{CANARY}",
        "confirmed": "{CANARY}", "parts": ["{CANARY}"], "{CANARY}": 1, "some_name": 1}}"""
    assert _faults(wrong) == [
        ("#", "unknown_field"),
        ("#/confirmed", "bool_type"),
        ("#/part", "unknown_field"),
        ("#/part/kind", "literal_error"),
        ("#/part/number", "less_than_equal"),
        ("#/parts/0", "model_type"),
        ("#/someName", "string_pattern_mismatch"),
    ]
    assert _faults("{}") == [("#/confirmed", "missing"), ("#/part", "missing"), ("#/someName", "missing")]
    assert _faults(CANARY) == [("#", "json_invalid")]
    assert _faults(f'"{CANARY}"') == [("#", "model_type")]
