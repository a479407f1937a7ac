# SPDX-License-Identifier: EUPL-1.2
"""A deliverer in a process of its own that stops at one point, says "here", and waits to be killed.

`python dying.py POINT FOLDER-WITH-KEYS`, with the address of the database in DYING_DATABASE.
"""

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Connection

from verwijsindex.database import engine
from verwijsindex.notices import outcomes
from verwijsindex.notices.delivery import Deliverer
from verwijsindex.notices.destinations import Destinations
from verwijsindex.notices.signing import Sender
from verwijsindex.pseudonyms.sealing import IndexKeys


def stop(*_: Any, **__: Any) -> Any:
    """Here, and no further."""
    print("here", flush=True)
    time.sleep(600)


def stop_if_any(_: Deliverer, ended: Sequence[object]) -> None:
    """Once something has ended: the deliverer comes by with nothing too."""
    if ended:
        stop()


def main(point: str, keys: Path) -> None:
    """Deliver until that point."""
    write_back = outcomes.write_back

    def write_back_and_stop(connection: Connection, results: Sequence[outcomes.Result], now: datetime) -> set[UUID]:
        write_back(connection, results, now)
        return cast(set[UUID], stop())

    match point:
        case "before claim":
            outcomes.claim = stop
        case "after claim":
            Deliverer._deliver = stop  # type: ignore[method-assign]
        case "after the answer":
            Deliverer._write_back = stop_if_any  # type: ignore[assignment, method-assign]
        case "before commit":
            outcomes.write_back = write_back_and_stop
    sender = Sender(
        IndexKeys.load(keys),
        "https://index.example/",
        "00000009999999999000",
        timeout=10,
        allow_plain_http=True,
        destinations=Destinations([IPv4Network("127.0.0.0/8")]),
    )
    pool = engine(SecretStr(os.environ["DYING_DATABASE"]))
    Deliverer(pool, sender, lambda: datetime.now(UTC)).turn(600)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
