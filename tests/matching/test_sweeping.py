# SPDX-License-Identifier: EUPL-1.2
"""Ends that come by themselves: what the sweep archives and destroys, and when (R14 to R16, I6)."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from support import CLINIC, NOW, POLICE, SCHOOL, Index, Logged, pseudonym

from verwijsindex.matching.service import LOCK_WAITED_FOR
from verwijsindex.matching.sweeping import Swept, sweep_ends
from verwijsindex.signals.dates import AMSTERDAM, years_after
from verwijsindex.signals.tombstones import Tombstones, read

TWO_YEARS = years_after(NOW.date(), 2)
FIVE_MORE = years_after(TWO_YEARS, 5)


@pytest.fixture
def tombstones(tmp_path: Path) -> Tombstones:
    return Tombstones(tmp_path / "tombstones.txt")


def _sweep(index: Index, tombstones: Tombstones, size: int = 2000) -> Swept:
    pool, keys, now = index.database.engine("worker"), index.app.extensions["index_keys"], index.clock()
    return sweep_ends(pool, now, now, keys=keys, bury=tombstones.bury, size=size, lock=LOCK_WAITED_FOR)


def _go_to(index: Index, day: date, *, late: int = 0) -> None:
    """Two minutes after midnight of that day in Amsterdam, or so many days later."""
    moment = datetime(day.year, day.month, day.day, 0, 2, tzinfo=AMSTERDAM) + timedelta(days=late)
    index.clock.now = moment.astimezone(UTC)


def _change(index: Index, statement: str, **values: Any) -> None:
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(statement), values)


def _withdraw(index: Index, signal: UUID, reason: str) -> None:
    """Whose work got lost: the sweep finds it all the same."""
    ending = "UPDATE signal SET ended_at = :now, end_reason = :reason WHERE id = :signal"
    _change(index, ending, now=index.clock(), reason=reason, signal=signal)


def _archive(index: Index) -> set[tuple[UUID, str, date]]:
    rows = index.database.rows("SELECT id, end_reason, destroy_on FROM archived_signal")
    return {(row.id, row.end_reason, row.destroy_on) for row in rows}


def _destroyed(index: Index, tombstones: Tombstones) -> set[UUID]:
    """By the table, the file and the ledger, which say the same."""
    ids = {row[0] for row in index.database.rows("SELECT signal_id FROM tombstone")}
    assert read([tombstones.file] if tombstones.file.exists() else [])[::2] == (ids, 0)
    bodies = [row[0] for row in index.database.rows("SELECT convert_from(body, 'UTF8') FROM event")]
    assert len([body for body in bodies if '"signal.destroyed"' in body]) == len(ids)
    return ids


@pytest.mark.parametrize("late", [0, 1, 365])
def test_what_expired_is_archived_for_five_years_however_late_it_is_looked_at(
    index: Index, tombstones: Tombstones, late: int
) -> None:
    """The five years run from the removal date, and not from the sweep. What was there for live signals alone goes."""
    signals = {index.place(0, SCHOOL), index.place(0, CLINIC), index.place(1, POLICE)}
    index.match()
    _go_to(index, TWO_YEARS, late=late)
    swept = _sweep(index, tombstones)
    assert (swept.looked.archived, swept.looked.destroyed, swept.looked.notices, swept.more) == (3, 0, 0, False)
    assert _archive(index) == {(signal, "expired", FIVE_MORE) for signal in signals}
    for table in ("signal", "standing", "told", "told_circle", "told_supervision", "work", "tombstone"):
        assert index.database.scalar(f"SELECT count(*) FROM {table}") == 0, table
    assert index.database.scalar("SELECT count(*) FROM youngster") == 2
    for table, until in (("match", "ended_at"), ("party", "left_at"), ("supervision", "left_at")):
        assert index.database.scalar(f"SELECT count(*) FROM {table} WHERE {until} IS NULL") == 0, table


@pytest.mark.parametrize("late", [0, 365])
def test_each_way_to_end_goes_its_own_way(index: Index, tombstones: Tombstones, late: int) -> None:
    """R15 and R16, row by row; on a day on which no other is due yet, none other goes."""
    of_age_in_5 = (NOW.date() + timedelta(days=5 * 365)).isoformat()
    soon = NOW.date() + timedelta(days=3)
    placed = {
        "of age": index.place(0, SCHOOL, turns23On=soon.isoformat(), removalDate=soon.isoformat()),
        "of age on the day": index.place(1, SCHOOL, turns23On=TWO_YEARS.isoformat(), removalDate=TWO_YEARS.isoformat()),
        "expired": index.place(2, SCHOOL),
        "of age in the archive": index.place(3, SCHOOL, turns23On=of_age_in_5),
        "risk gone": index.place(4, SCHOOL),
        "unjustified": index.place(5, SCHOOL),
        "upheld": index.place(6, SCHOOL),
        "dead": index.place(7, SCHOOL),
    }
    index.match()
    for name, reason in (("risk gone", "risk_gone"), ("unjustified", "unjustified"), ("upheld", "upheld_request")):
        _withdraw(index, placed[name], reason)
    key = index.app.extensions["index_keys"].current.seal_pseudonym("youngster", pseudonym(7))
    _change(index, "INSERT INTO death VALUES (gen_random_uuid(), :key, 1, :now)", key=key, now=index.clock())

    gone = {placed[name] for name in ("unjustified", "upheld", "dead")}
    kept = {(placed["risk gone"], "risk_gone", years_after(NOW.date(), 5))}
    index.clock.move(minutes=2)
    index.match(tombstones.bury)  # deaths are the matcher's
    _sweep(index, tombstones)
    assert (_destroyed(index, tombstones), _archive(index)) == (gone, kept)
    _go_to(index, soon)
    _sweep(index, tombstones)
    gone |= {placed["of age"]}
    assert (_destroyed(index, tombstones), _archive(index)) == (gone, kept)
    _go_to(index, TWO_YEARS, late=late)
    _sweep(index, tombstones)
    gone |= {placed["of age on the day"]}
    kept |= {
        (placed["expired"], "expired", FIVE_MORE),
        (placed["of age in the archive"], "expired", date.fromisoformat(of_age_in_5)),
    }
    assert (_destroyed(index, tombstones), _archive(index)) == (gone, kept)
    assert index.database.scalar("SELECT count(*) FROM signal") == 0
    for day in sorted({day for _, _, day in kept}):
        _go_to(index, day, late=-1)
        _sweep(index, tombstones)
        assert _destroyed(index, tombstones) == gone
        _go_to(index, day)
        _sweep(index, tombstones)
        gone |= {signal for signal, _, until in kept if until == day}
        assert _destroyed(index, tombstones) == gone
    assert gone == set(placed.values())
    assert index.database.scalar("SELECT count(*) FROM youngster") == 0
    assert not _sweep(index, tombstones).more


def test_what_is_over_when_it_is_looked_at_was_never_in_the_archive(index: Index, tombstones: Tombstones) -> None:
    """Eight years late: destroyed at once, with one tombstone."""
    signal = index.place(0)
    index.match()
    index.clock.now = NOW + timedelta(days=8 * 366)
    assert _sweep(index, tombstones).looked.destroyed == 1
    assert _destroyed(index, tombstones) == {signal}
    assert index.database.scalar("SELECT count(*) FROM youngster") == 0


def test_nothing_goes_before_the_last_who_came_in_time_is_attached(index: Index, tombstones: Tombstones) -> None:
    """A signal that came before the old one ended goes on with its standing, and tells nobody (docs/rules.md, Telling),
    though the matcher was away and the sweep comes first. Seen failing (all were told again) when the sweep did not
    ask for waiting work."""
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    index.place(0, SCHOOL, turns23On=soon, removalDate=soon)
    index.place(0, CLINIC)
    index.match()
    _go_to(index, date.fromisoformat(soon), late=-1)
    index.place(0, SCHOOL)
    told = index.database.scalar("SELECT count(*) FROM notice")
    _go_to(index, date.fromisoformat(soon))
    swept = _sweep(index, tombstones)
    assert (swept.looked.destroyed, swept.more) == (0, True)
    index.match(tombstones.bury)
    _sweep(index, tombstones)
    assert len(_destroyed(index, tombstones)) == 1
    assert index.database.scalar("SELECT count(*) FROM notice") == told


def test_an_end_tells_nobody_and_a_lost_withdrawal_tells_once(index: Index, tombstones: Tombstones) -> None:
    """Expiry tells nobody (R37); a withdrawal whose work got lost is told by the sweep, and once."""
    signal = index.place(0, SCHOOL)
    for oin in (CLINIC, POLICE):
        index.place(0, oin)
    index.match()
    _withdraw(index, signal, "risk_gone")
    index.clock.move(minutes=2)
    assert _sweep(index, tombstones).looked.notices == 3  # two reporters, one municipality
    _go_to(index, TWO_YEARS)
    for _ in range(2):
        assert _sweep(index, tombstones).looked.notices == 0


def test_two_sweeps_and_the_matcher_at_once_do_it_once(index: Index, tombstones: Tombstones) -> None:
    """In small batches, from threads that begin together, while signals come in and are matched. Seen failing (some
    were left) without the lock."""
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    archived = {index.place(n % 12, oin) for n in range(24) for oin in (SCHOOL, CLINIC)}
    gone = {index.place(n, POLICE, turns23On=soon, removalDate=soon) for n in range(12)}
    index.match()
    _go_to(index, TWO_YEARS)
    fresh = {index.place(n, POLICE) for n in range(6)}
    barrier = Barrier(4)

    def sweep() -> None:
        barrier.wait()
        while _sweep(index, tombstones, size=5).more:
            index.match(tombstones.bury)

    def match() -> None:
        barrier.wait()
        index.match(tombstones.bury)

    threads = [Thread(target=work) for work in (sweep, sweep, sweep, match)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _destroyed(index, tombstones) == gone
    assert {row[0] for row in _archive(index)} == archived
    assert {row[0] for row in index.database.rows("SELECT id FROM signal")} == fresh
    lines = tombstones.file.read_text().split()
    assert sorted(lines) == sorted(map(str, gone))


def test_where_no_tombstone_can_be_written_nothing_is_destroyed(
    index: Index, tmp_path: Path, tombstones: Tombstones, logged: Logged
) -> None:
    """Matching goes on, the archive is filled, no view shows what ended; and it is all done once the disk is back. Seen
    failing when a death was forgotten though what it destroys was still there, and when `settle` went on without."""
    nowhere = Tombstones(tmp_path / "no such folder" / "tombstones.txt")
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    gone = {index.place(0, SCHOOL, turns23On=soon, removalDate=soon), index.place(1, SCHOOL), index.place(2, SCHOOL)}
    kept = index.place(0, CLINIC)
    index.match()
    _withdraw(index, sorted(gone)[0], "unjustified")
    archived = index.place(3, SCHOOL)
    index.match()
    _withdraw(index, archived, "risk_gone")
    _change(index, "INSERT INTO work (signal_id) VALUES (:signal)", signal=archived)
    index.match()
    seal = index.app.extensions["index_keys"].current.seal_pseudonym
    for number in (0, 1, 2, 3):
        key = seal("youngster", pseudonym(number))
        _change(index, "INSERT INTO death VALUES (gen_random_uuid(), :key, 1, :now)", key=key, now=index.clock())
    for _ in range(2):
        index.clock.move(minutes=5)
        index.place(5 + index.clock.now.minute, POLICE)
        index.match(nowhere.bury)
        assert not _sweep(index, nowhere).more
    assert {line["event"] for line in logged.lines("tombstones.not_written")} == {"tombstones.not_written"}
    assert index.database.scalar("SELECT count(*) FROM tombstone") == 0
    assert index.database.scalar("SELECT count(*) FROM work") == 0
    assert index.get("/signals", index.reader(SCHOOL)).json["items"] == []
    index.match(tombstones.bury)
    assert _destroyed(index, tombstones) == gone | {kept, archived}
    assert index.database.scalar("SELECT count(*) FROM death") == 0


def test_one_that_cannot_be_dealt_with_stops_no_other(index: Index, tombstones: Tombstones, logged: Logged) -> None:
    """A sealed birthday that does not open: its signal is parked with an alarm, the rest of the batch goes."""
    of_age = (NOW.date() + timedelta(days=4 * 365)).isoformat()
    signals = [index.place(n, SCHOOL, turns23On=of_age) for n in range(5)]
    index.match()
    _change(index, "UPDATE signal SET turns23_on_sealed = '\\x00' WHERE id = :bad", bad=signals[2])
    _go_to(index, TWO_YEARS)
    while _sweep(index, tombstones).more:
        index.match(tombstones.bury)
    assert {row[0] for row in index.database.rows("SELECT id FROM signal")} == {signals[2]}
    assert [row[0] for row in index.database.rows("SELECT signal_id FROM work WHERE parked_at IS NOT NULL")] == [
        signals[2]
    ]
    assert len(logged.lines("work.parked")) == 1


def test_what_is_cut_off_takes_no_other_line_with_it(tombstones: Tombstones) -> None:
    """A crash in the midst of a line; and the file may be moved away while workers run. Seen failing (the next id was
    lost with it) when a write did not look whether the line before it is whole."""
    first, second = UUID(int=1), UUID(int=2)
    for some in ([], [first], []):
        assert tombstones.bury(some)
    assert tombstones.file.read_text() == f"{first}\n"
    assert tombstones.file.stat().st_mode & 0o077 == 0
    with tombstones.file.open("a") as file:
        file.write(str(UUID(int=3))[:20])
    assert tombstones.bury([second])
    assert read([tombstones.file]) == ({first, second}, {}, 1)
    moved = tombstones.file.rename(tombstones.file.with_name("of before"))
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert tombstones.bury([UUID(int=4)], {UUID(int=5): now, first: now})
    with tombstones.file.open("a") as file:
        file.write(f"{UUID(int=6)} {now.isoformat()}")
    assert read([moved, tombstones.file]) == ({first, second, UUID(int=4)}, {UUID(int=5): now}, 2)
