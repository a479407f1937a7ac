# SPDX-License-Identifier: EUPL-1.2
"""What became of the rows of one source, kept on disk, so that a run that was cut off goes on where it was.

JSON, a line each: first what the journal belongs to, then every row whose fate is known or that waits for its
reporter's limit (R37), in the order of the rows, at last that all were sent. It holds row numbers, idempotency keys,
ids of signals and the texts of refusals; no BSN, no pseudonym, no case reference (I5).

What a later run learns of rows that waited is written after all that was there. Where a line's row is not after that
of the line before, there begins a section; each is in the order of the rows, so that they are read side by side,
whatever their size. There are at most as many as there were runs.

Why nothing gets lost or doubled at whatever point a run dies: a row is written down only after its answer. One
that was answered and not yet written down is sent again under the same key, and the index gives it its first
answer (R9) for seven days. After those it cannot be accepted a second time either, since a signal is
sent at most seven days after it was made (R4). Rows are known without gaps from the first on, so a last line
that was torn by a crash is dropped and its row sent again.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import ClientProblem, ConfigError, ProblemFault
from verwijsindex.client.outcome import Accepted, Limited, Outcome, Refused
from verwijsindex.client.ownfiles import open_own

FORM = "verwijsindex-client-journal/1"
_BEGINS = b'{"form":"' + FORM.encode() + b'"'
_LONGEST_HEAD = 4096  # bytes


class JournalError(ConfigError):
    """A journal that cannot be used for these rows, or not be written; the text says what to do."""


class Journal:
    """The journal of one source of rows; use it as a context manager.

    Every row in turn is asked for with `recall`. The outcomes of those that had none are put down with `keep`, again in
    turn, and reach the disk with `sync`. Then `finish`.
    """

    def __init__(self, path: Path, belongs_to: Mapping[str, str], *, again: bool = False) -> None:
        """Opens or makes it, with mode 0600, and locks it until it is closed.

        Args:
            belongs_to: names of the source and its destination, none of them secret. A journal of others is refused.
            again: begin anew, whatever is known.

        Raises:
            JournalError: another process has it; it belongs to something else, or is no journal.
            OSError: it cannot be made.
        """
        self.path = path
        self.belongs_to = belongs_to
        self.finished_at: datetime | None = None
        """When an earlier run had sent all rows; known after `finish`."""
        self.known_to = -1
        """The last row of which an earlier run wrote down anything; -1 where there is none."""
        self._sections: list[_Section] = []
        self._finished: datetime | None = None
        self._waits = False
        self._file = os.fdopen(open_own(path), "rb")
        try:
            self._lock()
            self.last_written = datetime.fromtimestamp(os.fstat(self._file.fileno()).st_mtime, UTC)
            self.resumes = self._begin({"form": FORM, **belongs_to}, again)
            """Whether it holds rows of an earlier run."""
        except BaseException:
            self._close()
            raise
        self._waiting: list[bytes] = []

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"{self.path} is in use: another run sends the same rows now; let it end, or stop it"
            ) from None

    def _begin(self, head: Mapping[str, str], again: bool) -> bool:
        """Reads or writes the first line. Returns whether more is there."""
        line = self._file.readline(_LONGEST_HEAD)
        found = _read(line)
        torn = b"\n" not in line and line[: len(_BEGINS)] == _BEGINS[: len(line)]
        if not torn and (found is None or found.get("form") != FORM):
            raise JournalError(f"{self.path} is there and is no journal: move it away")
        if found and not again:
            others = [name for name, value in head.items() if found.get(name) != value]
            if others:
                raise JournalError(
                    f"{self.path} is of another {' and another '.join(others)}. Put back what was sent at first and go"
                    " on with it, or, if this is new, move the journal away: a row that was accepted in the last seven"
                    " days is not a second signal"
                )
            holds_more = os.fstat(self._file.fileno()).st_size > self._file.tell()
            self._find_sections()
            return holds_more
        os.fchmod(self._file.fileno(), 0o600)
        self._end_at(0)
        self._write(_line(head))
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return False

    def _find_sections(self) -> None:
        """Looks once through all lines. What a crash left of a last one goes; whatever stands after it is of no use."""
        end, last = self._file.tell(), -1
        while not self._finished:
            line = self._file.readline()
            entry = _read(line) or {}
            row, self._finished = entry.get("row"), _moment(entry.get("finishedAt"))
            if isinstance(row, int) and isinstance(entry.get("key"), str):
                if not self._sections or row <= last:
                    self._sections.append(_Section(self.path, end))
                self._sections[-1].end = end + len(line)
                last, self.known_to = row, max(row, self.known_to)
            elif not self._finished:
                break
            end += len(line)
        self._end_at(end)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.sync()
            else:
                with suppress(JournalError):  # the error that is under way says more
                    self.sync()
        finally:
            self._close()

    def _close(self) -> None:
        for section in self._sections:
            section.file.close()
        self._file.close()

    def recall(self, row: int, draft: SignalDraft, key: str) -> Outcome | None:
        """What is known of the next row; None where nothing is, and of one that waits: it is to be sent.

        Raises JournalError where the journal knows another row in this place.
        """
        entries = [entry for section in self._sections if (entry := section.take(row))]
        if any(entry["row"] < row or entry["key"] != key for entry in entries):
            raise self._other_rows(row)
        if not entries and (row <= self.known_to or self._finished):
            raise self._other_rows(row)
        return _outcome(entries[-1], draft) if entries else None

    def keep(self, row: int, key: str, outcome: Outcome) -> None:
        """Puts down the fate of the next row that had none, for the next `sync`."""
        if isinstance(outcome, Limited):
            self._waits = True
            if row <= self.known_to:  # as it says already
                return
            fate: dict[str, Any] = {"waits": True}
        elif isinstance(outcome, Accepted):
            fate = {"accepted": str(outcome.id), "receivedAt": outcome.received_at.isoformat()}
        else:
            problem = outcome.problem
            faults = [asdict(fault) for fault in problem.errors]
            fate = {"refused": problem.type, "status": problem.status, "detail": problem.detail, "errors": faults}
        self._waiting.append(_line({"row": row, "key": key, **fate}))

    def sync(self) -> None:
        """Returns when all that was put down is on the disk. Raises JournalError, for a full disk for instance."""
        if self._waiting:
            self._write(b"".join(self._waiting))
            self._waiting.clear()

    def finish(self, at: datetime) -> None:
        """All rows were recalled or kept: all were sent, unless some wait. Raises JournalError where it knows more rows
        than there are."""
        if any(section.take(self.known_to + 1) for section in self._sections):
            raise self._other_rows(None)
        self.finished_at = self._finished
        if not self._finished and not self._waits:
            self._waiting.append(_line({"finishedAt": at.isoformat()}))
        self.sync()

    def _end_at(self, place: int) -> None:
        self._end = place
        os.ftruncate(self._file.fileno(), place)

    def _write(self, content: bytes) -> None:
        descriptor, end = self._file.fileno(), self._end
        try:
            while content:
                written = os.pwrite(descriptor, content, end)
                content, end = content[written:], end + written
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, self._end)
            raise JournalError(
                f"{self.path} cannot be written ({error.strerror}): mend that and give the same command again; what"
                " was accepted is not sent twice"
            ) from None
        self._end = end

    def _other_rows(self, row: int | None) -> JournalError:
        where = f"in row {row}" if row else "after the last row"
        return JournalError(
            f"{self.path} knows other rows than these ({where}): put back what was sent at first, or move it away"
        )


class _Section:
    """Lines of the journal in the order of their rows, read one after the other."""

    def __init__(self, path: Path, begin: int) -> None:
        self.file = path.open("rb")
        self.file.seek(begin)
        self.end = begin
        self._next: dict[str, Any] | None = None

    def take(self, row: int) -> dict[str, Any] | None:
        """The next line, if it is of this row or of one before it."""
        if self._next is None and self.file.tell() < self.end:
            self._next = _read(self.file.readline())
        if self._next is None or self._next["row"] > row:
            return None
        taken, self._next = self._next, None
        return taken


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    """What stands in a whole line; None for one that was torn."""
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _moment(text: object) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(text).astimezone(UTC)  # type: ignore[arg-type]
    return None


def _outcome(entry: Mapping[str, Any], draft: SignalDraft) -> Outcome | None:
    """What a line says of its row; None where that waits, or nobody can read it."""
    with suppress(KeyError, TypeError, ValueError):
        if "accepted" in entry:
            return Accepted(draft, UUID(entry["accepted"]), datetime.fromisoformat(entry["receivedAt"]))
        if "refused" in entry:
            faults = tuple(ProblemFault(**fault) for fault in entry["errors"])
            return Refused(draft, ClientProblem(entry["status"], entry["refused"], entry["detail"], faults))
    return None
