# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin follow-up ...`: a municipality's own deadlines and order of domains (R21, R22, R25)."""

import json

import pytest
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, WESTERVELD, Index
from typer.testing import CliRunner, Result

from verwijsindex.cli import command_line


@pytest.fixture
def admin(index: Index, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs it with the registrar's rights."""
    url = index.database.urls["verwijsindex_registrar"].get_secret_value()
    monkeypatch.setenv("VERWIJSINDEX_REGISTRAR_DATABASE_URL", url)
    return CliRunner()


def _run(admin: CliRunner, *arguments: str) -> Result:
    return admin.invoke(command_line("admin"), ["admin", "follow-up", *arguments])


def _set(index: Index) -> list[tuple[object, ...]]:
    rows = index.database.rows(
        "SELECT code, contact_within_days, coordination_within_days, lead_order FROM municipality ORDER BY code"
    )
    return [tuple(row) for row in rows]


def test_a_round_has_the_deadlines_of_its_municipality_and_a_lead_its_order(index: Index, admin: CliRunner) -> None:
    order = "social_support,health_care"
    done = _run(admin, "set", WESTERVELD, "--contact-within", "2", "--lead-order", order)
    assert done.exit_code == 0, done.output
    assert "social_support, health_care" in done.output
    assert _run(admin, "set", WESTERVELD, "--coordination-within", "4").exit_code == 0
    told = [json.loads(row.body) for row in index.database.rows("SELECT body FROM event ORDER BY id")]
    assert [(one["record"], one["recordId"], one["change"]) for one in told[-2:]] == [
        ("municipality", WESTERVELD, "follow-up")
    ] * 2
    shown = _run(admin, "show", WESTERVELD).output
    assert "social_support, health_care" in shown
    assert DORDRECHT not in shown
    assert DORDRECHT in _run(admin, "show").output
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [match] = index.get("/matches", index.reader(CLINIC)).json["items"]
    follow_up = index.get(f"/matches/{match['id']}/follow-up", index.reader(CLINIC)).json
    # Sunday 22 November: two and four working days.
    assert (follow_up["contactDueOn"], follow_up["coordinationDueOn"]) == ("2026-11-24", "2026-11-26")
    assert follow_up["lead"]["you"]
    assert _run(admin, "set", WESTERVELD, "--lead-order", "youth_care").exit_code == 0
    index.place(1, POLICE)
    index.place(1, CLINIC)
    index.match()
    [other] = index.get("/matches", index.reader(POLICE)).json["items"]
    lead = index.get(f"/matches/{other['id']}/follow-up", index.reader(POLICE)).json["lead"]
    assert (lead["reason"], "contact" in lead) == ("nobody_to_propose", False)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["9999", "--contact-within", "5"], "there is no such municipality"),
        ([WESTERVELD, "--contact-within", "0"], "greater than or equal to 1"),
        ([WESTERVELD, "--contact-within", "11"], "coordination is due on the day of contact or later"),
        ([WESTERVELD, "--coordination-within", "4"], "coordination is due on the day of contact or later"),
        ([WESTERVELD, "--lead-order", "youth_care,education"], "Education and police are never proposed"),
        ([WESTERVELD, "--lead-order", "police_and_justice"], "Education and police are never proposed"),
        ([WESTERVELD, "--lead-order", "youth_care,youth_care"], "each once"),
        ([WESTERVELD, "--lead-order", ""], "each once"),
    ],
)
def test_what_cannot_be_set_is_said_and_changes_nothing(
    index: Index, admin: CliRunner, arguments: list[str], why: str
) -> None:
    before = _set(index)
    done = _run(admin, "set", *arguments)
    assert done.exit_code == 2
    assert why in " ".join(done.output.replace("│", " ").split())
    assert _set(index) == before


def test_who_names_nothing_to_set_hears_so(index: Index, admin: CliRunner) -> None:
    before = index.database.scalar("SELECT count(*) FROM event")
    done = _run(admin, "set", WESTERVELD)
    assert done.exit_code == 2
    assert "--lead-order" in done.output
    assert index.database.scalar("SELECT count(*) FROM event") == before
