# SPDX-License-Identifier: EUPL-1.2
"""Health of clock, workers and deliverers: who did its work lately leaves a mark in Redis, and the mark fades.

The clock asks for a sweep every few seconds and marks that it did. The worker that ends a sweep marks that the way from
the clock by Redis to a worker and PostgreSQL is whole, with how many rows of work are parked; a deliverer that ends a
run, likewise. Where a mark is gone, whoever leaves it does not do its part.
"""

import sys
from contextlib import suppress

import typer
from pydantic import SecretStr
from redis import Redis, RedisError

from verwijsindex.bell import BROKER_PATIENCE_SECONDS
from verwijsindex.settings import Settings

CLOCK, WORKER, DELIVERER = "clock", "worker", "deliverer"
MAIL = "mail"
"""Left only where mail is sent; nobody is missed without it."""
_MISSING = {
    CLOCK: "clock: it asked for no sweep lately; is `celery beat` running?",
    WORKER: "worker: no sweep went well lately; is one running for the queue verwijsindex.match, and PostgreSQL?",
    DELIVERER: "deliverer: no run ended lately; is one running for the queue verwijsindex.deliver, and PostgreSQL?",
}


class HealthSettings(Settings):
    """Where the marks are (VERWIJSINDEX_BROKER_URL)."""

    broker_url: SecretStr


def mark(broker_url: SecretStr, part: str, seconds: float, count: int = 0) -> None:
    """Leave the mark of one that did its work; it fades after so many seconds and ten more.

    Args:
        count: for the worker's mark rows of work that are parked, for that of mail offices to whom it does not come.
    """
    with suppress(RedisError), _redis(broker_url) as redis:  # without Redis nobody is found well
        redis.set(_key(part), str(count), ex=int(seconds + 10))


def redis_answers(broker_url: SecretStr) -> bool:
    """Whether Redis answers now."""
    try:
        with _redis(broker_url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def health() -> None:
    """Say whether clock, worker and deliverer do their work, and which does not; exit status 1 when one does not.

    Where the clock does not do its part, nobody asks the others for theirs: start it first, and ask again.
    """
    try:
        with _redis(HealthSettings().broker_url) as redis:
            parts = [*_MISSING, MAIL]
            marks = dict(zip(parts, redis.mget([_key(part) for part in parts]), strict=True))
    except RedisError as error:
        sys.exit(f"Redis does not answer ({type(error).__name__})")
    faults = [says for part, says in _MISSING.items() if marks[part] is None]
    if marks[CLOCK] is None:
        faults[1:] = [f"{says} (Nobody asks it while the clock does not: start that first.)" for says in faults[1:]]
    if int(marks[WORKER] or 0):
        faults.append(f"{int(marks[WORKER])} rows of work are parked: their signals are not matched (docs/logs.md)")
    if faults:
        sys.exit("\n".join(faults))
    typer.echo("clock, worker and deliverer do their work")
    if int(marks[MAIL] or 0):
        typer.echo(
            f"mail to {int(marks[MAIL])} named officers, case supervisors or municipalities is refused for good:"
            " `verwijsindex admin mail refused` says whose; set another address, and call them"
        )


def _key(part: str) -> str:
    return f"verwijsindex.health.{part}"


def _redis(broker_url: SecretStr) -> Redis:
    return Redis.from_url(
        broker_url.get_secret_value(), socket_timeout=5, socket_connect_timeout=BROKER_PATIENCE_SECONDS
    )
