# SPDX-License-Identifier: EUPL-1.2
"""A click and what happens at that moment: each comes after the other, and neither fails (R23)."""

from collections.abc import Callable
from threading import Thread

import pytest
import sqlalchemy as sa
from followup.quiet import Notices, say_together
from support import CLINIC, SCHOOL, Answer, Index
from system.world import until


def _meanwhile(index: Index, held: sa.Connection, click: Callable[[], Answer]) -> list[Answer]:
    """What the click answers that waits for a transaction which then commits."""
    answers: list[Answer] = []
    clicking = Thread(target=lambda: answers.append(click()))
    clicking.start()
    until(lambda: bool(index.database.rows("SELECT FROM pg_locks WHERE NOT granted")), 20)
    held.commit()
    clicking.join(20)
    return answers


@pytest.fixture
def notices(index: Index) -> Notices:
    """Of an index that is empty."""
    return Notices(index)


def test_a_standing_that_ends_meanwhile_takes_no_mute(notices: Notices) -> None:
    """Seen failing (a 500: the foreign key) without FOR KEY SHARE in `mute_shown`."""
    index = notices.index
    match = notices.of_two()
    with index.database.superuser.connect() as held:
        held.execute(sa.text("SET LOCAL session_replication_role = replica"))
        held.execute(sa.text("DELETE FROM standing WHERE reporter_id = :id"), {"id": index.reporters[SCHOOL][0]})
        [answer] = _meanwhile(index, held, lambda: say_together(index, match, SCHOOL))
    assert answer.status_code == 201, answer.text
    assert index.database.scalar("SELECT count(*) FROM mute") == 0


def test_two_clicks_of_one_at_once_are_one(notices: Notices) -> None:
    index = notices.index
    match = notices.of_two()
    mute = (
        "INSERT INTO mute (id, youngster_id, reporter_id, other_id, standing_id, by_officer, muted_at)"
        " SELECT gen_random_uuid(), youngster_id, reporter_id, :other, id, false, now() FROM standing"
        " WHERE reporter_id = :reporter"
    )
    who = {"reporter": index.reporters[SCHOOL][0], "other": index.reporters[CLINIC][0]}
    with index.database.superuser.connect() as held:
        held.execute(sa.text(mute), who)
        [answer] = _meanwhile(index, held, lambda: say_together(index, match, SCHOOL))
    assert answer.status_code == 201, answer.text
    assert index.database.scalar("SELECT count(*) FROM mute") == 1
