# SPDX-License-Identifier: EUPL-1.2
"""Of a contact one is told once for each kind of match, however many siblings it stands on (R10; docs/rules.md)."""

from support import CLINIC, SCHOOL, Index, parents


def _told(index: Index, oin: str) -> int:
    items = index.get("/notices", index.reader(oin)).json["items"]
    return sum(item["kind"] == "match" for item in items)


def test_a_contact_on_another_sibling_is_not_told_again(index: Index) -> None:
    """Seen failing when only exactly the same pair counted as told."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, CLINIC, parents=parents(0))
    index.place(1, SCHOOL, parents=parents(0))
    index.match()
    assert _told(index, CLINIC) == 1
    index.place(2, SCHOOL, parents=parents(0))
    index.match()
    assert _told(index, CLINIC) == 1


def test_who_was_told_of_the_own_youngster_is_told_of_the_family_too(index: Index) -> None:
    """Seen failing when both kinds of matches counted for the one of the family."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, CLINIC, parents=parents(0))
    index.place(0, SCHOOL, parents=parents(0))
    index.match()
    assert _told(index, CLINIC) == 1
    index.place(1, SCHOOL, parents=parents(0))
    index.match()
    assert _told(index, CLINIC) == 2
