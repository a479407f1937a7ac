# SPDX-License-Identifier: EUPL-1.2
"""By what a request of intake is known, so that its repeat gets the first answer (R9, I5; docs/decisions/0019).

Signals and deaths are told in one statement each, which claims the idempotency key and looks at nothing else; what
stands here is read only of what was not placed. All other requests: `verwijsindex.repeating`.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from verwijsindex.access.caller import Caller
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeys
from verwijsindex.signals.schemas import MADE_AT_MOST_AGO, MADE_AT_MOST_AHEAD

AS_SENT = 0
"""The version of no index key: by which requests are known that are known by their key as it was sent."""
# Seven days, and as long as it takes until the repeat of a signal that was made ahead of the clock is too old to be
# taken for a new one.
KEPT = MADE_AT_MOST_AGO + MADE_AT_MOST_AHEAD

KNOWING = "(SELECT coalesce(max(version), 0) AS knowing FROM index_key_version WHERE knows_requests)"
"""SQL: the version of the index key under which requests are known at this moment; AS_SENT where none is."""

_FIRST = text(
    "SELECT key, signal_id, received_at, key_version, body_fingerprint, pseudonym_fingerprint, pseudonym_version"
    " FROM idempotency_record WHERE client_id = :client_id AND key = ANY(:keys)"
)
# No row lock: that would need the privilege to update, which nobody has.
_FORGET = text(
    "DELETE FROM idempotency_record WHERE (client_id, key) IN (SELECT client_id, key FROM idempotency_record"
    " WHERE received_at < :before ORDER BY received_at, client_id, key LIMIT 5000)"
)


def known_by(keys: IndexKeys, caller: Caller, key: str) -> list[str]:
    """All that a request may be known by: its key as it was sent (versions up to 0.2.0 kept that; no key has a colon),
    and its fingerprint under each version that is held, so that a repeat finds its first answer while the index key
    turns. A client may derive its keys from BSNs: who reads the database and has that client's secret, but no
    index key, cannot try them out (I5)."""
    sent = f"{caller.client_id}\0{key}".encode()
    prints = (f"{version}:{encode_base64url(held.fingerprint('key', sent))}" for version, held in keys.items())
    return [key, *prints]


def first_requests(
    connection: Connection, keys: IndexKeys, caller: Caller, sent: Mapping[int, str]
) -> dict[int, Row[Any]]:
    """The record of each of these idempotency keys, as they are sent, that the caller has used before."""
    every = {i: known_by(keys, caller, key) for i, key in sent.items()}
    asked = {"client_id": caller.client_id, "keys": [key for one in every.values() for key in one]}
    found = {row.key: row for row in connection.execute(_FIRST, asked)}
    return {i: found[key] for i, one in every.items() for key in one if key in found}


def is_repeat(
    first: Row[Any], keys: IndexKeys, fingerprints: Callable[[IndexKey], tuple[bytes, bytes]], pseudonym_version: int
) -> bool:
    """Whether a request with the key of this record is the same in all else.

    Args:
        fingerprints: of its body and of its pseudonyms, under the version of the index key that made those on record.
        pseudonym_version: pseudonyms of another version of the pseudonym key than those on record are not compared.
    """
    key = keys.get(first.key_version)
    if key is None:  # once the index key has turned and is gone, nothing can be compared
        return True
    body, pseudonyms = fingerprints(key)
    return hmac.compare_digest(first.body_fingerprint, body) and (
        first.pseudonym_version != pseudonym_version or hmac.compare_digest(first.pseudonym_fingerprint, pseudonyms)
    )


def forget_old_requests(connection: Connection, now: datetime) -> None:
    """Delete records older than `KEPT`, a bounded number at a time."""
    connection.execute(_FORGET, {"before": now - KEPT})
