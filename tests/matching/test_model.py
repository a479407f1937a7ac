# SPDX-License-Identifier: EUPL-1.2
"""What is told and seen is what a plain model says, whatever people do and whenever (I2, I3, I6; matching/model.py).

A failure prints the steps of the smallest play that shows it, and a line `@reproduce_failure(...)`: put that line above
`test_what_is_told_and_seen_is_what_the_model_says` (and remove it when it is mended) to play it again.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from matching.machine import Life
from matching.stage import IndexStage
from support import Index

from verwijsindex.matching import families

LONG = bool(os.environ.get("TEST_LONG"))


@pytest.mark.timeout(7200 if LONG else 300)
def test_what_is_told_and_seen_is_what_the_model_says(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty steps of a play, six plays; with TEST_LONG hundreds, and a failure is made small (which takes long)."""
    monkeypatch.setattr(families, "CROWD", families.CROWD)
    Life.stage = IndexStage(index)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=400 if LONG else 6,
            stateful_step_count=50,
            phases=tuple(Phase) if LONG else [Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
