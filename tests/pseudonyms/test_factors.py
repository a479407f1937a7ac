# SPDX-License-Identifier: EUPL-1.2
"""D turns a pseudonym by one version of the key into that by another, and only the right D does (decision 0020)."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import bsn

from verwijsindex.keyfiles import KeyFileError, read_secret
from verwijsindex.pseudonyms.factors import Factor, FactorError, FactorMissingError, Factors
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.pseudonyms.ristretto import invert, multiply_base, multiply_scalars
from verwijsindex.pseudonyms.voprf import Evaluator, blind, unblind, voprf_input

ORDER = 2**252 + 27742317777372353535851937790883648493
secrets = st.integers(1, ORDER - 1).map(lambda n: n.to_bytes(32, "little"))


def factor(old: int, old_secret: bytes, new: int, new_secret: bytes) -> Factor:
    scalar = multiply_scalars(new_secret, invert(old_secret))
    return Factor(old, new, scalar, multiply_base(old_secret), multiply_base(new_secret))


def made(version: int, secret: bytes, number: int = 0, kind: Kind = "youngster") -> Pseudonym:
    """By the whole protocol, with blinds of its own."""
    blinded = blind([voprf_input(kind, bsn(number))])
    evaluation = Evaluator(secret).evaluate(blinded.elements)
    return Pseudonym(unblind(evaluation.elements, blinded.blinds)[0], version)


@given(secrets, secrets, st.integers(0, 50))
def test_d_times_the_old_pseudonym_is_the_new_one_and_back(k1: bytes, k2: bytes, number: int) -> None:
    """D · (k1 · H(x)) = k2 · H(x). Scalars are compared with Python's own numbers, modulo the order."""
    factors = Factors([factor(1, k1, 2, k2)])
    old, new = made(1, k1, number), made(2, k2, number)
    assert factors.turned(old, 2) == new
    assert factors.turned(new, 1) == old
    assert factors.turned(old, 1) is old
    n1, n2 = int.from_bytes(k1, "little"), int.from_bytes(k2, "little")
    assert factors.known[0].scalar == (n2 * pow(n1, -1, ORDER) % ORDER).to_bytes(32, "little")


def test_what_is_turned_twice_is_what_the_last_key_makes() -> None:
    """Along every way, in whatever order the files were read."""
    k = {version: (version * 1001).to_bytes(32, "little") for version in (1, 2, 3, 4, 5)}
    steps = [factor(old, k[old], new, k[new]) for old, new in ((4, 5), (1, 2), (3, 4), (2, 3))]
    factors = Factors(steps)
    for (old, old_secret), (new, new_secret) in product(k.items(), repeat=2):
        assert factors.turned(made(old, old_secret), new) == made(new, new_secret)
    with pytest.raises(FactorMissingError, match=r"version 1 .* version 6"):
        factors.turned(made(1, k[1]), 6)
    with pytest.raises(FactorMissingError):
        Factors(steps[:2]).check(1, 5)


@pytest.mark.parametrize("wrong", [bytes(32), (5).to_bytes(32, "little"), b"\xff" * 32, b""])
def test_another_number_is_no_factor(wrong: bytes) -> None:
    with pytest.raises(FactorError, match="not the factor"):
        Factor(1, 2, wrong, multiply_base((3).to_bytes(32, "little")), multiply_base((21).to_bytes(32, "little")))


def test_a_file_that_was_damaged_turns_nothing(tmp_path: Path) -> None:
    """Seen failing (loaded) without the comparison with the public keys."""
    one = factor(1, (3).to_bytes(32, "little"), 2, (21).to_bytes(32, "little"))
    one.write(tmp_path)
    file = tmp_path / "factor-1-2.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert Factors.load(tmp_path).known == (one,)
    text = file.read_text()
    assert read_secret(file, (96,))[:32] == (7).to_bytes(32, "little")
    file.write_text("C" + text[1:])
    with pytest.raises(KeyFileError, match="damaged"):
        Factors.load(tmp_path)
    file.write_text(text)
    file.rename(tmp_path / "factor-1.key")
    with pytest.raises(KeyFileError, match="not named"):
        Factors.load(tmp_path)


def test_nothing_shows_a_factor() -> None:
    one = factor(1, (3).to_bytes(32, "little"), 2, (21).to_bytes(32, "little"))
    assert repr(one) == str(one) == "Factor(1 to 2)"
    assert repr(Factors([one])) == "Factors([Factor(1 to 2)])"
