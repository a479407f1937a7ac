# SPDX-License-Identifier: EUPL-1.2
"""What became of the rows of one source, kept on disk, so that a run that was cut off goes on where it was.

JSON, a line each: first what the journal belongs to, then every row whose fate is known, in the order of the
rows, at last that all were sent. It holds row numbers, idempotency keys, ids of signals and the texts of
refusals; no BSN, no pseudonym, no case reference (I5).

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
from verwijsindex.client.outcome import Accepted, Outcome, Refused
from verwijsindex.client.ownfiles import open_own

FORM = "verwijsindex-client-journal/1"
_BEGINS = b'{"form":"' + FORM.encode() + b'"'
_LONGEST_HEAD = 4096  # bytes


class JournalError(ConfigError):
    """A journal that cannot be used for these rows, or not be written; the text says what to do."""


class Journal:
    """The journal of one source of rows; use it as a context manager.

    First every row in turn is asked for with `recall`, until one is not known; from that row on outcomes are put
    down with `keep`, again in turn, and reach the disk with `sync`. Then `finish`.
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
        """When all rows were sent, known once they are all recalled."""
        self._recalling = True
        self._file = os.fdopen(open_own(path), "rb")
        try:
            self._lock()
            self.last_written = datetime.fromtimestamp(os.fstat(self._file.fileno()).st_mtime, UTC)
            self.resumes = self._begin({"form": FORM, **belongs_to}, again)
            """Whether it holds rows of an earlier run."""
        except BaseException:
            self._file.close()
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
            return os.fstat(self._file.fileno()).st_size > self._file.tell()
        os.fchmod(self._file.fileno(), 0o600)
        self._go_on_from(0)
        self._write(_line(head))
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return False

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self.sync()
            else:
                with suppress(JournalError):  # the error that is under way says more
                    self.sync()

    def recall(self, row: int, draft: SignalDraft, key: str) -> Outcome | None:
        """What is known of the next row; None from the first row on of which nothing is.

        Raises JournalError where the journal knows another row in this place.
        """
        if not self._recalling:
            return None
        place = self._file.tell()
        entry = _read(self._file.readline()) or {}
        if "finishedAt" in entry:
            raise self._other_rows(row)
        try:
            outcome, known = _outcome(entry, draft), (entry["row"], entry["key"])
        except (KeyError, TypeError, ValueError):
            self._go_on_from(place)
            return None
        if known != (row, key):
            raise self._other_rows(row)
        return outcome

    def keep(self, row: int, key: str, outcome: Outcome) -> None:
        """Puts down the fate of the next row, for the next `sync`."""
        if isinstance(outcome, Accepted):
            fate: dict[str, Any] = {"accepted": str(outcome.id), "receivedAt": outcome.received_at.isoformat()}
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
        """All rows were recalled or kept. Raises JournalError where it knows more rows than there are."""
        if self._recalling:
            place = self._file.tell()
            entry = _read(self._file.readline())
            if entry and "finishedAt" in entry:
                with suppress(TypeError, ValueError):
                    self.finished_at = datetime.fromisoformat(entry["finishedAt"]).astimezone(UTC)
                    return
            elif entry:
                raise self._other_rows(None)
            self._go_on_from(place)
        self._waiting.append(_line({"finishedAt": at.isoformat()}))
        self.sync()

    def _go_on_from(self, place: int) -> None:
        """Nothing more is known. What a crash left of a last line goes; whatever stands after it is of no use."""
        self._recalling = False
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


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    """What stands in a whole line; None for one that was torn."""
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _outcome(entry: Mapping[str, Any], draft: SignalDraft) -> Outcome:
    if "accepted" in entry:
        return Accepted(draft, UUID(entry["accepted"]), datetime.fromisoformat(entry["receivedAt"]))
    faults = tuple(ProblemFault(**fault) for fault in entry["errors"])
    return Refused(draft, ClientProblem(entry["status"], entry["refused"], entry["detail"], faults))
