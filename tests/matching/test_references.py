# SPDX-License-Identifier: EUPL-1.2
"""What intake and matcher write refers to what is there, though no foreign key says so (decision 0027)."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from support import CLINIC, SCHOOL, Index

NOWHERE = {"municipality_code": "9999", "residence_municipality": "9999", "officer_oin": "0" * 20, "oin": "0" * 20}
REFERENCES = (
    *(f"notice.{column}" for column in ("match_id", "reporter_id", "municipality_code", "officer_oin")),
    *("party.match_id", "party.reporter_id", "standing.youngster_id", "standing.reporter_id"),
    *("supervision.match_id", "supervision.municipality_code"),
    *("told_supervision.match_id", "told_supervision.municipality_code"),
    *(f"signal.{column}" for column in ("reporter_id", "agreement_id", "residence_municipality")),
)


def _write(index: Index, statement: str) -> None:
    """As who may write everything, and with triggers."""
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = origin")
        connection.exec_driver_sql(statement)


def _copy(index: Index, table: str, changes: dict[str, str]) -> None:
    """Adds a row of the table once more, with these columns otherwise."""
    found = sa.inspect(index.database.superuser).get_columns(table)
    columns = [one["name"] for one in found if not one.get("computed")]
    values = ", ".join(changes.get(column, column) for column in columns)
    _write(index, f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} LIMIT 1")


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_is_not_there_is_not_referred_to(index: Index, reference: str) -> None:
    """Whoever writes it. Seen failing without the trigger of its table."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    table, column = reference.split(".")
    changes = {"id": "gen_random_uuid()"}
    if table == "notice":
        of = column if column != "match_id" else "reporter_id"
        there = {
            "reporter_id": "(SELECT id FROM reporter LIMIT 1)",
            "municipality_code": "(SELECT code FROM municipality LIMIT 1)",
            "officer_oin": "(SELECT oin FROM institution LIMIT 1)",
        }
        changes |= {"change": "change + 1"} | dict.fromkeys(there, "NULL") | {of: there[of]}
    elif table == "told_supervision":
        changes["contact_id"] = "gen_random_uuid()"
    elif table in ("party", "supervision"):
        changes["left_at"] = "joined_at"
    _copy(index, table, changes)
    with pytest.raises(sa.exc.IntegrityError, match="ForeignKeyViolation"):
        _copy(index, table, changes | {column: f"'{NOWHERE.get(column, uuid4())}'"})


@pytest.mark.parametrize("column", ["reporter_id", "agreement_id", "residence_municipality", "oin"])
def test_a_signal_is_not_changed_to_what_is_not_there(index: Index, column: str) -> None:
    """Nor to what is of another institution. Seen failing without `changed_signal_refers_to_what_is_there`."""
    index.place(0, SCHOOL)
    _write(index, f"UPDATE signal SET {column} = {column}")
    values = [f"'{NOWHERE.get(column, uuid4())}'", f"'{CLINIC}'"]
    if column.endswith("_id"):
        values[1] = f"(SELECT id FROM {column.removesuffix('_id')} WHERE oin = '{CLINIC}' LIMIT 1)"
    for value in values:
        with pytest.raises(sa.exc.DBAPIError, match=r"ForeignKeyViolation|StringDataRightTruncation"):
            _write(index, f"UPDATE signal SET {column} = {value}")


def test_a_supervision_says_since_when_its_match_is_open(index: Index) -> None:
    """Of the version before, which does not say it (0040). Seen failing without the trigger `say_when_opened`."""
    for oin in (SCHOOL, CLINIC):
        index.place(0, oin)
    index.match()
    _write(index, "UPDATE supervision SET left_at = joined_at")
    _write(
        index,
        "INSERT INTO supervision (id, match_id, municipality_code, joined_at)"
        " SELECT gen_random_uuid(), match_id, municipality_code, joined_at FROM supervision",
    )
    said = "SELECT v.opened_at = m.opened_at FROM supervision v JOIN match m ON m.id = v.match_id"
    assert [row[0] for row in index.database.rows(said)] == [True, True]
