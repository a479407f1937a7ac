# SPDX-License-Identifier: EUPL-1.2
"""Which figures may be told: no count under ten, and none from which such a count can be computed (R32; why this is
enough: docs/decisions/0029).

Each institution has a number of youngsters, and that number divided in some ways (`groups`), each into all its cells.
The total counts each youngster once, so it is less than the sum where institutions share one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEAST = 10
"""The smallest count that is told."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of youngsters. The cells of a group add up to `begun`; a group that may not be told is not there."""

    begun: int
    groups: Mapping[str, tuple[int, ...]]


def tellable(
    institutions: Mapping[str, Figures], total: Figures, least: int = LEAST
) -> tuple[dict[str, Figures], Figures | None]:
    """What may be told of a municipality's quarter: the institutions, and the total if it may.

    A group is told whole or not at all: of one that lacks a cell the rest would tell it. The total is told where the
    institutions that are told could account for all of it, so that it says nothing of the others; and a group of it
    where those whose group is told could account for each cell, and no institution whose group is not told is so large
    that it must have some of a cell.
    """
    shown = {name: _without_small(one, least) for name, one in institutions.items() if one.begun >= least}
    if total.begun < least or sum(one.begun for one in shown.values()) < total.begun:
        return shown, None
    large = _without_small(total, least)
    groups = {name: cells for name, cells in large.groups.items() if _tells_nothing(name, large, shown.values())}
    return shown, Figures(total.begun, groups)


def _without_small(one: Figures, least: int) -> Figures:
    return Figures(one.begun, {name: cells for name, cells in one.groups.items() if min(cells) >= least})


def _tells_nothing(group: str, total: Figures, shown: Iterable[Figures]) -> bool:
    """Whether each cell of an institution whose group is not told could be anything, though the total's is."""
    told = [0] * len(total.groups[group])
    untold = []
    for one in shown:
        if group in one.groups:
            told = [before + cell for before, cell in zip(told, one.groups[group], strict=True)]
        else:
            untold.append(one.begun)
    return all(
        there >= cell and all(begun <= total.begun - cell for begun in untold)
        for there, cell in zip(told, total.groups[group], strict=True)
    )
