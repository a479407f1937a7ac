# SPDX-License-Identifier: EUPL-1.2
"""The VOPRF against the numbers of RFC 9497, appendix A.1, and by its properties.

What the RFC has and we leave out, DeriveKeyPair and the last hash of Finalize, is added here.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verwijsindex.keyfiles import KeyFileError, write_secret
from verwijsindex.pseudonyms import ristretto, voprf
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.proof import CONTEXT
from verwijsindex.pseudonyms.voprf import Evaluator, PointError, ProofError

RFC: dict[str, Any] = json.loads(Path(__file__).with_name("rfc9497.json").read_text())
ORDER = 2**252 + 27742317777372353535851937790883648493
OPRF_CONTEXT = CONTEXT.replace(b"\x01", b"\x00")


def derive_key(context: bytes) -> bytes:
    """DeriveKeyPair (section 3.2.1) of the appendix's seed; its counter stays zero."""
    seed, info = bytes.fromhex(RFC["seed"]), bytes.fromhex(RFC["keyInfo"])
    message = seed + len(info).to_bytes(2, "big") + info + b"\x00"
    return ristretto.check_secret(ristretto.hash_to_scalar(message, b"DeriveKeyPair" + context))


def output(message: bytes, n: bytes) -> str:
    """The last hash of Finalize (section 3.3.1), in hex."""
    framed = b"".join(len(part).to_bytes(2, "big") + part for part in (message, n))
    return hashlib.sha512(framed + b"Finalize").hexdigest()


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def hexes(parts: tuple[bytes, ...] | list[bytes]) -> list[str]:
    return [part.hex() for part in parts]


@pytest.mark.parametrize("vector", RFC["oprf"]["vectors"], ids=lambda vector: vector["name"])
def test_the_group_layer_gives_the_numbers_of_appendix_a_1_1(vector: dict[str, list[str]]) -> None:
    """Mode OPRF differs from ours in its context string only, so it pins the layer below."""
    secret = derive_key(OPRF_CONTEXT)
    assert secret.hex() == RFC["oprf"]["secret"]
    [message], [scalar] = unhex(vector["inputs"]), unhex(vector["blinds"])
    blinded = ristretto.multiply(scalar, ristretto.hash_to_group(message, b"HashToGroup-" + OPRF_CONTEXT))
    assert [blinded.hex()] == vector["blindedElements"]
    evaluated = ristretto.multiply(secret, blinded)
    assert [evaluated.hex()] == vector["evaluationElements"]
    assert [output(message, n) for n in voprf.unblind([evaluated], [scalar])] == vector["outputs"]


@pytest.mark.parametrize("vector", RFC["voprf"]["vectors"], ids=lambda vector: vector["name"])
def test_the_voprf_gives_the_numbers_of_appendix_a_1_2(vector: dict[str, Any]) -> None:
    secret = derive_key(CONTEXT)
    assert secret.hex() == RFC["voprf"]["secret"]
    evaluator = Evaluator(secret)
    assert evaluator.public_key.hex() == RFC["voprf"]["publicKey"]
    inputs = unhex(vector["inputs"])
    blinded = voprf.blind(inputs, blinds=unhex(vector["blinds"]))
    assert hexes(blinded.elements) == vector["blindedElements"]
    evaluation = evaluator.evaluate(blinded.elements, r=bytes.fromhex(vector["proofRandomScalar"]))
    assert hexes(evaluation.elements) == vector["evaluationElements"]
    assert evaluation.proof.hex() == vector["proof"]
    voprf.verify(evaluator.public_key, blinded.elements, evaluation.elements, evaluation.proof)
    ns = voprf.unblind(evaluation.elements, blinded.blinds)
    assert [output(*pair) for pair in zip(inputs, ns, strict=True)] == vector["outputs"]


secrets = st.integers(min_value=1, max_value=ORDER - 1).map(lambda number: number.to_bytes(32, "little"))
batches = st.lists(st.binary(max_size=40), min_size=1, max_size=4)


@given(secrets, batches)
def test_the_sender_learns_k_times_the_hash_of_the_input(secret: bytes, inputs: list[bytes]) -> None:
    evaluator = Evaluator(secret)
    blinded = voprf.blind(inputs)
    evaluation = evaluator.evaluate(blinded.elements)
    voprf.verify(evaluator.public_key, blinded.elements, evaluation.elements, evaluation.proof)
    wanted = [ristretto.multiply(secret, voprf.hash_to_group(message)) for message in inputs]
    assert voprf.unblind(evaluation.elements, blinded.blinds) == wanted


@given(secrets, secrets, batches)
def test_a_turn_of_the_key_carries_every_pseudonym_over(k1: bytes, k2: bytes, inputs: list[bytes]) -> None:
    """D = k2 / k1 makes of N what k2 would have made, and of the old public key the new one."""
    d = int.from_bytes(k2, "little") * pow(int.from_bytes(k1, "little"), -1, ORDER) % ORDER
    factor = d.to_bytes(32, "little")
    blinded = voprf.blind(inputs)
    old = voprf.unblind(Evaluator(k1).evaluate(blinded.elements).elements, blinded.blinds)
    new = voprf.unblind(Evaluator(k2).evaluate(blinded.elements).elements, blinded.blinds)
    assert [ristretto.multiply(factor, n) for n in old] == new
    assert ristretto.multiply(factor, Evaluator(k1).public_key) == Evaluator(k2).public_key


def test_one_person_has_another_pseudonym_as_a_parent() -> None:
    bsn = Bsn.parse("999900006")
    assert voprf.voprf_input("youngster", bsn) == b"verwijsindex/1/youngster/999900006"
    assert voprf.voprf_input("parent", Bsn.parse("99990003")) == b"verwijsindex/1/parent/099990003"
    inputs = [voprf.voprf_input("youngster", bsn), voprf.voprf_input("parent", bsn)] * 2
    blinded = voprf.blind(inputs)
    assert len(set(blinded.elements)) == 4, "the service sees no two inputs as the same"
    evaluation = Evaluator(voprf.generate_secret()).evaluate(blinded.elements)
    youngster, parent, youngster_again, parent_again = voprf.unblind(evaluation.elements, blinded.blinds)
    assert youngster == youngster_again != parent == parent_again


class Batch:
    """Three inputs, evaluated, as the sender has them before it verifies."""

    def __init__(self) -> None:
        self.evaluator = Evaluator(voprf.generate_secret())
        self.blinded = list(voprf.blind([b"one", b"two", b"three"]).elements)
        evaluation = self.evaluator.evaluate(self.blinded)
        self.evaluated, self.proof = list(evaluation.elements), evaluation.proof

    def verify(self) -> None:
        voprf.verify(self.evaluator.public_key, self.blinded, self.evaluated, self.proof)


@settings(max_examples=300)
@given(st.integers(min_value=0, max_value=64 * 8 - 1))
def test_a_changed_proof_is_refused(bit: int) -> None:
    batch = Batch()
    changed = bytearray(batch.proof)
    changed[bit // 8] ^= 1 << bit % 8
    batch.proof = bytes(changed)
    with pytest.raises(ProofError):
        batch.verify()


def test_the_same_proof_with_the_order_added_is_refused() -> None:
    """A scalar has one form only; libsodium's multiplication itself would take the other one too."""
    batch = Batch()
    for half in (slice(0, 32), slice(32, 64)):
        other = (int.from_bytes(batch.proof[half], "little") + ORDER).to_bytes(32, "little")
        proof = bytearray(batch.proof)
        proof[half] = other
        with pytest.raises(ProofError):
            voprf.verify(batch.evaluator.public_key, batch.blinded, batch.evaluated, bytes(proof))


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_changed_element_is_refused(at: int) -> None:
    batch = Batch()
    batch.evaluated[at] = ristretto.add(batch.evaluated[at], batch.blinded[at])
    with pytest.raises(ProofError):
        batch.verify()


def test_swapped_elements_are_refused() -> None:
    """With all the weights of the composites equal, the first two swapped went through."""
    for change in ("evaluated", "blinded"):
        batch = Batch()
        elements = getattr(batch, change)
        elements[0], elements[1] = elements[1], elements[0]
        with pytest.raises(ProofError):
            batch.verify()


def test_another_key_is_refused() -> None:
    """The mark a service could set: one sender's batch answered with a key of its own."""
    batch = Batch()
    other = Evaluator(voprf.generate_secret())
    with pytest.raises(ProofError):
        voprf.verify(other.public_key, batch.blinded, batch.evaluated, batch.proof)
    evaluation = other.evaluate(batch.blinded)
    with pytest.raises(ProofError):
        voprf.verify(batch.evaluator.public_key, batch.blinded, evaluation.elements, evaluation.proof)


def test_a_batch_that_does_not_fit_is_refused() -> None:
    batch = Batch()
    key = batch.evaluator.public_key
    for blinded, evaluated, proof in (
        (batch.blinded[:2], batch.evaluated, batch.proof),
        (batch.blinded, batch.evaluated[:2], batch.proof),
        (batch.blinded[:2], batch.evaluated[:2], batch.proof),
        ([], [], batch.proof),
        (batch.blinded, batch.evaluated, batch.proof[:63]),
        (batch.blinded, batch.evaluated, batch.proof + b"\x00"),
        (batch.blinded, batch.evaluated, b""),
        (batch.blinded, batch.evaluated, bytes(64)),
    ):
        with pytest.raises(ProofError):
            voprf.verify(key, blinded, evaluated, proof)


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32, b"\x01" + bytes(31), bytes(31), b""])
def test_what_is_no_element_is_refused_on_both_sides(bad: bytes) -> None:
    batch = Batch()
    with pytest.raises(PointError):
        batch.evaluator.evaluate([batch.blinded[0], bad])
    with pytest.raises(PointError):
        voprf.unblind([bad], [voprf.generate_secret()])
    with pytest.raises(PointError):
        voprf.verify(bad, batch.blinded, batch.evaluated, batch.proof)
    for elements in (batch.blinded, batch.evaluated):
        kept, elements[1] = elements[1], bad
        with pytest.raises(PointError):
            batch.verify()
        elements[1] = kept
    batch.verify()


def test_a_batch_has_a_size() -> None:
    evaluator = Evaluator(voprf.generate_secret())
    element = voprf.blind([b"one"]).elements[0]
    assert len(evaluator.evaluate([element] * voprf.MAX_BATCH).elements) == 100
    for size in (0, voprf.MAX_BATCH + 1):
        with pytest.raises(ValueError, match="from 1 to 100"):
            evaluator.evaluate([element] * size)
        with pytest.raises(ValueError, match="from 1 to 100"):
            voprf.blind([b"one"] * size)


@pytest.mark.parametrize("bad", [bytes(32), ORDER.to_bytes(32, "little"), b"\xff" * 32, bytes(31), b""])
def test_a_secret_is_a_scalar_that_is_not_zero(bad: bytes, tmp_path: Path) -> None:
    for use in (Evaluator, lambda scalar: voprf.blind([b"one"], blinds=[scalar])):
        with pytest.raises(ValueError, match="scalar"):
            use(bad)
    if len(bad) == 32:
        write_secret(tmp_path / "pseudonym-1.key", bad)
        with pytest.raises(KeyFileError, match=r"pseudonym-1\.key holds no scalar"):
            voprf.load_evaluators(tmp_path)


def test_the_service_loads_every_version(tmp_path: Path) -> None:
    secrets = {version: voprf.generate_secret() for version in (1, 2)}
    for version, secret in secrets.items():
        write_secret(tmp_path / f"pseudonym-{version}.key", secret)
    loaded = voprf.load_evaluators(tmp_path)
    wanted = {version: Evaluator(secret).public_key for version, secret in secrets.items()}
    assert {version: evaluator.public_key for version, evaluator in loaded.items()} == wanted


def test_nothing_shows_a_secret() -> None:
    secret = voprf.generate_secret()
    assert repr(Evaluator(secret)) == "Evaluator(hidden)"
    blinded = voprf.blind([b"one"], blinds=[secret])
    assert "blinds" not in repr(blinded)
    assert repr(secret) not in repr(blinded)
