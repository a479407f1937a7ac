# SPDX-License-Identifier: EUPL-1.2
"""Registering and revoking clients, finding one, turning its key, and using an assertion's id once."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc.jwk import OKPKey
from sqlalchemy import Connection, Row, insert, select, text, update
from sqlmodel import col

from verwijsindex.access.caller import SCOPES
from verwijsindex.issuer.models import OAuthClient
from verwijsindex.issuer.signing import public_jwk

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JTI = re.compile(r"[!-~]{1,128}")
_OIN = re.compile(r"[0-9]{20}")


class RegistrationError(ValueError):
    """A client that cannot be registered; its text says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may have tokens."""

    client_id: str
    oin: str
    scopes: frozenset[str]
    public_keys: tuple[OKPKey, ...]
    """One; two while the institution turns its key."""


def register_client(
    connection: Connection,
    *,
    client_id: str,
    name: str,
    oin: str,
    public_key: OKPKey,
    scopes: Collection[str],
    now: datetime,
) -> None:
    """Registers a machine of the institution `oin` with its Ed25519 public key.

    Raises RegistrationError for an id that was ever used or is not of the form, an OIN that is not twenty
    digits, or a scope that machines cannot have.
    """
    if not _CLIENT_ID.fullmatch(client_id):
        raise RegistrationError("a client's id has 1 to 64 letters, digits, dots, dashes and underscores")
    if not _OIN.fullmatch(oin):
        raise RegistrationError("an OIN has twenty digits")
    _check_scopes(scopes)
    if connection.scalar(select(col(OAuthClient.client_id)).where(col(OAuthClient.client_id) == client_id)):
        raise RegistrationError("this id belongs to a client already, or did; choose another")
    connection.execute(
        insert(OAuthClient).values(
            client_id=client_id,
            name=name,
            oin=oin,
            public_key=public_jwk(public_key),
            scopes=sorted(set(scopes)),
            created_at=now,
        )
    )


def set_scopes(connection: Connection, client_id: str, scopes: Collection[str]) -> bool:
    """From now on the client's tokens have these scopes at most; those that it has run on. False: no such client.

    Raises RegistrationError for a scope that machines cannot have.
    """
    _check_scopes(scopes)
    done = connection.execute(
        update(OAuthClient).where(col(OAuthClient.client_id) == client_id).values(scopes=sorted(set(scopes)))
    )
    return done.rowcount == 1


def _check_scopes(scopes: Collection[str]) -> None:
    if not scopes or not SCOPES["machine"].issuperset(scopes):
        raise RegistrationError(f"the scopes of a machine are {', '.join(sorted(SCOPES['machine']))}")


def list_clients(
    connection: Connection,
) -> list[Row[tuple[str, str, str, list[str], datetime, datetime | None]]]:
    """All clients by id: client_id, name, oin, scopes, created_at, revoked_at."""
    table = OAuthClient
    return list(
        connection.execute(
            select(
                col(table.client_id),
                col(table.name),
                col(table.oin),
                col(table.scopes),
                col(table.created_at),
                col(table.revoked_at),
            ).order_by(col(table.client_id))
        )
    )


def revoke_client(connection: Connection, client_id: str, now: datetime) -> bool:
    """From `now` on the client gets no token, and is on the list of revoked clients. False: no such client."""
    done = connection.execute(
        update(OAuthClient)
        .where(col(OAuthClient.client_id) == client_id, col(OAuthClient.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    return done.rowcount == 1


# Each is one statement on one row: of two that come at once the second waits, and then looks at what the first made.
_ADD_KEY = text(
    "UPDATE oauth_client SET second_public_key = CAST(:key AS jsonb)"
    " WHERE client_id = :client_id AND second_public_key IS NULL"
    " AND revoked_at IS NULL AND public_key <> CAST(:key AS jsonb)"
)
_REMOVE_KEY = text(
    "UPDATE oauth_client SET second_public_key = NULL,"
    " public_key = CASE WHEN public_key ->> 'kid' = :kid THEN second_public_key ELSE public_key END"
    " WHERE client_id = :client_id AND second_public_key IS NOT NULL"
    " AND :kid IN (public_key ->> 'kid', second_public_key ->> 'kid')"
)
_KEYS = text(
    "SELECT public_key ->> 'kid' AS first, second_public_key ->> 'kid' AS second FROM oauth_client"
    " WHERE client_id = :client_id"
)


def add_key(connection: Connection, client_id: str, public_key: OKPKey) -> None:
    """From now on the client proves who it is with this Ed25519 key as well as with the one it has.

    Raises RegistrationError for a client that is not there or was revoked, has two already, or has this one.
    """
    key = json.dumps(public_jwk(public_key))
    if connection.execute(_ADD_KEY, {"client_id": client_id, "key": key}).rowcount == 0:
        raise RegistrationError(
            "no key is added: no such client, or it was revoked, or it has this key, or two (`client key list ID`; "
            "remove the one that is no longer used first)"
        )


def remove_key(connection: Connection, client_id: str, kid: str) -> None:
    """From now on the client's other key alone is accepted.

    Args:
        kid: the key's fingerprint (the thumbprint of RFC 7638).

    Raises RegistrationError for a key that it has not, or for the only one: such a client is revoked.
    """
    if connection.execute(_REMOVE_KEY, {"client_id": client_id, "kid": kid}).rowcount == 0:
        raise RegistrationError(
            "no key is removed: the client has no such key (`client key list ID`), or it is its only one "
            "(`client revoke ID` ends it)"
        )


def keys_of(connection: Connection, client_id: str) -> list[str]:
    """The fingerprints of the client's keys; none of a client that is not there."""
    row = connection.execute(_KEYS, {"client_id": client_id}).first()
    return [kid for kid in row or () if kid]


def revoked_since(connection: Connection, since: datetime) -> list[str]:
    """The ids of the clients that were revoked after `since`."""
    table = OAuthClient
    return list(connection.scalars(select(col(table.client_id)).where(col(table.revoked_at) > since)))


def find_client(connection: Connection, client_id: str) -> Client | None:
    """The client, unless it is unknown or revoked."""
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    row = connection.execute(
        select(
            col(OAuthClient.oin),
            col(OAuthClient.scopes),
            col(OAuthClient.public_key),
            col(OAuthClient.second_public_key),
        ).where(col(OAuthClient.client_id) == client_id, col(OAuthClient.revoked_at).is_(None))
    ).first()
    if row is None:
        return None
    keys = tuple(OKPKey.import_key(jwk) for jwk in (row.public_key, row.second_public_key) if jwk)
    return Client(client_id, row.oin, frozenset(row.scopes), keys)


# Right when two come at once: the second waits until the first one's row is committed, and inserts nothing.
_USE = text(
    "INSERT INTO assertion_jti (client_id, jti, expires_at) VALUES (:client_id, :jti, :expires_at)"
    " ON CONFLICT DO NOTHING"
)
# One process at a time, without waiting; the margin is for clocks of other processes that run behind.
_FORGET = text(
    "DELETE FROM assertion_jti WHERE (SELECT pg_try_advisory_xact_lock(hashtext('assertion_jti')))"
    " AND (client_id, jti) IN"
    " (SELECT client_id, jti FROM assertion_jti WHERE expires_at < :before ORDER BY expires_at LIMIT 5000)"
)
_MARGIN = timedelta(minutes=5)


def use_assertion(connection: Connection, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Whether this is the assertion's first use; `expires_at` is when it is no longer accepted anyway."""
    if not _JTI.fullmatch(jti):
        return False
    values = {"client_id": client_id, "jti": jti, "expires_at": expires_at}
    return connection.execute(_USE, values).rowcount == 1


def forget_old_assertions(connection: Connection, now: datetime) -> int:
    """Deletes ids of assertions that expired, at most 5000 at a time. Returns how many."""
    return connection.execute(_FORGET, {"before": now - _MARGIN}).rowcount
