# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex health`, by the marks alone: that they fade, and who leaves them, tests/system/test_watched.py sees."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from verwijsindex.workers import health


@pytest.mark.parametrize(
    ("marks", "blamed", "unasked"),
    [
        ({"clock": b"0", "worker": b"0"}, ["deliverer"], 0),
        ({"clock": b"0"}, ["worker", "deliverer"], 0),
        ({"deliverer": b"0"}, ["clock", "worker"], 1),
        ({}, ["clock", "worker", "deliverer"], 2),
    ],
)
def test_whoever_the_clock_does_not_ask_is_said_to_be_unasked(
    marks: dict[str, bytes], blamed: list[str], unasked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliverer that is well leaves no mark while the clock is away."""
    redis = SimpleNamespace(mget=lambda keys: [marks.get(key.rpartition(".")[2]) for key in keys])
    monkeypatch.setattr(health, "_redis", lambda _: nullcontext(redis))
    monkeypatch.setenv("VERWIJSINDEX_BROKER_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(SystemExit) as said:
        health.health()
    lines = str(said.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == blamed
    assert sum("Nobody asks it" in line for line in lines) == unasked
