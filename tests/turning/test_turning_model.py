# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties and inboxes are those of the plain model while the key is turned, step by step (I2, I3, R16)."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from matching.test_model import STEPS, Play
from support import ADMINISTRATOR, NOW, Index
from turning.test_turn import step

from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.turning import service
from verwijsindex.turning.versions import versions

KEYS = {1: bytes(range(32))} | {version: version.to_bytes(32) for version in range(2, 300)}


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
@given(steps=STEPS, pace=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_what_is_told_and_seen_does_not_depend_on_a_turn(
    index: Index, steps: list[tuple[Any, ...]], pace: list[int]
) -> None:
    """I2, I3: some steps of the turn after each step of the play. Seen failing when `align` looked under one version
    alone, and when the new youngster was written down under the signal's version and not its own."""
    keys = IndexKeys(KEYS, lambda: next(v for v, state in step(index, versions).items() if state == "sealing"))
    index.app.extensions["index_keys"] = keys
    play, turning = Play(index), turns(index, keys)
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
        index.match()  # the next play starts with nothing waiting, and one version
        target = max(step(index, versions))
        step(index, service.end_older)
        for table in service.TABLES:
            after: UUID | None = service.FIRST
            while after is not None:
                after = step(index, service.reseal, keys, table, target, after).after
        step(index, service.drop_ended, ADMINISTRATOR, NOW)
