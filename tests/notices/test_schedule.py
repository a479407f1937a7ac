# SPDX-License-Identifier: EUPL-1.2
"""When a webhook is tried again: the schedule, and what its receiver asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from verwijsindex.notices.schedule import LONGEST_ASKED, RETRY_AFTER, asked_for, next_try, pause

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 36000), (8, 36000), (5000, 36000)],
)
def test_the_pauses_grow_to_ten_hours_and_no_further(attempts: int, seconds: int) -> None:
    pauses = {pause(attempts).total_seconds() for _ in range(50)}
    assert seconds <= min(pauses) <= max(pauses) <= seconds * 1.2
    assert len(pauses) > 1, "all that failed together would come back together"


def test_there_are_eight_tries() -> None:
    none = timedelta(0)
    assert [next_try(n, none, NOW) is None for n in range(1, 10)] == [False] * 7 + [True] * 2
    assert len(RETRY_AFTER) == 7


def test_a_try_is_not_sooner_than_asked() -> None:
    hour = timedelta(hours=1)
    assert next_try(1, hour, NOW) == NOW + hour
    later = next_try(6, hour, NOW)
    assert later
    assert later >= NOW + timedelta(hours=10)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("36000", 36000),
        ("999999999999999999999", 36000),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("١٢", 0),
        ("soon", 0),
        ("Sun, 22 Nov 2026 10:05:00 GMT", 300),
        ("Sunday, 22-Nov-26 10:05:00 GMT", 300),
        ("Sun, 22 Nov 2026 10:05:00 -0000", 300),
        ("Sun, 22 Nov 2026 11:05:00 +0100", 300),
        ("Sun, 22 Nov 2026 09:59:00 GMT", 0),
        ("Thu, 31 Dec 9999 23:59:59 GMT", 36000),
        ("Sun, 99 Nov 2026 10:05:00 GMT", 0),
        ("Sun, 22 Nov 2026 10:05:00 +99999999999999999999", 0),
    ],
)
def test_what_a_receiver_asks_for(said: str | None, seconds: int) -> None:
    assert asked_for(said, NOW) == timedelta(seconds=seconds)
    assert asked_for(said, NOW) <= LONGEST_ASKED
