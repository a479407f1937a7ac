# SPDX-License-Identifier: EUPL-1.2
"""Key files: each refusal names the file and the fault, and shows nothing of the content."""

import errno
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from verwijsindex import keyfiles
from verwijsindex.keyfiles import KeyFileError

SECRET = bytes(range(32))
TEXT = keyfiles.encode_base64url(SECRET)


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(KeyFileError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    if path.is_file():
        assert path.read_text(errors="replace").strip()[:20] not in shown or path.stat().st_size == 0
    return str(caught.value)


def test_a_secret_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "index-1.key"
    keyfiles.write_secret(path, SECRET)
    assert keyfiles.read_secret(path) == SECRET
    assert path.read_text() == TEXT + "\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "index-1.key"
    keyfiles.write_secret(path, SECRET)
    with pytest.raises(KeyFileError, match="exists already"):
        keyfiles.write_secret(path, bytes(32))
    assert keyfiles.read_secret(path) == SECRET


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644, 0o666])
def test_a_secret_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Without the look at the mode, all five were read."""
    path = put(tmp_path / "index-1.key", TEXT, mode)
    assert f"mode {mode:04o}" in refusal(keyfiles.read_secret, path)


def test_the_group_may_read(tmp_path: Path) -> None:
    """A secret mounted for a group of the process has mode 0440."""
    assert keyfiles.read_secret(put(tmp_path / "index-1.key", TEXT, 0o440)) == SECRET


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "too short"),
        (TEXT[:-4], "too short"),
        (TEXT + "AAAA", "too long"),
        (TEXT[:-1] + "9", "base64url"),  # the last two bits are not zero
        (TEXT + "=", "base64url"),
        (TEXT.replace("E", "+"), "base64url"),
        (TEXT + "\n" + TEXT, "base64url"),
        ("A" * 5000, "too long"),
        ("é" * 43, "not plain text"),
    ],
)
def test_a_secret_of_another_form_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in refusal(keyfiles.read_secret, put(tmp_path / "index-1.key", text))


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    assert "not a regular file" in refusal(keyfiles.read_secret, tmp_path / "pipe.key")
    assert "not a regular file" in refusal(keyfiles.read_secret, tmp_path)
    assert "missing" in refusal(keyfiles.read_secret, tmp_path / "none.key")


def test_versions_are_found_by_name(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        keyfiles.write_secret(tmp_path / f"index-{version}.key", bytes([version]) * 32)
    keyfiles.write_secret(tmp_path / "pseudonym-3.key", SECRET)
    assert keyfiles.versioned_secrets(tmp_path, "index") == {v: bytes([v]) * 32 for v in (1, 2, 10)}


@pytest.mark.parametrize("name", ["index-01.key", "index-0.key", "index-2.key.bak", "index-x.key", "index-2"])
def test_a_name_that_is_almost_right_is_refused(tmp_path: Path, name: str) -> None:
    keyfiles.write_secret(tmp_path / "index-1.key", SECRET)
    put(tmp_path / name, TEXT)
    with pytest.raises(KeyFileError, match=r"is not named index-<version>\.key"):
        keyfiles.versioned_secrets(tmp_path, "index")


def test_at_least_one_version_is_needed(tmp_path: Path) -> None:
    assert "holds no key file" in refusal(lambda p: keyfiles.versioned_secrets(p, "index"), tmp_path)
    none = tmp_path / "none"
    assert "not a folder" in refusal(lambda p: keyfiles.versioned_secrets(p, "index"), none)


def test_a_signing_key_comes_back(tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519")
    keyfiles.write_signing_key(tmp_path / "client.key", key)
    keyfiles.write_public_key(tmp_path / "client.pub.json", key)
    assert (tmp_path / "client.key").stat().st_mode & 0o777 == 0o600
    read = keyfiles.read_signing_key(tmp_path / "client.key")
    assert read.as_dict(private=True)["d"] == key.as_dict(private=True)["d"]
    public = keyfiles.read_public_key(tmp_path / "client.pub.json")
    assert "d" not in json.loads((tmp_path / "client.pub.json").read_text())
    assert not public.is_private
    assert public.as_dict(private=False)["x"] == key.as_dict(private=False)["x"]


def test_a_private_key_is_not_taken_for_a_public_one_nor_the_other_way(tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519")
    keyfiles.write_signing_key(tmp_path / "a.key", key)
    keyfiles.write_public_key(tmp_path / "a.pub.json", key)
    assert "private part too" in refusal(keyfiles.read_public_key, tmp_path / "a.key")
    (tmp_path / "a.pub.json").chmod(0o600)
    assert "public part only" in refusal(keyfiles.read_signing_key, tmp_path / "a.pub.json")


def jwk(**changed: object) -> str:
    fixed = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": X, "d": TEXT})
    return json.dumps(fixed.as_dict(private=True) | changed)


X = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"  # of the private key 00 01 .. 1f


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not an Ed25519 JWK"),
        ("[]", "not an Ed25519 JWK"),
        ("null", "not an Ed25519 JWK"),
        (TEXT, "not an Ed25519 JWK"),
        (jwk(crv="X25519"), "not an Ed25519 JWK"),
        (jwk(kty="EC"), "not an Ed25519 JWK"),
        (jwk(x=7), "not an Ed25519 JWK"),
        (jwk(d=TEXT[:-4]), "not an Ed25519 JWK"),
        (jwk(x=TEXT), "do not belong together"),
    ],
)
def test_a_signing_key_of_another_form_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in refusal(keyfiles.read_signing_key, put(tmp_path / "issuer.key", text))


def test_a_signing_key_others_can_read_is_refused(tmp_path: Path) -> None:
    assert "others" in refusal(keyfiles.read_signing_key, put(tmp_path / "issuer.key", jwk(), 0o644))


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a full disk left half a key, which no process starts with and no command replaces. Seen failing (a
    traceback, and the file there) without the look at what the disk says."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(KeyFileError, match="cannot be written"):
            keyfiles.write_secret(tmp_path / "index-1.key", SECRET)
    assert not list(tmp_path.iterdir())
    keyfiles.write_secret(tmp_path / "index-1.key", SECRET)
