# SPDX-License-Identifier: EUPL-1.2
"""What a POST asks is done once; what remembers that is forgotten after a week. (Acts by HTTP: tests/signals.)"""

from datetime import timedelta

import pytest
from support import NOW, Database, Index

from verwijsindex.database import Scope, transaction
from verwijsindex.problems import NOT_FOUND, Problem
from verwijsindex.repeating import ACTS, KEPT, Answer, Asked

SCOPE = Scope(NOW.date(), caller="machine school-17")


def ask(index: Index, key: str, content: bytes = b"x", status: int = 201, caller: str = "machine school-17") -> Answer:
    asked = Asked(caller, key, content, index.clock())
    with transaction(index.database.engine("index"), SCOPE) as connection:
        return ACTS.once(connection, index.app.extensions["index_keys"], asked, lambda: Answer(status, {"n": status}))


def remembered(database: Database) -> set[str]:
    return {str(row[0]) for row in database.rows("SELECT key FROM act_request")}


def test_a_repeat_gets_what_was_answered_first(index: Index) -> None:
    assert ask(index, "one") == Answer(201, {"n": 201})
    assert ask(index, "one", status=202) == Answer(201, {"n": 201}, is_repeat=True)
    with pytest.raises(Problem, match="idempotency-key-reused"):
        ask(index, "one", b"y")


def test_what_was_refused_is_not_remembered(index: Index) -> None:
    def refuse() -> Answer:
        raise Problem(NOT_FOUND)

    asked = Asked("machine school-17", "one", b"x", index.clock())
    with pytest.raises(Problem), transaction(index.database.engine("index"), SCOPE) as connection:
        ACTS.once(connection, index.app.extensions["index_keys"], asked, refuse)
    assert ask(index, "one", b"y").is_repeat is False


def test_when_the_index_key_is_gone_a_repeat_is_still_no_second_act(index: Index) -> None:
    """Nothing can be compared then: it gets the first answer."""
    ask(index, "one")
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("UPDATE act_request SET key_version = 99")
    assert ask(index, "one", b"y").is_repeat


def test_it_is_forgotten_after_a_week_by_the_sweep(index: Index) -> None:
    ask(index, "old")
    index.clock.move(seconds=1)
    ask(index, "new")
    for later, left in ((timedelta(), {"old", "new"}), (timedelta(microseconds=1), {"new"})):
        with transaction(index.database.engine("worker")) as connection:
            ACTS.forget_old(connection, NOW + KEPT + later)
        assert remembered(index.database) == left


def test_a_caller_writes_in_its_own_name_only(index: Index) -> None:
    """I8. Seen failing with a policy that was true for all."""
    with pytest.raises(Exception, match="row-level security"):
        ask(index, "one", caller="machine another")
