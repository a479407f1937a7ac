# SPDX-License-Identifier: EUPL-1.2
"""Whom to kill, how, and who brings it back. In production that is the supervisor of the processes (the restart policy
of docker-compose.yml, systemd); here it is `mend`, a moment later.

A group is what cannot be struck twice at once.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psutil
import sqlalchemy as sa
from redis import Redis
from system.world import System

Act = Callable[[System, random.Random], None]


@dataclass(frozen=True)
class Victim:
    """What can be struck; `mend` is None where it must come back by itself."""

    name: str
    group: str
    strike: Act
    mend: Act | None = None


@dataclass
class Kill:
    """One kill, and after how many seconds all that the system does was seen done again."""

    victim: str
    at: float
    back_after: float = float("nan")


def _process(name: str) -> Victim:
    def strike(system: System, _: random.Random) -> None:
        system.stack.process(name).kill()

    def mend(system: System, _: random.Random) -> None:
        system.stack.restart(name)

    return Victim(name, name, strike, mend)


def _child(name: str, what: str) -> Victim:
    """One of the processes that a server or a worker of Celery made: it makes another itself. Granian ends when that
    one dies within seconds as well; who supervises it brings it back."""

    def strike(system: System, chance: random.Random) -> None:
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(system.stack.process(name).pid).children()
            if children:
                os.kill(chance.choice(children).pid, signal.SIGKILL)

    def mend(system: System, _: random.Random) -> None:
        with suppress(subprocess.TimeoutExpired):
            system.stack.process(name).wait(timeout=3)
            system.stack.restart(name)

    return Victim(what, name, strike, mend)


def _postgres(what: str, strike: Act) -> Victim:
    def mend(system: System, _: random.Random) -> None:
        system.stack.postgres.restart()
        system.disconnect()

    return Victim(what, "postgres", strike, mend)


def _kill_postgres(system: System, _: random.Random) -> None:
    system.stack.postgres.kill()


def _stop_postgres_at_once(system: System, _: random.Random) -> None:
    os.kill(system.stack.postgres.pid, signal.SIGQUIT)


def _kill_backend(system: System, chance: random.Random) -> None:
    """PostgreSQL then ends all other sessions and recovers."""
    with suppress(psutil.NoSuchProcess):
        sessions = [
            child
            for child in psutil.Process(system.stack.postgres.pid).children()
            if "verwijsindex" in " ".join(child.cmdline())
        ]
        if sessions:
            os.kill(chance.choice(sessions).pid, signal.SIGKILL)


def _kill_redis(system: System, _: random.Random) -> None:
    system.stack.redis.kill()


def _restart_redis(system: System, _: random.Random) -> None:
    system.stack.redis.restart()


def _flush_redis(system: System, _: random.Random) -> None:
    with Redis.from_url(system.stack.redis.url) as redis:
        redis.flushall()


def _forget_connections(system: System, _: random.Random) -> None:
    with suppress(sa.exc.SQLAlchemyError):
        system.disconnect()


VICTIMS = (
    *map(_process, ("issuer", "pseudonyms", "index", "worker", "deliverer", "clock")),
    _child("index", "index: the server's process, not its master"),
    _child("worker", "worker: a process of its pool"),
    _child("deliverer", "deliverer: a process of its pool"),
    _postgres("PostgreSQL: kill -9", _kill_postgres),
    _postgres("PostgreSQL: immediate stop", _stop_postgres_at_once),
    Victim("PostgreSQL: one session, kill -9", "postgres", _kill_backend, _forget_connections),
    Victim("Redis", "redis", _kill_redis, _restart_redis),
    Victim("Redis: FLUSHALL", "redis", _flush_redis),
)


def choose(chance: random.Random, bag: list[Victim], most: int) -> list[Victim]:
    """Up to `most` victims of different groups from the bag, which is filled again when it is empty: each in turn."""
    chosen: list[Victim] = []
    wanted = chance.randint(1, most)
    while len(chosen) < wanted:
        if not bag:
            bag += chance.sample(VICTIMS, len(VICTIMS))
        if any(bag[-1].group == other.group for other in chosen):
            break
        chosen.append(bag.pop())
    return chosen


def strike(system: System, victims: list[Victim], chance: random.Random) -> list[Kill]:
    """Kill each at a moment of its own and bring it back up to a second later, side by side; their kills."""

    def one(victim: Victim, chance: random.Random) -> Kill:
        time.sleep(chance.uniform(0, 0.7))
        victim.strike(system, chance)
        kill = Kill(victim.name, time.monotonic())
        if victim.mend:
            time.sleep(chance.uniform(0, 1))
            victim.mend(system, chance)
        return kill

    with ThreadPoolExecutor(len(victims)) as threads:
        chances = [random.Random(chance.random()) for _ in victims]  # noqa: S311 (repeatable)
        return list(threads.map(one, victims, chances))
