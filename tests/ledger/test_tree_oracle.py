# SPDX-License-Identifier: EUPL-1.2
"""Differentially: the same roots and proofs as `pymerkle`, another's implementation of RFC 9162."""

from hypothesis import given
from hypothesis import strategies as st
from ledger.test_tree import proof
from pymerkle import InmemoryTree

from verwijsindex.ledger import tree


@given(size=st.integers(1, 300), data=st.data())
def test_roots_and_proofs_are_those_of_pymerkle(size: int, data: st.DataObject) -> None:
    theirs, ours = InmemoryTree(algorithm="sha256"), tree.Frontier()
    events = [str(n).encode() for n in range(size)]
    leaves = [tree.leaf_hash(b"", event) for event in events]
    for event, leaf in zip(events, leaves, strict=True):
        theirs.append_entry(event)
        ours.push(leaf)
    root = theirs.get_root()
    assert ours.root() == root
    place, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    path = theirs.prove_inclusion(place + 1, size).path[1:]
    assert path == proof(leaves, tree.inclusion_ranges(place, size))
    assert tree.includes(leaves[place], place, size, root, path)
    extension = proof(leaves, tree.consistency_ranges(old, size))
    assert tree.extends(old, theirs.get_root(old), size, root, extension)
