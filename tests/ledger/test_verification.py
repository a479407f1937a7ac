# SPDX-License-Identifier: EUPL-1.2
"""The offline verifier and its command: what an auditor reads, of a good file and of a bad one (R25)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from ledger.ledgers import SIGNER, export_of, fill, verified
from support import NOW, Database

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, Signer
from verwijsindex.ledger.tree import Frontier, leaf_hash

ANOTHER = Signer("index.test/ledger", OKPKey.generate_key("Ed25519"))


@pytest.fixture
def ledger(index_database: Database) -> tuple[bytes, list[Checkpoint]]:
    """An export of ten events and the two checkpoints that were kept."""
    kept = fill(index_database, 6, 4)
    return export_of(index_database), kept


def notes(kept: list[Checkpoint]) -> str:
    return "".join(SIGNER.sign(one.size, one.root, one.at) for one in kept)


def made_anew(content: bytes, signer: Signer) -> bytes:
    """The whole ledger with one event changed, all hashes made anew, and signed."""
    header, *lines = content.splitlines()
    frontier, changed = Frontier(), []
    for number, line in enumerate(lines):
        place, _, nonce, body = line.split(b"\t")
        body = body.replace(b'"kind":"', b'"kind":"no.') if number == 0 else body
        leaf = leaf_hash(bytes.fromhex(nonce.decode()), body)
        frontier.push(leaf)
        changed.append(b"\t".join((place, leaf.hex().encode(), nonce, body)))
    says = json.loads(header)
    at = Checkpoint.open(says["checkpoint"], [SIGNER.key]).at
    says["checkpoint"] = signer.sign(frontier.size, frontier.root(), at)
    return b"\n".join([json.dumps(says).encode(), *changed, b""])


def test_a_ledger_made_anew_is_found_whoever_signed_it(ledger: tuple[bytes, list[Checkpoint]]) -> None:
    """Another's key is not the auditor's; and the right key does not make it agree with what was kept."""
    content, kept = ledger
    with_another = verified(made_anew(content, ANOTHER), kept)
    assert "not signed by the key that you hold" in str(with_another.findings[0])
    assert with_another.agrees == []
    with_the_same = verified(made_anew(content, SIGNER), kept)
    assert [str(finding)[:55] for finding in with_the_same.findings] == [
        "the first 6 events are not those of the checkpoint of 2",
        "the first 10 events are not those of the checkpoint of ",
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        lambda lines: [*lines[:4], lines[3], *lines[4:]],
        lambda lines: [*lines, lines[-1].replace(b"9\t", b"10\t", 1)],
        lambda lines: [*lines[:4], lines[4][:50], *lines[5:]],
        lambda lines: [*lines[:4], b"\xff\t\xff", *lines[5:]],
        lambda lines: [*lines[:4], b"9" * 40 + b"\t" + b"0" * 64, *lines[5:]],
        lambda lines: [*lines, b"-\t\t\t{}"],
        lambda lines: [*lines, b""],
    ],
)
def test_a_spoiled_file_is_found(
    ledger: tuple[bytes, list[Checkpoint]], spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    content, kept = ledger
    verdict = verified(b"\n".join(spoil(content.splitlines())) + b"\n", kept)
    assert verdict.count >= 1
    assert not any("{" in str(finding) for finding in verdict.findings)


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b"[]\n", b"PK\x03\x04", b"1\n", b'{"form": "verwijsindex-ledger-2"}\n']
)
def test_what_is_no_export_is_refused(content: bytes) -> None:
    with pytest.raises(LedgerError, match="no export"):
        verified(content, [])


def test_a_header_of_a_number_too_large_is_no_export(ledger: tuple[bytes, list[Checkpoint]]) -> None:
    """Seen failing: the verifier ended with a traceback."""
    header, rest = ledger[0].split(b"\n", 1)
    spoiled = header.replace(b'"dropped": null', b'"dropped": {"before": 1e999, "checkpoint": ""}')
    with pytest.raises(LedgerError, match="no export"):
        verified(spoiled + b"\n" + rest, ledger[1])


@pytest.mark.parametrize(
    "line",
    [
        b'-\t\t\t{"id":"\\u001b]0;all is well\\u0007"}',
        b'-\t\t\t{"id":' + b"[" * 100_000,
        b"10\t" + b"0" * 64 + b"\t" + b"0" * 32 + b"\t{}\t\x1b[2J\x1b[31mas it was sealed",
    ],
)
def test_a_hostile_file_writes_nothing_to_the_screen(ledger: tuple[bytes, list[Checkpoint]], line: bytes) -> None:
    """Nor does it end the verifier. Seen failing: its escape sequences reached the auditor's terminal."""
    verdict = verified(ledger[0] + line + b"\n", ledger[1])
    assert verdict.count >= 1
    assert all(str(finding).isprintable() for finding in verdict.findings)


def test_findings_are_bounded_and_counted(index_database: Database) -> None:
    kept = fill(index_database, 300)
    lines = export_of(index_database).splitlines()
    bare = [b"\t".join(line.split(b"\t")[:2]) for line in lines[1:]]
    verdict = verified(b"\n".join([lines[0], *bare, b""]), kept)
    assert (len(verdict.findings), verdict.count) == (100, 300)


def test_places_beyond_what_two_bytes_hold(index_database: Database) -> None:
    """Seen failing: from place 32,768 on nothing was exported, since PostgreSQL took the places for smallint."""
    with index_database.superuser.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO leaf SELECT n, gen_random_uuid(), sha256('') FROM generate_series(0, 34999) n"
        )
        connection.exec_driver_sql("INSERT INTO checkpoint VALUES (35000, now(), 'no note')")
    for public in (False, True):
        assert export_of(index_database, public=public).splitlines()[-1].startswith(b"34999\t")


def _verwijsindex(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verwijsindex", "ledger", *map(str, arguments)]
    environment = os.environ | settings
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_commands_export_and_verify(index_database: Database, tmp_path: Path) -> None:
    """That it was exported is in the ledger, before the first byte is in the file; verifying needs no setting."""
    kept = fill(index_database, 6, 4)
    owner = {"VERWIJSINDEX_OWNER_DATABASE_URL": index_database.urls["verwijsindex_owner"].get_secret_value()}
    whole, public = tmp_path / "whole", tmp_path / "public"
    done = _verwijsindex("export", whole, **owner)
    assert done.stdout.startswith(f"{whole}: 10 events\n"), done.stderr
    assert _verwijsindex("export", public, "--public", **owner).returncode == 0
    assert whole.stat().st_mode & 0o777 == 0o600
    told = index_database.rows("SELECT body FROM event WHERE kind = 'ledger.exported' ORDER BY id")
    assert [json.loads(row.body)["part"] for row in told] == ["whole", "public"]
    again = _verwijsindex("export", whole, **owner)
    assert (again.returncode, again.stderr.strip()[:13]) == (1, "not exported:")
    assert whole.exists()
    (tmp_path / "kept").write_text(notes(kept))
    (tmp_path / "key").write_text(f"{ANOTHER.key}\n{SIGNER.key}\n")
    given = ("--checkpoint", tmp_path / "kept", "--public-key", tmp_path / "key")
    good = _verwijsindex("verify", whole, *given)
    assert good.stdout == "10 events\n2 of 2 kept checkpoints agree, up to event 9\nas it was sealed\n", good.stderr
    assert good.returncode == 0
    assert "10 events, without their bodies\n" in _verwijsindex("verify", public, *given).stdout
    lines = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join([*lines[:5], lines[5].replace(b'"outcome"', b'"outkome"'), *lines[6:]]))
    bad = _verwijsindex("verify", whole, *given)
    assert bad.stdout.splitlines()[0] == "event 4: is not what was sealed: it, its nonce or its hash was changed"
    assert (bad.stdout.splitlines()[-1], bad.returncode) == ("WRONG: 1 finding", 1)


def test_the_command_says_what_is_wrong_with_what_it_got(tmp_path: Path) -> None:
    empty, key, checkpoint = tmp_path / "empty", tmp_path / "key", tmp_path / "checkpoint"
    empty.write_text("")
    key.write_text(f"{SIGNER.key}\n")
    checkpoint.write_text(ANOTHER.sign(1, bytes(32), NOW))
    for arguments, says in (
        (("--checkpoint", empty, "--public-key", key), "no checkpoint in it"),
        (("--checkpoint", checkpoint, "--public-key", empty), "no verifier key in it"),
        (("--checkpoint", checkpoint, "--public-key", key), "not signed by the key that you hold"),
        (("--checkpoint", tmp_path / "none", "--public-key", key), "No such file"),
    ):
        done = _verwijsindex("verify", empty, *arguments)
        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr
