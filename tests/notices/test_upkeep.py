# SPDX-License-Identifier: EUPL-1.2
"""What telling leaves behind goes after its time, and what is still wanted stays (docs/retention.md)."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from support import CLINIC, NOW, SCHOOL, Database, Index
from system.world import until

from verwijsindex.database import transaction
from verwijsindex.notices.upkeep import ATTEMPTS_KEPT, DELIVERIES_KEPT, forget_old_deliveries, tidy
from verwijsindex.repeating import KEPT as ANSWERS_KEPT

KEPT = {"attempt": ATTEMPTS_KEPT, "delivery": DELIVERIES_KEPT, "subscription_request": ANSWERS_KEPT}
CLIENT = f"client-{SCHOOL}"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'verwijsindex_worker'"


@pytest.fixture
def told(index: Index) -> Index:
    """A delivery that is taken, one that waits, an attempt and a request, all of now."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    notices = [row.id for row in index.database.rows("SELECT id FROM notice ORDER BY id LIMIT 2")]
    values = {"client": CLIENT, "oin": SCHOOL, "now": NOW, "one": notices[0], "two": notices[1]}
    statements = (
        "INSERT INTO subscription (client_id, oin, address, key_version, secret_sealed, created_at)"
        " VALUES (:client, :oin, 'https://x.example', 1, 'x', :now)",
        "INSERT INTO delivery (id, notice_id, client_id, due_at, attempts, delivered_at)"
        " VALUES (gen_random_uuid(), :one, :client, :now, 1, :now), (gen_random_uuid(), :two, :client, :now, 3, NULL)",
        "INSERT INTO attempt (id, client_id, delivery_id, about, at, outcome, duration_ms)"
        " VALUES (gen_random_uuid(), :client, gen_random_uuid(), 'inbox', :now, '204', 5)",
        "INSERT INTO subscription_request (client_id, key, key_version, fingerprint, received_at)"
        " VALUES (:client, 'k', 1, 'x', :now)",
    )
    with index.database.superuser.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)
    return index


def _left(database: Database) -> dict[str, int]:
    return {table: database.scalar(f"SELECT count(*) FROM {table}") for table in KEPT}


@pytest.mark.parametrize("table", KEPT)
def test_a_row_goes_after_its_time_and_not_before(told: Index, table: str) -> None:
    """By the worker's own role; a delivery that nobody took stays. Seen failing with `due_at` for `delivered_at`."""
    everything = _left(told.database)
    ages = ((KEPT[table], everything[table]), (KEPT[table] + timedelta(seconds=1), everything[table] - 1))
    for age, expected in ages:
        with transaction(told.database.engine("worker")) as connection:
            tidy(connection, NOW + age)
        assert _left(told.database)[table] == expected
    assert told.database.scalar("SELECT count(*) FROM delivery WHERE delivered_at IS NULL") == 1


def test_a_delivery_that_is_sent_again_meanwhile_stays(told: Index) -> None:
    """A replay between the look and the delete. Seen deleted when the statement named the row by its id."""
    with told.database.superuser.connect() as connection, told.database.engine("worker").connect() as worker:
        replay = connection.begin()
        connection.execute(sa.text("UPDATE delivery SET delivered_at = NULL WHERE delivered_at IS NOT NULL"))
        waiting = threading.Thread(target=forget_old_deliveries, args=(worker, NOW + timedelta(days=60)))
        waiting.start()
        until(lambda: told.database.scalar(_WAITING) == 1, 10)
        replay.commit()
        waiting.join()
        worker.commit()
    assert _left(told.database)["delivery"] == 2
