# SPDX-License-Identifier: EUPL-1.2
"""The Merkle tree: the examples of RFC 9162, and every proof of every small tree."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verwijsindex.ledger import tree
from verwijsindex.ledger.tree import Frontier, Range

NONCE = bytes(16)
# Section 2.1.5 names the hashes of a tree of seven leaves d0 to d6: which of them are in each proof.
A, B, C, D, E, F, J = [(n, n + 1) for n in range(7)]
G, H, K, L = (0, 2), (2, 4), (0, 4), (4, 7)
E_TO_F = (4, 6)  # the RFC names it i


def hashes(size: int) -> list[bytes]:
    """The hashes of leaves that are each different."""
    return [tree.leaf_hash(NONCE, str(n).encode()) for n in range(size)]


def root(leaves: list[bytes], over: Range) -> bytes:
    """The root of a subtree by its definition (section 2.1.1), from all its leaves."""
    start, end = over
    if end - start <= 1:
        return leaves[start] if end > start else sha256().digest()
    split = start + (1 << ((end - start - 1).bit_length() - 1))
    return tree.node_hash(root(leaves, (start, split)), root(leaves, (split, end)))


def proof(leaves: list[bytes], ranges: list[Range]) -> list[bytes]:
    """The hashes of these subtrees."""
    return [root(leaves, one) for one in ranges]


def test_the_proofs_of_the_rfcs_example() -> None:
    """RFC 9162, section 2.1.5."""
    assert tree.inclusion_ranges(0, 7) == [B, H, L]
    assert tree.inclusion_ranges(3, 7) == [C, G, L]
    assert tree.inclusion_ranges(4, 7) == [F, J, K]
    assert tree.inclusion_ranges(6, 7) == [E_TO_F, K]
    assert tree.consistency_ranges(3, 7) == [C, D, G, L]
    assert tree.consistency_ranges(4, 7) == [L]
    assert tree.consistency_ranges(6, 7) == [E_TO_F, J, K]


def test_the_roots_of_the_examples_of_certificate_transparency() -> None:
    """The empty tree and leaves of RFC 9162, section 2.1.1, as known from the reference implementation's tests."""
    assert Frontier().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tree.leaf_hash(b"", b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 100])
def test_every_proof_of_every_tree_is_right_and_no_other_is(size: int) -> None:
    leaves = hashes(size)
    whole = root(leaves, (0, size))
    other = tree.leaf_hash(NONCE, b"another")
    for place in range(size):
        good = proof(leaves, tree.inclusion_ranges(place, size))
        assert tree.includes(leaves[place], place, size, whole, good)
        assert not tree.includes(other, place, size, whole, good)
        assert not tree.includes(leaves[place], place, size, other, good)
        assert not tree.includes(leaves[place], place, size, whole, [*good, other])
        assert not good or not tree.includes(leaves[place], place, size, whole, good[:-1])
        assert size == 1 or not tree.includes(leaves[place], (place + 1) % size, size, whole, good)
    for old in range(1, size + 1):
        older = root(leaves, (0, old))
        good = proof(leaves, tree.consistency_ranges(old, size))
        assert tree.extends(old, older, size, whole, good)
        assert not tree.extends(old, other, size, whole, good)
        assert not tree.extends(old, older, size, other, good)
        assert not tree.extends(old, older, size, whole, [*good, other])
        assert not good or not tree.extends(old, older, size, whole, good[:-1])
        assert not good or not tree.extends(old, older, size, whole, [other, *good[1:]])


@given(size=st.integers(0, 200))
def test_the_frontier_and_the_complete_subtrees_give_the_root_of_the_definition(size: int) -> None:
    leaves, frontier = hashes(size), Frontier()
    for leaf in leaves:
        frontier.push(leaf)
    nodes = [root(leaves, (number << level, (number + 1) << level)) for level, number in tree.nodes_of((0, size))]
    assert frontier.size == size
    assert frontier.root() == tree.joined(nodes) == root(leaves, (0, size))


def test_a_proof_at_ten_million_events_has_at_most_25_hashes() -> None:
    sizes = (10_000_000, 9_999_999, 8_388_609, 8_388_608)
    for size in sizes:
        for place in (0, 1, 4_194_303, 4_194_304, 7_777_777, size - 1):
            assert len(tree.inclusion_ranges(place, size)) <= 24
            assert len(tree.consistency_ranges(place + 1, size)) <= 25


def test_what_there_is_none_of() -> None:
    for place, size in ((-1, 1), (1, 1), (0, 0)):
        assert not tree.includes(NONCE, place, size, NONCE, [])
        with pytest.raises(ValueError, match="no such place"):
            tree.inclusion_ranges(place, size)
    for old, new in ((0, 1), (2, 1)):
        assert not tree.extends(old, NONCE, new, NONCE, [])
        with pytest.raises(ValueError, match="no such sizes"):
            tree.consistency_ranges(old, new)
