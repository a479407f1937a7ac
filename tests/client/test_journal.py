# SPDX-License-Identifier: EUPL-1.2
"""The journal: a run that was cut off at any byte goes on, without doubles and with the same report."""

import errno
import json
import os
import random
import stat
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import pytest
from client.services import NOW, bsns, draft

from verwijsindex.client import (
    Accepted,
    ClientProblem,
    Journal,
    JournalError,
    Limited,
    Outcome,
    ProblemFault,
    Refused,
    Report,
    SignalDraft,
)

ID = str(UUID(int=7, version=4)).encode()
SOURCE = {"index": "https://index.example", "client": "c", "file": "f"}
REPORTER = UUID(int=777, version=4)
LIMIT = ClientProblem(429, "urn:problem-type:verwijsindex:limit-reached", "Later.", limit="reporter")
DRAFTS = [draft(REPORTER, bsn, case_reference=f"Z-{n}") for n, bsn in enumerate(bsns(12))]


def fate(number: int) -> Outcome:
    """An outcome of each kind in turn."""
    if number % 3:
        return Accepted(DRAFTS[number], UUID(int=number, version=4), NOW)
    fault = ProblemFault("#/madeAt", "out_of_time", "Too old: 'é'.")
    kind = "urn:problem-type:verwijsindex:invalid-input"
    return Refused(DRAFTS[number], ClientProblem(400, kind, "Mend it.", (fault,) if number % 2 else ()))


def told(outcome: Outcome | None) -> object:
    if isinstance(outcome, Accepted):
        return outcome.draft.case_reference, outcome.id, outcome.received_at
    return outcome and (
        outcome.draft.case_reference,
        outcome.problem.type,
        outcome.problem.status,
        str(outcome.problem),
    )


def run(
    path: Path,
    rows: list[SignalDraft] = DRAFTS,
    until: int = 99,
    *,
    again: bool = False,
    waits: Collection[int] = (),
) -> tuple[list[object], list[int]]:
    """All rows, up to `until` to be sent, of which some are to wait. Returns what was told, and which were sent."""
    said: list[object] = []
    sent: list[int] = []
    with Journal(path, SOURCE, again=again) as journal:
        for number, row in enumerate(rows):
            outcome = journal.recall(number + 2, row, f"key-{number}")
            if outcome is None:
                if number >= until:
                    return said, sent
                outcome = Limited(row, LIMIT, NOW) if number in waits else fate(number)
                sent.append(number)
                journal.keep(number + 2, f"key-{number}", outcome)
                journal.sync()
            if not isinstance(outcome, Limited):
                said.append(told(outcome))
        journal.finish(NOW)
    return said, sent


def test_a_run_that_was_cut_off_goes_on_and_tells_the_same(tmp_path: Path) -> None:
    undisturbed, _ = run(tmp_path / "one")
    path = tmp_path / "other"
    assert run(path, until=5)[1] == [0, 1, 2, 3, 4]
    assert run(path, until=8) == (undisturbed[:8], [5, 6, 7])
    assert run(path) == (undisturbed, [8, 9, 10, 11])
    assert run(path) == (undisturbed, [])
    assert path.read_bytes() == (tmp_path / "one").read_bytes()
    assert run(path, again=True) == (undisturbed, list(range(12)))


def test_cut_at_any_byte_it_goes_on(tmp_path: Path) -> None:
    """As a power cut may leave it: any part of what was written, with zeros or rubbish at the end.

    With a torn last line taken for the end of the rows, and not cut off, the next line was glued to it and all that
    followed was lost: seen failing so.
    """
    undisturbed, _ = run(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    head = whole.index(b"\n") + 1
    path, chance = tmp_path / "cut", random.Random(7)  # noqa: S311
    for length in {0, 1, head - 1, head, head + 1, len(whole) - 1, *chance.sample(range(head, len(whole)), 40)}:
        for rubbish in (b"", b"\0" * 30, b'{"row":\n'):
            if length < head and rubbish:
                continue
            path.write_bytes(whole[:length] + rubbish)
            assert run(path)[0] == undisturbed
            assert run(path) == (undisturbed, [])
            assert path.read_bytes() == whole


def test_what_waits_is_sent_by_a_later_run(tmp_path: Path) -> None:
    """Seen failing when rows that still wait were written down again, when no line began a section, and when a journal
    with rows that wait was finished."""
    undisturbed, _ = run(tmp_path / "one")
    path = tmp_path / "other"
    assert run(path, until=9, waits={3, 4, 8})[1] == list(range(9))
    before = path.read_bytes()
    assert run(path, until=9, waits={3, 4, 8})[1] == [3, 4, 8]
    assert path.read_bytes() == before  # however often it is tried in vain
    assert run(path, waits={3, 8, 10})[1] == [3, 4, 8, 9, 10, 11]
    said, sent = run(path, waits={3})
    assert (said, sent) == (undisturbed[:3] + undisturbed[4:], [3, 8, 10])
    assert run(path) == (undisturbed, [3])
    assert run(path) == (undisturbed, [])


def test_with_any_rows_waiting_and_cut_at_any_byte_it_goes_on(tmp_path: Path) -> None:
    """Nothing that is on the disk is sent again, and in the end it tells the same as undisturbed."""
    undisturbed, _ = run(tmp_path / "whole")
    chance = random.Random(7)  # noqa: S311
    for trial in range(150):
        path = tmp_path / str(trial)
        for _ in range(chance.randint(1, 6)):
            run(path, until=chance.randint(1, 14), waits=chance.sample(range(12), chance.randint(0, 8)))
            whole = path.read_bytes()
            kept = whole[: len(whole) - chance.choice([0, 0, 5, chance.randint(0, len(whole) // 3)])]
            path.write_bytes(kept)
        entries = [json.loads(line) for line in kept.splitlines(keepends=True) if line.endswith(b"\n")]
        settled = {entry["row"] - 2 for entry in entries if "row" in entry and "waits" not in entry}
        said, sent = run(path)
        assert said == undisturbed
        assert sent == [n for n in range(12) if n not in settled]
        assert run(path) == (undisturbed, [])


def test_other_rows_than_before_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run(path)
    for rows in (DRAFTS[:7], [*DRAFTS, DRAFTS[0]]):
        before = path.read_bytes()
        with pytest.raises(JournalError, match="other rows"):
            run(path, rows)
        assert path.read_bytes() == before
    with Journal(path, SOURCE) as journal, pytest.raises(JournalError, match="in row 2"):
        journal.recall(2, DRAFTS[0], "another-key")
    with Journal(path, SOURCE) as journal, pytest.raises(JournalError, match="in row 3"):
        journal.recall(3, DRAFTS[0], "key-0")


@pytest.mark.parametrize("name", SOURCE)
def test_a_journal_of_something_else_is_refused_unless_we_begin_anew(tmp_path: Path, name: str) -> None:
    path = tmp_path / "journal"
    run(path)
    with pytest.raises(JournalError, match=f"of another {name}"):
        Journal(path, {**SOURCE, name: "other"})
    with Journal(path, {**SOURCE, name: "other"}, again=True) as journal:
        assert journal.recall(2, DRAFTS[0], "key-0") is None


@pytest.mark.parametrize("content", [b"mine\n", b"mine", b'{"form":1}\n', b"\0" * 9000, b'{"form":"other'])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    for again in (False, True):
        with pytest.raises(JournalError, match="is no journal"):
            Journal(path, SOURCE, again=again)
    assert path.read_bytes() == content


def test_one_at_a_time(tmp_path: Path) -> None:
    """Seen failing without the lock: both were let in."""
    with Journal(tmp_path / "journal", SOURCE), pytest.raises(JournalError, match="in use"):
        Journal(tmp_path / "journal", SOURCE)
    run(tmp_path / "journal")


def test_it_is_its_owners_alone_and_holds_nothing_of_a_youngster(tmp_path: Path) -> None:
    run(tmp_path / "journal", waits={2})
    run(tmp_path / "journal")
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600
    text = (tmp_path / "journal").read_text()
    for each in DRAFTS:
        assert each.bsn.digits.decode() not in text
        assert str(each.case_reference) not in text.replace("key-", "")
    assert str(REPORTER) not in text
    names = {name for line in text.splitlines() for name in json.loads(line)}
    assert names <= {
        *SOURCE, "form", "row", "key", "waits",
        "accepted", "receivedAt", "refused", "status", "detail", "errors", "finishedAt"
    }  # fmt: skip


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes still fit on it."""
    left = [10**9]
    write = os.pwrite

    def pwrite(descriptor: int, content: bytes, place: int) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, content[: left[0]], place)
        left[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    return left


def test_a_full_disk_is_said_and_afterwards_it_goes_on(tmp_path: Path, disk: list[int]) -> None:
    """Half a line gets onto the disk; it is taken back, and what was whole stays."""
    undisturbed, _ = run(tmp_path / "one")
    disk[0] = 700
    with pytest.raises(JournalError, match=r"No space left.*same command again"):
        run(tmp_path / "other")
    assert (tmp_path / "other").read_bytes().endswith(b"\n")
    assert (tmp_path / "one").read_bytes().startswith((tmp_path / "other").read_bytes())
    disk[0] = 10**9
    said, sent = run(tmp_path / "other")
    assert said == undisturbed
    assert 0 < len(sent) < 12


def test_what_was_kept_is_on_the_disk_also_when_something_else_went_wrong(tmp_path: Path) -> None:
    def go_wrong() -> None:
        with Journal(tmp_path / "journal", SOURCE) as journal:
            assert journal.recall(2, DRAFTS[0], "key-0") is None
            journal.keep(2, "key-0", fate(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        go_wrong()
    assert run(tmp_path / "journal")[1] == list(range(1, 12))


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_what_is_no_regular_file_is_left_alone(tmp_path: Path, name: str) -> None:
    """Seen failing, for the pipe ("Invalid argument"), without the look at the kind of file. Not tried for /dev/null:
    it would lose its mode for everybody on the machine."""
    path = tmp_path / "pipe" if name == "pipe" else Path("/dev/null")
    if name == "pipe":
        os.mkfifo(path, 0o622)
    mode = path.stat().st_mode
    for make in (lambda: Journal(path, SOURCE), lambda: Report(path)):
        with pytest.raises(OSError, match="is no regular file"):
            make()
    assert path.stat().st_mode == mode


@pytest.mark.parametrize(
    "line", [b'{"finishedAt":7}\n', b'{"finishedAt":"soon"}\n', b'{"accepted":"%s","receivedAt":"2026-11-22"}\n' % ID]
)
def test_a_line_that_is_not_ours_counts_as_torn(tmp_path: Path, line: bytes) -> None:
    """Seen failing with a TypeError and a ValueError when a moment was believed, and when a line without row was."""
    path = tmp_path / "journal"
    run(path, DRAFTS[:2])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + line if b"finished" in line else lines[0] + line)
    again, _ = run(path, DRAFTS[:2])
    assert again == [told(fate(0)), told(fate(1))]
