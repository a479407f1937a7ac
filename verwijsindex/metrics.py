# SPDX-License-Identifier: EUPL-1.2
"""What is counted, for Prometheus: on a port of its own, which nothing that faces the outside serves.

No label names a client, an institution or a municipality: that one is in health care or justice is itself sensitive
(R33), and whoever draws graphs is not who reads the ledger. Every label has few values, all of them ours.
docs/metrics.md lists every metric, with alerts.

A server's processes and a worker's children count together: each in files of its own in one folder, which the first
process of them sums when it is asked (prometheus_client's multiprocess mode, which must be on when that is imported;
so this module looks at VERWIJSINDEX_METRICS_PORT itself).
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
if os.environ.get("VERWIJSINDEX_METRICS_PORT", "0") != "0" and _FOLDER not in os.environ:
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="verwijsindex-metrics-")

    def _remove(folder: str = os.environ[_FOLDER], maker: int = os.getpid()) -> None:
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(_remove)

from prometheus_client import (  # noqa: E402 (see above)
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # noqa: E402

REGISTRY = CollectorRegistry()
_LATE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"verwijsindex_{name}", says, labels, registry=REGISTRY)


def _histogram(name: str, says: str, *labels: str) -> Histogram:
    return Histogram(f"verwijsindex_{name}", says, labels, registry=REGISTRY, buckets=_LATE)


def _gauge(name: str, says: str, *labels: str, mode: Literal["livemax", "livesum"] = "livemax") -> Gauge:
    return Gauge(f"verwijsindex_{name}", says, labels, registry=REGISTRY, multiprocess_mode=mode)


REQUESTS = _counter("requests", "Requests answered.", "operation", "status")
REQUEST_SECONDS = _histogram("request_seconds", "How long an answer took.", "operation")
PROBLEMS = _counter("problems", "Problems answered, limits that were reached among them.", "problem")
TOKENS_REFUSED = _counter("tokens_refused", "Access tokens that were not believed.", "reason")
TOKEN_REQUESTS = _counter("token_requests", "Token requests at the issuer: issued, or the OAuth error.", "outcome")
ELEMENTS = _counter("elements_evaluated", "Blinded elements evaluated by the pseudonym service.")
SIGNALS = _counter("signals_accepted", "Signals answered with 201; a repeat counts again.")
MATCHED = _counter("work_matched", "Rows of work that the matcher did.")
MATCH_SECONDS = _histogram("match_seconds", "How long a batch of the matcher took.")
NOTICES = _counter("notices_placed", "Notices placed in inboxes.")
ENDED = _counter("signals_ended", "Signals that left: into the archive, or destroyed.", "how")
SEALED = _counter("events_sealed", "Events that got their place in the ledger's tree.")
ALERTS_RAISED = _counter("alerts_raised", "Alerts that were raised for privacy officers.")
DELIVERIES = _counter("deliveries", "Tries to deliver a webhook, by how they ended.", "outcome")
MAILS = _counter("mails", "Tries to hand a mail to the mail server, by how they ended.", "outcome")
TASKS = _counter("tasks", "Tasks of the workers that ended.", "task", "outcome")
LOG_LINES = _counter("log_lines", "Lines of the log of level warning and error.", "level", "event")
CONNECTIONS = _gauge("database_connections", "Connections in use, by role.", "role", mode="livesum")
KEY_VERSION = _gauge("key_version", "Newest version held of a key.", "key")
UP = _gauge("up", "1 when the clock's last look was answered, else 0.", "part")
WAITING = _gauge("waiting", "Rows of work, or deliveries that are due, as the clock last saw.", "queue")
OLDEST_SECONDS = _gauge(
    "oldest_seconds", "How long the oldest of them has been waiting; of `end`, what ended and has not left.", "queue"
)
CROWDED = _gauge("crowded_parents", "Parents that link nobody, as the clock last saw: too many youngsters have them.")
ALERTS_OPEN = _gauge("alerts_open", "Alerts that are not closed, as the clock last saw.", "state")
DEAD_LETTERS = _gauge("dead_letters", "Webhooks that no try could deliver, and that nobody has sent again.")
PARKED = _gauge("parked", "Rows that are parked: of `match`, signals that are not matched.", "queue")


def count_ended(archived: int, destroyed: int) -> None:
    """That so many signals left."""
    ENDED.labels("archived").inc(archived)
    ENDED.labels("destroyed").inc(destroyed)


def outcome_class(outcome: str) -> str:
    """How a try to deliver ended, in one of a few words, whatever the receiver did."""
    if outcome == "ok":
        return "delivered"
    if outcome.startswith("status "):
        return f"status {outcome.removeprefix('status ')[:1]}xx"
    if outcome.endswith("Timeout"):
        return "timeout"
    return "no connection" if outcome.endswith("Error") else "not sent"


class _AllProcesses:
    """The sum of all processes that share the folder; what a dead one had in use is in use no more."""

    def collect(self) -> Iterable[Metric]:
        for file in Path(os.environ[_FOLDER]).glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
            except PermissionError:
                """It lives."""
        collected: Iterable[Metric] = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]
        return collected


def serve(address: str, port: int) -> None:
    """Answer to Prometheus on this port from now on, for all processes of this server or worker; 0: nothing is done.

    Raises:
        SystemExit: when somebody else listens there: each process with metrics needs a port of its own.
    """
    if not port:
        return
    together = CollectorRegistry()
    together.register(_AllProcesses())
    try:
        start_http_server(port, address, registry=together)
    except OSError as error:
        raise SystemExit(
            f"cannot serve metrics on {address} port {port} ({os.strerror(error.errno or 0)}):"
            " give each process a VERWIJSINDEX_METRICS_PORT of its own"
        ) from None
