# SPDX-License-Identifier: EUPL-1.2
"""The signed list of key versions: only what the pinned key signed, in exactly its form, is believed."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from pydantic import ValidationError

from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.key_list import (
    CLOCKS_APART,
    KeyList,
    KeyListError,
    KeyVersion,
    read_key_list,
    sign_key_list,
)
from verwijsindex.pseudonyms.ristretto import multiply_base

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SIGNER = OKPKey.generate_key("Ed25519")
PINNED = OKPKey.import_key(SIGNER.as_dict(private=False))
POINTS = [multiply_base(bytes([n]) + bytes(31)) for n in (2, 3, 4)]
HEADER = {"alg": "Ed25519", "typ": "verwijsindex-key-list+jws"}


def version(
    number: int, *, since: datetime = NOW - DAY, until: datetime | None = None, point: bytes | None = None
) -> KeyVersion:
    return KeyVersion(
        version=number,
        public_key=point or POINTS[number - 1],
        accepted_from=since,
        accepted_until=until,
    )


def payload(**changed: Any) -> dict[str, Any]:
    """A list in its wire form; a change whose value is `...` leaves the field out of its version."""
    one = {
        "version": 1,
        "publicKey": encode_base64url(POINTS[0]),
        "acceptedFrom": "2026-11-21T10:00:00Z",
        "acceptedUntil": None,
    } | {name: value for name, value in changed.items() if name not in {"issuedAt", "versions", "extra"}}
    whole: dict[str, Any] = {"issuedAt": "2026-11-22T10:00:00Z", "versions": [one]}
    whole |= {name: value for name, value in changed.items() if name in {"issuedAt", "versions", "extra"}}
    whole["versions"] = [
        {k: v for k, v in one.items() if v is not ...} if isinstance(one, dict) else one for one in whole["versions"]
    ]
    return {name: value for name, value in whole.items() if value is not ...}


def signed(content: object, key: OKPKey = SIGNER, **header: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return jws.serialize_compact(HEADER | header, text, key, ["Ed25519"])


def test_a_signed_list_comes_back() -> None:
    text = sign_key_list([version(1, until=NOW + DAY), version(2)], NOW, SIGNER)
    assert read_key_list(text + "\n", PINNED) == KeyList(
        issued_at=NOW, versions=(version(1, until=NOW + DAY), version(2))
    )
    header, content, _ = text.split(".")
    assert jws.extract_compact(text.encode()).headers() == HEADER
    assert header == encode_base64url(json.dumps(HEADER, separators=(",", ":")).encode())
    assert content


def test_the_wire_form_is_the_documented_one() -> None:
    text = sign_key_list([version(1)], NOW.astimezone(timezone(DAY / 24)), SIGNER)
    assert json.loads(jws.extract_compact(text.encode()).payload) == payload()
    assert read_key_list(signed(payload()), PINNED).versions == (version(1),)


def test_the_highest_accepted_version_is_current() -> None:
    versions = KeyList(
        issued_at=NOW,
        versions=(
            version(3, since=NOW + DAY),
            version(1, until=NOW + 2 * DAY),
            version(2, since=NOW, until=NOW + DAY),
        ),
    )
    second = timedelta(seconds=1)
    assert [versions.current(at).version for at in (NOW - second, NOW, NOW + DAY - second)] == [1, 2, 2]
    assert versions.current(NOW + DAY).version == 3
    assert versions.accepted(1, NOW + 2 * DAY - second)
    assert not versions.accepted(1, NOW + 2 * DAY)
    assert versions.accepted(2, NOW - CLOCKS_APART)
    assert not versions.accepted(2, NOW - CLOCKS_APART - second)
    assert not versions.accepted(4, NOW)


def test_no_version_for_this_moment_is_an_error() -> None:
    versions = KeyList(issued_at=NOW, versions=(version(1, since=NOW, until=NOW + DAY),))
    for at in (NOW - DAY, NOW + DAY):
        with pytest.raises(KeyListError, match="none that is accepted now"):
            versions.current(at)


def test_another_signature_is_refused() -> None:
    good = signed(payload())
    other = OKPKey.generate_key("Ed25519")
    header, content, signature = good.split(".")
    later = encode_base64url(json.dumps(payload(version=2)).encode())
    none = encode_base64url(json.dumps(HEADER | {"alg": "none"}).encode())
    octets = OctKey.import_key(str(SIGNER.as_dict(private=False)["x"]))
    hmac_signed = jws.serialize_compact(HEADER | {"alg": "HS256"}, json.dumps(payload()), octets, ["HS256"])
    for text in (
        signed(payload(), other),
        f"{header}.{later}.{signature}",
        f"{header}.{content}.",
        f"{header}.{content}.{signature[::-1]}",
        f"{none}.{content}.",
        f"{none}.{content}.{signature}",
        hmac_signed,
        good.replace(".", ""),
        "",
        "é",
        "a.b.c",
        json.dumps(payload()),
    ):
        with pytest.raises(KeyListError, match="no valid signature"):
            read_key_list(text, PINNED)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_older_name_of_the_algorithm_is_refused_too() -> None:
    text = jws.serialize_compact(HEADER | {"alg": "EdDSA"}, json.dumps(payload()), SIGNER, ["EdDSA"])
    with pytest.raises(KeyListError, match="no valid signature"):
        read_key_list(text, PINNED)


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"kid": "1"}, {"typ": "verwijsindex-key-list"}])
def test_what_the_key_signed_for_another_use_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(KeyListError, match="other headers"):
        read_key_list(signed(payload(), **header), PINNED)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (payload(extra=1), "extra: Extra inputs"),
        (payload(note="x"), r"versions\.0\.note: Extra inputs"),
        (payload(issuedAt=...), "issuedAt: Field required"),
        (payload(acceptedUntil=...), r"versions\.0\.acceptedUntil: Field required"),
        (payload(versions=[]), "versions: "),
        (payload(versions=payload()["versions"] * 2), "two versions have one version"),
        (payload(versions=payload()["versions"] + payload(version=2)["versions"]), "one publicKey"),
        (payload(version=0), "greater than or equal to 1"),
        (payload(version="1"), "valid integer"),
        (payload(version=1.5), "valid integer"),
        (payload(version=True), "valid integer"),
        (payload(publicKey=encode_base64url(bytes(32))), "element of ristretto255"),
        (payload(publicKey=encode_base64url(POINTS[0]) + "="), "not unpadded base64url"),
        (payload(publicKey=list(POINTS[0])), "publicKey"),
        (payload(acceptedFrom="2026-11-21T10:00:00+01:00"), "a time is written as"),
        (payload(acceptedFrom="2026-11-21T10:00:00.5Z"), "a time is written as"),
        (payload(acceptedFrom="2026-13-21T10:00:00Z"), "acceptedFrom"),
        (payload(acceptedFrom=1763712000), "acceptedFrom"),
        (payload(acceptedUntil="2026-11-21T10:00:00Z"), "until later than from"),
        ({}, "Field required"),
        ([], "valid dictionary|object"),
        ("", "Invalid JSON"),
        ("not JSON", "Invalid JSON"),
    ],
)
def test_another_form_is_refused_although_it_is_signed(content: object, fault: str) -> None:
    with pytest.raises(KeyListError, match=fault):
        read_key_list(signed(content), PINNED)


def test_what_could_not_be_read_is_not_signed() -> None:
    with pytest.raises(ValidationError):
        sign_key_list([version(1), version(1)], NOW, SIGNER)
    with pytest.raises(ValidationError):
        sign_key_list([], NOW, SIGNER)
    with pytest.raises(ValidationError, match="not a time with its zone"):
        sign_key_list([version(1)], NOW.replace(tzinfo=None), SIGNER)
