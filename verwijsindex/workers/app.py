# SPDX-License-Identifier: EUPL-1.2
"""The Celery app of worker and clock: `celery -A verwijsindex.workers.app`. Tasks carry no data, only "there is work".

Keys and settings are read when this module is imported: a worker with a bad key refuses to start, and says which.
"""

import math
import threading
import time
from datetime import UTC, datetime
from functools import cache

from celery import Task
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    task_failure,
    worker_process_init,
    worker_shutdown,
)
from pydantic import ValidationError
from sqlalchemy import Engine

from verwijsindex import __version__, logs
from verwijsindex.bell import DELIVER_TASK, MATCH_TASK, SWEEP_TASK, celery_app
from verwijsindex.database import engine, transaction
from verwijsindex.keyfiles import KeyFileError
from verwijsindex.logs import log
from verwijsindex.matching.service import match_waiting, unpark
from verwijsindex.notices.delivery import Sender, deliver_due
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.settings import WorkerSettings, settings_faults, utc_now
from verwijsindex.signals.service import forget_old_requests
from verwijsindex.workers import health

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


@setup_logging.connect
def _say_it_our_way(**_: object) -> None:
    """In the place of Celery's own logging, whose texts may hold values and addresses (I5)."""
    if not logs.is_configured():  # a worker said its name before
        logs.configure("clock")


@celeryd_init.connect
def _worker_started(sender: str, **_: object) -> None:
    logs.configure(sender.partition("@")[0])  # the name that its command gives it: worker, deliverer
    log(logs.PROCESS_STARTED, version=__version__)


@worker_shutdown.connect
def _worker_stopped(**_: object) -> None:
    log(logs.PROCESS_STOPPED)


@task_failure.connect
def _task_failed(sender: "Task[..., object]", exception: Exception, **_: object) -> None:
    log(logs.TASK_FAILED, task=sender.name, error=exception)


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
        log(logs.WORK_STILL_PARKED, rows=parked)
    else:
        health.swept(settings.broker_url, settings.sweep_seconds)


@beat_init.connect
def _stand_in(**_: object) -> None:
    """In the clock: as long as Redis does not answer no worker hears of work, so the clock does it itself."""
    log(logs.PROCESS_STARTED, version=__version__)
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
            log(logs.STAND_IN_FAILED, error=error)
