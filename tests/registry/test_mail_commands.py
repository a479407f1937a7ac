# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin mail ...`: where mail goes, and to whom it does not come (R12, R25)."""

import json
from uuid import uuid4

import pytest
from support import CLINIC, SCHOOL, WESTERVELD, Index
from typer.testing import CliRunner

from verwijsindex.cli import command_line


@pytest.fixture
def mail(index: Index, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs it with the registrar's rights."""
    url = index.database.urls["verwijsindex_registrar"].get_secret_value()
    monkeypatch.setenv("VERWIJSINDEX_REGISTRAR_DATABASE_URL", url)
    return CliRunner()


def test_an_administrator_sets_where_mail_goes(index: Index, mail: CliRunner) -> None:
    """Of each kind of person and of a municipality; an event for each, which does not hold the address."""
    people = {
        "reporter": index.reporters[SCHOOL][0],
        "coordinator": index.coordinators[SCHOOL],
        "officer": index.officers[SCHOOL],
        "supervisor": index.supervisors[WESTERVELD],
        "municipality": WESTERVELD,
    }
    tables = {"officer": "named_officer", "supervisor": "case_supervisor"}
    for kind, identity in people.items():
        done = mail.invoke(command_line("admin"), ["admin", "mail", "set", kind, str(identity), "new@example.org"])
        assert done.exit_code == 0, done.output
        table, column = tables.get(kind, kind), "code" if kind == "municipality" else "id"
        now = f"SELECT email FROM {table} WHERE CAST({column} AS text) = :identity"
        assert index.database.scalar(now, identity=str(identity)) == "new@example.org"
        body = index.database.rows("SELECT body FROM event WHERE kind = 'registry.changed' ORDER BY id DESC LIMIT 1")
        told = json.loads(body[0].body)
        assert (told["record"], told["recordId"], told["change"]) == (table, str(identity), "email")
        assert "new@example.org" not in str(told)


def test_the_address_of_a_municipality_is_taken_away(index: Index, mail: CliRunner) -> None:
    """Its case supervisors are mailed again: who is, is looked up when a mail leaves (`mail_wanted`)."""
    for arguments in (["set", "municipality", WESTERVELD, "new@example.org"], ["remove", WESTERVELD]):
        assert mail.invoke(command_line("admin"), ["admin", "mail", *arguments]).exit_code == 0
    of_it = "SELECT email FROM municipality WHERE code = :code"
    assert index.database.scalar(of_it, code=WESTERVELD) is None
    body = index.database.rows("SELECT body FROM event WHERE kind = 'registry.changed' ORDER BY id DESC LIMIT 1")
    assert json.loads(body[0].body)["change"] == "email"
    unknown = mail.invoke(command_line("admin"), ["admin", "mail", "remove", "9999"])
    assert (unknown.exit_code, "there is no such municipality" in unknown.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["reporter", str(uuid4()), "a@example.org"], "there is no such reporter"),
        (["reporter", "Jan", "a@example.org"], "a person is named by id"),
        (["municipality", "1701", "no address"], "email: Write a mail address, such as name@"),
        (["neighbour", "1701", "a@example.org"], "neighbour"),
    ],
)
def test_what_cannot_be_set_is_said(mail: CliRunner, arguments: list[str], why: str) -> None:
    done = mail.invoke(command_line("admin"), ["admin", "mail", "set", *arguments])
    assert done.exit_code == 2
    assert why in " ".join(done.output.replace("│", " ").split())


def test_whose_mail_is_refused_is_shown(index: Index, mail: CliRunner) -> None:
    """Of named officers and supervision, and of no reporter: that is the coordinator's."""
    rows = (
        ("named_officer", index.officers[CLINIC], "officer_oin", CLINIC),
        ("reporter", index.reporters[CLINIC][0], "reporter_id", index.reporters[CLINIC][0]),
    )
    for recipient, person, column, of in rows:
        with index.database.superuser.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO mail (id, {column}, recipient, person_id, digest, made_at, due_at, refused_at,"
                f" last_outcome) VALUES (gen_random_uuid(), '{of}', '{recipient}', '{person}', false, now(), now(),"
                " now(), '550')"
            )
    done = mail.invoke(command_line("admin"), ["admin", "mail", "refused"])
    assert done.exit_code == 0, done.output
    assert str(index.officers[CLINIC]) in done.output
    assert "550" in done.output
    assert str(index.reporters[CLINIC][0]) not in done.output
