# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer alerts`, against the real index in this process (R37)."""

import json
import shlex
from functools import partial

import httpx
import pytest
from auditing.watched import Watched, reporter, signals
from support import OPERATOR, SCHOOL, Index
from typer.testing import CliRunner, Result

from verwijsindex.auditing import alert_commands, search_commands
from verwijsindex.auditing.commands import app
from verwijsindex.auditing.connection import Desk


def test_two_officers_close_an_alert_at_the_prompt(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """List, show and look at what is behind it, assess, refused to the same officer with what to do next, confirm by
    another."""
    for module in (alert_commands, search_commands):
        monkeypatch.setattr(module, "Desk", partial(Desk, transport=httpx.WSGITransport(app=index.app)))
    monkeypatch.setenv("COLUMNS", "1000")

    def run(*arguments: str, of: str = SCHOOL) -> Result:
        bearer = index.privacy_officer(of)["Authorization"].removeprefix("Bearer ")
        alone = ["--index", "https://index.test"] if "--index" not in arguments else []
        return CliRunner().invoke(app, [*arguments, *alone], input=bearer)

    Watched(index.database).raised(*(signals(reporter(), 10) for _ in range(2)))
    monkeypatch.setattr(alert_commands, "_PAGE", 1)
    listed = run("alerts", "list")
    assert listed.exit_code == 0, listed.stderr
    assert listed.stdout.count("signal_burst") == 2
    alert = json.loads(run("alerts", "list", "--json", "--state", "open", "--most", "1").stdout)[0]["id"]
    monkeypatch.setattr(alert_commands, "_PAGE", 6)
    shown = run("alerts", "show", alert).stdout
    searches = [line.partition(": verwijsindex officer ")[2] for line in shown.splitlines() if "To look" in line]
    found = [one for line in searches for one in json.loads(run(*shlex.split(line), "--json").stdout)]
    assert [len(searches), len(found), {one["event"]["kind"] for one in found}] == [2, 10, {"signal.registered"}]
    assert (
        sorted(one["event"]["id"] for one in found)
        == json.loads(run("alerts", "show", alert, "--json").stdout)["eventIds"]
    )
    with index.database.superuser.begin() as connection:  # as of a burst of pseudonyms
        connection.exec_driver_sql("DELETE FROM alert_event")
    assert "Search by --person" in run("alerts", "show", alert).stdout
    assert run("alerts", "assess", alert, "explained").stdout == "the alert is assessed now\n"
    refused = run("alerts", "confirm", alert, "close")
    assert refused.exit_code == 3
    assert "Have another privacy officer" in refused.stderr
    assert run("alerts", "confirm", alert, "close", of=OPERATOR).stdout == "the alert is closed now\n"
    assert len(json.loads(run("alerts", "list", "--json", "--state", "open").stdout)) == 1
