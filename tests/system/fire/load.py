# SPDX-License-Identifier: EUPL-1.2
"""Senders under fire: of each institution one with the real client library and one with plain HTTP.

Each sends what it has until it has its answer, with the same idempotency key, whatever becomes of the services
meanwhile. What no sender should ever see (an answer that is neither 2xx nor a well-formed 503, a refusal, a second id
for one signal) is kept as `trouble`.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from uuid import UUID, uuid4

import httpx
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from support import DORDRECHT, STEIN, WESTERVELD, bsn
from system.world import INSTITUTIONS, Placed, Reporter, System

from verwijsindex import database, keyfiles
from verwijsindex.access.caller import SCOPES
from verwijsindex.client import (
    Accepted,
    ClientConfig,
    ClientError,
    Informed,
    SignalDraft,
    UnreachableError,
    VerwijsindexClient,
)
from verwijsindex.issuer import service as issuer

AT_ONCE = 5  # signals that a client sends before it is started anew: token, list and evaluation again
TOGETHER = 12  # youngsters that are signalled at about the same time
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Intent:
    """A signal that a sender will send until it has its answer; `number` is unique in one load."""

    number: int
    youngster: int
    reporter: Reporter
    residence: str

    def draft(self, made_at: datetime) -> SignalDraft:
        """As the client library knows it."""
        return SignalDraft(
            reporter=self.reporter.id,
            bsn=bsn(self.youngster),
            birth_date=made_at.date() - timedelta(days=3000),
            residence_municipality=self.residence,
            made_at=made_at,
            reasonable_suspicion=True,
            informing=Informed(made_at.date(), "both"),
            case_reference=f"F{self.number}",  # two signals of one second are two
        )


Way = Callable[[list[Intent]], None]
"""How signals of one institution are sent until each has its answer."""


def enlist(system: System) -> dict[str, ClientConfig]:
    """Register a client of each institution with the issuer; its configuration."""
    url = SecretStr(system.stack.environment["VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL"])
    pool = database.engine(url, pool_size=1)
    made = {}
    for oin in INSTITUTIONS:
        key, file = OKPKey.generate_key("Ed25519"), system.stack.folder / f"client-{oin}.jwk"
        keyfiles.write_signing_key(file, key)
        with pool.begin() as connection:
            issuer.register_client(
                connection,
                client_id=f"client-{oin}",
                name=oin,
                oin=oin,
                public_key=key,
                scopes=SCOPES["machine"],
                now=datetime.now(UTC),
            )
        made[oin] = ClientConfig(
            index=system.stack.index,
            pseudonyms=system.stack.pseudonyms,
            issuer=system.stack.issuer,
            client_id=f"client-{oin}",
            key_file=file,
            key_list_signer=(system.stack.key_list_signer,),
        )
    pool.dispose()
    return made


class Load:
    """Senders that work from the beginning to the end of a `with` block, or of several one after another; at its end
    each has all its answers.

    Args:
        youngsters: who is signalled, one group of TOGETHER after another.
        reporters: for whom, some of each institution.
        pause: seconds between two signals of one sender, on average.

    `doors` are the indexes that senders by plain HTTP post to; of several they try any, and sometimes two in turn.
    """

    def __init__(
        self,
        system: System,
        configs: dict[str, ClientConfig],
        youngsters: list[int],
        reporters: list[Reporter],
        *,
        seed: int,
        pause: float = 0.15,
    ) -> None:
        self.system, self.configs = system, configs
        self.placed: dict[int, Placed] = {}
        self.statuses: Counter[str] = Counter()
        self.trouble: list[str] = []
        self.doors = [system.http]
        self.ways: tuple[Way, ...] = (self.by_client, self.by_http)
        self.also: Callable[[], None] | None = None
        """Done again and again beside the senders."""
        self.parents: list[int] = []
        """Whom senders by plain HTTP name: each as the parent of two youngsters of eight."""
        self.seed = seed
        self._youngsters, self._reporters, self.pause = youngsters, reporters, pause
        self._numbers = count()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Load":
        self._over.clear()
        self._threads.clear()
        for way in self.ways:
            for oin in INSTITUTIONS:
                chance = random.Random(f"{self.seed} {way.__name__} {oin}")  # noqa: S311 (repeatable)
                self._threads.append(threading.Thread(target=self._send, args=(way, oin, chance), daemon=True))
        if self.also:
            self._threads.append(threading.Thread(target=self._act, args=(self.also,), daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        give_up_at = time.monotonic() + 90
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
            if thread.is_alive():
                self.trouble.append("a sender has no answer 90 seconds after the last kill")

    def saw(self, service: str, response: httpx.Response) -> None:
        """Keep count of an answer; only 2xx and a 503 that says when to come back are right under fire."""
        self.statuses[f"{service} {response.status_code}"] += 1
        if response.status_code == 503:
            if response.headers.get("content-type") != MEDIA_TYPE or "retry-after" not in response.headers:
                self.trouble.append(f"{service}: a 503 that is no problem or has no Retry-After")
        elif not response.is_success:
            self.trouble.append(f"{service}: status {response.status_code}")

    def accepted(self, intent: Intent, id_: UUID) -> None:
        """A signal has its 201: the first, or a repeat that must say the same."""
        placed = Placed(id_, intent.youngster, intent.reporter.id, intent.residence)
        if self.placed.setdefault(intent.number, placed).id != id_:
            self.trouble.append("one signal got two ids")

    def client(self, oin: str) -> VerwijsindexClient:
        """A client of an institution that waits a fifth as long as others between its attempts."""
        return VerwijsindexClient(
            self.configs[oin],
            transport=_Watching(self),
            wait=lambda stop, seconds: stop.wait(seconds / 5),
        )

    def _send(self, way: Way, oin: str, chance: random.Random) -> None:
        own = [reporter for reporter in self._reporters if reporter.oin == oin]
        try:
            while not self._over.is_set():
                way([self._intent(own, chance) for _ in range(AT_ONCE)])
                self._over.wait(chance.uniform(0, 2 * self.pause * AT_ONCE))
        except Exception as error:  # a thread's exception would be lost
            self.trouble.append(f"a sender ended: {type(error).__name__}: {error}")

    def _act(self, act: Callable[[], None]) -> None:
        try:
            while not self._over.wait(self.pause):
                act()
        except Exception as error:
            self.trouble.append(f"an actor ended: {type(error).__name__}: {error}")

    def _intent(self, own: list[Reporter], chance: random.Random) -> Intent:
        number = next(self._numbers)
        youngster = self._youngsters[(number // 3 + chance.randrange(TOGETHER)) % len(self._youngsters)]
        return Intent(number, youngster, chance.choice(own), chance.choice((WESTERVELD, DORDRECHT, STEIN)))

    def by_client(self, intents: list[Intent]) -> None:
        made_at = datetime.now(UTC).replace(microsecond=0)
        drafts = [intent.draft(made_at) for intent in intents]
        while True:
            try:
                with self.client(intents[0].reporter.oin) as client:
                    for intent, outcome in zip(intents, client.submit(drafts), strict=True):
                        if isinstance(outcome, Accepted):
                            self.accepted(intent, outcome.id)
                        else:
                            self.trouble.append(f"client: refused as {outcome.problem.slug}")
                return
            except UnreachableError:
                time.sleep(0.2)
            except ClientError as error:
                self.trouble.append(f"client: {type(error).__name__}: {error}")
                return

    def by_http(self, intents: list[Intent]) -> None:
        for intent in intents:
            headers = self.system.headers(intent.reporter.oin) | {"Idempotency-Key": str(uuid4())}
            body = self.system.body(intent.youngster, intent.reporter, intent.residence)
            if self.parents and intent.number >= 0 and intent.youngster % 8 < 2:
                parent = self.parents[intent.youngster // 8 % len(self.parents)]
                body["parents"] = [{"keyVersion": 1, "value": self.system.pseudonym(parent).to_text()}]
            for _ in range(random.randint(1, len(self.doors))):  # noqa: S311
                while (id_ := self._posted(body, headers)) is None:
                    time.sleep(0.2)
                self.accepted(intent, id_)

    def _posted(self, body: dict[str, object], headers: dict[str, str]) -> UUID | None:
        try:
            answer = random.choice(self.doors).post("/api/v1/signals", json=body, headers=headers)  # noqa: S311
        except httpx.TransportError:
            return None
        self.saw("index", answer)
        return UUID(answer.json()["id"]) if answer.status_code == 201 else None


class _Watching(httpx.HTTPTransport):
    """The network, with every answer shown to the load."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        stack = load.system.stack
        self._names = {getattr(stack, name): name for name in ("index", "pseudonyms", "issuer")}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self._load.saw(self._names[f"{request.url.scheme}://{request.url.netloc.decode()}"], response)
        return response
