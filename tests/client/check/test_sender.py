# SPDX-License-Identifier: EUPL-1.2
"""`client check sender`: our own client and a right home-made sender pass every rule; each wrong one fails its own."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from client.check.homemade import HomemadeSender
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from verwijsindex.client import cli
from verwijsindex.client.check import sender, standins
from verwijsindex.client.check.cases import rounds, signer
from verwijsindex.client.check.rules import SENDER
from verwijsindex.client.check.sender import SenderCheck
from verwijsindex.client.check.standins import StandIns
from verwijsindex.client.check.verdicts import Verdicts

pytestmark = pytest.mark.system

PLAIN, AWAY, REFUSED, PROOF, KEY, SIGNATURE, LISTS = range(1, 8)


def played(fault: str, *numbers: int) -> Verdicts:
    """These rounds with a home-made sender; it starts anew for each."""
    key, now = OKPKey.generate_key("Ed25519"), datetime.now(UTC)
    wanted = [one for one in rounds(now) if one.number in numbers]
    with StandIns("127.0.0.1", 0) as services:
        for one in wanted:
            services.begin(one.number, one.trouble)
            HomemadeSender(services.addresses, key, signer(), fault).send(one)
        return SenderCheck(services, wanted, key).judge()


def failed(verdicts: Verdicts) -> set[str]:
    return {rule for rule, state in verdicts.states().items() if state == "failed"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sender, standins):
        monkeypatch.setattr(module, "RETRY_AFTER", 1)


def test_a_right_sender_passes_every_rule() -> None:
    verdicts = played("", PLAIN, AWAY, REFUSED, PROOF, KEY, SIGNATURE, LISTS)
    assert {rule: verdict.wrong for rule, verdict in verdicts.by_id.items() if verdict.wrong} == {}
    assert set(verdicts.states().values()) == {"ok"}


FAULTS: dict[str, tuple[int, set[str]]] = {
    "takes any number": (PLAIN, {"S1"}),
    "does not pad": (PLAIN, {"S2"}),
    "blinds once for all": (PLAIN, {"S3"}),
    "does not blind": (PLAIN, {"S3"}),
    "hashes N": (PLAIN, {"S2", "S4"}),
    "takes them for parents": (PLAIN, {"S2", "S4"}),
    "checks no proof": (PROOF, {"S5"}),
    "believes any key": (KEY, {"S6"}),
    "believes any list": (SIGNATURE, {"S7"}),
    "reads one list": (PLAIN, {"S8"}),
    "compares no lists": (LISTS, {"S8"}),
    "uses the first version": (PLAIN, {"S2", "S4", "S9"}),
    "an assertion for an hour": (PLAIN, {"S10"}),
    "one jti": (PLAIN, {"S10"}),
    "a slash more": (PLAIN, {"S10"}),
    "one token for all": (PLAIN, {"S11"}),
    "a token for each request": (PLAIN, {"S11"}),
    "one key for all": (PLAIN, {"S12"}),
    "a key with dots": (PLAIN, {"S12"}),
    "the BSN as key": (PLAIN, {"S12", "S19"}),
    "a new key for a repeat": (AWAY, {"S13"}),
    "another time in a repeat": (AWAY, {"S13"}),
    "gives up": (AWAY, {"S13"}),
    "does not wait": (AWAY, {"S14"}),
    "repeats what was refused": (REFUSED, {"S15"}),
    "always two years": (PLAIN, {"S16"}),
    "a day too late": (PLAIN, {"S16"}),
    "tells every birthday": (PLAIN, {"S16"}),
    "takes adults": (PLAIN, {"S17"}),
    "a member more": (PLAIN, {"S18"}),
    "names no reporters": (PLAIN, {"S18"}),
    "a birth date besides": (PLAIN, {"S18", "S19"}),
    "a hashed BSN as reference": (PLAIN, {"S19"}),
    "the BSN in the address": (PLAIN, {"S19"}),
    "N as key": (PLAIN, {"S12", "S20"}),
    "N in a header": (PLAIN, {"S20"}),
    "takes parents for youngsters": (PLAIN, {"S21"}),
    "sends it open": (PLAIN, {"S22"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_one_fails_its_rule_and_no_other(fault: str) -> None:
    number, rules = FAULTS[fault]
    assert failed(played(fault, number)) == rules


def test_there_is_a_wrong_one_for_each_rule() -> None:
    assert {rule for _, rules in FAULTS.values() for rule in rules} == {rule.id for rule in SENDER}


def test_a_sender_that_sends_nothing_has_passed_nothing() -> None:
    with StandIns("127.0.0.1", 0) as services:
        states = SenderCheck(services, rounds(datetime.now(UTC)), OKPKey.generate_key("Ed25519")).judge().states()
    assert set(states.values()) == {"not seen"}


def test_our_own_client_passes_by_the_command_that_a_tester_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTHONPATH", str(Path(cli.__file__).parents[2]))
    runner = CliRunner()
    runner.invoke(cli.app, ["keygen", "own.key.json"])
    ports: list[dict[str, str]] = []
    enter = StandIns.__enter__

    def configured(services: StandIns) -> StandIns:
        ports.append(services.addresses)
        lines = [f'{name} = "{address}"' for name, address in services.addresses.items()]
        lines += ['client_id = "me"', 'key_file = "own.key.json"', 'key_list_signer = "check/key-list-signer.pub.json"']
        Path("client.toml").write_text("\n".join(lines))
        return enter(services)

    monkeypatch.setattr(StandIns, "__enter__", configured)
    command = f"{sys.executable} -m verwijsindex client send {{file}}"
    arguments = ["--listen", "127.0.0.1:0", "--public-key", "own.key.json.pub.json", "--run", command]
    result = runner.invoke(cli.app, ["check", "sender", "check", *arguments])
    assert result.exit_code == 0, result.output
    assert f"ok {len(SENDER)}, failed 0, not seen 0" in result.stdout
    assert "999900006" not in result.stdout


def test_what_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    runner.invoke(cli.app, ["keygen", "own.key.json"])
    for arguments, says in (
        (["--public-key", "nowhere.json", "--run", "true"], "give --public-key FILE"),
        (["--public-key", "own.key.json.pub.json", "--listen", "nonsense", "--run", "true"], "three free ports"),
        (["--public-key", "own.key.json.pub.json", "--listen", "127.0.0.1:0"], "with --run"),
        (["--public-key", "own.key.json.pub.json", "--listen", "127.0.0.1:0", "--run", "./nowhere"], "No such file"),
    ):
        result = runner.invoke(cli.app, ["check", "sender", "check", *arguments])
        assert result.exit_code == 2
        assert says in result.stderr
    # The name that examples/client.toml gives to the key that is pinned for real: seen failing, it was replaced.
    real = (Path("real") / "key-list-signer.pub.json").absolute()
    real.parent.mkdir()
    real.write_bytes(Path("own.key.json.pub.json").read_bytes())
    failing = ["--public-key", "own.key.json.pub.json", "--listen", "127.0.0.1:0", "--run", "true"]
    result = runner.invoke(cli.app, ["check", "sender", "real", *failing])
    assert (result.exit_code, real.read_bytes()) == (2, Path("own.key.json.pub.json").read_bytes())
    assert "give a FOLDER of its own" in result.stderr
    assert runner.invoke(cli.app, ["check", "sender", "check", *failing]).exit_code == 1  # nothing was seen
