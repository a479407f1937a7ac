# SPDX-License-Identifier: EUPL-1.2
"""No count under ten can be computed from all that is told of a quarter (R32)."""

from collections import defaultdict
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from verwijsindex.figures.suppressing import LEAST, Figures, tellable

SMALL = 3
"""In the place of ten, so that all small worlds can be looked at."""
INSTITUTIONS = (("A",), ("B",), ("A", "B"))
KINDS = tuple(product(INSTITUTIONS, (0, 1)))
"""What a youngster can be: with which institutions, and in which of two cells."""
World = tuple[int, ...]
Cell = tuple[str | None, int | None]
"""Of which institution (None: all), and which of its cells (None: their sum)."""


def _figures(world: World) -> tuple[dict[str, Figures], Figures]:
    """The true figures of so many youngsters of each kind."""
    cells: dict[str | None, list[int]] = {"A": [0, 0], "B": [0, 0], None: [0, 0]}
    for number, (institutions, cell) in zip(world, KINDS, strict=True):
        for one in (*institutions, None):
            cells[one][cell] += number
    made = {name: Figures(sum(found), {"contact": tuple(found)}) for name, found in cells.items()}
    total = made.pop(None)
    return {name: one for name, one in made.items() if name}, total


def _values(world: World) -> dict[Cell, int]:
    institutions, total = _figures(world)
    found: dict[Cell, int] = {}
    for name, one in [*institutions.items(), (None, total)]:
        found |= {(name, None): one.begun} | {(name, n): cell for n, cell in enumerate(one.groups["contact"])}
    return found


def _told(world: World) -> tuple[tuple[Cell, int], ...]:
    institutions, total = tellable(*_figures(world), SMALL)
    found: dict[Cell, int] = {}
    for name, one in [*institutions.items(), *([(None, total)] if total else [])]:
        found |= {(name, None): one.begun}
        found |= {(name, n): cell for n, cell in enumerate(one.groups.get("contact", ()))}
    return tuple(found.items())


def test_whoever_knows_the_rule_and_all_that_is_told_computes_no_small_count() -> None:
    """Of every small world of two institutions there is another of which the very same is told, and in which that
    count is another: neither sums and differences tell it, nor what is left out. Seen failing when the total was told
    whenever it was large, when a group of it was without a look at those whose group is not told, and when a group was
    told with a small cell."""
    possible: dict[tuple[tuple[Cell, int], ...], dict[Cell, set[int]]] = defaultdict(lambda: defaultdict(set))
    for world in product(range(5), repeat=len(KINDS)):
        values = possible[_told(world)]
        for cell, value in _values(world).items():
            values[cell].add(value)
    suppressed = 0
    for world in product(range(3), repeat=len(KINDS)):
        told = _told(world)
        for cell, value in _values(world).items():
            if value < SMALL:
                suppressed += 1
                assert len(possible[told][cell]) > 1, (world, cell, told)
    assert suppressed > 1_000


_counts = st.lists(st.integers(0, 40), min_size=3, max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(_counts, min_size=1, max_size=6), st.integers(0, 60))
def test_nothing_under_ten_is_told_and_bounds_leave_room(counted: list[list[int]], shared: int) -> None:
    """Of many institutions: each number told is ten or more, and each small count that is not told can, by all sums of
    what is told, be more and be less. Seen failing in the same ways, and when an institution whose group is not told
    was so large that it had to have some of a cell."""
    institutions = {str(n): Figures(sum(cells), {"contact": tuple(cells)}) for n, cells in enumerate(counted)}
    cells = [max(*of, sum(of) - shared) for of in zip(*counted, [0] * 3, strict=True)]
    total = Figures(sum(cells), {"contact": tuple(cells)})
    shown, all_of_them = tellable(institutions, total)
    for one in [*shown.values(), *([all_of_them] if all_of_them else [])]:
        assert one.begun >= LEAST
        assert all(cell >= LEAST for told in one.groups.values() for cell in told)
        assert all(sum(told) == one.begun for told in one.groups.values())
    if all_of_them is None:
        return
    assert sum(one.begun for one in shown.values()) >= all_of_them.begun  # the others may have none
    for told in all_of_them.groups.values():
        for one in shown.values():
            if not one.groups:
                for cell in told:
                    assert max(0, one.begun - (all_of_them.begun - cell)) == 0
                    assert min(one.begun, cell) >= LEAST
        for n, cell in enumerate(told):
            assert sum(one.groups["contact"][n] for one in shown.values() if one.groups) >= cell
