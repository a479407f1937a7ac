# SPDX-License-Identifier: EUPL-1.2
"""A case supervisor tells of a match that the youngster moved (R24)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.registry.reading import check_takes_part
from verwijsindex.signals.acts_schemas import MoveOut

# Inserts only: two at once are both told, and the matcher takes the later for where the youngster lives.
_TELL = text("SELECT tell_move(:match, :municipality, :now)")


def tell_move(connection: Connection, actor: events.Actor, now: datetime, match_id: UUID, municipality: str) -> MoveOut:
    """Say where the youngster of a match in the scope lives now; the matcher sets it on all its signals.

    Raises:
        Problem: 400 for a municipality that does not take part, 404 for a match that is not in the scope.
    """
    check_takes_part(connection, municipality)
    told = {"match": match_id, "municipality": municipality, "now": now}
    if not connection.execute(_TELL, told).scalar_one():
        raise Problem(NOT_FOUND)
    events.append(connection, [events.Event(events.MATCH_MOVED, now, actor, says={"matchId": str(match_id)})])
    return MoveOut(told_at=now, residence_municipality=municipality)
