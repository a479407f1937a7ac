# SPDX-License-Identifier: EUPL-1.2
"""Reading the tree: checkpoints, the hashes of its subtrees, and the root at any size, each from a few kept nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.ledger.tree import Range, inclusion_ranges, joined, nodes_of

_NEWEST = text("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
_SIZE = text("SELECT coalesce(max(size), 0) FROM checkpoint")
# Rows that are never changed: what one statement reads another cannot contradict.
_HASHES = text(
    "SELECT w.level, w.number, coalesce(l.hash, n.hash) AS hash"
    " FROM unnest(CAST(:levels AS smallint[]), CAST(:numbers AS bigint[])) AS w (level, number)"
    " LEFT JOIN leaf l ON w.level = 0 AND l.place = w.number"
    " LEFT JOIN tree_node n ON n.level = w.level AND n.number = w.number"
)
# Bounded by the function to the institution of the scope.
_OWN = text("SELECT place, body, nonce FROM own_sealed_events(:signal, :size)")


@dataclass(frozen=True, slots=True)
class ProvedEvent:
    """An event, and what proves that it is in the ledger."""

    place: int
    event: bytes
    nonce: bytes
    proof: list[bytes]


def newest_checkpoint(connection: Connection) -> str | None:
    """The newest signed note; None where nothing was sealed yet."""
    note: str | None = connection.execute(_NEWEST).scalar_one_or_none()
    return note


def size_of_newest(connection: Connection) -> int:
    """How many events the newest checkpoint covers."""
    return int(connection.execute(_SIZE).scalar_one())


def hashes(connection: Connection, ranges: Sequence[Range]) -> list[bytes]:
    """The hash of each of these subtrees, such as a proof names them (`tree.inclusion_ranges`)."""
    nodes = [nodes_of(one) for one in ranges]
    wanted = sorted({node for made_of in nodes for node in made_of})
    parameters = {"levels": [level for level, _ in wanted], "numbers": [number for _, number in wanted]}
    found = {(row.level, row.number): bytes(row.hash) for row in connection.execute(_HASHES, parameters)}
    return [joined([found[node] for node in made_of]) for made_of in nodes]


def root(connection: Connection, size: int) -> bytes:
    """The root of the tree of the first `size` events."""
    return hashes(connection, [(0, size)])[0]


def own_events(connection: Connection, signal_id: UUID, size: int) -> list[ProvedEvent]:
    """What the institution of the scope did with a signal, as far as the tree of `size` holds it: a hundred at most."""
    rows = connection.execute(_OWN, {"signal": signal_id, "size": size}).all()
    paths = [inclusion_ranges(row.place, size) for row in rows]
    found = iter(hashes(connection, [one for path in paths for one in path]))
    return [
        ProvedEvent(row.place, bytes(row.body), bytes(row.nonce), [next(found) for _ in path])
        for row, path in zip(rows, paths, strict=True)
    ]
