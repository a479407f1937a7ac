# SPDX-License-Identifier: EUPL-1.2
"""Requests with an access token for the service they go to, and what stands in their answers."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from threading import Event
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from verwijsindex.client.channel import Channel
from verwijsindex.client.errors import ClientProblem
from verwijsindex.client.tokens import AccessTokens

PAGE = 100
Json = dict[str, Any]
OBJECT = TypeAdapter(Json)
T = TypeVar("T")


class _Page(BaseModel):
    """A page of a list."""

    model_config = ConfigDict(hide_input_in_errors=True)

    items: list[Json]
    next_cursor: str | None = Field(default=None, alias="nextCursor")


_PAGES = TypeAdapter(_Page)


def content(response: httpx.Response, form: TypeAdapter[T], statuses: Collection[int] = (200,)) -> T:
    """What stands in an answer of one of these statuses. Raises ClientProblem for another, or another form."""
    if response.status_code in statuses:
        with suppress(ValidationError):
            return form.validate_json(response.content)
    raise ClientProblem.of(response)


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

    def act(self, service: str, path: str, reporter: UUID, body: Json | None) -> Json:
        """Do something for a reporter: POST to this path; what the service answers. Raises ClientError."""
        # The key is made once for all tries of this request, so that a try whose answer was lost is not done twice.
        headers = {"Idempotency-Key": str(uuid4()), "On-Behalf-Of": str(reporter)}
        return content(self.send(service, "POST", path, headers=headers, json=body), OBJECT, {201})

    def pages(
        self, service: str, path: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Iterator[Json]:
        """The items of a list, page after page. Raises ClientError."""
        asked = {"limit": str(PAGE), **params}
        while True:
            page = content(self.send(service, "GET", path, headers=headers, params=asked), _PAGES)
            yield from page.items
            if not page.next_cursor:
                return
            asked["cursor"] = page.next_cursor
