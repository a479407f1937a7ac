# SPDX-License-Identifier: EUPL-1.2
"""Hearing of bursts of pseudonyms from the pseudonym service, which alone sees evaluations (R37).

It is asked every minute, as a client of the index's operator with the scope `bursts:read`, and tells all bursts of the
last four weeks each time: so nothing is lost whoever was away, and what was raised is not raised again.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import Engine

from verwijsindex.auditing.bursts import raise_pseudonym_bursts
from verwijsindex.client.authorized import Authorized, content
from verwijsindex.client.channel import Channel, utc_now
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ClientError
from verwijsindex.client.tokens import AccessTokens
from verwijsindex.database import transaction
from verwijsindex.logs import BURSTS_NOT_HEARD_OF, log
from verwijsindex.settings import API_PREFIX

EVERY = timedelta(minutes=1)


class _Bursts(BaseModel):
    """What the service answers."""

    model_config = ConfigDict(hide_input_in_errors=True)

    items: list[dict[str, Any]] = Field(max_length=1000)


_BURSTS = TypeAdapter(_Bursts)


class BurstSource:
    """The pseudonym service as one process asks it.

    Args:
        path: the configuration of the operator's client, as an institution has one (docs/operations.md).
        transport: in the place of the network, for tests.

    Raises:
        ConfigError: it cannot be used; says why.
    """

    def __init__(self, path: Path, transport: httpx.BaseTransport | None = None) -> None:
        config = ClientConfig.load(path)
        self._service = config.pseudonyms
        channel = Channel(
            transport=transport, clock=utc_now, wait=lambda stop, seconds: None, patience=0, trust=config.trust()
        )
        self._authorized = Authorized(channel, AccessTokens(config, config.own_key(), channel))
        self._due_at: datetime | None = None

    def look(self, pool: Engine, now: datetime) -> int:
        """At most once a minute: ask, and raise what is new; how many alerts. What stands in the way is logged.

        Args:
            pool: of the worker role.
        """
        if self._due_at and self._due_at - EVERY <= now < self._due_at:
            return 0
        self._due_at = now + EVERY
        try:
            answer = self._authorized.send(self._service, "GET", f"{API_PREFIX}/bursts")
            found = content(answer, _BURSTS).items
        except ClientError as error:
            log(BURSTS_NOT_HEARD_OF, error=error)
            return 0
        with transaction(pool) as connection:
            return raise_pseudonym_bursts(connection, found, now)
