# SPDX-License-Identifier: EUPL-1.2
"""One running system for all tests of whole processes."""

from collections.abc import Iterator

import pytest
from notices.mailing import mail_server, mailing_to
from system.world import SETTINGS, System

from verwijsindex.embedded.stack import Stack


@pytest.fixture(scope="session")
def _running() -> Iterator[System]:
    with mail_server() as (mail, port), Stack(settings=SETTINGS | mailing_to(port), durable=False) as stack:
        made = System(stack, mails=mail.got)
        yield made
        made.close()


@pytest.fixture
def system(_running: System) -> System:
    """The running system; who ends one of its processes starts it again."""
    _running.stack.check()
    return _running
