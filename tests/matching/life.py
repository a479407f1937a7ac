# SPDX-License-Identifier: EUPL-1.2
"""What happens to a signal or a reporter, set straight in the database: for tests of what is seen of it afterwards."""

from datetime import timedelta

import sqlalchemy as sa
from support import Index


def _set(index: Index, statement: str, **values: object) -> None:
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(statement), values)


def end(index: Index, signal: object, reason: str = "risk_gone") -> None:
    """It ends now, and the matcher has not seen it yet."""
    _set(index, "UPDATE signal SET ended_at = :now, end_reason = :why WHERE id = :id", **_at(index, signal), why=reason)
    _look_at(index, signal)


def restrict(index: Index, signal: object, *, lift: bool = False) -> None:
    """It is restricted, or that is lifted (R30); the matcher has not seen it yet."""
    at = None if lift else index.clock()
    _set(index, "UPDATE signal SET restricted_at = CAST(:at AS timestamptz) WHERE id = :id", id=signal, at=at)
    _look_at(index, signal)


def shield(index: Index, signal: object) -> None:
    """It was sent shielded (R36)."""
    _set(index, "UPDATE signal SET shielded = true WHERE id = :id", id=signal)


def give_parents(index: Index, signal: object, *parents: int) -> None:
    """It was sent with these parents (R10), and is not attached yet."""
    keys = [b"parent %d" % parent for parent in parents]
    _set(index, "UPDATE signal SET parents_sealed = CAST(:keys AS bytea[]) WHERE id = :id", id=signal, keys=keys)


def leave(index: Index, reporter: object) -> None:
    """The reporter's last day was yesterday (R34)."""
    _set(
        index,
        "UPDATE reporter SET designated_from = CAST(:day AS date) - 9, designated_until = CAST(:day AS date) - 1"
        " WHERE id = :id",
        id=reporter,
        day=index.clock().date(),
    )


def die(index: Index, signal: object, seconds_ago: int = 0) -> None:
    """The death of the youngster of an attached signal is told (R14); the matcher has not seen it yet."""
    _set(
        index,
        "INSERT INTO death (id, key, key_version, told_at) SELECT gen_random_uuid(), y.key, y.key_version, :now"
        " FROM signal s JOIN youngster y ON y.id = s.youngster_id WHERE s.id = :id",
        id=signal,
        now=index.clock() - timedelta(seconds=seconds_ago),
    )


def _at(index: Index, signal: object) -> dict[str, object]:
    return {"id": signal, "now": index.clock()}


def _look_at(index: Index, signal: object) -> None:
    _set(index, "INSERT INTO work (signal_id) VALUES (:id)", id=signal)
