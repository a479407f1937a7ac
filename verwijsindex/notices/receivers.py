# SPDX-License-Identifier: EUPL-1.2
"""How many tries each receiver has at once, so that one that hangs slows itself and no other.

As TCP does: a receiver begins with one try, and each that it takes doubles how many it may have, up to MOST; one that
fails has one again, and then rests as well (`rests_until` in its row, which all workers see). Who has taken nothing yet
shares half of the threads with the others like it, so that a hundred hanging receivers leave the other half. Who takes
everything, and each time only after SLOW, has one try at once and shares that half as well.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

MOST = 16
"""Tries of one receiver at once. One that takes 50 ms for each gets 300 a second by it."""
SLOW = 2000
"""Milliseconds of a try. Seven receivers that took fifteen seconds for each held all threads with MOST tries each."""


class Receivers:
    """What this process knows of each receiver, by client id. For one thread.

    Args:
        at_once: tries of all receivers together.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._windows: dict[str, int] = {}
        self._on_the_way: Counter[str] = Counter()

    @property
    def on_the_way(self) -> int:
        """Tries that have not ended."""
        return self._on_the_way.total()

    def room(self, due: Collection[str]) -> Mapping[str, int]:
        """How many tries to begin now for whom of those who have something due; in an order that favours nobody."""
        left = self._at_once - self.on_the_way
        strange = self._at_once // 2 - sum(n for one, n in self._on_the_way.items() if one not in self._windows)
        found: dict[str, int] = {}
        for one in random.sample(sorted(due), len(due)):
            bound = left if one in self._windows else min(left, strange)
            size = min(self._windows.get(one, 1) - self._on_the_way[one], bound)
            if size > 0:
                found[one] = size
                left -= size
                strange -= 0 if one in self._windows else size
        return found

    def began(self, clients: Iterable[str]) -> None:
        """A try of each."""
        self._on_the_way.update(clients)

    def ended(self, client: str, taken: bool, milliseconds: int = 0) -> None:
        """One try of a receiver, and how long it took."""
        self._on_the_way[client] -= 1
        if not self._on_the_way[client]:
            del self._on_the_way[client]
        if taken and milliseconds < SLOW:
            self._windows[client] = min(MOST, 2 * self._windows.get(client, 1))
        else:
            self._windows.pop(client, None)
