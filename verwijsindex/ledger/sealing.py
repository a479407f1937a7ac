# SPDX-License-Identifier: EUPL-1.2
"""The sealer: gives events their places in the tree, and signs what the tree is then (R25).

Places, tree and signed checkpoint are one transaction: killed at any point, nothing of it was done. Why no event is
lost or doubled stands with `seal_events` in migration index_0025.
"""

from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from verwijsindex.database import transaction
from verwijsindex.ledger.checkpoint import Signer
from verwijsindex.ledger.reading import root

BATCH = 20_000
_NEWEST_AT = text("SELECT at FROM checkpoint ORDER BY size DESC LIMIT 1")
_SEAL = text("SELECT sealed, size FROM seal_events(:most)")
_KEEP = text("INSERT INTO checkpoint (size, at, note) VALUES (:size, :at, :note)")


def seal(pool: Engine, now: datetime, signer: Signer, *, most: int = BATCH) -> int:
    """Give at most `most` waiting events their places and sign a checkpoint; how many there were."""
    at = now.replace(microsecond=0)
    with transaction(pool) as connection:
        sealed, size = connection.execute(_SEAL, {"most": most}).one()
        if sealed:
            note = signer.sign(size, root(connection, size), at)
            connection.execute(_KEEP, {"size": size, "at": at, "note": note})
    return int(sealed)


def seal_when_due(pool: Engine, now: datetime, signer: Signer, every: timedelta) -> int:
    """Seal all that waits, unless there was a checkpoint less than `every` ago; how many events got places.

    Checkpoints keep a pace of their own, so that their sizes tell an observer little of any one act. One of later than
    now is of a clock that was ahead, and holds up nothing.
    """
    with transaction(pool) as connection:
        newest = connection.execute(_NEWEST_AT).scalar_one_or_none()
    if newest and newest - every <= now < newest + every:
        return 0
    total = 0
    while sealed := seal(pool, now, signer):
        total += sealed
        if sealed < BATCH:
            break
    return total
