# SPDX-License-Identifier: EUPL-1.2
"""Nobody makes the one matcher work for nothing by a parent of a thousand youngsters (R10, R37)."""

from uuid import UUID

import pytest
from matching import life
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from support import CLINIC, SCHOOL, Index, Logged, pseudonym
from test_metrics import value

from verwijsindex.matching import families
from verwijsindex.matching.service import match_waiting
from verwijsindex.workers.measuring import Measuring


def _sibling(index: Index, youngster: int, oin: str, parent: int) -> UUID:
    signal = index.place(youngster, oin)
    sealed = index.app.extensions["index_keys"].current.seal_pseudonym("parent", pseudonym(parent))
    with index.database.superuser.begin() as connection:
        connection.execute(
            text("UPDATE signal SET parents_sealed = :sealed WHERE id = :id"), {"sealed": [sealed], "id": signal}
        )
    return signal


def _crowds(index: Index) -> float:
    """What the clock says of crowded parents."""
    Measuring().look(index.database.engine("worker"), SecretStr("redis://127.0.0.1:1/0"), index.clock())
    return value("crowded_parents")


def test_a_parent_of_more_youngsters_than_anybody_has_links_nobody(index: Index, logged: Logged) -> None:
    """As long as they are so many by what is live: who gives a parent to many cannot blind a family for good. Seen
    failing (every two of them a pair) when `judge_crowds` was left out, and (no pair ever again) when it only parted.
    """
    for youngster in range(families.CROWD):
        _sibling(index, youngster, (SCHOOL, CLINIC)[youngster % 2], 900)
        _sibling(index, youngster + 100, SCHOOL, 901)
    _sibling(index, 200, CLINIC, 901)
    index.match()
    pairs = "SELECT count(*) FROM family_match WHERE ended_at IS NULL"
    assert index.database.scalar(pairs) == (families.CROWD // 2) ** 2
    assert logged.lines("parent.crowded")
    assert _crowds(index) == 1
    told = index.database.scalar("SELECT count(*) FROM notice")
    last = _sibling(index, 50, SCHOOL, 900)
    index.match()
    assert index.database.scalar(pairs) == 0
    assert index.database.scalar("SELECT count(*) FROM match WHERE ended_at IS NULL") == 0
    assert _crowds(index) == 2
    life.restrict(index, last)
    index.match()
    assert index.database.scalar(pairs) == (families.CROWD // 2) ** 2
    assert _crowds(index) == 1
    assert index.database.scalar("SELECT count(*) FROM notice") == told


def test_one_row_that_takes_too_long_is_parked(index: Index, logged: Logged) -> None:
    """Seen raising QueryCanceled at each run, with everything else waiting behind it, when it was not parked."""
    index.place(0, SCHOOL)
    url = index.database.urls["verwijsindex_worker"].get_secret_value()
    hasty = create_engine(url, connect_args={"options": "-c statement_timeout=300"})
    with index.database.superuser.begin() as other:
        other.execute(text("LOCK TABLE youngster IN ACCESS EXCLUSIVE MODE"))
        match_waiting(hasty, index.clock(), index.clock(), keys={}, size=1)
    hasty.dispose()
    assert index.database.scalar("SELECT count(*) FROM work WHERE parked_at IS NOT NULL") == 1
    assert logged.lines("work.parked")


@pytest.mark.parametrize("same", [True, False])
def test_siblings_of_one_reporter_alone_are_no_match(index: Index, same: bool) -> None:
    _sibling(index, 0, SCHOOL, 900)
    _sibling(index, 1, SCHOOL if same else CLINIC, 900)
    index.match()
    assert index.database.scalar("SELECT count(*) FROM family_match") == (0 if same else 1)
