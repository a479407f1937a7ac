# SPDX-License-Identifier: EUPL-1.2
"""The factor on its way from the one operator to the other: for that one alone, and only the right one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from typer.testing import CliRunner, Result

from verwijsindex import keyfiles
from verwijsindex.pseudonyms import turn_commands
from verwijsindex.pseudonyms.commands import app as keys
from verwijsindex.pseudonyms.factors import Factor, Factors
from verwijsindex.pseudonyms.handover import seal_factor
from verwijsindex.pseudonyms.key_list import KeyVersion, sign_key_list
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.pseudonyms.voprf import Evaluator, hash_to_group

SOON = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Operators:
    """The folders of both, with a first version of each key, and a list of it."""

    folder: Path
    status: int = 0

    def run(self, command: object, *arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])  # type: ignore[arg-type]
        assert result.exit_code == status, result.output
        for file in self.folder.rglob("*"):
            if file.suffix in (".key", ".sealed"):
                assert file.stat().st_mode & 0o777 == 0o600
                assert file.read_text().strip() not in result.output
        return result

    def sign(self, *how: object, status: int = 0) -> Result:
        service = ("--service-keys", self.folder / "service", "--signer", self.folder / "signer.jwk")
        return self.run(keys, "sign-list", *service, "--out", self.folder / "list", *how, status=status)

    def recipient(self, name: str = "recipient.key") -> str:
        return self.run(turn_commands.app, "recipient", self.folder / name).stdout.strip()

    def hand_over(self, recipient: str, status: int = 0) -> Result:
        service = ("--service-keys", self.folder / "service", "--recipient", recipient)
        return self.run(turn_commands.app, "hand-over", *service, "--out", self.folder / "d.sealed", status=status)

    def take_over(self, status: int = 0, recipient: str = "recipient.key") -> Result:
        listed = ("--key-list", self.folder / "list", "--signer", self.folder / "signer.jwk.pub.json")
        mine = ("--recipient", self.folder / recipient, "--folder", self.folder / "index")
        return self.run(turn_commands.app, "take-over", self.folder / "d.sealed", *listed, *mine, status=status)

    def untouched(self) -> bool:
        """Whether the index has what it had at first."""
        return [path.name for path in (self.folder / "index").iterdir()] == ["index-1.key"]


@pytest.fixture
def operators(tmp_path: Path) -> Operators:
    both = Operators(tmp_path)
    both.run(keys, "pseudonym", tmp_path / "service")
    both.run(keys, "index", tmp_path / "index")
    both.run(keys, "list-signer", tmp_path / "signer.jwk")
    both.sign()
    return both


def second(operators: Operators) -> Operators:
    """With a second version of the pseudonym key, in the list."""
    operators.run(keys, "pseudonym", operators.folder / "service")
    operators.sign("--begins", SOON)
    return operators


def test_two_turns_from_operator_to_operator(operators: Operators) -> None:
    folder = operators.folder
    for n in (1, 2):
        second(operators) if n == 1 else operators.run(keys, "pseudonym", folder / "service")
        if n == 2:  # the second has begun meanwhile
            now = datetime.now(UTC)
            versions = [
                KeyVersion(
                    version=version,
                    public_key=Evaluator(
                        keyfiles.read_secret(folder / "service" / f"pseudonym-{version}.key")
                    ).public_key,
                    accepted_from=now - timedelta(days=1),
                    accepted_until=None,
                )
                for version in (1, 2)
            ]
            signer = keyfiles.read_signing_key(folder / "signer.jwk")
            (folder / "list").write_text(sign_key_list(versions, now, signer))
            operators.sign("--begins", SOON, "--ends", f"1={SOON}")
        operators.hand_over(operators.recipient())
        assert "give both" in operators.take_over().stdout
        assert not (folder / "recipient.key").exists()
        (folder / "d.sealed").unlink()
    index_keys = IndexKeys.load(folder / "index")
    assert [key.pseudonym_version for key in index_keys.values()] == [1, 2, 3]
    person = hash_to_group(b"x")
    made = []
    for version in (1, 2, 3):
        evaluator = Evaluator(keyfiles.read_secret(folder / "service" / f"pseudonym-{version}.key"))
        made.append(Pseudonym(evaluator.evaluate([person]).elements[0], version))
    assert len({index_keys[3].seal_pseudonym("youngster", one) for one in made}) == 1
    operators.run(keys, "index", folder / "index")
    assert IndexKeys.load(folder / "index")[4].pseudonym_version == 3
    output = operators.run(keys, "check", folder / "index" / "factor-2-3.key", folder / "index" / "index-3.key").output
    assert "factor from version 2 to 3 of the pseudonym key" in output
    assert "index key, version 3, for version 3 of the pseudonym key" in output


def test_who_is_not_the_recipient_learns_nothing(operators: Operators) -> None:
    second(operators).hand_over(operators.recipient())
    operators.recipient("other.key")
    assert "another recipient" in operators.take_over(1, "other.key").output
    assert operators.untouched()


def test_what_was_changed_on_its_way_is_refused(operators: Operators) -> None:
    second(operators).hand_over(operators.recipient())
    file = operators.folder / "d.sealed"
    sealed = keyfiles.read_secret(file, (120,))
    for place, says in ((119, "changed"), (50, "changed"), (7, "no version"), (20, "another recipient")):
        changed = bytearray(sealed)
        changed[place] ^= 8
        file.unlink()
        keyfiles.write_secret(file, bytes(changed))
        assert says in operators.take_over(1).output
    file.unlink()
    keyfiles.write_secret(file, sealed[:-1])
    assert "too short" in operators.take_over(1).output
    assert operators.untouched()


def test_a_wrong_factor_is_refused(operators: Operators) -> None:
    """By a service that is wrong or lies: then every row would be turned to nobody's pseudonym. Seen failing (taken
    over) when `Factor` did not compare with the public keys."""
    second(operators)
    recipient = operators.recipient()
    k1 = keyfiles.read_secret(operators.folder / "service" / "pseudonym-1.key")
    sealed = seal_factor(1, k1, 2, k1, keyfiles.decode_base64url(recipient))
    keyfiles.write_secret(operators.folder / "d.sealed", sealed)
    assert "not the factor from the public key of version 1 to that of version 2" in operators.take_over(1).output
    assert operators.untouched()


def test_a_list_of_another_signer_or_without_the_version_is_refused(operators: Operators) -> None:
    before = (operators.folder / "list").read_text()
    second(operators).hand_over(operators.recipient())
    after = (operators.folder / "list").read_text()
    (operators.folder / "list").write_text(before)
    assert "the list has no version 2" in operators.take_over(1).output
    (operators.folder / "list").write_text(after)
    public = operators.folder / "signer.jwk.pub.json"
    public.unlink()
    keyfiles.write_public_key(public, OKPKey.generate_key("Ed25519"))
    assert "no valid signature" in operators.take_over(1).output
    (operators.folder / "list").unlink()
    assert "cannot be read" in operators.take_over(1).output
    assert operators.untouched()


def test_nonsense_of_the_service_is_refused(operators: Operators) -> None:
    assert "holds one version" in operators.hand_over(operators.recipient(), 1).output
    second(operators)
    for recipient in ("", "abc", "A" * 43):
        assert "no public key" in operators.hand_over(recipient, 1).output
    assert not (operators.folder / "d.sealed").exists()


def test_an_index_that_is_elsewhere_is_told(operators: Operators) -> None:
    second(operators).hand_over(operators.recipient())
    keyfiles.write_secret(operators.folder / "index" / "index-2.key", bytes(32) + (9).to_bytes(4))
    assert "is for version 9" in operators.take_over(1).output
    assert not list((operators.folder / "index").glob("factor-*"))


@pytest.mark.parametrize("cut", ["write_next_key", "unlink"])
def test_cut_short_it_goes_on_when_it_is_run_again(
    operators: Operators, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    second(operators).hand_over(operators.recipient())
    with monkeypatch.context() as patch:
        patch.setattr(turn_commands if cut == "write_next_key" else Path, cut, lambda *_: 1 / 0)
        result = CliRunner().invoke(turn_commands.app, ["take-over", *_arguments(operators)])
        assert isinstance(result.exception, ZeroDivisionError)
    operators.take_over()
    [factor] = Factors.load(operators.folder / "index").known
    assert isinstance(factor, Factor)
    assert [key.pseudonym_version for key in IndexKeys.load(operators.folder / "index").values()] == [1, 2]


def _arguments(operators: Operators) -> list[str]:
    folder = operators.folder
    paths = {
        "--key-list": folder / "list",
        "--signer": folder / "signer.jwk.pub.json",
        "--recipient": folder / "recipient.key",
        "--folder": folder / "index",
    }
    return [str(folder / "d.sealed"), *(str(part) for pair in paths.items() for part in pair)]


def test_the_help_teaches_the_order(operators: Operators) -> None:
    output = operators.run(turn_commands.app, "--help").output
    places = [output.index(step) for step in ("recipient", "hand-over", "take-over", "index-key turn", "destroy")]
    assert places == sorted(places)
