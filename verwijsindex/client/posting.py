# SPDX-License-Identifier: EUPL-1.2
"""Sending signals in batches: pseudonyms by the hundred, posts by the five hundred, several batches at a time.

Each signal is accepted or refused by itself, under its own idempotency key (R9). What passes is waited for: an
item over a limit (R37) is posted again, and no other with it. A reporter's limit of a day that asks for more patience
than there is stands in the way of that reporter's signals and of no others.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from verwijsindex.client.authorized import Authorized
from verwijsindex.client.channel import LONGEST_ASKED
from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import ClientError, ClientProblem, UnreachableError
from verwijsindex.client.idempotency import IdempotencyKeys
from verwijsindex.client.outcome import Accepted, Limited, Outcome, Refused
from verwijsindex.client.pseudonymise import Pseudonymiser, concerns_key_version
from verwijsindex.pseudonyms.voprf import MAX_BATCH

BATCH = 500
"""Signals in one post; the index takes at most 1000."""
AT_ONCE = 4
"""Batches under way: one is posted while others get their pseudonyms."""
PATH = "/api/v1/signal-batches"


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)


class _Registered(_Answer):
    id: UUID
    received_at: AwareDatetime = Field(alias="receivedAt")


class _Item(_Answer):
    status: int
    signal: _Registered | None = None
    problem: dict[str, Any] | None = None


class _Items(_Answer):
    items: list[_Item]


class Poster:
    """Sends batches of signals. May be used by many threads."""

    def __init__(self, index: str, authorized: Authorized, pseudonymiser: Pseudonymiser, keys: IdempotencyKeys) -> None:
        self._index = index
        self._authorized = authorized
        self._pseudonymiser = pseudonymiser
        self._keys = keys

    def send(self, batches: Iterable[Sequence[SignalDraft]]) -> Iterator[list[Outcome]]:
        """The outcomes of each batch, in order; reads AT_ONCE batches ahead.

        Raises:
            ClientError: what stands in the way of all signals. The outcomes up to the first one that is not
                known are told before, so that the last list may be shorter than its batch.
        """
        run = _Run()
        threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verwijsindex-send")
        sent: deque[Future[_Batch]] = deque()
        try:
            for drafts in batches:
                sent.append(threads.submit(self._send, drafts, run))
                if len(sent) > AT_ONCE:
                    yield from sent.popleft().result().told()
            while sent:
                yield from sent.popleft().result().told()
        finally:
            run.stop.set()
            threads.shutdown(cancel_futures=True)

    def _send(self, drafts: Sequence[SignalDraft], run: "_Run") -> "_Batch":
        batch = _Batch(drafts, run)
        try:
            self._pseudonymise(batch, batch.waiting())
        except ClientError as error:
            batch.trouble = error
        try:
            self._post(batch)
        except ClientError as error:
            batch.trouble = error
        if batch.trouble:  # it stands in the way of all: nobody else begins a patience of its own for it
            run.stop.set()
        return batch

    def _pseudonymise(self, batch: "_Batch", places: Sequence[int]) -> None:
        for part in batch.parts(places):
            batch.leave_out_limited()
            if some := [place for place in part if place not in batch.outcomes]:
                self._evaluate(batch, some)

    def _evaluate(self, batch: "_Batch", places: Sequence[int]) -> None:
        """All are evaluated or none: where one reporter stands in the way of the others, each by itself."""
        drafts = [batch.drafts[place] for place in places]
        try:
            people = [(kind, bsn, draft.reporter) for draft in drafts for kind, bsn in draft.people()]
            made = self._pseudonymiser.of(people, batch.run.stop)
        except UnreachableError as error:
            problem, reporters = error.problem, {draft.reporter for draft in drafts}
            if not (problem and problem.limit == "reporter" and error.again_at):
                raise
            if len(reporters) == 1:
                batch.run.limited[reporters.pop()] = problem, error.again_at
                batch.leave_out_limited()
            for reporter in reporters:
                self._evaluate(batch, [place for place in places if batch.drafts[place].reporter == reporter])
            return
        values = iter(made.values)
        for place, draft in zip(places, drafts, strict=True):
            batch.bodies[place] = draft.body(made.key_version, [next(values) for _ in draft.people()])

    def _post(self, batch: "_Batch") -> None:
        """Posts what has a pseudonym until all of that is answered. A pseudonym that became old on its way is made
        anew, once."""
        patience = self._authorized.channel.patience(self._index + PATH, batch.run.stop)
        renewed = False
        while places := [place for place in batch.waiting() if place in batch.bodies]:
            old, asked, trouble = [], 0.0, None
            for place, item in zip(places, self._items(batch, places), strict=True):
                draft = batch.drafts[place]
                if item.status == 201 and item.signal:
                    batch.outcomes[place] = Accepted(draft, item.signal.id, item.signal.received_at)
                    continue
                problem = ClientProblem.of_body(item.status, item.problem)
                if concerns_key_version(problem):
                    if renewed:  # no fault of this signal: not to be put down as its fate
                        raise problem
                    self._pseudonymiser.forget_version(int(batch.bodies[place]["pseudonym"]["keyVersion"]))
                    old.append(place)
                elif item.status == 429 or item.status >= 500:
                    seconds = _retry_after(item.problem or {})
                    if problem.limit == "reporter" and not patience.lasts(seconds):
                        again_at = self._authorized.channel.clock() + timedelta(seconds=seconds)
                        batch.run.limited[draft.reporter] = problem, again_at
                        batch.outcomes[place] = Limited(draft, problem, again_at)
                    elif trouble is None or seconds > asked:
                        asked, trouble = seconds, problem
                # Of one signal are faults in it and who may not send it; all else is in the way of every signal.
                elif item.status in {400, 403, 413, 422} and problem.is_ours and problem.slug != "not-allowed":
                    batch.outcomes[place] = Refused(draft, problem)
                else:
                    raise problem
            if old:
                renewed = True
                self._pseudonymise(batch, old)
            if trouble:
                what = f"does not take some of the signals now ({trouble.slug}, HTTP {trouble.status})"
                patience.wait(what, asked, trouble)

    def _items(self, batch: "_Batch", places: Sequence[int]) -> list[_Item]:
        signals = [{"idempotencyKey": self._keys.of(batch.drafts[p]), "signal": batch.bodies[p]} for p in places]
        response: httpx.Response = self._authorized.send(
            self._index, "POST", PATH, json={"signals": signals}, stop=batch.run.stop
        )
        try:
            items = _Items.model_validate_json(response.content).items if response.status_code == 200 else []
        except ValidationError:
            items = []
        if len(items) != len(places):
            raise ClientProblem.of(response)
        return items


class _Run:
    """What all batches of one `send` share."""

    def __init__(self) -> None:
        self.stop = Event()
        self.limited: dict[UUID, tuple[ClientProblem, datetime]] = {}
        """Reporters at their limit, and until when."""


class _Batch:
    """Signals that are sent together, and what is known of each by now."""

    def __init__(self, drafts: Sequence[SignalDraft], run: _Run) -> None:
        self.drafts = drafts
        self.run = run
        self.bodies: dict[int, Mapping[str, Any]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.trouble: ClientError | None = None

    def waiting(self) -> list[int]:
        """The places of those without an outcome."""
        return [place for place in range(len(self.drafts)) if place not in self.outcomes]

    def parts(self, places: Sequence[int]) -> Iterator[list[int]]:
        """These places, cut so that each part is of MAX_BATCH people at most; a youngster stays with its parents."""
        part: list[int] = []
        people = 0
        for place in places:
            more = len(self.drafts[place].people())
            if people + more > MAX_BATCH:
                yield part
                part, people = [], 0
            part.append(place)
            people += more
        if part:
            yield part

    def leave_out_limited(self) -> None:
        """Of those that have no pseudonym yet: it would be asked for in vain, and counts."""
        for place in self.waiting():
            draft = self.drafts[place]
            if place not in self.bodies and draft.reporter in self.run.limited:
                self.outcomes[place] = Limited(draft, *self.run.limited[draft.reporter])

    def told(self) -> Iterator[list[Outcome]]:
        """The outcomes up to the first that is not known; then the trouble, if any, is raised."""
        waiting = self.waiting()
        yield [self.outcomes[place] for place in range(waiting[0] if waiting else len(self.drafts))]
        if self.trouble:
            raise self.trouble


def _retry_after(problem: Mapping[str, Any]) -> float:
    asked = problem.get("retryAfter")
    return float(min(asked, LONGEST_ASKED)) if isinstance(asked, int) and asked > 0 else 0.0
