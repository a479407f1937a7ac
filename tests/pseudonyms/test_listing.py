# SPDX-License-Identifier: EUPL-1.2
"""The rules by which a list of key versions follows another: nothing is taken back, nobody is without a version."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, KeyVersion
from verwijsindex.pseudonyms.listing import OVERLAP, next_list
from verwijsindex.pseudonyms.ristretto import multiply_base

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DAY = timedelta(days=1)
POINTS = {n: multiply_base(bytes([n]) + bytes(31)) for n in (1, 2, 3)}


def listed(version: int, since: datetime = NOW - DAY, until: datetime | None = None) -> KeyVersion:
    return KeyVersion(version=version, public_key=POINTS[version], accepted_from=since, accepted_until=until)


def held(*versions: int) -> dict[int, bytes]:
    return {version: POINTS[version] for version in versions}


def test_one_version_follows_another_and_a_sender_takes_the_highest() -> None:
    first = next_list({}, held(1), NOW)
    assert first == [listed(1, NOW)]
    second = next_list({1: first[0]}, held(1, 2), NOW, NOW + DAY)
    assert second == [listed(1, NOW), listed(2, NOW + DAY)]
    third = next_list({one.version: one for one in second}, held(1, 2), NOW, ends={1: NOW + DAY + OVERLAP})
    assert third == [listed(1, NOW, NOW + DAY + OVERLAP), listed(2, NOW + DAY)]
    whole = KeyList(issued_at=NOW, versions=tuple(third))
    moments = [NOW, NOW + DAY - timedelta(seconds=1), NOW + DAY, NOW + 9 * DAY]
    assert [whole.current(at).version for at in moments] == [1, 1, 2, 2]
    assert whole.accepted(1, NOW + DAY)
    last = next_list({one.version: one for one in third}, held(2), NOW + 2 * DAY)
    assert last == third  # its key file is gone, and its number stays taken


def test_what_is_to_come_can_be_put_off() -> None:
    before = {1: listed(1), 2: listed(2, NOW + DAY)}
    assert next_list(before, held(1, 2), NOW, NOW + 2 * DAY) == [listed(1), listed(2, NOW + 2 * DAY)]


@pytest.mark.parametrize(
    ("before", "has", "how", "says"),
    [
        ({1: listed(1)}, {1: POINTS[3]}, {}, "another public key"),
        ({1: listed(1)}, held(1, 2), {}, "say from when"),
        ({1: listed(1)}, held(1, 2), {"begins": NOW}, "is past"),
        ({1: listed(1)}, held(1), {"begins": NOW + DAY}, "stays as it is"),
        ({1: listed(1)}, held(1, 2, 3), {"begins": NOW + DAY}, "one at a time"),
        ({2: listed(2)}, held(1, 2), {"begins": NOW + DAY}, "older than version 2"),
        ({1: listed(1), 2: listed(2)}, held(2), {}, "key file is not here"),
        ({}, held(1, 2), {}, "one at a time"),
        ({1: listed(1)}, held(1), {"ends": {1: NOW + DAY}}, "an hour after"),
        ({1: listed(1), 2: listed(2, NOW + DAY)}, held(1, 2), {"ends": {1: NOW + DAY}}, "an hour after"),
        ({1: listed(1), 2: listed(2)}, held(1, 2), {"ends": {2: NOW + DAY}}, "an hour after"),
        (
            {1: listed(1, until=NOW + DAY), 2: listed(2, NOW + DAY / 2)},
            held(1, 2),
            {"begins": NOW + DAY},
            "an hour after",
        ),
        ({1: listed(1), 2: listed(2)}, held(1, 2), {"ends": {1: NOW}}, "is past"),
        ({1: listed(1), 2: listed(2)}, held(1, 2), {"ends": {3: NOW + DAY}}, "is not accepted"),
        ({1: listed(1, until=NOW), 2: listed(2)}, held(2), {"ends": {1: NOW + DAY}}, "is not accepted"),
    ],
)
def test_nonsense_is_refused(
    before: dict[int, KeyVersion], has: dict[int, bytes], how: dict[str, Any], says: str
) -> None:
    """Seen failing, each, when its rule was taken out."""
    with pytest.raises(KeyListError, match=says):
        next_list(before, has, NOW, **how)
