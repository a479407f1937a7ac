# SPDX-License-Identifier: EUPL-1.2
"""What a signal that is gone leaves behind: a tombstone, and in no table by whom it was or of whom (R15, R16)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from matching import life
from matching.truth import LEFT_OVER
from support import CLINIC, NOW, POLICE, SCHOOL, Index

from verwijsindex.matching.service import only_in_the_database
from verwijsindex.matching.sweeping import sweep_ends

_OF_REPORTER = """
SELECT 'signal' AS what FROM signal WHERE reporter_id = :reporter
UNION ALL SELECT 'archive' FROM archived_signal WHERE reporter_id = :reporter
UNION ALL SELECT 'standing' FROM standing WHERE reporter_id = :reporter
UNION ALL SELECT 'party' FROM party WHERE reporter_id = :reporter
UNION ALL SELECT 'move' FROM move WHERE reporter_id = :reporter
UNION ALL SELECT 'line' FROM notice WHERE reporter_id = :reporter
"""


def _left(index: Index, oin: str = SCHOOL, n: int = 0) -> set[str]:
    """Where a reporter still stands, in any table but the register and the ledger."""
    rows = index.database.rows(_OF_REPORTER, reporter=index.reporters[oin][n])
    assert set(index.database.rows(LEFT_OVER)[0]) == {0}
    return {row.what for row in rows}


def _lines(index: Index, headers: dict[str, str]) -> list[str]:
    return [item["kind"] for item in index.get("/notices", headers).json["items"]]


@pytest.mark.parametrize("reason", ["unjustified", "upheld_request"])
@pytest.mark.parametrize("others", [(CLINIC,), (CLINIC, POLICE)])
def test_who_made_a_destroyed_signal_stands_nowhere_though_the_youngster_is_there(
    index: Index, reason: str, others: tuple[str, ...]
) -> None:
    """Whether the match ends or goes on. What was told to the others stays, and the ledger has all of it (R25). Seen
    failing with parties that left and stayed in the table (`party`), and without `_FORGET_LINES` (`line`)."""
    signal = index.place(0, SCHOOL)
    for oin in others:
        index.place(0, oin)
    index.match()
    assert _left(index) == {"signal", "standing", "party", "line"}
    index.clock.move(minutes=1)
    life.end(index, signal, reason)
    index.match()
    assert _left(index) == set()
    told = ["match"] if reason == "upheld_request" else ["party_withdrew", "match"]
    for oin in others:
        assert _lines(index, index.reader(oin)) == told
    known = index.database.rows("SELECT kind FROM event WHERE reporter_id = :r", r=index.reporters[SCHOOL][0])
    assert {"party.joined", "party.left", "notice.placed"} <= {row.kind for row in known}


def test_what_is_archived_keeps_its_lines_until_it_is_destroyed_too(index: Index) -> None:
    """R16: five years later, while the other's stands in the archive longer; an archive notice of it goes with it. Seen
    failing (a line is left) when only what ends looked for lines, and (the archive notice is) when none looked for the
    destroyed one's."""
    first = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    life.end(index, first)
    index.match()
    assert _left(index) == {"archive", "line"}
    index.clock.move(days=600)
    index.place(0, POLICE)
    index.match()
    assert _lines(index, index.reader(POLICE)) == ["archive", "match"]
    index.clock.now = NOW + timedelta(days=5 * 366)
    keys, pool = index.app.extensions["index_keys"], index.database.engine("worker")
    while sweep_ends(pool, index.clock(), index.clock(), keys=keys, bury=only_in_the_database).more:
        pass
    assert _left(index) == set()
    assert _left(index, POLICE) == {"archive", "line"}
    assert _lines(index, index.reader(POLICE)) == ["match"]


@pytest.mark.parametrize("beside", ["open", "restricted"])
def test_beside_another_signal_of_the_same_reporter_nothing_goes(index: Index, beside: str) -> None:
    """The reporter stands there still, restricted or not (R9, R30), and reads what was told."""
    first, second = index.place(0, SCHOOL), index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    if beside == "restricted":
        life.restrict(index, second)
    life.end(index, first, "unjustified")
    index.match()
    assert _left(index) - {"party"} == {"signal", "standing", "line"}
    assert _lines(index, index.reader(SCHOOL)) == ["match"]
    life.end(index, second, "unjustified")
    index.match()
    assert _left(index) == set()


def test_where_it_could_not_be_buried_it_is_not_gone(index: Index) -> None:
    """R16: its lines neither, until the next look."""
    first = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    life.end(index, first, "unjustified")
    index.match(bury=lambda *_: False)
    assert _left(index) == {"signal", "standing", "line"}


def test_the_giver_of_a_signal_stands_nowhere_any_more(index: Index) -> None:
    """R34: and what is destroyed in the hands of the receiver says nothing of either."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    body = {"to": str(index.reporters[SCHOOL][1])}
    assert index.act(f"/signals/{signal}/handover", body, index.coordinator()).status_code == 201
    index.match()
    assert _left(index) == set()
    assert _left(index, SCHOOL, 1) == {"signal", "standing", "party", "line"}
    life.end(index, signal, "unjustified")
    index.match()
    assert _left(index, SCHOOL, 1) == set()


def test_an_officer_keeps_the_lines_as_long_as_the_institution_has_a_signal(index: Index) -> None:
    """R36: the officer may stand there again, and is not told again of what was told."""
    shielded, open_ = index.place(0, SCHOOL, shielded=True), index.place(0, SCHOOL, 1)
    index.place(0, CLINIC)
    index.match()
    assert _lines(index, index.officer()) == ["match"]
    for signal, left in ((shielded, ["match"]), (open_, [])):
        life.end(index, signal, "unjustified")
        index.match()
        assert _lines(index, index.officer()) == left


def test_a_webhook_of_a_line_that_is_gone_goes_with_it(index: Index) -> None:
    """Seen failing (the webhook stayed) without ON DELETE CASCADE on `delivery`."""
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO subscription (client_id, oin, address, key_version, secret_sealed, created_at, id, state)"
                " VALUES ('client', :oin, 'https://school.test', 1, '', :now, gen_random_uuid(), 'active')"
            ),
            {"oin": SCHOOL, "now": index.clock()},
        )
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    assert index.database.scalar("SELECT count(*) FROM delivery") == 1
    life.end(index, signal, "unjustified")
    index.match()
    assert index.database.scalar("SELECT count(*) FROM delivery") == 0
    assert index.database.scalar("SELECT count(*) FROM work") == 0
