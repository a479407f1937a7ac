# SPDX-License-Identifier: EUPL-1.2
"""Intake looks up each row by its key: what a signal costs does not grow with the country (docs/decisions/0009)."""

import json
from uuid import uuid4

import sqlalchemy as sa
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH
from support import SCHOOL, Index, rows_read

from verwijsindex.access.caller import SCOPES, Caller
from verwijsindex.signals.schemas import SignalIn, Submission
from verwijsindex.signals.service import _REGISTER, register

MACHINE = Caller("client", "issuer", "token", "machine", SCOPES["machine"], oin=SCHOOL)
_MORE = (
    "INSERT INTO reporter SELECT gen_random_uuid(), oin, 'R', 'x', '-', '-', '2000-01-01'"
    " FROM institution, generate_series(1, 4000)",
    "INSERT INTO municipality SELECT to_char(n, 'FM0000'), 'G', 'duty' FROM generate_series(2000, 2400) n",
    "INSERT INTO idempotency_record SELECT 'client', gen_random_uuid()::text, 1, '', '', 1, gen_random_uuid(), now()"
    " FROM generate_series(1, 20000)",
)


def test_the_statement_is_short_enough_to_be_remembered(index: Index) -> None:
    """psycopg makes a longer one anew each time (`MAX_CACHED_STATEMENT_LENGTH`), which costs more than to run it."""
    assert len(str(_REGISTER.compile(index.database.engine("intake")))) <= MAX_CACHED_STATEMENT_LENGTH


def test_a_plan_made_when_all_was_small_stays_right_when_it_is_large(index: Index) -> None:
    """PostgreSQL keeps the plan of a prepared statement. Seen failing with reporters joined as a table and
    not looked up one by one (120,160 rows read by ten signals), and with the client's own requests (200,345)."""
    with index.database.superuser.begin() as new:  # of a table that was emptied PostgreSQL knows that it was empty
        new.execute(sa.text("TRUNCATE idempotency_record"))
    with index.database.engine("intake").connect() as connection:

        def place(count: int) -> int:
            before = rows_read(connection)
            for _ in range(count):
                signal = SignalIn.model_validate_json(json.dumps(index.signal()))
                batch = [Submission(str(uuid4()), signal)]
                register(connection, index.app.extensions["index_keys"], MACHINE, batch, index.clock())
            read = rows_read(connection) - before
            connection.commit()
            return read

        place(20)  # psycopg prepares it, and PostgreSQL settles on one plan
        with index.database.superuser.begin() as other:
            for statement in _MORE:
                other.execute(sa.text(statement))
        assert place(10) < 1000
