# SPDX-License-Identifier: EUPL-1.2
"""What refers to a standing, and what the archive refers to, is kept whole in bulk (decision 0023)."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from matching.truth import WHO_WAS_TOLD
from support import CLINIC, SCHOOL, Index

REFERRING = (
    f"SELECT (SELECT count(*) FROM ({WHO_WAS_TOLD}) told) + (SELECT count(*) FROM told_supervision)"
    " + (SELECT count(*) FROM party WHERE standing_id IS NOT NULL)"
)


def test_who_deletes_standings_leaves_no_trace_of_them(index: Index) -> None:
    """Whoever deletes them, and however many at once. Seen failing without the line for `contact_id`."""
    for number in range(3):
        index.place(number, SCHOOL)
        index.place(number, CLINIC)
    index.match()
    assert index.database.scalar(REFERRING) == 3 * (2 + 2 + 2)
    with index.database.engine("worker").begin() as connection:
        connection.execute(sa.text("UPDATE signal SET standing_id = NULL"))
        connection.execute(sa.text("DELETE FROM standing WHERE id = (SELECT id FROM standing LIMIT 1)"))
    assert index.database.scalar(REFERRING) == 3 * (2 + 2 + 2) - (2 + 1 + 1)
    with index.database.engine("worker").begin() as connection:
        connection.execute(sa.text("DELETE FROM standing"))
    assert index.database.scalar(REFERRING) == 0


def test_a_standing_on_which_a_signal_stands_is_not_deleted(index: Index) -> None:
    """Not among others that nobody stands on. Seen failing without the check."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    with index.database.engine("worker").begin() as connection:
        connection.execute(sa.text("UPDATE signal SET standing_id = NULL WHERE id = (SELECT id FROM signal LIMIT 1)"))
    with pytest.raises(sa.exc.IntegrityError), index.database.engine("worker").begin() as connection:
        connection.execute(sa.text("DELETE FROM standing"))
    assert index.database.scalar("SELECT count(*) FROM standing") == 2


@pytest.mark.parametrize("unknown", ["reporter_id", "agreement_id"])
def test_the_archive_takes_nothing_of_whom_the_register_does_not_know(index: Index, unknown: str) -> None:
    """Nor of a reporter or agreement of another institution: seen failing when it looked at their ids alone."""
    index.place(0, SCHOOL)
    index.match()
    columns = {"id": "id", "youngster_id": "youngster_id", "reporter_id": "reporter_id", "oin": "oin"}
    columns |= {"agreement_id": "agreement_id", "shielded": "false", "received_at": "received_at"}
    columns |= {"ended_at": "received_at", "end_reason": "'expired'", "destroy_on": "removal_date"}
    archive = "INSERT INTO archived_signal ({}) SELECT {} FROM signal"
    theirs = f"SELECT id FROM {unknown.removesuffix('_id')} WHERE oin = '{CLINIC}' LIMIT 1"
    for value in (uuid4(), index.database.scalar(theirs)):
        values = columns | {unknown: f"'{value}'"}
        statement = archive.format(", ".join(columns), ", ".join(values.values()))
        with pytest.raises(sa.exc.IntegrityError), index.database.engine("worker").begin() as connection:
            connection.execute(sa.text(statement))
    with index.database.engine("worker").begin() as connection:
        connection.execute(sa.text(archive.format(", ".join(columns), ", ".join(columns.values()))))
