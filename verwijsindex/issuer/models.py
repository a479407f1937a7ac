# SPDX-License-Identifier: EUPL-1.2
"""Tables of the issuer's own database. They have their own MetaData: no other process ever sees them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CHAR, CheckConstraint, Column, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel


class _Table(SQLModel):
    metadata: ClassVar[MetaData] = MetaData()


# A public Ed25519 JWK (RFC 8037) and nothing of its private part; `kid` is the thumbprint of RFC 7638.
_PUBLIC_ED25519 = (
    "(public_key ->> 'kty' = 'OKP' AND public_key ->> 'crv' = 'Ed25519'"
    " AND public_key ->> 'x' ~ '^[A-Za-z0-9_-]{43}$' AND public_key ->> 'kid' ~ '^[A-Za-z0-9_-]{43}$'"
    " AND public_key - '{kty,crv,x,kid}'::text[] = '{}'::jsonb) IS TRUE"
)
_SECOND_ED25519 = "second_public_key IS NULL OR " + _PUBLIC_ED25519.replace("public_key", "second_public_key")


class OAuthClient(_Table, table=True):
    """A machine of an institution. It is never deleted, so that its id never comes to mean another.

    It has a second public key only while the institution turns its key.
    """

    __tablename__ = "oauth_client"
    __table_args__ = (
        CheckConstraint("client_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'", name="oauth_client_id"),
        CheckConstraint("oin ~ '^[0-9]{20}$'", name="oauth_client_oin_is_twenty_digits"),
        CheckConstraint(_PUBLIC_ED25519, name="oauth_client_public_key_is_ed25519"),
        CheckConstraint(_SECOND_ED25519, name="oauth_client_second_public_key_is_ed25519"),
        CheckConstraint("second_public_key <> public_key", name="oauth_client_keys_differ"),
        CheckConstraint(
            "array_to_string(scopes, ' ', '?') ~ '^[a-z]+:[a-z]+( [a-z]+:[a-z]+)*$'",
            name="oauth_client_scopes",
        ),
    )

    client_id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    oin: str = Field(sa_type=CHAR(20))
    public_key: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    second_public_key: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class AssertionJti(_Table, table=True):
    """The id of a client's assertion that was used; the primary key makes it single use (RFC 7523).

    The row may go as soon as the assertion itself is no longer accepted.
    """

    __tablename__ = "assertion_jti"
    __table_args__ = (CheckConstraint("jti ~ '^[!-~]{1,128}$'", name="assertion_jti_form"),)

    client_id: str = Field(primary_key=True, sa_type=Text, foreign_key="oauth_client.client_id")
    jti: str = Field(primary_key=True, sa_type=Text)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
