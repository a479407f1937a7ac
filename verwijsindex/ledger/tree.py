# SPDX-License-Identifier: EUPL-1.2
"""The Merkle tree of the ledger (RFC 9162, section 2.1, with SHA-256): hashes, what a proof needs, and verifying it.

Without a database: sealer, API, client and offline verifier use the same few functions. A hash is 32 bytes. Places are
counted from 0; a subtree is the half-open range of places below it. A complete subtree of 2^level leaves that begins
at number * 2^level never changes once it is full, and is kept as (level, number).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
Range = tuple[int, int]
"""First place and the one after the last."""
Node = tuple[int, int]
"""Level and number of a complete subtree; a leaf has level 0."""


def leaf_hash(nonce: bytes, event: bytes) -> bytes:
    """The leaf of an event: H(0x00 || nonce || canonical bytes). The nonce hides an event from who guesses at it."""
    return sha256(b"\x00" + nonce + event).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node above two others."""
    return sha256(b"\x01" + left + right).digest()


def nodes_of(subtree: Range) -> list[Node]:
    """The complete subtrees that a subtree of a proof, or the whole tree (0, size), is made of, from left to right."""
    start, end = subtree
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def joined(hashes: Sequence[bytes]) -> bytes:
    """The hash of a subtree from those of `nodes_of`; of none the root of the empty tree."""
    if not hashes:
        return sha256().digest()
    *others, root = hashes
    for left in reversed(others):
        root = node_hash(left, root)
    return root


def inclusion_ranges(place: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that a leaf is at `place` in the tree of `size` (PATH, section 2.1.3.1)."""
    if not 0 <= place < size:
        raise ValueError("no such place")
    return _ranges(0, size, lambda split: place < split, lambda start, end: end - start == 1)


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The subtrees whose hashes prove that the tree of `old` is the beginning of that of `new` (PROOF, 2.1.4.1)."""
    if not 0 < old <= new:
        raise ValueError("no such sizes")
    beside = _ranges(0, new, lambda split: old <= split, lambda _, end: end == old)
    # The way down ends at the last complete subtree of the tree of `old`; if that is all of it, the verifier knows it.
    level, number = nodes_of((0, old))[-1]
    return [(number << level, old), *beside] if number and old < new else beside


def _ranges(start: int, end: int, goes_left: Callable[[int], bool], arrived: Callable[[int, int], bool]) -> list[Range]:
    """The subtrees beside the way down, the lowest first."""
    beside: list[Range] = []
    while not arrived(start, end):
        split = start + (1 << ((end - start - 1).bit_length() - 1))
        if goes_left(split):
            beside.append((split, end))
            end = split
        else:
            beside.append((start, split))
            start = split
    return beside[::-1]


def includes(leaf: bytes, place: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` is at `place` in the tree of `size` with that root (section 2.1.3.2)."""
    if not 0 <= place < size:
        return False
    number, last, found = place, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and found == root


def extends(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `new` begins with that of `old` (section 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and (older, newer) == (old_root, new_root)


class Frontier:
    """A tree that is read from its first leaf to its last: its size and root, in memory for a hash of each level."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes: list[bytes] = []

    def push(self, leaf: bytes) -> None:
        """The next leaf."""
        number = self.size
        while number & 1:
            leaf = node_hash(self._hashes.pop(), leaf)
            number >>= 1
        self._hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root of what was read so far."""
        return joined(self._hashes)
