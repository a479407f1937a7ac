# SPDX-License-Identifier: EUPL-1.2
"""Puts the clock of a process of the demo ahead, by as many seconds as stand in the file DEMO_AHEAD at that moment.

Python runs this at the start of each process with this folder on its PYTHONPATH. So the code that runs is production's,
and has no way to be told another time.
"""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

with suppress(ImportError):  # another Python in a terminal that goes by the demo's clock
    from verwijsindex import settings
    from verwijsindex.client import VerwijsindexClient

    _machine, _ahead = settings.utc_now, Path(os.environ["DEMO_AHEAD"])

    def _now() -> datetime:
        return _machine() + timedelta(seconds=int(_ahead.read_text()))

    settings.utc_now = _now
    (VerwijsindexClient.__init__.__kwdefaults__ or {})["clock"] = _now
