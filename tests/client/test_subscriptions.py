# SPDX-License-Identifier: EUPL-1.2
"""The client's own webhook subscription: by the library, and by `verwijsindex client subscription`."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from client.services import CLIENT_ID, INDEX, ISSUER, PSEUDONYMS, Services
from typer.testing import CliRunner, Result

from verwijsindex.client import ClientProblem, Event, challenge_answer, subscription_commands, webhooks
from verwijsindex.client.cli import app

ADDRESS = "https://case-system.example/verwijsindex"


@pytest.fixture
def registered(services: Services) -> Services:
    """With the client's institution in the register."""
    services.register(["Anna Voorbeeld"])
    return services


def confirm(services: Services) -> None:
    with services.index_database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE subscription SET state = 'active', confirmed_address = address"))


def test_a_subscription_by_the_library(registered: Services) -> None:
    with registered.client() as client:
        mine = client.subscriptions
        assert mine.every() == []
        made = mine.create(ADDRESS)
        assert made["secret"].startswith("whsec_")
        subscription = UUID(made["id"])
        assert mine.challenge(subscription)["state"] == "pending"
        confirm(registered)
        assert mine.pause(subscription)["state"] == "paused"
        assert mine.resume(subscription)["state"] == "active"
        assert mine.move(subscription, ADDRESS + "/2")["state"] == "pending"
        assert mine.rotate(subscription)["secret"] != made["secret"]
        assert mine.read(subscription)["previousSecretEndsAt"]
        assert list(mine.attempts(subscription)) == []
        assert mine.replay(subscription, since=registered.now - timedelta(days=1)) == 0
        with pytest.raises(ClientProblem, match="subscription-exists, HTTP 409"):
            mine.create(ADDRESS)
        with pytest.raises(ClientProblem, match="not-found, HTTP 404"):
            mine.read(uuid4())
        with pytest.raises(ClientProblem, match="not-found"):
            mine.replay(subscription, delivery=uuid4())
        assert mine.delete(subscription) == 0
        assert mine.every() == []


def test_an_answer_that_got_lost_costs_no_secret(registered: Services) -> None:
    """Made, and the answer lost: the same request again gets the same subscription and the same secret."""
    lost: list[bytes] = []

    def lose_the_first(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or not request.url.path.endswith("webhook-subscriptions") or lost:
            return None
        answer = httpx.WSGITransport(app=registered.index.wsgi_app).handle_request(request)
        lost.append(answer.read())
        return httpx.Response(502)

    registered.intervene = lose_the_first
    with registered.client() as client:
        made = client.subscriptions.create(ADDRESS)
    assert made == json.loads(lost[0])
    assert registered.index_database.scalar("SELECT count(*) FROM subscription") == 1


def test_attempts_come_page_after_page(registered: Services) -> None:
    with registered.client() as client:
        subscription = UUID(client.subscriptions.create(ADDRESS)["id"])
        with registered.index_database.superuser.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO attempt SELECT gen_random_uuid(), :client, gen_random_uuid(), 'inbox', :at, 'ok', 1"
                    " FROM generate_series(1, 230)"
                ),
                {"client": CLIENT_ID, "at": registered.now},
            )
        assert len({one["id"] for one in client.subscriptions.attempts(subscription)}) == 230


def test_only_a_challenge_is_answered_as_one() -> None:
    parts = {"specversion": "1.0", "id": "1", "source": "s", "subject": UUID(int=1), "time": "2026-11-22T10:00:00Z"}
    challenge = Event.model_validate(parts | {"type": webhooks.CHALLENGE_TYPE, "data": {"challenge": "abc"}})
    assert json.loads(challenge_answer(challenge) or b"") == {"challenge": "abc"}
    push = Event.model_validate(parts | {"type": "nl.verwijsindex.inbox-changed", "data": {"challenge": "abc"}})
    assert challenge_answer(push) is None


def test_the_commands(registered: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each does what it says; the secret is shown when it is made and by nothing else."""
    monkeypatch.setattr(subscription_commands, "VerwijsindexClient", registered.client)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    keys = registered.folder
    (tmp_path / "client.toml").write_text(
        f'index = "{INDEX}"\npseudonyms = "{PSEUDONYMS}"\nissuer = "{ISSUER}"\nclient_id = "{CLIENT_ID}"\n'
        f'key_file = "{keys / "client.key.json"}"\nkey_list_signer = "{keys / "signer.pub.json"}"\n'
    )

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["subscription", *arguments])

    none = run("pause")
    says = "error: this client has no subscription: make one with `client subscription create ADDRESS`\n"
    assert (none.exit_code, none.stderr.endswith(says)) == (2, True)
    made = run("create", ADDRESS)
    assert made.exit_code == 0, made.output
    assert "pending" in made.stdout
    assert "secret: whsec_" in made.stdout
    confirm(registered)
    shown = run("show")
    assert (ADDRESS in shown.stdout, "active" in shown.stdout, "whsec" in shown.output) == (True, True, False)
    for arguments, says in (
        (["pause"], "paused"),
        (["resume"], "active"),
        (["rotate"], "secret: whsec_"),
        (["attempts"], "Attempts: none"),
        (["replay", "--since", f"{registered.now:%Y-%m-%dT%H:%M:%SZ}"], "0 go out again"),
        (["move", ADDRESS + "/2"], "pending"),
        (["challenge"], "pending"),
        (["show", "--json"], '"state": "pending"'),
        (["delete", "--yes"], "ended; 0 deliveries are gone"),
    ):
        done = run(*arguments)
        assert (done.exit_code, says in done.stdout) == (0, True), done.output
    wrong = run("create", "http://case-system.example/")
    assert (wrong.exit_code, "https addresses only" in wrong.stderr) == (3, True)
    assert run("replay").exit_code == 2
