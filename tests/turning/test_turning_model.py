# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties and inboxes are those of the plain model while both keys are turned, step by step (I2, I3, R16)."""

from collections.abc import Iterator
from functools import cache
from itertools import cycle
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from matching.test_model import STEPS, Play
from pseudonyms.test_factors import factor, made
from support import ADMINISTRATOR, NOW, PSEUDONYM_SECRET, Index
from turning.test_turn import step

from verwijsindex.pseudonyms.factors import Factors
from verwijsindex.pseudonyms.key_list import KeyList, KeyVersion
from verwijsindex.pseudonyms.ristretto import multiply_base
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.turning import service
from verwijsindex.turning.versions import versions

# The n-th index key is for the n-th pseudonym key, and there are more of them than one play takes.
K = {1: PSEUDONYM_SECRET} | {version: (1000 + version).to_bytes(32, "little") for version in range(2, 41)}
KEYS = {1: bytes(range(32))} | {version: version.to_bytes(32) + version.to_bytes(4) for version in K if version > 1}
FACTORS = Factors(factor(version - 1, K[version - 1], version, K[version]) for version in K if version > 1)
LIST = KeyList(
    issued_at=NOW,
    versions=tuple(
        KeyVersion(version=n, public_key=multiply_base(K[n]), accepted_from=NOW, accepted_until=None) for n in (1, 2, 3)
    ),
)


@cache
def sent(version: int, number: int) -> dict[str, Any]:
    return {"pseudonym": {"keyVersion": version, "value": made(version, K[version], number).to_text()}}


def turns(index: Index, keys: IndexKeys) -> Iterator[None]:
    """One turn after another, a row at a time."""
    while True:
        target = max(step(index, versions)) + 1
        step(index, service.activate, keys, target, ADMINISTRATOR, NOW)
        yield
        step(index, service.end_older)
        step(index, service.barrier)
        yield
        for table in service.TABLES:
            after: UUID | None = service.FIRST
            while after is not None:
                after = step(index, service.reseal, keys, table, target, after, 1).after
                yield
        step(index, service.drop_ended, ADMINISTRATOR, NOW)


@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=STEPS,
    pace=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    made_by=st.lists(st.integers(1, 3), min_size=1, max_size=4),
)
def test_what_is_told_and_seen_does_not_depend_on_a_turn(
    index: Index, steps: list[tuple[Any, ...]], pace: list[int], made_by: list[int]
) -> None:
    """I2, I3: some steps of the turn after each step of the play, whose signals are by several versions of the
    pseudonym key. Seen failing when `align` looked under one version alone, and when the new youngster was written down
    under the signal's version and not its own."""
    keys = IndexKeys(KEYS, lambda: next(v for v, state in step(index, versions).items() if state == "sealing"), FACTORS)
    index.app.extensions |= {"index_keys": keys, "key_list": LIST}
    play, turning, version = Play(index), turns(index, keys), cycle(made_by)
    plain = index.signal

    def signal(youngster: int = 0, *of: Any, **changes: Any) -> dict[str, Any]:
        return plain(youngster, *of, **changes | sent(next(version), youngster))

    index.signal = signal  # type: ignore[method-assign]
    try:
        for n, (what, *how) in enumerate(steps):
            if what == "place":
                play.place(*how)
            elif what == "run":
                play.run(*how)
            else:
                index.clock.move(days=how[0])
            for _ in range(pace[n % len(pace)]):
                next(turning)
        play.check()
    finally:
        del index.signal
        index.database.forget_signals()  # the next play starts with nothing waiting, and the first version
        with index.database.superuser.begin() as connection:
            connection.execute(sa.text("DELETE FROM index_key_version"))
            connection.execute(sa.text("INSERT INTO index_key_version VALUES (1, 'sealing')"))
