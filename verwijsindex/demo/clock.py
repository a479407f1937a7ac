# SPDX-License-Identifier: EUPL-1.2
"""The demo's own clock: all its processes take the same moment for now, and it can be put ahead, since what the days
bring to follow-up cannot be waited for (R21)."""

import os
from datetime import date, datetime, time, timedelta
from pathlib import Path

from verwijsindex.demo import ahead
from verwijsindex.settings import utc_now
from verwijsindex.signals.dates import AMSTERDAM

MORNING = time(9)


class DemoClock:
    """The machine's clock, put ahead as far as the file `path` says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._put(0)

    @property
    def settings(self) -> dict[str, str]:
        """The environment by which a process goes by this clock."""
        folders = [str(Path(ahead.__file__).parent), os.environ.get("PYTHONPATH", "")]
        return {"DEMO_AHEAD": str(self._path), "PYTHONPATH": os.pathsep.join(filter(None, folders))}

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=int(self._path.read_text()))

    def move_to(self, day: date) -> None:
        """It is the morning of this day, in Amsterdam, for all processes from now on."""
        self._put(int((datetime.combine(day, MORNING, AMSTERDAM) - utc_now()).total_seconds()))

    def _put(self, seconds: int) -> None:
        whole = self._path.with_suffix(".new")
        whole.write_text(str(seconds))
        whole.replace(self._path)  # whoever reads it reads a whole number
