# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex keys`: every key is made, shown and checked, and no output holds a secret."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from verwijsindex import keyfiles
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms import voprf
from verwijsindex.pseudonyms.commands import app
from verwijsindex.pseudonyms.key_list import KeyListError, KeyVersion, read_key_list, sign_key_list
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.pseudonyms.voprf import Evaluator


def secrets_in(folder: Path) -> list[str]:
    """Every secret in the files below a folder, as it stands there."""
    found = []
    for file in folder.rglob("*.key"):
        text = file.read_text().strip()
        found.append(json.loads(text)["d"] if text.startswith("{") else text)
    return found


def keys(folder: Path, *arguments: object, status: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    assert not any(secret in result.output for secret in secrets_in(folder))
    return result


def test_versions_of_the_index_key_are_made_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    for version in (1, 2, 3):
        assert f"index key, version {version}, fingerprint " in keys(tmp_path, "index", folder).output
    loaded = IndexKeys.load(folder)
    assert list(loaded) == [1, 2, 3]
    assert len(set(secrets_in(folder))) == 3
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_pseudonym_key_is_told_by_its_public_key(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    output = keys(tmp_path, "pseudonym", folder).output
    [evaluator] = voprf.load_evaluators(folder).values()
    assert f"version 1, public key {encode_base64url(evaluator.public_key)}" in output


@pytest.mark.parametrize("command", ["list-signer", "issuer"])
def test_a_signing_key_has_its_public_part_beside_it(tmp_path: Path, command: str) -> None:
    file = tmp_path / "one.key"
    result = keys(tmp_path, command, file)
    key = keyfiles.read_signing_key(file)
    assert json.loads(result.stdout) == key.as_dict(private=False)
    assert keyfiles.read_public_key(tmp_path / "one.key.pub.json").thumbprint() == key.thumbprint()
    for shown in (file, tmp_path / "one.key.pub.json"):
        assert json.loads(keys(tmp_path, "public", shown).stdout) == key.as_dict(private=False)


@pytest.mark.parametrize("there", ["one.key", "one.key.pub.json"])
def test_a_signing_key_replaces_nothing(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text('{"d": "kept"}')
    assert "exists already" in keys(tmp_path, "issuer", tmp_path / "one.key", status=1).output
    assert [file.read_text() for file in tmp_path.iterdir()] == ['{"d": "kept"}']


class Ceremony:
    """A service's folder, a signing key and where the list goes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.service, self.out = folder, folder / "service", folder / "key-list.jws"
        keys(folder, "pseudonym", self.service)
        keys(folder, "list-signer", folder / "signer.key")
        self.pinned = keyfiles.read_public_key(folder / "signer.key.pub.json")

    def sign(self, *more: object, status: int = 0, signer: Path | None = None) -> Result:
        signer = signer or self.folder / "signer.key"
        return keys(
            self.folder,
            "sign-list",
            *("--service-keys", self.service, "--signer", signer, "--out", self.out),
            *more,
            status=status,
        )


def test_the_list_tells_the_service_s_public_key(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    ceremony.sign()
    now = datetime.now(UTC)
    version = read_key_list(ceremony.out.read_text(), ceremony.pinned).current(now)
    assert version.public_key == voprf.load_evaluators(ceremony.service)[1].public_key
    assert now - timedelta(minutes=1) < version.accepted_from <= now
    assert version.accepted_until is None
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_version_keeps_the_time_it_had_when_the_list_is_signed_again(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    public_key = voprf.load_evaluators(ceremony.service)[1].public_key
    before = KeyVersion(version=1, public_key=public_key, accepted_from=since, accepted_until=None)
    signer = keyfiles.read_signing_key(tmp_path / "signer.key")
    ceremony.out.write_text(sign_key_list([before], since, signer))
    assert "accepted from 2026-01-01T00:00:00Z" in ceremony.sign().output
    assert read_key_list(ceremony.out.read_text(), ceremony.pinned).versions == (before,)


def test_a_version_that_became_another_key_is_not_signed(tmp_path: Path) -> None:
    """With the look at the old list left out, the new key was signed: all matching with before is lost."""
    ceremony = Ceremony(tmp_path)
    ceremony.sign()
    kept = ceremony.out.read_text()
    (ceremony.service / "pseudonym-1.key").unlink()
    keys(tmp_path, "pseudonym", ceremony.service)
    assert "another public key" in ceremony.sign(status=1).output
    assert ceremony.out.read_text() == kept


def test_two_versions_are_not_the_first(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    keys(tmp_path, "pseudonym", ceremony.service)
    assert "one at a time" in ceremony.sign(status=1).output
    assert not ceremony.out.exists()


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_next_version_is_announced_and_the_one_before_it_ends(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    ceremony.sign()
    keys(tmp_path, "pseudonym", ceremony.service)
    kept, soon = ceremony.out.read_text(), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    for nonsense, says in (
        ([], "say from when"),
        (["--begins", "tomorrow"], "written as"),
        (["--begins", wire(soon), "--ends", "one"], "write a version and a moment"),
        (["--begins", wire(soon), "--ends", f"1={wire(soon)}"], "an hour after"),
    ):
        assert says in ceremony.sign(*nonsense, status=1).output
        assert ceremony.out.read_text() == kept
    end = soon + timedelta(hours=1)
    output = ceremony.sign("--begins", wire(soon), "--ends", f"1={wire(end)}").output
    assert f"accepted from {wire(soon)}" in output
    assert f"until {wire(end)}" in output
    listed = read_key_list(ceremony.out.read_text(), ceremony.pinned)
    assert [listed.current(at).version for at in (datetime.now(UTC), soon, end)] == [1, 2, 2]
    assert [listed.accepted(1, at) for at in (soon, end)] == [True, False]


def test_the_list_goes_on_under_another_signer(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    ceremony.sign()
    before = read_key_list(ceremony.out.read_text(), ceremony.pinned)
    keys(tmp_path, "list-signer", tmp_path / "next.key")
    assert "no valid signature" in ceremony.sign(signer=tmp_path / "next.key", status=1).output
    ceremony.sign("--former-signer", tmp_path / "signer.key.pub.json", signer=tmp_path / "next.key")
    pinned = keyfiles.read_public_key(tmp_path / "next.key.pub.json")
    assert read_key_list(ceremony.out.read_text(), ceremony.pinned, pinned).versions == before.versions
    with pytest.raises(KeyListError, match="no valid signature"):
        read_key_list(ceremony.out.read_text(), ceremony.pinned)


def test_a_list_of_another_signer_is_not_built_upon(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    ceremony.out.write_text("a.b.c")
    assert "no valid signature" in ceremony.sign(status=1).output


def test_check_says_of_each_file_what_it_is_and_what_is_wrong(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    keys(tmp_path, "index", tmp_path / "index")
    index, service = tmp_path / "index" / "index-1.key", ceremony.service / "pseudonym-1.key"
    signer, public = tmp_path / "signer.key", tmp_path / "signer.key.pub.json"
    output = keys(tmp_path, "check", index, service, signer, public).output
    assert f"{index}: index key, version 1, fingerprint " in output
    assert f"{service}: pseudonym key, version 1, public key " in output
    assert f"{signer}: private Ed25519 key, fingerprint {ceremony.pinned.thumbprint()}, mode 0600" in output
    assert f"{public}: public Ed25519 key, fingerprint {ceremony.pinned.thumbprint()}, mode 0644" in output
    index.chmod(0o644)
    result = keys(tmp_path, "check", index, tmp_path / "none.key", service, status=1)
    assert "can be used by others (mode 0644" in result.stderr
    assert "none.key is missing" in result.stderr
    assert str(service) in result.stdout


def test_a_secret_that_is_no_scalar_is_no_pseudonym_key(tmp_path: Path) -> None:
    keyfiles.write_secret(tmp_path / "pseudonym-1.key", b"\xff" * 32)
    assert "no scalar" in keys(tmp_path, "check", tmp_path / "pseudonym-1.key", status=1).stderr


def test_the_help_says_who_holds_a_key_and_what_is_lost_with_it(tmp_path: Path) -> None:
    for command in ("index", "pseudonym", "list-signer", "issuer"):
        output = keys(tmp_path, command, "--help").output
        assert "Held by:" in output
        assert "Lost:" in output


def test_a_damaged_factor_is_told(tmp_path: Path) -> None:
    """As the process that reads it would. Seen failing ("factor from version 1 to 2") when only its length was looked
    at."""
    one, other = (Evaluator(n.to_bytes(32, "little")).public_key for n in (1, 2))
    keyfiles.write_secret(tmp_path / "factor-1-2.key", (3).to_bytes(32, "little") + one + other)
    assert "damaged" in keys(tmp_path, "check", tmp_path / "factor-1-2.key", status=1).stderr
