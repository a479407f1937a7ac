# SPDX-License-Identifier: EUPL-1.2
"""What is told and seen is that of the plain model while both keys are turned, step by step (I2, I3, I6, R16)."""

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from matching.machine import Life
from matching.stage import IndexStage
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
    return {"keyVersion": version, "value": made(version, K[version], number).to_text()}


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


class Turning(IndexStage):
    """A stage whose keys are turned, and whose senders use one of three versions of the pseudonym key."""

    version = 1

    crowds: tuple[int, ...] = (24,)

    def begin(self, crowd: int) -> None:
        super().begin(crowd)
        self.change("DELETE FROM index_key_version")
        self.change("INSERT INTO index_key_version VALUES (1, 'sealing')")
        keys = IndexKeys(KEYS, self._sealing, FACTORS)
        self.index.app.extensions |= {"index_keys": keys, "key_list": LIST}
        self.turning = turns(self.index, keys)

    def _sealing(self) -> int:
        return next(int(v) for v, state in step(self.index, versions).items() if state == "sealing")

    def pseudonym(self, number: int) -> dict[str, Any]:
        return sent(self.version, number)


class TurningLife(Life):
    """With a turn of the keys between what people do."""

    stage: Turning

    @rule(steps=st.integers(1, 4), version=st.integers(1, 3))
    def turn(self, steps: int, version: int) -> None:
        self.stage.version = version
        for _ in range(steps):
            next(self.stage.turning)


def test_what_is_told_and_seen_does_not_depend_on_a_turn(index: Index) -> None:
    """I2, I3: signals, deaths and parents are by several versions of the pseudonym key. A failure is played again as
    matching/test_model.py says."""
    TurningLife.stage = Turning(index)
    run_state_machine_as_test(
        TurningLife,
        settings=settings(max_examples=6, stateful_step_count=60, suppress_health_check=list(HealthCheck)),
    )
