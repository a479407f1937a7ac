# SPDX-License-Identifier: EUPL-1.2
"""The bell: tells the workers that there is work, carries nothing, and may be lost (a sweep finds the work).

Rung after the commit. One thread of each process rings, at most once per 50 ms, so that no request waits for
Redis: publishing costs more than the insert that it announces.
"""

import ssl
import threading
import time

from celery import Celery
from kombu import Queue
from pydantic import SecretStr

from verwijsindex.logs import BELL_NOT_RUNG, log

MATCH_TASK = "verwijsindex.match"
DELIVER_TASK = "verwijsindex.deliver"
MAIL_TASK = "verwijsindex.mail"
SWEEP_TASK = "verwijsindex.sweep"
BROKER_PATIENCE_SECONDS = 2
_PAUSE = 0.05  # seconds


def celery_app(broker_url: SecretStr) -> Celery:
    """The Celery of this system: JSON messages, no results, no acknowledgement, fast failure of the broker.

    A worker takes from both queues unless its command says otherwise (`-Q verwijsindex.deliver`).
    """
    address = broker_url.get_secret_value()
    app = Celery("verwijsindex", broker=address, set_as_current=False)
    if address.startswith("rediss:"):  # or kombu would verify nobody
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,  # Redis may be away for as long as it likes
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_connect_timeout": BROKER_PATIENCE_SECONDS,
            "socket_timeout": 10,
        },
        enable_utc=True,
        task_default_queue="verwijsindex.match",
        # A ring that was heard is gone, whatever becomes of who heard it: the clock rings again. With acknowledgements,
        # late or early, one that failed when Redis went left a worker deaf for good (docs/decisions/0016).
        task_queues=[
            Queue(name, routing_key=name, no_ack=True) for name in ("verwijsindex.match", "verwijsindex.deliver")
        ],
        task_routes={task: {"queue": "verwijsindex.deliver"} for task in (DELIVER_TASK, MAIL_TASK)},
        task_ignore_result=True,
        task_publish_retry=False,
        timezone="Europe/Amsterdam",
        worker_enable_remote_control=False,  # nobody commands a worker through Redis; and it broke when Redis went
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,  # a line of the log is no line to be logged
        worker_prefetch_multiplier=1,
    )
    return app


class Bell:
    """Rings for one task. `ring` never blocks and never fails."""

    def __init__(self, app: Celery, task: str) -> None:
        self._app = app
        self._task = task
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Ask for a ring; several within 50 ms are one."""
        self._wanted.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=f"bell {self._task}", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._app.send_task(self._task, expires=60, retry=False)
            except Exception as error:  # the truth is in PostgreSQL; the sweep will find it
                log(BELL_NOT_RUNG, error=error)
            time.sleep(_PAUSE)
