# SPDX-License-Identifier: EUPL-1.2
"""The Celery app of worker and clock: `celery -A verwijsindex.workers.app`. Tasks carry no data, only "there is work".

Keys and settings are read when this module is imported: a worker with a bad key refuses to start, and says which.
"""

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache

from celery import Task
from celery.signals import (
    after_task_publish,
    beat_init,
    celeryd_init,
    setup_logging,
    task_failure,
    task_success,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy import Engine

from verwijsindex import __version__, logs, metrics
from verwijsindex.auditing.detecting import detect_waiting
from verwijsindex.auditing.fetching import BurstSource
from verwijsindex.bell import DELIVER_TASK, MAIL_TASK, MATCH_TASK, SWEEP_TASK, Bell, celery_app
from verwijsindex.client.errors import ConfigError
from verwijsindex.database import engine, transaction
from verwijsindex.followup.clock import tick
from verwijsindex.keyfiles import KeyFileError, read_signing_key
from verwijsindex.ledger.checkpoint import Signer
from verwijsindex.ledger.sealing import seal_when_due
from verwijsindex.ledger.tallying import tally_waiting
from verwijsindex.logs import log
from verwijsindex.matching.service import LOCK_TRIED, match_waiting, unpark
from verwijsindex.matching.sweeping import sweep_ends
from verwijsindex.notices.delivery import TURN, Deliverer
from verwijsindex.notices.destinations import Destinations
from verwijsindex.notices.mail_form import Form
from verwijsindex.notices.mail_outcomes import refused_offices
from verwijsindex.notices.mail_server import SECONDS as MAIL_SECONDS
from verwijsindex.notices.mail_server import MailServer
from verwijsindex.notices.mailer import Mailer
from verwijsindex.notices.signing import Sender
from verwijsindex.notices.upkeep import tidy
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.repeating import ACTS
from verwijsindex.settings import WorkerSettings, settings_faults, utc_now
from verwijsindex.signals.known_requests import forget_old_requests
from verwijsindex.signals.tombstones import Tombstones
from verwijsindex.tls import trust
from verwijsindex.workers import health
from verwijsindex.workers.measuring import Measuring
from verwijsindex.workers.upkeep import Upkeep

try:
    settings = WorkerSettings()
    keys = IndexKeys.load(settings.keys)
    burst_source = BurstSource(settings.bursts_client) if settings.bursts_client else None
    ledger = Signer(settings.ledger_origin, read_signing_key(settings.ledger_key))
except (ValidationError, SettingsError) as error:
    raise SystemExit(settings_faults(error)) from None
except (KeyFileError, ConfigError) as error:
    raise SystemExit(f"worker and clock do not start: {error}") from None
except ValueError as error:
    raise SystemExit(f"VERWIJSINDEX_LEDGER_ORIGIN: {error}") from None
sender = Sender(
    keys=keys,
    base_url=settings.base_url,
    operator_oin=settings.operator_oin,
    timeout=settings.webhook_timeout_seconds,
    allow_plain_http=settings.allow_plain_http,
    trust=trust(settings.ca_file),
    destinations=Destinations(settings.webhook_private_ranges),
)
_DELIVER_SECONDS = 1.0  # what is told keeps its own tick (`next_tick`); this is how often what is due is looked for
_ENDS_A_SWEEP = 5  # batches: matching goes before and between, and a sweep says soon that all is well
upkeep = Upkeep(settings.contact_data_days)
tombstones = Tombstones(settings.tombstones)
app = celery_app(settings.broker_url)
deliver_bell = Bell(app, DELIVER_TASK)
app.conf.beat_schedule = {
    "sweep": {
        "task": SWEEP_TASK,
        "schedule": settings.sweep_seconds,
        "options": {"expires": settings.sweep_seconds},
    },
    "deliver": {
        "task": DELIVER_TASK,
        "schedule": _DELIVER_SECONDS,
        "options": {"expires": _DELIVER_SECONDS},
    },
}
if settings.mail_host:
    app.conf.beat_schedule["mail"] = {
        "task": MAIL_TASK,
        "schedule": _DELIVER_SECONDS,
        "options": {"expires": _DELIVER_SECONDS},
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


@worker_ready.connect
def _worker_measured(**_: object) -> None:
    if burst_source is None:
        log(logs.BURSTS_NOT_SET)
    tombstones.bury(())  # an alarm now, and not when the first signal has to go
    metrics.serve(settings.metrics_address, settings.metrics_port)


@worker_shutdown.connect
def _worker_stopped(**_: object) -> None:
    log(logs.PROCESS_STOPPED)


@task_failure.connect
def _task_failed(sender: "Task[..., object]", exception: Exception, **_: object) -> None:
    metrics.TASKS.labels(sender.name, "failed").inc()
    log(logs.TASK_FAILED, task=sender.name, error=exception)


@task_success.connect
def _task_succeeded(sender: "Task[..., object]", **_: object) -> None:
    metrics.TASKS.labels(sender.name, "succeeded").inc()


@after_task_publish.connect(sender=SWEEP_TASK)  # by nobody but the clock
def _sweep_asked_for(**_: object) -> None:
    health.mark(settings.broker_url, health.CLOCK, 4 * settings.sweep_seconds)


@cache
def pool() -> Engine:
    """This process's connections, made after the fork."""
    return engine(settings.worker_database_url, pool_size=2)


@cache
def deliverer() -> Deliverer:
    """What this process has on the way to receivers."""
    return Deliverer(pool(), sender, utc_now)


@cache
def mailer() -> Mailer:
    """What this process hands to the mail server."""
    server = MailServer(
        settings.mail_host,
        settings.mail_port,
        sender=settings.mail_sender,
        security=settings.mail_security,
        login=(settings.mail_user, settings.mail_password.read_text().rstrip("\n")) if settings.mail_password else None,
        trust=trust(settings.mail_ca_file),
    )
    form = Form(keys, settings.base_url, settings.mail_link or settings.base_url, settings.mail_sender)
    return Mailer(pool(), server, form, utc_now)


@worker_process_init.connect
def _forget_the_parents_pool(**_: object) -> None:
    pool.cache_clear()


@worker_process_shutdown.connect
def _finish_what_is_on_the_way(**_: object) -> None:
    if deliverer.cache_info().currsize:
        deliverer().finish()
    if mailer.cache_info().currsize:
        mailer().finish(MAIL_SECONDS)


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
        with metrics.MATCH_SECONDS.time():
            done = match_waiting(pool(), now, next_tick(now), keys=keys, bury=tombstones.bury)
        metrics.MATCHED.inc(done.taken)
        metrics.NOTICES.inc(done.looked.notices)
        metrics.count_ended(done.looked.archived, done.looked.destroyed)
        more = done.more
        if done.looked.notices and not settings.push_tick_seconds:
            deliver_bell.ring()


def end() -> None:
    """Bring what is due to its end, a few batches: the next sweep goes on. After each the matcher looks for work, as
    whoever held its lock has to."""
    for _ in range(_ENDS_A_SWEEP):
        now = utc_now()
        swept = sweep_ends(pool(), now, next_tick(now), keys=keys, bury=tombstones.bury)
        metrics.NOTICES.inc(swept.looked.notices)
        metrics.count_ended(swept.looked.archived, swept.looked.destroyed)
        match()
        if not swept.more:
            return


@app.task(name=DELIVER_TASK)
def deliver() -> None:
    """Deliver what is due, for a turn; then the other tasks get theirs, and this one comes again."""
    if deliverer().turn():
        deliver.apply_async(expires=60, retry=False)
    health.mark(settings.broker_url, health.DELIVERER, 2 * _DELIVER_SECONDS + TURN + settings.webhook_timeout_seconds)


@app.task(name=MAIL_TASK)
def mail() -> None:
    """See to it that mail that is due is being sent, and say to how many offices it does not come."""
    mailer().turn()
    with transaction(pool()) as connection:
        refused = refused_offices(connection)
    health.mark(settings.broker_url, health.MAIL, _DELIVER_SECONDS, refused)


def follow_up() -> None:
    """Do what the day brings to follow-up, then look for work, as whoever held the matcher's lock has to."""
    more = True
    while more:
        now = utc_now()
        ticked = tick(pool(), now, next_tick(now), lock=LOCK_TRIED)
        metrics.NOTICES.inc(ticked.notices)
        more = ticked.more
        if ticked.steps or ticked.asked:
            match()


def seal() -> None:
    """Give events their places in the ledger, and sign a checkpoint, as often as is set."""
    metrics.SEALED.inc(seal_when_due(pool(), utc_now(), ledger, timedelta(seconds=settings.seal_seconds)))


def watch() -> None:
    """Look at what got its place in the ledger: count it for reports, and raise alerts (R37)."""
    tally_waiting(pool())
    metrics.ALERTS_RAISED.inc(detect_waiting(pool(), utc_now()))


def hear_of_bursts() -> None:
    """Ask the pseudonym service for bursts, once a minute (R37)."""
    if burst_source:
        metrics.ALERTS_RAISED.inc(burst_source.look(pool(), utc_now()))


@app.task(name=SWEEP_TASK)
def sweep() -> None:
    """Find the work that no bell announced, end and destroy what is past its time, go on with follow-up, and say that
    all is well."""
    seal()  # first: what comes after can take long when there is much of it
    match()
    end()
    follow_up()
    watch()
    with transaction(pool()) as connection:
        forget_old_requests(connection, utc_now())
        ACTS.forget_old(connection, utc_now())
        tidy(connection, utc_now())
        parked = unpark(connection, utc_now())
    upkeep.run(pool(), utc_now())
    if parked:
        log(logs.WORK_STILL_PARKED, rows=parked)
    health.mark(settings.broker_url, health.WORKER, 4 * settings.sweep_seconds, parked)
    hear_of_bursts()  # last: it waits for another operator's service


@beat_init.connect
def _stand_in(**_: object) -> None:
    """In the clock: as long as Redis does not answer no worker hears of work, so the clock does it itself."""
    metrics.serve(settings.metrics_address, settings.metrics_port)
    metrics.KEY_VERSION.labels("index").set(max(keys))
    tombstones.bury(())
    log(logs.PROCESS_STARTED, version=__version__)
    threading.Thread(target=_work_while_redis_is_away, name="stand-in", daemon=True).start()


def _work_while_redis_is_away() -> None:
    measuring = Measuring()
    while True:
        time.sleep(settings.sweep_seconds)
        if settings.metrics_port:
            measuring.look(pool(), settings.broker_url, utc_now())
        if health.redis_answers(settings.broker_url):
            continue
        try:
            seal()
            match()
            end()
            follow_up()
            watch()
            deliverer().turn()
            if settings.mail_host:
                mailer().turn()
        except Exception as error:  # PostgreSQL may be away too; it is tried again
            log(logs.STAND_IN_FAILED, error=error)
