# SPDX-License-Identifier: EUPL-1.2
"""From match to closed by the client and its commands, against the real index (R21, R22, R23)."""

import json
from datetime import date
from uuid import UUID, uuid4

import pytest
from client.services import CLIENT_ID, INDEX, ISSUER, PSEUDONYMS, Services, draft
from typer.testing import CliRunner, Result

from verwijsindex.client import Accepted, ClientProblem, cli, follow_up_commands, mail_commands, tables
from verwijsindex.matching.service import match_waiting

Match = tuple[UUID, UUID, UUID]


@pytest.fixture
def match(services: Services) -> Match:
    """Of two reporters: who is asked to lead, the other one, and the match."""
    first, second = services.register(["Anna de Vries", "Bram Jansen"])
    with services.client() as client:
        for reporter in (first, second):
            [outcome] = client.submit([draft(reporter)])
            assert isinstance(outcome, Accepted)
        match_waiting(services.index_database.engine("worker"), services.now, services.now, keys={})
        [found] = client.matches(first)
        one = UUID(found["id"])
        asked, other = (first, second) if client.follow_up.read(first, one)["lead"]["you"] else (second, first)
    return asked, other, one


def test_the_client_follows_a_match_up(services: Services, match: Match) -> None:
    asked, other, one = match
    with services.client() as client:
        do = client.follow_up
        assert do.accept_lead(asked, one)["lead"]["state"] == "accepted"
        contact = do.read(other, one)["lead"]["contact"]
        assert do.record_contact(other, one, date(2026, 11, 22))["state"] == "lead_agreed"
        with pytest.raises(ClientProblem) as refused:
            do.hand_over_lead(other, one, UUID(contact))  # it leads nothing
        assert refused.value.status == 409
        assert refused.value.possible == ("coordinate", "close", "close_at_once")
        assert "possible now: coordinate, close, close_at_once" in str(refused.value)  # what to do instead is told
        assert do.record_coordination(asked, one)["state"] == "coordinated"
        assert do.close(asked, one, "joint_plan")["outcome"] == "joint_plan"
        with pytest.raises(ClientProblem) as unknown:
            do.read(asked, uuid4())
        assert unknown.value.status == 404


def test_who_declines_is_asked_no_more(services: Services, match: Match) -> None:
    asked, _, one = match
    with services.client() as client:
        assert client.follow_up.decline_lead(asked, one, "no_capacity")["lead"]["you"] is False


def _configure(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = services.folder
    (folder / "client.toml").write_text(
        f'index = "{INDEX}"\npseudonyms = "{PSEUDONYMS}"\nissuer = "{ISSUER}"\nclient_id = "{CLIENT_ID}"\n'
        f'key_file = "{folder / "client.key.json"}"\nkey_list_signer = "{folder / "signer.pub.json"}"\n'
    )
    monkeypatch.chdir(folder)
    for commands in (follow_up_commands, mail_commands):
        monkeypatch.setattr(commands, "VerwijsindexClient", services.client)


def test_the_commands_do_the_same(services: Services, match: Match, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, other, one = match
    _configure(services, monkeypatch)

    def run(command: str, reporter: UUID, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, ["follow-up", command, str(one), "--reporter", str(reporter), *arguments])

    shown = run("show", asked).stdout
    assert "notified" in shown
    assert "proposed: you" in shown
    with services.client() as client:
        name = tables.names_in(client.match(other, one)["parties"])
    assert f"proposed: {next(iter(name.values()))} (" in run("show", other).stdout, "by name, not by a handle"
    assert "accepted: you" in run("accept", asked).stdout
    assert run("decline", asked, "--reason", "no_capacity").exit_code == 3  # after it was accepted
    future = run("contact", other, "--on", "2026-12-24")
    assert (future.exit_code, "once it was there" in future.stderr) == (3, True)
    assert "lead_agreed" in run("contact", other, "--on", "2026-11-22").stdout
    contact = json.loads(run("show", asked, "--json").stdout)["lead"]["contact"]
    assert run("hand-over", asked, "--to", str(uuid4())).exit_code == 3
    assert run("hand-over", asked, "--to", contact).exit_code == 3  # to oneself
    assert "coordinated" in run("coordinated", other).stdout
    closed = run("close", other, "--outcome", "joint_plan")
    assert (closed.exit_code, "nothing" in closed.stdout) == (0, True)


def test_who_works_together_already_is_told_what_is_quiet_and_undoes_it(
    services: Services, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By commands: what they show is what a person has (R23)."""
    _asked, other, one = match
    _configure(services, monkeypatch)

    def run(*command: str) -> Result:
        return CliRunner().invoke(cli.app, [*command, "--reporter", str(other)])

    name = "Anna de Vries" if "Anna" in run("follow-up", "show", str(one)).stdout else "Bram Jansen"
    closed = run("follow-up", "close", str(one), "--outcome", "already_together")
    assert closed.exit_code == 0, closed.output
    assert f"mutes list --reporter {other}" in closed.stdout
    assert name in run("mutes", "list").stdout
    [mute] = json.loads(run("mutes", "list", "--json").stdout)
    assert mute["match"] == str(one)
    assert run("mutes", "undo", mute["id"]).exit_code == 0
    assert "none" in run("mutes", "list").stdout
    again = run("mutes", "undo", mute["id"])
    assert (again.exit_code, "404" in again.stderr) == (3, True)


def test_a_reporter_chooses_when_mail_comes(services: Services, match: Match, monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = match[0]
    _configure(services, monkeypatch)

    def run(*command: str) -> Result:
        return CliRunner().invoke(cli.app, ["mail", *command, "--reporter", str(reporter)])

    assert run("show").stdout.startswith("mail at once")
    assert run("digest", "--at", "16:30").stdout.startswith("one mail a day, at 16:30")
    assert run("show").stdout.startswith("one mail a day, at 16:30")
    unclear, never = run("digest", "--at", "4 pm"), run("digest", "--at", "02:30")
    assert (unclear.exit_code, "Write the time as HH:MM, from 00:00" in unclear.stderr) == (3, True)
    assert (never.exit_code, "02:00" in never.stderr) == (3, True)
    assert run("at-once").stdout.startswith("mail at once")
    with services.client() as client:
        assert client.mail.preference(reporter)["mail"] == "at_once"
