# SPDX-License-Identifier: EUPL-1.2
"""When a new signal tells its reporter of one in the archive, and when not (R17, R30, R34)."""

from collections import Counter

from matching import life
from support import CLINIC, SCHOOL, Index


def _told(index: Index, headers: dict[str, str]) -> Counter[str]:
    return Counter(line["kind"] for line in index.get("/notices", headers).json["items"])


def _archive(index: Index) -> None:
    """The clinic has a signal in the archive."""
    life.end(index, index.place(0, CLINIC))
    index.match()
    index.clock.move(minutes=1)


def test_what_was_restricted_before_it_was_attached_tells_when_that_is_lifted(index: Index) -> None:
    """R30: nothing is told meanwhile; then once, however often it is restricted again. Seen failing (told during the
    restriction) when it was looked for what is placed; and (never told) when lifting looked for nothing."""
    _archive(index)
    signal = index.place(0, SCHOOL)
    life.restrict(index, signal)
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {}
    for _ in range(2):
        life.restrict(index, signal, lift=True)
        index.match()
        assert _told(index, index.reader(SCHOOL)) == {"archive": 1}
        life.restrict(index, signal)
        index.match()


def test_what_was_destroyed_during_the_restriction_is_told_to_nobody(index: Index) -> None:
    """R17: told if both still exist then."""
    _archive(index)
    signal = index.place(0, SCHOOL)
    life.restrict(index, signal)
    index.match()
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("DELETE FROM archived_signal")
    life.restrict(index, signal, lift=True)
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {}


def test_who_gets_a_signal_that_has_told_is_told_of_no_archive(index: Index) -> None:
    """R17: when the signal is placed; R34 tells the receiver of the match alone. The giver has no signal there any
    more, and so no line (R16)."""
    _archive(index)
    signal = index.place(0, SCHOOL)
    index.match()
    assert _told(index, index.reader(SCHOOL)) == {"archive": 1}
    to = {"to": str(index.reporters[SCHOOL][1])}
    assert index.act(f"/signals/{signal}/handover", to, index.coordinator(SCHOOL)).status_code == 201
    for lift in (False, True):
        life.restrict(index, signal, lift=lift)
        index.match()
    assert (_told(index, index.reader(SCHOOL)), _told(index, index.reader(SCHOOL, 1))) == ({}, {})
