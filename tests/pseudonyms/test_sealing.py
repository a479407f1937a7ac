# SPDX-License-Identifier: EUPL-1.2
"""Sealing: equal for equal where rows are compared, and nothing opens where it does not belong."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verwijsindex import keyfiles
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.pseudonyms.ristretto import multiply_base
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeys, Purpose, SealError

SECRET = bytes(range(32))
KEY = IndexKey(1, SECRET)
scalars = st.integers(min_value=1, max_value=2**252).map(lambda n: n.to_bytes(32, "little"))
pseudonyms = scalars.map(multiply_base).map(lambda point: Pseudonym(point, 1))
kinds: st.SearchStrategy[Kind] = st.sampled_from(get_args(Kind))
purposes: st.SearchStrategy[Purpose] = st.sampled_from(get_args(Purpose))


@given(kinds, pseudonyms)
def test_a_sealed_pseudonym_is_equal_for_equal_and_opens(kind: Kind, pseudonym: Pseudonym) -> None:
    sealed = KEY.seal_pseudonym(kind, pseudonym)
    assert len(sealed) == 48
    assert sealed == IndexKey(1, SECRET).seal_pseudonym(kind, pseudonym)
    assert pseudonym.value not in sealed
    assert KEY.open_pseudonym(kind, sealed) == pseudonym


@given(pseudonyms, pseudonyms)
def test_another_pseudonym_or_kind_or_key_or_version_gives_other_bytes(one: Pseudonym, two: Pseudonym) -> None:
    sealed = {
        KEY.seal_pseudonym("youngster", one),
        KEY.seal_pseudonym("parent", one),
        IndexKey(2, SECRET).seal_pseudonym("youngster", one),
        IndexKey(1, SECRET[::-1]).seal_pseudonym("youngster", one),
    }
    assert len(sealed) == 4
    assert (KEY.seal_pseudonym("youngster", two) in sealed) is (one == two)


@given(pseudonyms, st.integers(min_value=0, max_value=48 * 8 - 1))
def test_a_sealed_pseudonym_opens_nowhere_else_and_not_when_changed(pseudonym: Pseudonym, bit: int) -> None:
    sealed = KEY.seal_pseudonym("youngster", pseudonym)
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    refused: list[Callable[[], object]] = [
        lambda: KEY.open_pseudonym("parent", sealed),
        lambda: KEY.open_pseudonym("youngster", bytes(changed)),
        lambda: KEY.open_pseudonym("youngster", sealed[:-1]),
        lambda: KEY.open_pseudonym("youngster", b""),
        lambda: IndexKey(2, SECRET).open_pseudonym("youngster", sealed),
        lambda: IndexKey(1, SECRET[::-1]).open_pseudonym("youngster", sealed),
    ]
    for attempt in refused:
        with pytest.raises(SealError):
            attempt()


@given(purposes, st.binary(max_size=40), st.binary(max_size=40))
def test_what_is_sealed_opens_and_looks_different_each_time(purpose: Purpose, context: bytes, plain: bytes) -> None:
    sealed = KEY.seal(purpose, context, plain)
    assert len(sealed) == len(plain) + 28
    assert KEY.open(purpose, context, sealed) == plain
    assert KEY.seal(purpose, context, plain) != sealed


@given(purposes, st.binary(max_size=40), st.integers(min_value=0, max_value=(12 + 5 + 16) * 8 - 1))
def test_what_is_sealed_opens_for_no_other_purpose_row_or_key(purpose: Purpose, context: bytes, bit: int) -> None:
    """With the context left out of the associated data, a value moved to another row opened there."""
    sealed = KEY.seal(purpose, context, b"plain")
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    others = [other for other in get_args(Purpose) if other != purpose]
    refused: list[Callable[[], object]] = [
        lambda: KEY.open(purpose, context + b"x", sealed),
        lambda: KEY.open(others[0], context, sealed),
        lambda: KEY.open(others[1], context, sealed),
        lambda: KEY.open(purpose, context, bytes(changed)),
        lambda: KEY.open(purpose, context, sealed[:20]),
        lambda: KEY.open(purpose, context, b""),
        lambda: IndexKey(2, SECRET).open(purpose, context, sealed),
        lambda: IndexKey(1, SECRET[::-1]).open(purpose, context, sealed),
    ]
    for attempt in refused:
        with pytest.raises(SealError) as caught:
            attempt()
        assert "plain" not in str(caught.value)


def test_fingerprints_are_equal_for_equal_within_one_purpose_and_version() -> None:
    print_ = KEY.fingerprint("body", b"data")
    assert len(print_) == 32
    assert print_ == KEY.fingerprint("body", b"data")
    others = {
        KEY.fingerprint("body", b"datb"),
        KEY.fingerprint("pseudonyms", b"data"),
        IndexKey(2, SECRET).fingerprint("body", b"data"),
        IndexKey(1, SECRET[::-1]).fingerprint("body", b"data"),
    }
    assert len(others | {print_}) == 5


def test_the_highest_version_is_current_and_the_older_ones_stay(tmp_path: Path) -> None:
    for version in (2, 10, 9):
        keyfiles.write_secret(tmp_path / f"index-{version}.key", bytes([version]) * 32)
    keys = IndexKeys.load(tmp_path)
    assert list(keys) == [2, 9, 10]
    assert keys.current is keys[10]
    pseudonym = Pseudonym(multiply_base(SECRET[:31] + b"\x00"), 1)
    sealed = IndexKey(9, bytes([9]) * 32).seal_pseudonym("parent", pseudonym)
    assert keys[9].open_pseudonym("parent", sealed) == pseudonym
    with pytest.raises(KeyError):
        keys[3]


def test_nothing_shows_a_key() -> None:
    assert repr(KEY) == str(KEY) == "IndexKey(version=1)"
    assert repr(IndexKeys({1: SECRET})) == "IndexKeys(versions=[1])"
    with pytest.raises(ValueError, match="32 bytes"):
        IndexKey(1, SECRET[:31])


def test_the_subkeys_never_change() -> None:
    """Rows of years are sealed with them. The bytes were computed once with HKDF and AES-SIV written out."""
    pseudonym = Pseudonym(multiply_base((7).to_bytes(32, "little")), 1)
    assert KEY.seal_pseudonym("youngster", pseudonym).hex() == (
        "0f15fa8ce8242412d4eac5809a3e7ccf7b7900ee3cd09ff095bce21ddb6ff7a6d32e7202bdc67deb73ad1b2499c3535c"
    )
    assert KEY.fingerprint("body", b"data").hex() == (
        "67df63a41c0d4e02a387225b8e156ac79de8d75c780e1b9e09ac076544404c19"
    )
