# SPDX-License-Identifier: EUPL-1.2
"""Quiet pairs: who said "we already work together on this youngster", of whom (R23).

What is said holds for who said it: what is told to that one of the others waits for the digest, and the others are told
as before, until they say so themselves. So nobody delays another's mail, and nobody learns who else said it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.followup.mutes_schemas import MuteOut, MutesOut
from verwijsindex.ledger import events
from verwijsindex.paging import PageById
from verwijsindex.problems import NOT_FOUND, Problem

_MUTE = text("SELECT mute_shown(:match, :now)")
_LIST = text("SELECT * FROM own_mutes(NULL, CAST(:after AS uuid), CAST(:limit AS integer))")
_UNDO = text("SELECT undo_mute(:mute)")


def mute_shown(connection: Connection, actor: events.Actor, now: datetime, match_id: UUID) -> bool:
    """From now on the actor's mail of whom the match shows waits for the digest. Whether that is new of anybody; with
    its event."""
    pairs = int(connection.execute(_MUTE, {"match": match_id, "now": now}).scalar_one())
    if pairs:
        said = events.Event(events.PAIRS_MUTED, now, actor, says={"matchId": str(match_id), "count": pairs})
        events.append(connection, [said])
    return pairs > 0


def own_mutes(connection: Connection, page: PageById) -> MutesOut:
    """A page of what the scope said, of whom it is shown in a match now."""
    rows, cursor = page.cut(connection.execute(_LIST, page.parameters()).all())
    return MutesOut(
        items=[MuteOut(id=row.id, match=row.match_id, contact=row.contact, muted_at=row.muted_at) for row in rows],
        next_cursor=cursor,
    )


def undo(connection: Connection, mute_id: UUID) -> UUID:
    """Later mail comes as it did before. In which match it was said; raises Problem 404 for what the scope did not
    say."""
    match: UUID | None = connection.execute(_UNDO, {"mute": mute_id}).scalar_one()
    if match is None:
        raise Problem(NOT_FOUND)
    return match
