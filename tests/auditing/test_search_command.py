# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer search`, against the real index in this process (R25)."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from auditing.searches import every
from support import SCHOOL, WESTERVELD, Index
from typer.testing import CliRunner, Result

from verwijsindex.auditing import search_commands
from verwijsindex.auditing.commands import app
from verwijsindex.auditing.connection import Desk

Run = Callable[..., Result]


@pytest.fixture
def run(index: Index, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as the school's privacy officer, whose token comes on standard input."""
    monkeypatch.setattr(search_commands, "Desk", partial(Desk, transport=httpx.WSGITransport(app=index.app)))
    monkeypatch.setenv("COLUMNS", "1000")

    def run(*arguments: str, of: str = SCHOOL, token: str | None = None) -> Result:
        bearer = index.privacy_officer(of)["Authorization"].removeprefix("Bearer ") if token is None else token
        given = ["search", "--index", "https://index.test", "--purpose", "incident", *arguments]
        return CliRunner().invoke(app, given, input=bearer)

    return run


@pytest.fixture
def placed(index: Index) -> Index:
    """Five signals of the school's, a minute apart, and one of its reads refused."""
    for n in range(5):
        index.place(n, SCHOOL)
        index.clock.move(minutes=1)
    index.get(f"/matches/{index.reporters[SCHOOL][0]}", index.reader(SCHOOL))
    return index


def test_the_newest_are_shown_with_who_and_of_what(placed: Index, run: Run) -> None:
    shown = run("--most", "2")
    assert shown.exit_code == 0, shown.stderr
    assert "access.refused" in shown.stdout
    assert shown.stdout.count("signal.registered") == 1
    assert str(placed.reporters[SCHOOL][0]) in shown.stdout
    assert SCHOOL in shown.stdout
    assert "not sealed yet" in shown.stdout
    assert "There may be older ones: say --most" in shown.stderr
    assert "Events: none" in run(of=WESTERVELD).stdout


def test_json_has_all_that_was_found_over_several_pages(
    placed: Index, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_commands, "_PAGE", 2)
    shown = run("--json", "--until", "2026-11-23", "--most", "5")
    assert [one["event"] for one in json.loads(shown.stdout)] == every(placed)[:5]


def test_each_option_is_a_criterion(placed: Index, run: Run) -> None:
    reporter = placed.reporters[SCHOOL][0]
    signal = every(placed)[-1]["signalId"]

    def found(*arguments: str) -> int:
        shown = run("--json", *arguments)
        assert shown.exit_code == 0, shown.stderr
        return len([one for one in json.loads(shown.stdout) if one["event"]["kind"] != "ledger.searched"])

    assert found() == 6
    assert found("--signal", signal) == 1
    named = [event["id"] for event in every(placed)[1:3]]
    assert found("--event", named[0], "--event", named[1]) == 2
    assert found("--match", str(reporter)) == 1  # of the refused read, which named it as one
    assert found("--person", str(reporter)) == 6
    assert found("--institution", "00000002222222222000") == 0
    assert found("--outcome", "refused") == 1
    assert found("--kind", "signal.registered", "--kind", "signal.read") == 5
    assert found("--from", "2026-11-22T10:03:00Z") == 3
    assert found("--until", "2026-11-22T10:03:00Z") == 3


@pytest.mark.parametrize("token", ["", "two words", "é"])
def test_what_is_no_token_is_not_sent(run: Run, token: str) -> None:
    refused = run(token=token)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "there is no access token" in refused.stderr


def test_a_refusal_says_what_to_do(index: Index, run: Run, tmp_path: Path) -> None:
    one_factor = index.privacy_officer(signed_in={"amr": ["pwd"]})["Authorization"].removeprefix("Bearer ")
    file = tmp_path / "token"
    file.write_text(f"{one_factor}\n")
    refused = run("--token", str(file))
    assert refused.exit_code == 3
    assert "Sign in anew with two factors" in refused.stderr
    assert one_factor not in refused.output
    assert "docs/ledger.md lists" in run("--kind", "match.guessed").stderr
    assert run("--token", str(tmp_path / "none")).exit_code == 2
    assert run("--purpose", "curiosity").exit_code == 2


@pytest.mark.parametrize("address", ["index.test", "http://index.test", "ftp://index.test", "https://"])
def test_a_token_goes_nowhere_without_tls(run: Run, address: str) -> None:
    refused = run("--index", address)
    assert refused.exit_code == 2
    assert "--index" in refused.stderr
