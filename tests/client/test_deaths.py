# SPDX-License-Identifier: EUPL-1.2
"""A municipality tells deaths by library and by command, and no BSN leaves it or is shown (R7, R14, I5)."""

import json
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from client.services import CLIENT_ID, INDEX, ISSUER, NOW, OIN, PSEUDONYMS, Services, bsns, draft
from typer.testing import CliRunner, Result

from verwijsindex.client import Bsn, ClientProblem, UnreachableError, cli, death_commands
from verwijsindex.client.deaths import PATH
from verwijsindex.ledger.events import Actor
from verwijsindex.registry import schemas, service


@pytest.fixture
def town(services: Services) -> Services:
    """The services, where the client's OIN is that of a municipality."""
    services.register(["Anna de Vries"])
    with services.index_database.engine("registrar").begin() as connection:
        entry = schemas.MunicipalityOin(code="0971", oin=OIN)
        service.set_oin(connection, Actor(role="administrator"), NOW, entry)
    return services


def _deaths(services: Services) -> int:
    return int(services.index_database.scalar("SELECT count(DISTINCT id) FROM death"))


class Shell:
    """Gives the command in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli.app, ["death", *arguments], input=typed)


@pytest.fixture
def death(town: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(death_commands, "VerwijsindexClient", town.client)
    folder = tmp_path / "town"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "client.toml").write_text(
        f'index = "{INDEX}"\npseudonyms = "{PSEUDONYMS}"\nissuer = "{ISSUER}"\nclient_id = "{CLIENT_ID}"\n'
        f'key_file = "{town.folder / "client.key.json"}"\nkey_list_signer = "{town.folder / "signer.pub.json"}"\n'
    )
    return Shell(folder)


def test_it_ends_what_the_same_bsn_was_signalled_with(town: Services) -> None:
    """The pseudonym is the one of a signal, though it was made for no reporter."""
    [reporter] = [row.id for row in town.index_database.rows("SELECT id FROM reporter")]
    live = "SELECT count(*) FROM live_signals(CAST('2026-11-22' AS date))"
    with town.client() as client:
        list(client.submit([draft(reporter, bsns(1)[0])]))
        assert town.index_database.scalar(live) == 1
        assert client.tell_death(Bsn.parse(bsns(2)[1])) == NOW
        assert town.index_database.scalar(live) == 1
        assert client.tell_death(Bsn.parse(bsns(1)[0])) == NOW
        assert town.index_database.scalar(live) == 0
    asked = [json.loads(request.content) for request in town.requests if "/evaluations" in request.url.path]
    assert asked[-1]["reporters"] == [str(UUID(int=0))]
    assert bsns(1)[0] not in "".join(str(request.content) for request in town.requests)


def test_a_try_that_was_not_heard_is_repeated_and_a_second_telling_is_one_of_its_own(town: Services) -> None:
    lost: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == PATH and not lost:
            town.answer(request)
            lost.append(request)
            raise httpx.ReadTimeout("lost")
        return None

    town.intervene = lose
    with town.client() as client:
        client.tell_death(Bsn.parse(bsns(1)[0]))
        assert _deaths(town) == 1
        client.tell_death(Bsn.parse(bsns(1)[0]))
    assert _deaths(town) == 2


def test_a_version_of_the_key_that_ended_meanwhile_is_changed_for_the_next(town: Services) -> None:
    with town.client() as client:
        client.tell_death(Bsn.parse(bsns(1)[0]))
        town.add_key_version(accepted_until=NOW)
        town.start_index()
        town.start_pseudonyms()
        assert client.tell_death(Bsn.parse(bsns(1)[0])) == NOW
    assert _deaths(town) == 2


def test_who_is_no_municipality_is_told_so(services: Services) -> None:
    services.register(["Anna de Vries"])
    with services.client() as client, pytest.raises(ClientProblem) as caught:
        client.tell_death(Bsn.parse(bsns(1)[0]))
    assert (caught.value.status, caught.value.slug) == (403, "not-a-municipality")


def test_the_number_is_asked_for_twice_and_unseen(town: Services, death: Shell) -> None:
    bsn, other = bsns(2)
    done = death(typed=f"{bsn}\n{other}\n{bsn}\n{bsn}\n")
    assert (done.exit_code, _deaths(town)) == (0, 1)
    assert "told 1 of 1" in done.output
    assert bsn not in done.output
    wrong = death(typed="123456789\n123456789\n")
    assert (wrong.exit_code, _deaths(town)) == (2, 1)
    assert "11-test" in wrong.output
    assert "123456789" not in wrong.output


def test_a_file_is_told_line_by_line_and_checked_before(town: Services, death: Shell) -> None:
    first, second, third = bsns(3)
    (death.folder / "deceased.txt").write_text(f"\ufeff{first}\r\n\r\n {second} \r\n12345678\r\nwho\r\n")
    wrong = death("deceased.txt")
    assert (wrong.exit_code, _deaths(town)) == (2, 0)
    assert "line 4: the number does not pass" in wrong.output
    assert "line 5: a BSN has eight or nine digits" in wrong.output
    assert "12345678" not in wrong.output
    (death.folder / "deceased.txt").write_text("\n".join((first, second, third)))
    done = death("deceased.txt")
    assert (done.exit_code, _deaths(town), done.stdout) == (0, 3, "told 3 of 3\n")
    (death.folder / "deceased.txt").write_bytes(b"\xff\xfe9")
    assert "UTF-8" in death("deceased.txt").output
    assert death("missing.txt").exit_code == 2


def test_a_service_that_is_away_ends_with_3_and_says_how_far_it_came(town: Services, death: Shell) -> None:
    posts: list[httpx.Request] = []

    def away(request: httpx.Request) -> httpx.Response | None:
        posts.extend([request] * (request.url.path == PATH))
        if request.url.path == PATH and len(posts) > 1:
            raise httpx.ConnectError("away")
        return None

    town.intervene = away
    (death.folder / "deceased.txt").write_text("\n".join(bsns(3)))
    done = death("deceased.txt")
    assert (done.exit_code, done.stdout) == (3, "told 1 of 3\n")
    assert "did not answer" in done.stderr
    with town.client() as client, pytest.raises(UnreachableError):
        client.tell_death(Bsn.parse(bsns(1)[0]))


def test_the_number_cannot_be_an_argument(death: Shell) -> None:
    """Where `ps` and the shell's history show it: it is taken for a file, and not repeated."""
    done = death(bsns(1)[0])
    assert done.exit_code == 2
    assert bsns(1)[0] not in done.output
