# SPDX-License-Identifier: EUPL-1.2
"""Reading an archived signal: who had signalled this youngster before, and nothing else of it (R17)."""

from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.registry.contacts import Contact, NumberToCall, as_shown
from verwijsindex.registry.reading import in_danger_now

_CONTACT = text("SELECT * FROM archived_contact(:id)")


class ArchivedSignalOut(Contact):
    """Who signalled before, as it can be reached now; or who stands in its place."""

    id: UUID
    in_danger_now: list[NumberToCall]


def archived_signal(connection: Connection, archived_id: UUID) -> ArchivedSignalOut:
    """Contact data of the earlier reporter as it is now, for who was told of it (R17).

    Raises Problem 404 for anybody else, once the reader has no live signal on that youngster any more, and once the
    archived one is past its time or the youngster's death was told.
    """
    row = connection.execute(_CONTACT, {"id": archived_id}).one_or_none()
    if row is None:
        raise Problem(NOT_FOUND)
    numbers = in_danger_now(connection, archived_signal=archived_id)
    return ArchivedSignalOut(id=archived_id, in_danger_now=numbers, **as_shown(row._asdict()))
