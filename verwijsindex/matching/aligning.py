# SPDX-License-Identifier: EUPL-1.2
"""While the index key is turned: youngsters and parents are found under every version in use (I2).

Where the pseudonym key turns with it, what is sealed under the one is turned to be looked up under the other, and back.

All of this runs under the matcher's lock. Nobody else makes youngsters or parents, and turning seals them again under
the same lock, so that what is read here is true until the commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.database import as_json
from verwijsindex.pseudonyms.pseudonym import Kind
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeyMissingError

_VERSIONS = text(
    "SELECT version, state = 'sealing' AS seals, set_config('verwijsindex.index_keys', :held, true),"
    " set_config('verwijsindex.matcher', 'circles', true)"
    " FROM index_key_version"
)
_OF_SIGNALS = text(
    "SELECT id, key_version, sealed_pseudonym, parents_sealed FROM signal"
    " WHERE id = ANY(:signals) AND sealed_pseudonym IS NOT NULL"
)
_FOUND = text(
    "SELECT key FROM youngster WHERE key = ANY(:keys) UNION ALL SELECT key FROM parent WHERE key = ANY(:keys)"
)
_ALIGN = text(
    "UPDATE signal s SET sealed_pseudonym = i.youngster, parents_sealed = i.parents"
    " FROM json_to_recordset(CAST(:rows AS json)) AS i (id uuid, youngster bytea, parents bytea[]) WHERE s.id = i.id"
)

# From the work to its signals, whatever PostgreSQL guesses of both: never a look through all signals.
_SEALED = "(SELECT s.sealed_pseudonym FROM signal s WHERE s.id = w.signal_id)"
_ARE_WAITING = text(f"SELECT EXISTS (SELECT FROM work w WHERE w.parked_at IS NULL AND {_SEALED} IS NOT NULL)")  # noqa: S608
_KEYS = text("SELECT key, key_version FROM youngster WHERE id = ANY(:youngsters)")
_WAITING = text(f"SELECT DISTINCT signal_id FROM work w WHERE parked_at IS NULL AND {_SEALED} = ANY(:keys)")  # noqa: S608


def waiting(connection: Connection, keys: Mapping[int, IndexKey], youngsters: Sequence[UUID]) -> list[UUID]:
    """New signals of these youngsters whose work is behind more of it than one batch.

    Who looks at a youngster has to see all that is there: of two signals of one reporter the second goes on with the
    standing of the first, and would begin another if the first had left before it was attached (R9).

    Raises:
        KeyMissingError: as `align`.
    """
    if not connection.execute(_ARE_WAITING).scalar_one():
        return []
    versions = [row.version for row in connection.execute(_VERSIONS, {"held": ",".join(map(str, keys))})]
    sealed: list[bytes] = []
    for row in connection.execute(_KEYS, {"youngsters": list(youngsters)}):
        sealed.append(row.key)
        for version in versions if len(versions) > 1 else ():
            if version not in keys:
                raise IndexKeyMissingError(version)
            pseudonym = keys[row.key_version].open_pseudonym("youngster", row.key)
            sealed.append(keys[version].seal_pseudonym("youngster", pseudonym))
    return list(connection.execute(_WAITING, {"keys": sealed}).scalars())


def align(connection: Connection, keys: Mapping[int, IndexKey], signals: Sequence[UUID]) -> int:
    """Give these new signals the sealed pseudonyms that youngster and parents have, or get; usually they have them.

    Args:
        keys: the versions that this process holds.

    Returns:
        The version under which a new youngster is sealed.

    Raises:
        KeyMissingError: several versions are in use and this process lacks one, or what turns the one into the other;
            another process must do it.
    """
    versions = connection.execute(_VERSIONS, {"held": ",".join(map(str, keys))}).all()
    [sealing] = [row.version for row in versions if row.seals]
    if len(versions) == 1:
        return int(sealing)
    for row in versions:
        if row.version not in keys:
            raise IndexKeyMissingError(row.version)
    candidates: dict[UUID, list[dict[int, bytes]]] = {}
    for row in connection.execute(_OF_SIGNALS, {"signals": list(signals)}):
        old = keys[row.key_version]
        people: list[tuple[Kind, bytes]] = [("youngster", row.sealed_pseudonym)]
        people += [("parent", sealed) for sealed in row.parents_sealed or ()]
        opened = [(kind, old.open_pseudonym(kind, sealed)) for kind, sealed in people]
        candidates[row.id] = [
            {one.version: keys[one.version].seal_pseudonym(kind, pseudonym) for one in versions}
            for kind, pseudonym in opened
        ]
    every = [key for people in candidates.values() for sealed in people for key in sealed.values()]
    found = set(connection.execute(_FOUND, {"keys": every}).scalars())
    rows: list[dict[str, Any]] = []
    for signal, persons in candidates.items():
        youngster, *parents = [
            next((key for key in sealed.values() if key in found), sealed[sealing]) for sealed in persons
        ]
        rows.append({"id": signal, "youngster": youngster, "parents": parents or None})
    connection.execute(_ALIGN, {"rows": as_json(rows)})
    return int(sealing)
