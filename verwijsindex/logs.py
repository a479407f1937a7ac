# SPDX-License-Identifier: EUPL-1.2
"""The log: which events there are, which fields each may hold, and the one way in which a line is written (I5).

A line is a JSON object on standard error. An event's fields are an allow-list, and each has a kind that no BSN and no
pseudonym fits: what does not fit is written as `withheld`. Of an exception only its classes and places are written, of
what a library logs only who, where in its source and how badly: their texts may hold values and passwords.
docs/logs.md lists every event, with what an operator does about it.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Literal
from uuid import UUID

import structlog

from verwijsindex import metrics

Level = Literal["info", "warning", "error"]
WITHHELD = "withheld"
_LONGEST = 40  # characters; a pseudonym has 42 or more in every form of text
_LARGEST = 9_999_999  # a BSN has eight or nine digits
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field may hold: `write` gives what is written for a value, or None for one that does not fit."""

    name: str
    write: Callable[[Any], object]


def _count(value: object) -> object:
    return min(value, _LARGEST) if type(value) is int and value >= 0 else None


def _milliseconds(value: object) -> object:
    return min(round(float(value), 1), 999_999.9) if isinstance(value, int | float) and value >= 0 else None


_NAME = re.compile(r"[A-Za-z0-9_<>]+([ ._:/-][A-Za-z0-9_<>]+)*")
_LONG_NUMBER = re.compile(r"[0-9]{6}")


def _name(value: object) -> object:
    fits = isinstance(value, str) and len(value) <= _LONGEST and _NAME.fullmatch(value)
    return value if fits and not _LONG_NUMBER.search(str(value)) else None


def _id(value: object) -> object:
    return str(value) if isinstance(value, UUID) else None


_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,80}(/[A-Za-z0-9._~/-]{0,80})?")


def _address(value: object) -> object:
    fits = isinstance(value, str) and _ADDRESS.fullmatch(value)
    return value if fits and not _LONG_NUMBER.search(str(value)) else None


def _error(value: object) -> object:
    return classes(value) if isinstance(value, BaseException) else None


COUNT = Kind("count", _count)
MILLISECONDS = Kind("milliseconds", _milliseconds)
NAME = Kind("name", _name)
ID = Kind("id", _id)
ADDRESS = Kind("address", _address)
ERROR = Kind("error", _error)
"""An exception: written as its classes, and besides, in `where`, as its places in our source."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A kind of line; `fields` are what it may say besides when, which process and which request."""

    name: str
    level: Level
    fields: Mapping[str, Kind]


def _event(name: str, level: Level, **fields: Kind) -> LogEvent:
    return LogEvent(name, level, MappingProxyType(fields))


PROCESS_STARTED = _event("process.started", "info", version=NAME)
PROCESS_STOPPED = _event("process.stopped", "info")
REQUEST_ANSWERED = _event("request.answered", "info", operation=NAME, status=COUNT, ms=MILLISECONDS, problem=NAME)
TOKEN_REFUSED = _event("token.refused", "info", reason=NAME)
NOT_READY = _event("service.not_ready", "warning", part=NAME)
KEYS_NOT_FETCHED = _event("issuer.keys_not_fetched", "warning", issuer=ADDRESS, reason=NAME)
REVOCATIONS_NOT_FETCHED = _event("issuer.revocations_not_fetched", "warning", issuer=ADDRESS, reason=NAME)
DATABASE_AWAY = _event("database.away", "error", error=ERROR)
INDEX_KEY_MISSING = _event("index_key.missing", "error", error=ERROR)
REFUSAL_NOT_RECORDED = _event("refusal.not_recorded", "error", error=ERROR)
UNFORESEEN = _event("unforeseen", "error", error=ERROR)
BELL_NOT_RUNG = _event("bell.not_rung", "warning", error=ERROR)
WORK_PARKED = _event("work.parked", "error", error=ERROR)
PARENT_CROWDED = _event("parent.crowded", "warning", parents=COUNT)
WORK_STILL_PARKED = _event("work.still_parked", "error", rows=COUNT)
TOMBSTONES_NOT_WRITTEN = _event("tombstones.not_written", "error", error=ERROR)
BURSTS_NOT_HEARD_OF = _event("bursts.not_heard_of", "warning", error=ERROR)
BURSTS_NOT_SET = _event("bursts.not_set", "warning")
STAND_IN_FAILED = _event("stand_in.failed", "warning", error=ERROR)
DELIVERY_NOT_TAKEN = _event("delivery.not_taken", "info", delivery=ID, outcome=NAME)
DELIVERY_DEAD = _event("delivery.dead", "warning", delivery=ID, outcome=NAME)
MAIL_NOT_TAKEN = _event("mail.not_taken", "info", mail=ID, outcome=NAME)
MAIL_REFUSED = _event("mail.refused", "warning", mail=ID, outcome=NAME)
MAIL_SERVER_TROUBLE = _event("mail_server.trouble", "error", outcome=NAME)
TASK_FAILED = _event("task.failed", "error", task=NAME, error=ERROR)
LIBRARY_WARNED = _event("library.warned", "warning", library=NAME, place=NAME, error=ERROR)
LIBRARY_FAILED = _event("library.failed", "error", library=NAME, place=NAME, error=ERROR)

EVENTS: dict[str, LogEvent] = {e.name: e for e in list(vars().values()) if isinstance(e, LogEvent)}

request_id: ContextVar[UUID | None] = ContextVar("request_id", default=None)
"""Of the request that this thread serves: it ties what a caller was answered to the lines about it."""

_process = "command"


class _StandardError:
    """Where lines go: standard error as it is at that moment, each in one write."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    info = warning = error = msg


def _what_counts_first(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: line[name] for name in ("at", "level", "event")} | dict(line)


_lines = structlog.wrap_logger(
    _StandardError(),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _what_counts_first,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.BoundLogger,
)


def log(event: LogEvent, **fields: object) -> None:
    """Write one line. A field that is None is left out; one that does not fit its kind is written as `withheld`.

    Raises:
        TypeError: for a field that the event has not; a test reads every call in the source for that.
    """
    unlisted = fields.keys() - event.fields.keys()
    if unlisted:
        raise TypeError(f"a log event {event.name} may not say {', '.join(sorted(unlisted))}")
    line: dict[str, object] = {"process": _process, "pid": os.getpid()}
    asking = request_id.get()
    if asking is not None:
        line["request"] = str(asking)
    for name, value in fields.items():
        if value is None:
            continue
        written = event.fields[name].write(value)
        line[name] = WITHHELD if written is None else written
        if isinstance(value, BaseException):
            line["where"] = places(value)
    if event.level != "info":
        metrics.LOG_LINES.labels(event.level, event.name).inc()
    getattr(_lines, event.level)(event.name, **line)


def classes(error: BaseException) -> str:
    """The classes of an exception and of what it came from, innermost last: `OperationalError < AdminShutdown`."""
    return " < ".join(type(one).__name__ for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(3):
        if one is None:
            return
        yield one
        one = getattr(one, "orig", None) or one.__cause__  # SQLAlchemy keeps the driver's own in `orig`


def places(error: BaseException) -> list[str]:
    """Where it was raised, as `module:line`, outermost first: our own places, and the innermost of all."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [place for place in frames if place.startswith("verwijsindex.")]
    return [*ours[-_PLACES:], *(frames[-1:] if frames[-1:] != ours[-1:] else [])]


class Library(logging.Handler):
    """What libraries log through `logging`: who, where in its source, how badly. Never its text (I5)."""

    def emit(self, record: logging.LogRecord) -> None:
        event = LIBRARY_FAILED if record.levelno >= logging.ERROR else LIBRARY_WARNED
        error = record.exc_info[1] if record.exc_info else None
        log(event, library=record.name, place=f"{record.module}:{record.lineno}", error=error)


def configure(process: str) -> None:
    """From now on all that this process and its libraries say of themselves is lines of the catalogue.

    Also what would be a traceback: an exception's text may hold values. Args: `process`: index, worker, clock...
    """
    global _process  # noqa: PLW0603 (a process has one name)
    _process = process
    logging.raiseExceptions = False  # it would print the arguments of a line that cannot be formatted
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [Library()]
    root.setLevel(logging.WARNING)
    sys.excepthook = _unforeseen
    sys.unraisablehook = lambda told: _report(told.exc_value)
    threading.excepthook = lambda told: _report(told.exc_value)


def is_configured() -> bool:
    """Whether `configure` was called in this process, or in the one that it was forked from."""
    return any(isinstance(handler, Library) for handler in logging.getLogger().handlers)


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _report(error.with_traceback(trace))


def _report(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        log(UNFORESEEN, error=error)


GRANIAN: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}
"""What granian is told of logging: its lines go where those of every library go."""
