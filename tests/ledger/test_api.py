# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints and proofs over HTTP: enough to check a ledger with nothing but these answers (docs/ledger.md)."""

import json
from uuid import UUID, uuid4

import pytest
from ledger.ledgers import SIGNER
from ledger.told import new_events
from signals.evidence import places, slug
from support import CLINIC, POLICE, SCHOOL, Index

from verwijsindex.ledger.base64 import decode
from verwijsindex.ledger.checkpoint import Checkpoint
from verwijsindex.ledger.sealing import seal
from verwijsindex.ledger.tree import extends, includes, leaf_hash


def sealed(index: Index) -> Checkpoint:
    """Seal what waits; the newest checkpoint as anybody gets it, without a token."""
    seal(index.database.engine("worker"), index.clock(), SIGNER)
    return Checkpoint.open(index.get("/checkpoints/newest", {}).json["checkpoint"], [SIGNER.key])


def own_events(index: Index, signal: UUID, size: int, oin: str = SCHOOL) -> list[dict[str, str]]:
    answer = index.get(f"/ledger-events?signalId={signal}&size={size}", index.machine(oin))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json["items"]
    return found


def test_before_anything_is_sealed_there_is_no_checkpoint(index: Index) -> None:
    assert slug(index.get("/checkpoints/newest", {})) == "not-found"
    assert places(index.get("/consistency-proofs?from=1&to=1", {})) == {"to"}


def test_anybody_can_prove_that_the_ledger_only_grew(index: Index) -> None:
    """Between each two checkpoints; and no proof fits another root."""
    kept = [sealed(index)]
    for youngster in range(5):
        index.place(youngster)
        kept.append(sealed(index))
    for old in kept:
        for new in kept[kept.index(old) :]:
            answer = index.get(f"/consistency-proofs?from={old.size}&to={new.size}", {})
            proof = [decode(one) for one in answer.json["proof"]]
            assert extends(old.size, old.root, new.size, new.root, proof)
            assert old == new or not extends(old.size, new.root, new.size, new.root, proof)


def test_an_institution_proves_what_it_did_and_sees_nothing_of_others(index: Index) -> None:
    """Its own acts on a signal; of the matcher's, of another institution and of another's signal nothing (I8). Seen
    failing when `own_sealed_events` did not look at the institution."""
    signal, others = index.place(0, SCHOOL), index.place(0, CLINIC)
    index.match()
    index.get(f"/signals/{signal}", index.reader())
    checkpoint = sealed(index)
    [registered, read] = own_events(index, signal, checkpoint.size)
    for item, kind in ((registered, "signal.registered"), (read, "signal.read")):
        event, nonce, proof = decode(item["event"]), decode(item["nonce"]), [decode(one) for one in item["proof"]]
        assert (json.loads(event)["kind"], json.loads(event)["signalId"]) == (kind, str(signal))
        leaf = leaf_hash(nonce, event)
        assert includes(leaf, int(item["place"]), checkpoint.size, checkpoint.root, proof)
        assert not includes(leaf, int(item["place"]) - 1, checkpoint.size, checkpoint.root, proof)
    assert own_events(index, others, checkpoint.size) == own_events(index, uuid4(), checkpoint.size) == []
    assert own_events(index, signal, checkpoint.size, POLICE) == []
    assert own_events(index, signal, int(registered["place"])) == []


def test_reading_the_ledger_is_in_the_ledger(index: Index) -> None:
    signal = index.place()
    size = sealed(index).size
    path = f"/ledger-events?signalId={signal}&size={size}"
    _, [event] = new_events(index, lambda: index.get(path, index.machine()))
    assert (event["kind"], event["signalId"], event["count"]) == ("own_events.read", str(signal), 1)
    for open_to_all in ("/checkpoints/newest", f"/consistency-proofs?from=1&to={size}"):
        assert new_events(index, lambda path=open_to_all: index.get(path, {}))[1] == []  # type: ignore[misc]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("", {"from", "to"}),
        ("?from=0&to=1", {"from"}),
        ("?from=1&to=99999", {"to"}),
        ("?from=2&to=1", {"from"}),
        ("?from=1&to=x", {"to"}),
        ("?from=1&to=" + "9" * 30, {"to"}),
        ("?from=1&to=1&more=1", {""}),
    ],
)
def test_sizes_that_no_checkpoint_has_are_refused(index: Index, query: str, wrong: set[str]) -> None:
    sealed(index)
    assert places(index.get(f"/consistency-proofs{query}", {})) == wrong
