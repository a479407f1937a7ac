# SPDX-License-Identifier: EUPL-1.2
"""One running system for all tests of whole processes."""

from collections.abc import Iterator

import pytest
from system.world import System

from verwijsindex.embedded.stack import Stack

SETTINGS = {"VERWIJSINDEX_SWEEP_SECONDS": "1", "VERWIJSINDEX_PUSH_TICK_SECONDS": "1"}


@pytest.fixture(scope="session")
def _running() -> Iterator[System]:
    with Stack(settings=SETTINGS, durable=False) as stack:
        made = System(stack)
        yield made
        made.close()


@pytest.fixture
def system(_running: System) -> System:
    """The running system; who ends one of its processes starts it again."""
    _running.stack.check()
    return _running
