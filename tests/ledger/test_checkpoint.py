# SPDX-License-Identifier: EUPL-1.2
"""Signed notes and verifier keys: the test vectors, and what is refused (C2SP signed-note, tlog-checkpoint)."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from ledger import vectors
from ledger.vectors import AT, ORIGIN, signer

from verwijsindex.ledger.checkpoint import (
    Checkpoint,
    LedgerError,
    Signer,
    VerifierKey,
    check_origin,
    read_notes,
    read_verifier_keys,
)

PUBLISHED = json.loads((Path(__file__).parents[2] / "docs" / "ledger-vectors.json").read_text())
ROOT = bytes(range(32))


def test_the_published_vectors_are_what_the_code_makes() -> None:
    assert vectors.made() == PUBLISHED


def test_a_verifier_key_of_the_go_implementation_is_read() -> None:
    """The key of the Go checksum database, as everybody's `go` command pins it."""
    line = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert str(VerifierKey.parse(line)) == line


def test_a_checkpoint_says_what_was_signed() -> None:
    note = signer().sign(7, ROOT, AT)
    found = Checkpoint.open(note, [signer(bytes(32)).key, signer().key])
    assert (found.origin, found.size, found.root, found.at) == (ORIGIN, 7, ROOT, AT)


def test_a_witnesss_signature_is_passed_over() -> None:
    note = signer().sign(7, ROOT, AT)
    text, ours = note.strip().split("\n\n")
    theirs = f"— witness.example {ours.rpartition(' ')[2]}"
    for signatures in (f"{theirs}\n{ours}\n", f"{ours}\n{theirs}\n"):
        assert Checkpoint.open(f"{text}\n\n{signatures}", [signer().key]).size == 7


def test_every_changed_character_is_noticed() -> None:
    """Of the text and of the signature alike. Seen failing when the signature was not verified."""
    note = signer().sign(1234, ROOT, AT)
    for place, character in enumerate(note[:-1]):
        other = note[:place] + chr(ord(character) ^ 1) + note[place + 1 :]
        with pytest.raises(LedgerError):
            Checkpoint.open(other, [signer().key])


@pytest.mark.parametrize("other", [signer(bytes(32)), signer(origin="index.example/other")])
def test_another_key_or_origin_is_refused(other: Signer) -> None:
    """A tree rebuilt with another key is somebody else's."""
    with pytest.raises(LedgerError, match="not signed by the key that you hold"):
        Checkpoint.open(other.sign(7, ROOT, AT), [signer().key])


@pytest.mark.parametrize("text", ["", "\n\n", "x\n1\n", "x\n1\nAA==\ntime 2026-11-22T10:00:00Z\n\n— x y\n", "a" * 999])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="no checkpoint"):
        Checkpoint.open(text, [signer().key])


@pytest.mark.parametrize(
    "line",
    ["", "x", "x+y+z", str(signer().key)[:-1], str(signer().key).replace("+", " "), "other" + str(signer().key)],
)
def test_what_is_no_verifier_key_is_refused(line: str) -> None:
    with pytest.raises(LedgerError, match="no verifier key"):
        VerifierKey.parse(line)


def test_files_of_keys_and_of_notes() -> None:
    keys = [signer().key, signer(bytes(32)).key]
    assert read_verifier_keys("\n".join(map(str, keys)) + "\n\n") == keys
    with pytest.raises(LedgerError, match="no verifier key in it"):
        read_verifier_keys("\n")
    notes = [signer().sign(n, ROOT, AT + timedelta(minutes=n)) for n in (1, 2, 3)]
    assert read_notes("".join(notes)) == notes
    assert read_notes("") == []


@pytest.mark.parametrize("name", ["", "x y", "x+y", "x\n", "/x", "x/", "é", "x" * 201])
def test_an_origin_has_one_form(name: str) -> None:
    with pytest.raises(ValueError, match="name of a host"):
        check_origin(name)
