# SPDX-License-Identifier: EUPL-1.2
"""A system of its own under load, with subscribers, and a probe that tells when all of it works again."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
from system.fire.acts import Actors
from system.fire.judging import Counts, Subscriber, judge
from system.fire.load import Intent, Load, enlist
from system.fire.proxy import Proxy
from system.world import INSTITUTIONS, SETTINGS, Reporter, System

from verwijsindex.embedded.stack import Stack

BACK_WITHIN = 30  # seconds: what is promised (docs/reliability.md)
GIVE_UP_AFTER = 150  # seconds


@dataclass
class Fire:
    """What a test of fire works with."""

    system: System
    load: Load
    reporters: list[Reporter]
    subscribers: dict[str, Subscriber]
    probes: Iterator[tuple[Reporter, Reporter]]
    spare: list[int]
    proxy: Proxy = field(init=False)
    """Between the services and PostgreSQL, for who puts one there."""
    actors: Actors | None = None
    """Who does more than to signal, for who lets them."""

    def act(self) -> None:
        """Let people withdraw, hand over, move, restrict and tell deaths as long as the load goes on, and name
        parents."""
        self.actors = Actors(self.system, self.load, self.reporters[:12], self.load.seed)
        self.load.also = self.actors
        self.load.parents = self.system.strangers(100)

    def probe(self, since: float) -> float:
        """Wait until a pair of signals goes all the way: token, evaluation, 201, match, inbox, webhook. Returns how
        many seconds after the moment `since` (of the monotonic clock) it had."""
        one, other = next(self.probes)
        intents = [Intent(-len(self.spare) * 2 - n, self.spare[-1], r, "1701") for n, r in enumerate((one, other))]
        self.spare.pop()
        for intent, way in zip(intents, (self.load.ways * 2)[:2], strict=True):
            way([intent])
        while not self._told(one):
            assert time.monotonic() - since < GIVE_UP_AFTER, self._what_is_missing(one)
            time.sleep(0.1)
        return time.monotonic() - since

    def _what_is_missing(self, reporter: Reporter) -> str:
        """For who has to find out why nothing works any more."""
        counts = self.system.rows(
            "SELECT (SELECT count(*) FROM work) AS work, (SELECT count(*) FROM delivery WHERE delivered_at IS NULL)"
            " AS undelivered, (SELECT count(*) FROM notice WHERE reporter_id = :id) AS told",
            id=reporter.id,
        )
        own = self.system.rows(
            "SELECT d.due_at, d.leased_until, d.attempts, d.last_outcome FROM delivery d"
            " JOIN notice n ON n.id = d.notice_id WHERE n.reporter_id = :id",
            id=reporter.id,
        )
        said = [f"== {log.name}\n{log.read_text()[-1500:]}" for log in self.system.stack.folder.glob("*.log")]
        return "\n".join([f"nothing works any more: {counts}, webhooks of the probe: {own}", *said])

    def _told(self, reporter: Reporter) -> bool:
        webhooks = self.subscribers[reporter.oin].bodies.values()
        if not any(str(reporter.id).encode() in body for body in list(webhooks)):
            return False
        try:
            answer = self.system.get("/notices", reporter)
        except httpx.TransportError:
            return False
        self.load.saw("index", answer)
        return answer.status_code == 200 and len(answer.json()["items"]) == 1

    def judge(self) -> Counts:
        """After the load has ended: compare everything with the plain model. No answer was wrong."""
        assert not self.load.trouble, Counter(self.load.trouble)
        return judge(self.system, list(self.load.placed.values()), self.reporters, self.subscribers, self.actors)


@dataclass(frozen=True)
class Registered:
    """Twelve reporters, one more pair for each probe, and the secret of each institution's subscription."""

    reporters: list[Reporter]
    pairs: list[Reporter]
    secrets: dict[str, str]


def register(system: System, probes: int, addresses: Mapping[str, str]) -> Registered:
    """Fill the register; `addresses` are those of the institutions' receivers."""
    reporters, pairs = system.reporters(12), system.reporters(2 * probes, INSTITUTIONS[:2])
    with ThreadPoolExecutor() as threads:  # each waits for its challenge
        secrets = threads.map(system.subscribe, addresses, addresses.values())
        return Registered(reporters, pairs, dict(zip(addresses, secrets, strict=True)))


@contextmanager
def fire(
    seed: int,
    *,
    youngsters: int,
    probes: int,
    settings: Mapping[str, str] | None = None,
    registering: Callable[[Stack, int, Mapping[str, str]], Registered] | None = None,
    before_processes: Callable[[Stack], None] | None = None,
) -> Iterator[Fire]:
    """A system for one test, with twelve reporters, a subscriber for each institution, and a load that is not begun.

    Args:
        youngsters: how many the load signals.
        probes: how often `Fire.probe` can be called.
        registering: fills the whole register in the place of `register`, for tables of another version.
        before_processes: is called when PostgreSQL and Redis run and nothing else does.
    """
    with ExitStack() as undo:
        stack = undo.enter_context(
            Stack(settings={**SETTINGS, **(settings or {})}, durable=False, before_processes=before_processes)
        )
        system = System(stack, fill=registering is None)
        undo.callback(system.close)
        subscribers = {oin: Subscriber() for oin in INSTITUTIONS}
        for one in subscribers.values():
            undo.enter_context(one.receiver)
        addresses = {oin: one.receiver.address for oin, one in subscribers.items()}
        registered = registering(stack, probes, addresses) if registering else register(system, probes, addresses)
        for oin, secret in registered.secrets.items():
            subscribers[oin].secret = secret
        known = system.youngsters(youngsters)
        load = Load(system, enlist(system), known, registered.reporters, seed=seed)
        yield Fire(
            system,
            load,
            registered.reporters + registered.pairs,
            subscribers,
            iter(zip(registered.pairs[::2], registered.pairs[1::2], strict=True)),
            system.youngsters(probes),
        )
