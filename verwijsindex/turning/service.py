# SPDX-License-Identifier: EUPL-1.2
"""Turning the index key: from one version to the next, row by row, while everything serves (R16, I1, I2).

Where the next version is for pseudonyms of another version of the pseudonym key, each is turned to that as it is sealed
again (decision 0020): that is all there is to a turn of the pseudonym key here.

The steps, each a transaction of its own, so that a turn that was cut goes on where it was: the new version seals
(`activate`); the older ones end, so that nothing new comes under them (`end_older`); what is there is sealed again, a
batch at a time (`reseal`); when nothing is left, the older ones go (`drop_ended`). All run as the database's owner:
no process that serves may change a key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.matching.service import LOCK_WAITED_FOR
from verwijsindex.pseudonyms.pseudonym import Kind
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeys, SealError
from verwijsindex.turning.versions import versions

Table = Literal["youngster", "parent", "signal", "subscription"]
TABLES: tuple[Table, ...] = ("youngster", "parent", "signal", "subscription")
BATCH = 500
FIRST = UUID(int=0)

_SEAL = text("UPDATE index_key_version SET state = 'accepted' WHERE state = 'sealing'")
_ADD = text("INSERT INTO index_key_version (version, state) VALUES (:version, 'sealing')")
_END = text("UPDATE index_key_version SET state = 'ending' WHERE state = 'accepted'")
# Waits for every transaction that has inserted, or may yet insert, by what it saw before; who begins later sees that
# the version ends, since a statement takes its locks before it looks. Who inserts waits behind it: two seconds at most.
_SHORTLY = text("SET LOCAL lock_timeout = '2s'")
_BARRIER = text("LOCK TABLE signal, subscription IN SHARE MODE")
# A death is sealed under each version that intake held; one that was told by the older alone is found no more once its
# youngster is sealed anew.
_DEATHS = text(
    "SELECT id, key, key_version, told_at FROM death d WHERE d.key_version <> :target"
    " AND NOT EXISTS (SELECT FROM death n WHERE n.id = d.id AND n.key_version = :target)"
)
_ADD_DEATH = text(
    "INSERT INTO death (id, key, key_version, told_at) VALUES (:id, :key, :target, :told_at) ON CONFLICT DO NOTHING"
)
_FORGET_OLDER_DEATHS = text("DELETE FROM death WHERE key_version <> :target")
_DROP = text("DELETE FROM index_key_version WHERE state = 'ending' RETURNING version")
# From the one version to the other between two statements of intake: no request is claimed under both. Who claims waits
# behind the lock, and then sees what was committed before it (as with `_BARRIER`).
_NO_CLAIM = text("LOCK TABLE idempotency_record IN SHARE MODE")
_KNOW = text("UPDATE index_key_version SET knows_requests = true WHERE state = 'sealing'")

_OLDER: Mapping[Table, str] = {
    "youngster": "key_version <> :target",
    "parent": "key_version <> :target",
    "signal": "key_version <> :target",
    "subscription": "(key_version <> :target OR previous_key_version <> :target)",
}
_COUNT = {
    table: text(f"SELECT count(*) FROM {table} WHERE {older}")  # noqa: S608 (constants)
    for table, older in _OLDER.items()
}
_NEXT = {
    table: text(f"SELECT id FROM {table} WHERE {older} AND id > :after ORDER BY id LIMIT :size")  # noqa: S608
    for table, older in _OLDER.items()
}
_WAITS = text("SELECT EXISTS (SELECT FROM signal WHERE id = ANY(:ids) AND sealed_pseudonym IS NOT NULL)")
# Each row as it is now: one that was changed since it was chosen is read again after its lock is had.
_ROWS = {
    table: text(f"SELECT * FROM {table} WHERE id = ANY(:ids) AND {older} ORDER BY id FOR NO KEY UPDATE")  # noqa: S608
    for table, older in _OLDER.items()
}
_INTO: Mapping[Table, Mapping[str, str]] = {
    "youngster": {"key": "bytea"},
    "parent": {"key": "bytea"},
    "signal": {
        "sealed_pseudonym": "bytea",
        "parents_sealed": "bytea[]",
        "turns23_on_sealed": "bytea",
        "case_reference_sealed": "bytea",
    },
    "subscription": {"secret_sealed": "bytea", "previous_secret_sealed": "bytea"},
}
_UPDATE = {
    table: text(
        f"UPDATE {table} t SET key_version = :target, {', '.join(f'{name} = i.{name}' for name in names)}"  # noqa: S608
        + (
            ", previous_key_version = CASE WHEN previous_key_version IS NOT NULL THEN :target END"
            * (table == "subscription")
        )
        + f" FROM json_to_recordset(CAST(:rows AS json)) AS i (id uuid, {', '.join(map(' '.join, names.items()))})"
        " WHERE t.id = i.id"
    )
    for table, names in _INTO.items()
}
_AS_SENT = text("SELECT NOT EXISTS (SELECT FROM index_key_version WHERE knows_requests)")
_NEEDED = text(
    "SELECT key_version, max(received_at) AS until FROM"
    " (SELECT key_version, received_at FROM idempotency_record"
    " UNION ALL SELECT CAST(split_part(key, ':', 1) AS int), received_at FROM idempotency_record WHERE key LIKE '%:%'"
    " UNION ALL SELECT key_version, received_at FROM subscription_request"
    " UNION ALL SELECT key_version, received_at FROM act_request) r GROUP BY key_version"
)


class TurnError(Exception):
    """A step that cannot be taken; its text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch did: how many rows were sealed again, how many do not open, and where the next one begins (None:
    there is none)."""

    sealed: int
    unopened: int
    after: UUID | None


def activate(connection: Connection, keys: IndexKeys, version: int, actor: events.Actor, now: datetime) -> None:
    """From now on processes seal with `version`, as soon as each has heard it; they must all hold it already.

    Under the matcher's lock: the matcher that runs next looks for youngsters under all versions. Raises TurnError for
    a version that is not newer than every one in use, KeyMissingError where `keys` lack what the turn needs.
    """
    connection.execute(LOCK_WAITED_FOR)
    used = versions(connection)
    if version <= max(used):
        raise TurnError(f"version {version} is not newer than {max(used)}, which is in use")
    pseudonym_version = keys[version].pseudonym_version
    for one in used:
        if keys[one].pseudonym_version > pseudonym_version:
            raise TurnError(
                f"version {version} is for version {pseudonym_version} of the pseudonym key, and version {one} for a"
                f" newer one: make it anew, in a folder that holds index-{one}.key"
            )
        keys.factors.check(keys[one].pseudonym_version, pseudonym_version)
    connection.execute(_SEAL)
    connection.execute(_ADD, {"version": version})
    says: dict[str, str | int] = {"change": "activated", "version": version, "pseudonymVersion": pseudonym_version}
    events.append(connection, [events.Event(events.INDEX_KEY_CHANGED, now, actor, says=says)])


def end_older(connection: Connection) -> None:
    """Nothing may be sealed any more with another version than the one that seals. Commit, then `barrier`."""
    connection.execute(_END)


def barrier(connection: Connection) -> None:
    """Wait until everything is committed that was sealed before `end_older` was. Raises OperationalError (SQLSTATE
    55P03) when that takes two seconds: try again."""
    connection.execute(_SHORTLY)
    connection.execute(_BARRIER)


def left(connection: Connection, target: int) -> dict[Table, int]:
    """How many rows are still sealed with another version than `target`."""
    return {table: int(connection.execute(_COUNT[table], {"target": target}).scalar_one()) for table in TABLES}


def reseal(
    connection: Connection, keys: Mapping[int, IndexKey], table: Table, target: int, after: UUID, size: int = BATCH
) -> Batch:
    """Seal the next rows after the id `after` again with version `target`, in the transaction of `connection`.

    Youngsters and parents, and signals that wait for the matcher, under its lock: a matcher that had looked for the old
    value would not find it any more, and make a second youngster of one, or leave the signal for ever. A row that does
    not open stays.

    Raises KeyMissingError where `keys` lack the version of a row, or what turns its pseudonym.
    """
    asked: dict[str, Any] = {"target": target, "after": after, "size": size}
    if table == "youngster":
        _seal_deaths(connection, keys, target)
    ids = connection.execute(_NEXT[table], asked).scalars().all()
    if not ids:
        return Batch(0, 0, None)
    if table in {"youngster", "parent"} or (
        table == "signal" and connection.execute(_WAITS, {"ids": ids}).scalar_one()
    ):
        connection.execute(LOCK_WAITED_FOR)
    rows, unopened = [], 0
    for row in connection.execute(_ROWS[table], {"ids": ids, "target": target}):
        try:
            rows.append(_AGAIN[table](keys, row, keys[target]))
        except SealError:
            unopened += 1
    connection.execute(_UPDATE[table], {"rows": as_json(rows), "target": target})
    return Batch(len(rows), unopened, ids[-1])


def _seal_deaths(connection: Connection, keys: Mapping[int, IndexKey], target: int) -> None:
    connection.execute(LOCK_WAITED_FOR)
    for death in connection.execute(_DEATHS, {"target": target}).all():
        key = _again("youngster", keys[death.key_version], death.key, keys[target])
        connection.execute(_ADD_DEATH, {**death._mapping, "key": key, "target": target})


def drop_ended(connection: Connection, actor: events.Actor, now: datetime) -> list[int]:
    """The versions that ended are in use no more, and requests are known by the one that seals. Raises TurnError while
    something is sealed with an older one, and OperationalError as `barrier`.

    Nothing can come under them between the count and the commit: the database refuses signals and subscriptions, and
    youngsters are made under the lock that is held here."""
    connection.execute(LOCK_WAITED_FOR)
    [target] = [version for version, state in versions(connection).items() if state == "sealing"]
    remaining = {table: count for table, count in left(connection, target).items() if count}
    if remaining:
        raise TurnError(f"still sealed with an older version: {remaining}")
    connection.execute(_FORGET_OLDER_DEATHS, {"target": target})
    connection.execute(_SHORTLY)
    connection.execute(_NO_CLAIM)
    dropped = sorted(connection.execute(_DROP).scalars())
    connection.execute(_KNOW)
    says = [{"change": "dropped", "version": version} for version in dropped]
    events.append(connection, [events.Event(events.INDEX_KEY_CHANGED, now, actor, says=one) for one in says])
    return dropped


def needed_for(connection: Connection) -> dict[int, datetime]:
    """For each version, when the newest request came whose repeat is found, or compared, by its key."""
    return {row.key_version: row.until for row in connection.execute(_NEEDED)}


def keeps_keys_as_sent(connection: Connection) -> bool:
    """Whether idempotency keys are stored as they are sent: no turn has ended since a version that did so always."""
    return bool(connection.execute(_AS_SENT).scalar_one())


def _person(kind: Kind, keys: Mapping[int, IndexKey], row: Row[Any], new: IndexKey) -> dict[str, Any]:
    return {"id": row.id, "key": _again(kind, keys[row.key_version], row.key, new)}


def _again(kind: Kind, old: IndexKey, sealed: bytes, new: IndexKey) -> bytes:
    return new.seal_pseudonym(kind, old.open_pseudonym(kind, sealed))


def _signal(keys: Mapping[int, IndexKey], row: Row[Any], new: IndexKey) -> dict[str, Any]:
    old, context = keys[row.key_version], row.id.bytes
    sealed = row.sealed_pseudonym
    return {
        "id": row.id,
        "sealed_pseudonym": sealed and _again("youngster", old, sealed, new),
        "parents_sealed": row.parents_sealed and [_again("parent", old, parent, new) for parent in row.parents_sealed],
        "turns23_on_sealed": row.turns23_on_sealed
        and new.seal("turns-23-on", context, old.open("turns-23-on", context, row.turns23_on_sealed)),
        "case_reference_sealed": row.case_reference_sealed
        and new.seal("case-reference", context, old.open("case-reference", context, row.case_reference_sealed)),
    }


def _subscription(keys: Mapping[int, IndexKey], row: Row[Any], new: IndexKey) -> dict[str, Any]:
    context = row.client_id.encode()

    def again(version: int, sealed: bytes) -> bytes:
        return new.seal("webhook-secret", context, keys[version].open("webhook-secret", context, sealed))

    return {
        "id": row.id,
        "secret_sealed": again(row.key_version, row.secret_sealed),
        "previous_secret_sealed": row.previous_secret_sealed
        and again(row.previous_key_version, row.previous_secret_sealed),
    }


_AGAIN: Mapping[Table, Callable[[Mapping[int, IndexKey], Row[Any], IndexKey], dict[str, Any]]] = {
    "youngster": partial(_person, "youngster"),
    "parent": partial(_person, "parent"),
    "signal": _signal,
    "subscription": _subscription,
}
