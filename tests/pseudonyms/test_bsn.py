# SPDX-License-Identifier: EUPL-1.2
"""The 11-test at the sender (R7) and in a case reference (R6)."""

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verwijsindex.pseudonyms.bsn import Bsn, BsnError, hides_bsn


def passes(digits: str) -> bool:
    """The 11-test written out: 9, 8, .. 2 and -1 times the digits, a multiple of eleven, not all zeros."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    padded = digits.zfill(9)
    return sum(w * int(d) for w, d in zip(weights, padded, strict=True)) % 11 == 0 and int(padded) > 0


@given(st.from_regex(r"9999[0-9]{5}", fullmatch=True) | st.from_regex(r"0?9999[0-9]{4}", fullmatch=True))
def test_exactly_what_passes_the_eleven_test_is_a_bsn(text: str) -> None:
    if passes(text):
        assert Bsn.parse(f" {text}\n").digits == text.zfill(9).encode()
    else:
        with pytest.raises(BsnError, match="11-test"):
            Bsn.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "eight or nine digits"),
        ("9999", "eight or nine digits"),
        ("9999.00.006", "eight or nine digits"),
        ("9999000067", "eight or nine digits"),
        ("999900006x", "eight or nine digits"),
        ("٩٩٩٩٠٠٠٠٦", "eight or nine digits"),
        ("999900007", "11-test"),
        ("000000000", "all zeros"),
        ("00000000", "all zeros"),
    ],
)
def test_a_refusal_says_which_check_failed_and_not_what_was_given(text: str, says: str) -> None:
    with pytest.raises(BsnError, match=says) as caught:
        Bsn.parse(text)
    shown = str(caught.value) + repr(caught.value) + repr(caught.value.__context__)
    assert not any(character.isdigit() for character in shown.replace("11-test", ""))


def test_nothing_shows_the_digits() -> None:
    bsn = Bsn.parse("999900006")
    for shown in (repr(bsn), str(bsn), f"{bsn}", f"{[bsn]}", "%s" % bsn):  # noqa: UP031
        assert "9999" not in shown
    assert "9999" not in "".join(traceback.format_exception(RuntimeError(bsn)))


def test_a_bsn_is_a_value() -> None:
    assert Bsn.parse("999900006") == Bsn.parse(" 999900006 ")
    assert len({Bsn.parse("999900006"), Bsn.parse("999900006"), Bsn.parse("999900018")}) == 2
    assert pickle.loads(pickle.dumps(Bsn.parse("999900006"))).digits == b"999900006"  # noqa: S301
    with pytest.raises(BsnError):
        Bsn(b"999900007")


@pytest.mark.parametrize(
    ("text", "hides"),
    [
        ("999900006", True),
        ("ABC-999900006-x", True),
        ("A999900006B", True),
        ("12-999900006", True),
        ("99990003", True),
        ("999900007", False),
        ("9999000061", False),  # ten digits are no BSN, and its parts are not looked at
        ("1999900006", False),
        ("000000000", False),
        ("00000000", False),
        ("9999-00006", False),
        ("2026-4711", False),
        ("", False),
    ],
)
def test_a_whole_run_of_digits_that_passes_hides_a_bsn(text: str, hides: bool) -> None:
    assert hides_bsn(text) is hides
