# SPDX-License-Identifier: EUPL-1.2
"""The configuration: what is wrong with it, all at once, and what to do."""

from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from verwijsindex.client import ClientConfig, ConfigError
from verwijsindex.keyfiles import write_public_key, write_signing_key

GOOD = """
index = "https://index.example/"
pseudonyms = "https://pseudonyms.example"
issuer = "http://127.0.0.1:8103"
client_id = "jeugdzorg-stein"
key_file = "keys/own.key.json"
key_list_signer = "keys/signer.pub.json"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    write_signing_key(tmp_path / "keys" / "own.key.json", OKPKey.generate_key("Ed25519"))
    write_public_key(tmp_path / "keys" / "signer.pub.json", OKPKey.generate_key("Ed25519"))
    return tmp_path


def load(folder: Path, text: str = GOOD) -> ClientConfig:
    (folder / "client.toml").write_text(text)
    return ClientConfig.load(folder / "client.toml")


def test_paths_are_seen_from_the_files_folder_and_addresses_have_no_slash(folder: Path) -> None:
    config = load(folder)
    assert config.key_file == folder / "keys" / "own.key.json"
    assert config.index == "https://index.example"
    assert config.own_key().is_private
    assert not config.signer_keys()[0].is_private


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('index = "http://index.example"', "index: an address starts with https://"),
        ('index = "ftp://index.example"', "index: an address starts with https://"),
        ('index = "https://a:b@index.example"', "index: an address is a host"),
        ('index = "https://index.example?x=1"', "index: an address is a host"),
        ('index = "https://"', "index: an address"),
        ("index = 7", "index: Input should be a valid string"),
        ('indx = "https://index.example"', "indx: Extra inputs"),
        ("index = ", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(folder, GOOD.replace('index = "https://index.example/"', line))


def test_all_that_is_wrong_is_named_at_once(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, 'issuer = "http://issuer.example"\nname = "x"')
    for name in ("index", "pseudonyms", "issuer", "client_id", "key_file", "key_list_signer", "name"):
        assert f"{name}: " in str(caught.value)


def test_a_file_that_is_missing_or_no_text_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        ClientConfig.load(folder / "nowhere.toml")
    (folder / "client.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML in UTF-8"):
        ClientConfig.load(folder / "client.toml")


def test_a_key_that_others_can_read_is_refused_and_to_be_closed_not_made_anew(folder: Path) -> None:
    key = folder / "keys" / "own.key.json"
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"own\.key\.json can be used by others .*0644") as caught:
        load(folder)
    assert str(caught.value).endswith(f"chmod 600 {key}")
    assert "keygen" not in str(caught.value)


def test_what_is_no_key_may_be_a_registered_one_that_was_damaged(folder: Path) -> None:
    (folder / "keys" / "own.key.json").write_text("{")
    with pytest.raises(ConfigError, match=r"if it is lost, make another .* NEWFILE"):
        load(folder)


def test_a_missing_key_says_how_to_make_one(folder: Path) -> None:
    (folder / "keys" / "own.key.json").unlink()
    with pytest.raises(ConfigError, match=r"own\.key\.json is missing; make one with: verwijsindex client keygen"):
        load(folder)


def test_two_list_signers_may_be_pinned(folder: Path) -> None:
    write_public_key(folder / "keys" / "next.pub.json", OKPKey.generate_key("Ed25519"))
    two = GOOD.replace('"keys/signer.pub.json"', '["keys/signer.pub.json", "keys/next.pub.json"]')
    config = load(folder, two)
    assert config.key_list_signer == (folder / "keys" / "signer.pub.json", folder / "keys" / "next.pub.json")
    assert len(config.signer_keys()) == 2
    for nothing in ("[]", "7", '["keys/none.pub.json"]'):
        with pytest.raises(ConfigError, match=r"key_list_signer|none.pub.json"):
            load(folder, GOOD.replace('"keys/signer.pub.json"', nothing))


def test_a_private_key_in_the_signers_place_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="holds the private part too"):
        load(folder, GOOD.replace("signer.pub", "own.key"))
