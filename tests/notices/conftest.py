# SPDX-License-Identifier: EUPL-1.2
"""The delivering side."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from notices.mailing import MailPost
from notices.posting import Post
from support import Index


@pytest.fixture
def post(index: Index) -> Iterator[Post]:
    """Delivers from an index that is empty."""
    with ExitStack() as stack:
        yield Post(index, stack)


@pytest.fixture
def mails(index: Index) -> MailPost:
    """Mails from an index that is empty."""
    return MailPost(index)
