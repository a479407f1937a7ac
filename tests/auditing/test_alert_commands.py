# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer alerts`, against the real index in this process (R37)."""

import json
from functools import partial

import httpx
import pytest
from auditing.watched import Watched, reporter, signals
from support import OPERATOR, SCHOOL, Index
from typer.testing import CliRunner, Result

from verwijsindex.auditing import alert_commands
from verwijsindex.auditing.commands import app
from verwijsindex.auditing.connection import Desk


def test_two_officers_close_an_alert_at_the_prompt(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """List, show, assess, refused to the same officer with what to do next, confirm by another."""
    monkeypatch.setattr(alert_commands, "Desk", partial(Desk, transport=httpx.WSGITransport(app=index.app)))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr(alert_commands, "_PAGE", 1)

    def run(*arguments: str, of: str = SCHOOL) -> Result:
        bearer = index.privacy_officer(of)["Authorization"].removeprefix("Bearer ")
        return CliRunner().invoke(app, ["alerts", *arguments, "--index", "https://index.test"], input=bearer)

    Watched(index.database).raised(*(signals(reporter(), 10) for _ in range(2)))
    listed = run("list")
    assert listed.exit_code == 0, listed.stderr
    assert listed.stdout.count("signal_burst") == 2
    alert = json.loads(run("list", "--json", "--state", "open", "--most", "1").stdout)[0]["id"]
    assert "eventIds" in run("show", alert).stdout
    assert run("assess", alert, "explained").stdout == "the alert is assessed now\n"
    refused = run("confirm", alert, "close")
    assert refused.exit_code == 3
    assert "Have another privacy officer" in refused.stderr
    assert run("confirm", alert, "close", of=OPERATOR).stdout == "the alert is closed now\n"
    assert len(json.loads(run("list", "--json", "--state", "open").stdout)) == 1
