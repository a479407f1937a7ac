# SPDX-License-Identifier: EUPL-1.2
"""What is told by number: the first at once, the others once a minute, none twice and none of them lost."""

from support import MovableClock

from verwijsindex.limits.tally import Tally


def test_the_first_is_told_at_once_and_the_others_by_the_minute() -> None:
    clock, tally = MovableClock(), Tally[str]()
    assert tally.due({"a": 1}, clock()) == {"a": 1}
    assert tally.due({"a": 2, "b": 5}, clock()) == {"b": 5}
    clock.move(seconds=59)
    assert tally.due({"a": 3}, clock()) == {}
    clock.move(seconds=1)
    assert tally.due({"c": 1}, clock()) == {"a": 5, "c": 1}
    clock.move(hours=1)
    assert tally.due({}, clock()) == {}
