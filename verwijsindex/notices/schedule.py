# SPDX-License-Identifier: EUPL-1.2
"""When a webhook that was not taken is tried again: the schedule of Standard Webhooks, or when its receiver asks to."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_AFTER = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
"""The pauses between the tries of a delivery. After as many tries and one more it is a dead letter."""
LONGEST_ASKED = timedelta(hours=10)
"""Who asks for more waits for so long."""


def next_try(attempts: int, asked: timedelta, now: datetime) -> datetime | None:
    """When a delivery is tried again after so many tries, not sooner than its receiver asked; None after the last."""
    return now + max(pause(attempts), asked) if attempts <= len(RETRY_AFTER) else None


def pause(attempts: int) -> timedelta:
    """How long until the next try after so many, with up to a fifth of jitter. The last step repeats (challenges)."""
    return RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1] * random.uniform(1, 1.2)  # noqa: S311 (no secret)


def asked_for(retry_after: str | None, now: datetime) -> timedelta:
    """What a Retry-After (RFC 9110, 10.2.3: seconds, or a date) asks for, at most LONGEST_ASKED; no time for none, for
    one that is past, and for what is neither."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_ASKED.total_seconds()))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    if at.tzinfo is None:  # of -0000
        at = at.replace(tzinfo=UTC)
    return max(timedelta(0), min(at - now, LONGEST_ASKED))
