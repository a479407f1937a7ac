# SPDX-License-Identifier: EUPL-1.2
"""Two Celery tasks that do nothing, one after the other: what Celery and Redis take by themselves (`bench.latency`)."""

import os
import time

from pydantic import SecretStr
from redis import Redis

from verwijsindex.bell import celery_app

DONE = "bench.noop.done"
QUEUE = "verwijsindex.match"
_URL = os.environ.get("VERWIJSINDEX_BROKER_URL", "redis://127.0.0.1:1/0")

app = celery_app(SecretStr(_URL))
_redis = Redis.from_url(_URL)


@app.task(name="bench.first")
def first() -> None:
    """Asks for the second."""
    second.apply_async(retry=False)


@app.task(name="bench.second")
def second() -> None:
    """Says when it ran."""
    _redis.rpush(DONE, repr(time.time()))
