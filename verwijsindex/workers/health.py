# SPDX-License-Identifier: EUPL-1.2
"""Health of worker and clock: whether a sweep went all the way, from beat by Redis to a worker and PostgreSQL.

The clock asks for a sweep every few seconds, and the worker that ends one leaves a mark in Redis that fades. Where
the mark is gone, worker, clock, Redis or PostgreSQL does not do its part.
"""

import sys

import typer
from pydantic import SecretStr
from redis import Redis, RedisError

from verwijsindex.bell import BROKER_PATIENCE_SECONDS
from verwijsindex.settings import Settings

_MARK = "verwijsindex.swept"


class HealthSettings(Settings):
    """Where the mark is (VERWIJSINDEX_BROKER_URL)."""

    broker_url: SecretStr


def swept(broker_url: SecretStr, every: float) -> None:
    """Leave the mark that a sweep went well; it fades after four sweeps (`every`: seconds) and ten seconds more."""
    with _redis(broker_url) as redis:
        redis.set(_MARK, "1", ex=int(4 * every + 10))


def redis_answers(broker_url: SecretStr) -> bool:
    """Whether Redis answers now."""
    try:
        with _redis(broker_url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def health() -> None:
    """Say whether worker and clock do their work; exit status 1 when they do not."""
    try:
        with _redis(HealthSettings().broker_url) as redis:
            well = redis.exists(_MARK)
    except RedisError as error:
        sys.exit(f"Redis does not answer ({type(error).__name__})")
    if not well:
        sys.exit("no sweep went well lately, or work is parked: see the logs of worker, clock (beat) and PostgreSQL")
    typer.echo("worker and clock do their work")


def _redis(broker_url: SecretStr) -> Redis:
    return Redis.from_url(
        broker_url.get_secret_value(), socket_timeout=5, socket_connect_timeout=BROKER_PATIENCE_SECONDS
    )
