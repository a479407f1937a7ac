# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin ...`: the register through the commands an administrator types (R1, R12, R25)."""

import json
from pathlib import Path

import pytest
from support import Database
from typer.testing import CliRunner

from verwijsindex import keyfiles
from verwijsindex.cli import command_line

OIN = "00000009999999999000"


class Admin:
    """Runs `verwijsindex admin` with the registrar's rights."""

    def __init__(self) -> None:
        self.app = command_line("admin")

    def __call__(self, *arguments: str) -> str:
        done = CliRunner().invoke(self.app, ["admin", *arguments])
        assert done.exit_code == 0, done.output
        return done.output.strip()

    def refused(self, *arguments: str) -> str:
        done = CliRunner().invoke(self.app, ["admin", *arguments])
        assert done.exit_code == 2, done.output
        return " ".join(done.output.replace("│", " ").split())


@pytest.fixture
def admin(index_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Admin:
    monkeypatch.setenv(
        "VERWIJSINDEX_REGISTRAR_DATABASE_URL", index_database.urls["verwijsindex_registrar"].get_secret_value()
    )
    keyfiles.write_secret(tmp_path / "index-1.key", bytes(range(32)))
    monkeypatch.setenv("VERWIJSINDEX_KEYS", str(tmp_path))
    return Admin()


def test_a_name_is_shown_as_it_is(admin: Admin, index_database: Database) -> None:
    """Seen failing when it was taken for markup: `[noord]` was left out, and `[/]` ended in a traceback."""
    for oin, name in ((OIN, "Kompas [noord] :x:"), (OIN[:-1] + "1", "De Linde [/]")):
        admin("institution", "add", oin, name, "primary_education")
        assert name in admin("institution", "list")


def test_a_whole_register_is_kept_and_each_change_is_an_event(admin: Admin, index_database: Database) -> None:
    admin("municipality", "add", "1701", "Westerveld")
    admin("contact-point", "set", "1701", "crisis_line", "Crisisdienst", "0800 1234")
    admin("institution", "add", OIN, "Het Kompas", "primary_education")
    agreement = admin("agreement", "add", OIN, "1701", "2026-01-01", "2027-12-31")
    admin("agreement", "end", agreement, "2026-12-31")
    parents = admin("agreement", "add", OIN, "1701", "2027-01-01", "2027-12-31", "--may-send-parents")
    reporter = admin("reporter", "add", OIN, "R. Voorbeeld", "docent", "0612345678", "r@example.org")
    admin("reporter", "end", reporter, "2026-12-31")
    admin("coordinator", "add", OIN, "C. Voorbeeld", "0612345678", "c@example.org")
    admin("supervisor", "add", "1701", "S. Voorbeeld", "0612345678", "s@example.org")
    officer = admin("officer", "add", OIN, "O. Voorbeeld", "0612345678", "o@example.org")
    admin("officer", "end", officer, "2026-12-31")
    desk = admin("desk", "add", "1701", "L. Voorbeeld", "0612345678", "l@example.org")
    admin("desk", "end", desk, "2026-12-31")
    admin("municipality", "oin", "1701", "00000001701000000000")
    admin("municipality", "ground", "1701", "off")
    admin("category", "designate", "halt", "--no")
    assert "agreement ended" in admin("orphans", "1701")
    listed = admin("reporter", "list", OIN)
    assert all(value in listed for value in (reporter, "R. Voorbeeld", "docent", "0612345678", "r@example.org"))
    events = [json.loads(bytes(row[0])) for row in index_database.rows("SELECT body FROM event")]
    for group, of, person in (("officer", OIN, officer), ("desk", "1701", desk)):
        listed = admin(group, "list", of)
        assert all(value in listed for value in (person, "Voorbeeld", "0612345678", "2026-12-31"))
    may = index_database.rows("SELECT id FROM agreement WHERE may_send_parents")
    assert [str(row.id) for row in may] == [parents]
    assert len(events) == 18
    assert {event["actor"]["role"] for event in events} == {"administrator"}
    said = {(event.get("record"), event.get("change")) for event in events}
    assert ("municipality", "legal ground off") in said
    assert ("category", "not designated") in said
    assert "Voorbeeld" not in str(events)


def test_what_does_not_fit_is_refused_and_changes_nothing(admin: Admin, index_database: Database) -> None:
    assert "oin" in admin.refused("institution", "add", "123", "Het Kompas", "primary_education")
    assert "that it names is not there" in admin.refused("institution", "add", OIN, "Het Kompas", "no_such_category")
    assert "that it names is not there" in admin.refused("agreement", "add", OIN, "1701", "2026-01-01", "2027-12-31")
    assert "code" in admin.refused("municipality", "add", "17", "Westerveld")
    assert "legal-ground" in admin.refused("municipality", "add", "1701", "Westerveld", "--legal-ground", "maybe")
    admin("municipality", "add", "1701", "Westerveld")
    assert "there already" in admin.refused("municipality", "add", "1701", "Westerveld")
    assert "no such municipality" in admin.refused("municipality", "ground", "0505", "off")
    assert index_database.scalar("SELECT count(*) FROM event") == 1
    assert index_database.scalar("SELECT count(*) FROM institution") == 0
