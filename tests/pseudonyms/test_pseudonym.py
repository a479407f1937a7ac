# SPDX-License-Identifier: EUPL-1.2
"""A pseudonym is one encoding of one element, never the identity, and shows itself to nobody (I5)."""

import traceback

import pytest

from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.ristretto import PointError, multiply_base

VALUE = multiply_base((7).to_bytes(32, "little"))


def test_a_pseudonym_comes_back_from_its_text() -> None:
    text = encode_base64url(VALUE)
    assert len(text) == 43
    assert Pseudonym.parse(text, 1).value == VALUE
    assert Pseudonym.parse(text, 1).to_text() == text
    assert len({Pseudonym.parse(text, 1), Pseudonym(VALUE, 1)}) == 1


@pytest.mark.parametrize(
    "value",
    [
        bytes(32),  # the identity, which libsodium takes for valid
        b"\x01" + bytes(31),  # negative
        b"\xff" * 32,  # not below the field's prime
        b"\xed" + b"\xff" * 30 + b"\x7f",  # the prime itself: a second form of the identity
        VALUE[:31] + bytes([VALUE[31] | 0x80]),  # a second form of VALUE, which libsodium takes too
        VALUE[:31],
        VALUE + b"\x00",
        b"",
        b"999900006",  # a BSN where a pseudonym belongs
    ],
)
def test_what_is_no_element_is_refused(value: bytes) -> None:
    """With libsodium's own check alone, the identity and the second form of VALUE were accepted."""
    with pytest.raises(PointError):
        Pseudonym(value, 1)
    text = encode_base64url(value)
    with pytest.raises(PointError) as caught:
        Pseudonym.parse(text, 1)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", [encode_base64url(VALUE) + "=", "999900006", "a b", "é", " " * 43])
def test_another_text_form_is_refused_without_an_echo(text: str) -> None:
    with pytest.raises(PointError) as caught:
        Pseudonym.parse(text, 1)
    assert text not in "".join(traceback.format_exception(caught.value))


def test_nothing_shows_the_bytes() -> None:
    pseudonym = Pseudonym(VALUE, 1)
    for shown in (repr(pseudonym), str(pseudonym), f"{pseudonym}", f"{[pseudonym]}"):
        assert shown.strip("[]") == "Pseudonym(hidden)"
