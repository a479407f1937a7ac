# SPDX-License-Identifier: EUPL-1.2
"""The client of an institution: sends signals, and reads what is its reporters' to read."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from threading import Event
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from verwijsindex.client.authorized import Authorized
from verwijsindex.client.channel import Channel, Clock, Wait, utc_now
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import ClientError, ClientProblem
from verwijsindex.client.idempotency import IdempotencyKeys
from verwijsindex.client.pseudonymise import Pseudonymiser, concerns_key_version
from verwijsindex.client.tokens import AccessTokens
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.voprf import MAX_BATCH

POSTERS = 8
"""Threads that post at the same time."""
PAGE = 100

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A signal that the index holds from now on (I1)."""

    draft: SignalDraft
    id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """A signal that the index does not take, and why; nothing of it is stored."""

    draft: SignalDraft
    problem: ClientProblem


Outcome = Accepted | Refused


class _Registered(BaseModel):
    """The answer of a 201."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: UUID
    received_at: AwareDatetime = Field(alias="receivedAt")


class _Page(BaseModel):
    """A page of a list."""

    model_config = ConfigDict(hide_input_in_errors=True)

    items: list[Json]
    next_cursor: str | None = Field(default=None, alias="nextCursor")


_PAGES, _OBJECTS = TypeAdapter(_Page), TypeAdapter(Json)


class VerwijsindexClient:
    """Talks to issuer, pseudonym service and index. Use it as a context manager; many threads may share it.

    Args:
        config: where the services are and who we are.
        transport: in the place of the network, for tests.
        clock: gives the present moment, in UTC.
        wait: how a thread waits between two attempts.

    Raises:
        ConfigError: a key file cannot be used.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = utc_now,
        wait: Wait = Event.wait,
    ) -> None:
        own_key, signer = config.own_key(), config.signer_key()
        self._index = config.index
        self._channel = Channel(transport=transport, clock=clock, wait=wait)
        self._authorized = Authorized(self._channel, AccessTokens(config, own_key, self._channel))
        self._pseudonymiser = Pseudonymiser(config, signer, self._authorized)
        self._keys = IdempotencyKeys(own_key)

    def __enter__(self) -> "VerwijsindexClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.http.close()

    def submit(self, signals: Iterable[SignalDraft]) -> Iterator[Outcome]:
        """Sends signals and tells of each what became of it, in their order.

        Reads ahead by at most two batches of MAX_BATCH, so that any number of signals fits in memory. A
        repeat of the same signal within seven days gets its first answer and is not a second one, so after
        an error the same signals may be sent again as a whole.

        Raises:
            ClientError: what stands in the way of all signals: no answer, no token, no pseudonyms that can be
                trusted. The outcomes that were known by then are told first.
        """
        stop = Event()
        posters = ThreadPoolExecutor(POSTERS, thread_name_prefix="verwijsindex-post")
        posted: deque[Future[Outcome]] = deque()
        trouble: ClientError | None = None
        try:
            remaining = iter(signals)
            while batch := list(islice(remaining, MAX_BATCH)):
                try:
                    made = self._pseudonymiser.of_youngsters(batch, stop)
                except ClientError as error:
                    trouble = error
                    break
                for draft, pseudonym in zip(batch, made.values, strict=True):
                    posted.append(posters.submit(self._post, draft, made.key_version, pseudonym, stop))
                while len(posted) > MAX_BATCH:
                    yield posted.popleft().result()
            while posted:
                yield posted.popleft().result()
            if trouble:
                raise trouble
        finally:
            stop.set()
            posters.shutdown(cancel_futures=True)

    def _post(self, draft: SignalDraft, key_version: int, pseudonym: Pseudonym, stop: Event) -> Outcome:
        outcome = self._post_once(draft, key_version, pseudonym, stop)
        if isinstance(outcome, Refused) and concerns_key_version(outcome.problem):
            self._pseudonymiser.forget_version(key_version)
            made = self._pseudonymiser.of_youngsters([draft], stop)
            outcome = self._post_once(draft, made.key_version, made.values[0], stop)
        return outcome

    def _post_once(self, draft: SignalDraft, key_version: int, pseudonym: Pseudonym, stop: Event) -> Outcome:
        response = self._authorized.send(
            self._index,
            "POST",
            "/api/v1/signals",
            headers={"Idempotency-Key": self._keys.of(draft)},
            json=draft.body(key_version, pseudonym),
            stop=stop,
        )
        if response.status_code == 201:
            with suppress(ValidationError):
                answer = _Registered.model_validate_json(response.content)
                return Accepted(draft, answer.id, answer.received_at)
        problem = ClientProblem.of(response)
        # Of one signal are faults in it and who may not send it; all else is in the way of every signal.
        if response.status_code in {400, 403, 422} and problem.is_ours and problem.slug != "not-allowed":
            return Refused(draft, problem)
        raise problem

    def signals(self, reporter: UUID) -> Iterator[Json]:
        """The reporter's own live signals, as the API's document describes them. Raises ClientError."""
        return self._pages("/api/v1/signals", reporter)

    def signal(self, reporter: UUID, signal_id: UUID) -> Json:
        """One of them. Raises ClientError; ClientProblem with status 404 where it is not the reporter's."""
        return self._read(f"/api/v1/signals/{signal_id}", reporter)

    def notices(self, reporter: UUID) -> Iterator[Json]:
        """The reporter's inbox. Raises ClientError."""
        return self._pages("/api/v1/notices", reporter)

    def matches(self, reporter: UUID) -> Iterator[Json]:
        """The open matches that the reporter is a party of. Raises ClientError."""
        return self._pages("/api/v1/matches", reporter)

    def match(self, reporter: UUID, match_id: UUID) -> Json:
        """One match: whom to call (R12). Raises ClientError; ClientProblem with status 404 where it is not the
        reporter's."""
        return self._read(f"/api/v1/matches/{match_id}", reporter)

    def _pages(self, path: str, reporter: UUID) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            page = self._get(path, reporter, _PAGES, params)
            yield from page.items
            cursor = page.next_cursor
            if not cursor:
                return

    def _read(self, path: str, reporter: UUID) -> Json:
        return self._get(path, reporter, _OBJECTS)

    def _get(self, path: str, reporter: UUID, form: TypeAdapter[T], params: Mapping[str, str] | None = None) -> T:
        response = self._authorized.send(
            self._index, "GET", path, headers={"On-Behalf-Of": str(reporter)}, params=params
        )
        if response.status_code == 200:
            with suppress(ValidationError):
                return form.validate_json(response.content)
        raise ClientProblem.of(response)
