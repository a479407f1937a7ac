# SPDX-License-Identifier: EUPL-1.2
"""The Celery app of worker and clock: `celery -A verwijsindex.workers.app`. Tasks carry no data, only "there is work".

Keys and settings are read when this module is imported: a worker with a bad key refuses to start, and says which.
"""

import logging
import math
import threading
import time
from datetime import UTC, datetime
from functools import cache

from celery.signals import beat_init, worker_process_init
from pydantic import ValidationError
from sqlalchemy import Engine

from verwijsindex.bell import DELIVER_TASK, MATCH_TASK, SWEEP_TASK, celery_app
from verwijsindex.database import engine, transaction
from verwijsindex.keyfiles import KeyFileError
from verwijsindex.matching.service import match_waiting, unpark
from verwijsindex.notices.delivery import Sender, deliver_due
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import WorkerSettings, settings_faults, utc_now
from verwijsindex.signals.service import forget_old_requests
from verwijsindex.workers import health

log = logging.getLogger(__name__)

try:
    settings = WorkerSettings()
    keys = IndexKeys.load(settings.keys)
except ValidationError as error:
    raise SystemExit(settings_faults(error)) from None
except KeyFileError as error:
    raise SystemExit(f"worker and clock do not start: {error}") from None
sender = Sender(
    keys=keys,
    base_url=settings.base_url,
    operator_oin=settings.operator_oin,
    timeout=settings.webhook_timeout_seconds,
    allow_plain_http=settings.allow_plain_http,
)
app = celery_app(settings.broker_url)
app.conf.beat_schedule = {
    "sweep": {
        "task": SWEEP_TASK,
        "schedule": settings.sweep_seconds,
        "options": {"expires": settings.sweep_seconds},
    },
    "deliver": {
        "task": DELIVER_TASK,
        "schedule": max(settings.push_tick_seconds, 1.0),
        "options": {"expires": max(settings.push_tick_seconds, 1.0)},
    },
}


@cache
def pool() -> Engine:
    """This process's connections, made after the fork."""
    return engine(settings.worker_database_url, pool_size=2)


@worker_process_init.connect
def _forget_the_parents_pool(**_: object) -> None:
    pool.cache_clear()


def next_tick(now: datetime) -> datetime:
    """When pushes for what is told now may leave: all together, so that their time tells an observer nothing."""
    tick = settings.push_tick_seconds
    return datetime.fromtimestamp(math.ceil(now.timestamp() / tick) * tick, UTC) if tick else now


@app.task(name=MATCH_TASK)
def match() -> None:
    """Match what waits, batch after batch."""
    more = True
    while more:
        now = utc_now()
        more = match_waiting(pool(), now, next_tick(now)).more


@app.task(name=DELIVER_TASK)
def deliver() -> None:
    """Deliver what is due, for a turn; then the other tasks get theirs, and this one comes again."""
    if deliver_due(pool(), sender, utc_now):
        deliver.apply_async(expires=60, retry=False)


@app.task(name=SWEEP_TASK)
def sweep() -> None:
    """Find the work that no bell announced, forget idempotency records that are too old, and say that all is well."""
    match()
    with transaction(pool()) as connection:
        forget_old_requests(connection, utc_now())
        parked = unpark(connection, utc_now())
    if parked:
        log.error("%d rows of work are parked: their signals are not matched", parked)
    else:
        health.swept(settings.broker_url, settings.sweep_seconds)


@beat_init.connect
def _stand_in(**_: object) -> None:
    """In the clock: as long as Redis does not answer no worker hears of work, so the clock does it itself."""
    threading.Thread(target=_work_while_redis_is_away, name="stand-in", daemon=True).start()


def _work_while_redis_is_away() -> None:
    while True:
        time.sleep(settings.sweep_seconds)
        if health.redis_answers(settings.broker_url):
            continue
        try:
            match()
            deliver_due(pool(), sender, utc_now)
        except Exception as error:  # PostgreSQL may be away too; it is tried again
            log.warning("standing in for the workers failed: %s", type(error).__name__)
