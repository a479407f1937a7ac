# SPDX-License-Identifier: EUPL-1.2
"""Both sides of the VOPRF against the package `voprf`, an independent implementation of RFC 9497 in Rust.

It writes an evaluation as the proof of 64 bytes and then the elements, and gives outputs with the last hash.
"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voprf import ristretto as oracle

from verwijsindex.pseudonyms import voprf
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.pseudonym import Kind
from verwijsindex.pseudonyms.voprf import Evaluator

messages = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5)
BSNS = ("999900006", "999900018", "999900031")


def output(message: bytes, n: bytes) -> bytes:
    framed = b"".join(len(part).to_bytes(2, "big") + part for part in (message, n))
    return hashlib.sha512(framed + b"Finalize").digest()


@given(st.binary(min_size=32, max_size=32), messages)
def test_our_sender_with_its_service(seed: bytes, inputs: list[bytes]) -> None:
    service = oracle.Evaluator(seed)
    blinded = voprf.blind(inputs)
    sent = [oracle.BlindedInput.deserialize(element) for element in blinded.elements]
    answer = service.evaluate_batch(sent).serialize()
    proof, evaluated = answer[:64], [answer[at : at + 32] for at in range(64, len(answer), 32)]
    voprf.verify(service.public_key.serialize(), blinded.elements, evaluated, proof)
    ns = voprf.unblind(evaluated, blinded.blinds)
    outputs = [output(*pair) for pair in zip(inputs, ns, strict=True)]
    assert outputs == [service.evaluate_known_input(message) for message in inputs]


@given(messages)
def test_its_sender_with_our_service(inputs: list[bytes]) -> None:
    secret = voprf.generate_secret()
    service = Evaluator(secret)
    senders = [oracle.Client.blind(message) for message in inputs]
    evaluation = service.evaluate([sent.serialize() for _, sent in senders])
    answer = oracle.VerifiableBatchOutput.deserialize(evaluation.proof + b"".join(evaluation.elements))
    key = oracle.PublicKey.deserialize(service.public_key)
    outputs = oracle.Client.finalize_batch([sender for sender, _ in senders], answer, key)
    blinded = voprf.blind(inputs)
    ns = voprf.unblind(service.evaluate(blinded.elements).elements, blinded.blinds)
    assert outputs == [output(*pair) for pair in zip(inputs, ns, strict=True)]


def test_its_sender_refuses_our_service_under_another_key() -> None:
    """The oracle checks the proof: without this, the test above would say nothing of it."""
    sender, sent = oracle.Client.blind(b"one")
    evaluation = Evaluator(voprf.generate_secret()).evaluate([sent.serialize()])
    answer = oracle.VerifiableOutput.deserialize(evaluation.proof + evaluation.elements[0])
    other = oracle.PublicKey.deserialize(Evaluator(voprf.generate_secret()).public_key)
    with pytest.raises(Exception, match=r"(?i)proof|verif"):
        sender.finalize(answer, other)


def test_a_family_in_one_batch_with_its_service() -> None:
    service = oracle.Evaluator(bytes(range(32)))
    kinds: tuple[Kind, ...] = ("youngster", "parent", "parent")
    inputs = [voprf.voprf_input(kind, Bsn.parse(text)) for kind, text in zip(kinds, BSNS, strict=True)]
    blinded = voprf.blind(inputs)
    answer = service.evaluate_batch(
        [oracle.BlindedInput.deserialize(element) for element in blinded.elements]
    ).serialize()
    evaluated = [answer[at : at + 32] for at in range(64, len(answer), 32)]
    voprf.verify(service.public_key.serialize(), blinded.elements, evaluated, answer[:64])
    ns = voprf.unblind(evaluated, blinded.blinds)
    assert [output(*pair) for pair in zip(inputs, ns, strict=True)] == [
        service.evaluate_known_input(message) for message in inputs
    ]
