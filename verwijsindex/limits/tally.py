# SPDX-License-Identifier: EUPL-1.2
"""Counting what comes too often to be told one by one (R25, R37)."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
_EVERY = timedelta(minutes=1)


class Tally(Generic[K]):
    """Tells of each kind of thing the first at once, and from then on once a minute how many there were.

    The number is of this process. What is counted and not yet told when the process ends, or when nothing of any kind
    comes any more, is told by nobody: at most the last minute.
    """

    def __init__(self) -> None:
        self._untold: Counter[K] = Counter()
        self._told_at: dict[K, datetime] = {}
        self._lock = Lock()

    def due(self, happened: Mapping[K, int], now: datetime) -> dict[K, int]:
        """Count these, and take out what is to be told now, of these and of others, with its number."""
        with self._lock:
            self._untold.update(happened)
            self._told_at = {key: at for key, at in self._told_at.items() if now - at < _EVERY}
            ready = {key: count for key, count in self._untold.items() if key not in self._told_at}
            for key in ready:
                del self._untold[key]
                self._told_at[key] = now
            return ready
