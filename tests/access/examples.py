# SPDX-License-Identifier: EUPL-1.2
"""For each operation one request that is right in everything, and whose the matter in it is: the matrix's material.

A new operation needs an entry here, by its `operationId`. The matter is of the school's first reporter, in Westerveld.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from access.matrix import Caller
from support import CLINIC, SCHOOL, WESTERVELD, Index

Json = dict[str, Any]
Owned = Callable[[Caller], bool]


@dataclass(frozen=True)
class Asked:
    """The parts of a request, besides who asks."""

    path: dict[str, object] = field(default_factory=dict)
    """What stands in the address."""
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    shows: tuple[object, ...] = ()
    """Ids in the answer to the owner, that nobody else gets to see."""


@dataclass(frozen=True)
class Example:
    """A request, and who owns what it is about. `make` gets the world and the reporter whom the caller names."""

    make: Callable[[Index, UUID], Asked]
    owned: Owned = lambda _: True


def fill(index: Index) -> None:
    """The matter: a match of the school's and the clinic's first reporters; and people who left."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    with index.database.superuser.begin() as connection:
        yesterday = "CAST('2026-11-21' AS date)"
        left = index.reporters[SCHOOL][2]
        connection.exec_driver_sql(f"UPDATE reporter SET designated_until = {yesterday} WHERE id = '{left}'")
        for table, of, owner in (("case_supervisor", "municipality_code", WESTERVELD), ("coordinator", "oin", SCHOOL)):
            connection.exec_driver_sql(
                f"INSERT INTO {table} (id, {of}, name, telephone, email, last_day)"
                f" VALUES ('{LEFT}', '{owner}', 'Who left', '0612345678', 'left@example.org', {yesterday})"
            )


LEFT = UUID("11111111-1111-4111-8111-111111111111")
"""The id of a case supervisor and of a coordinator who left."""


def _reporter(caller: Caller) -> bool:
    return (caller.role, caller.institution, caller.names) == ("machine", "own", "own")


def _supervisor(caller: Caller) -> bool:
    return (caller.role, caller.municipality) == ("case_supervisor", "own")


def _coordinator(caller: Caller) -> bool:
    return (caller.role, caller.institution) == ("coordinator", "own")


def _signal(index: Index) -> UUID:
    return UUID(str(index.database.scalar("SELECT id FROM signal WHERE oin = :oin", oin=SCHOOL)))


def _match(index: Index) -> UUID:
    return UUID(str(index.database.scalar("SELECT id FROM match")))


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


EXAMPLES: dict[str, Example] = {
    "getKeyVersions": Example(lambda _, __: Asked()),
    "registerSignal": Example(
        lambda index, reporter: Asked(body=index.signal(1, reporter=str(reporter)), headers=_key())
    ),
    "listSignals": Example(
        lambda index, _: Asked(shows=(_signal(index),)), lambda caller: _reporter(caller) or _coordinator(caller)
    ),
    "getSignal": Example(
        lambda index, _: Asked({"signalId": _signal(index)}, shows=(_signal(index),)),
        lambda caller: _reporter(caller) or _coordinator(caller),
    ),
    "listMatches": Example(
        lambda index, _: Asked(shows=(_match(index),)), lambda caller: _reporter(caller) or _supervisor(caller)
    ),
    "getMatch": Example(
        lambda index, _: Asked({"matchId": _match(index)}, shows=(_match(index),)),
        lambda caller: _reporter(caller) or _supervisor(caller),
    ),
    "listNotices": Example(
        lambda index, _: Asked(shows=(_match(index),)), lambda caller: _reporter(caller) or _supervisor(caller)
    ),
    "listReporters": Example(lambda index, _: Asked(shows=(index.reporters[SCHOOL][0],)), _coordinator),
    "getReporter": Example(
        lambda index, _: Asked({"reporterId": index.reporters[SCHOOL][0]}, shows=(index.reporters[SCHOOL][0],)),
        _coordinator,
    ),
    "listCoordinators": Example(lambda index, _: Asked(shows=(index.coordinators[SCHOOL],)), _coordinator),
}
