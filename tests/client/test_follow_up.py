# SPDX-License-Identifier: EUPL-1.2
"""From match to closed by the client and its commands, against the real index (R21, R22, R23)."""

import json
from datetime import date
from uuid import UUID, uuid4

import pytest
from client.services import CLIENT_ID, INDEX, ISSUER, PSEUDONYMS, Services, draft
from typer.testing import CliRunner, Result

from verwijsindex.client import Accepted, ClientProblem, cli, follow_up_commands
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


def test_the_commands_do_the_same(services: Services, match: Match, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, other, one = match
    folder = services.folder
    (folder / "client.toml").write_text(
        f'index = "{INDEX}"\npseudonyms = "{PSEUDONYMS}"\nissuer = "{ISSUER}"\nclient_id = "{CLIENT_ID}"\n'
        f'key_file = "{folder / "client.key.json"}"\nkey_list_signer = "{folder / "signer.pub.json"}"\n'
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(follow_up_commands, "VerwijsindexClient", services.client)

    def run(command: str, reporter: UUID, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, ["follow-up", command, str(one), "--reporter", str(reporter), *arguments])

    shown = run("show", asked).stdout
    assert "notified" in shown
    assert "proposed: you" in shown
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
