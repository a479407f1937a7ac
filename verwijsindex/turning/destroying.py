# SPDX-License-Identifier: EUPL-1.2
"""The end of a turn: an old index key, and a factor between two pseudonym keys, are destroyed, and the ledger says so.

What was sealed with them, in a backup too, opens for nobody from then on (R16). A file can be copied, so the statement
is the operator's own; what is checked here is that nothing still needs what is destroyed.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from verwijsindex.ledger import events
from verwijsindex.pseudonyms.factors import Factor
from verwijsindex.pseudonyms.key_list import KeyList
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.turning.service import TurnError
from verwijsindex.turning.versions import versions


def check_unused(connection: Connection, version: int) -> None:
    """Raises TurnError while something is sealed, or may be, with this version of the index key, or will be."""
    used = versions(connection)
    if version in used:
        raise TurnError(f"version {version} is in use: `verwijsindex index-key turn` comes first")
    if version > max(used):
        raise TurnError(f"version {version} is newer than any in use: nothing was ever sealed with it")


def unneeded(keys: IndexKeys, destroyed: int, key_list: KeyList, now: datetime) -> list[Factor]:
    """The factors that turn nothing any more: no sender, and no other index key here, uses a version of the pseudonym
    key as old as theirs. (An older one is turned along all the factors after it.)"""
    used = {one.version for one in key_list.versions if not one.ended(now)}
    used |= {key.pseudonym_version for version, key in keys.items() if version != destroyed}
    return [one for one in keys.factors.known if all(one.old < version for version in used)]


def state(connection: Connection, version: int, factors: Iterable[Factor], actor: events.Actor, now: datetime) -> None:
    """Put into the ledger that this version of the index key is no more, and with the factors the older versions of the
    pseudonym key."""
    told = [(events.INDEX_KEY_CHANGED, version), *((events.PSEUDONYM_KEY_CHANGED, one.old) for one in factors)]
    events.append(
        connection,
        [events.Event(kind, now, actor, says={"change": "destroyed", "version": one}) for kind, one in told],
    )
