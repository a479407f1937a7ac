# SPDX-License-Identifier: EUPL-1.2
"""Requests with an access token for the service they go to."""

from collections.abc import Mapping
from threading import Event

import httpx

from verwijsindex.client.channel import Channel
from verwijsindex.client.tokens import AccessTokens


class Authorized:
    """A channel that sends our token along, and asks for another once where it is not accepted."""

    def __init__(self, channel: Channel, tokens: AccessTokens) -> None:
        self.channel = channel
        self._tokens = tokens

    def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        stop: Event | None = None,
    ) -> httpx.Response:
        """The answer of `service`, an address of our configuration. Raises UnreachableError, TokenError."""
        used = ""

        def with_token() -> Mapping[str, str]:
            nonlocal used
            used = self._tokens.bearer(service, stop)
            return {**(headers or {}), "Authorization": used}

        for _ in range(2):
            response = self.channel.send(
                method, service + path, headers=with_token, params=params, json=json, stop=stop
            )
            if response.status_code != 401:
                break
            self._tokens.forget(service, used)
        return response
