# SPDX-License-Identifier: EUPL-1.2
"""Which accesses of a month chance chose (R25): the definition of docs/ledger.md, and the command that computes it from
an export."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ledger import vectors
from ledger.ledgers import SIGNER, export_of
from support import CLINIC, NOW, SCHOOL, WESTERVELD, Database

from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError
from verwijsindex.ledger.events import Actor, Event
from verwijsindex.ledger.kinds import ACCESSES
from verwijsindex.ledger.sampling import Choice, Month, Scope, fixing, how_many, sample
from verwijsindex.ledger.tree import leaf_hash

NOVEMBER = Month(2026, 11)


def accesses(database: Database, count: int, *, seed: int = 1) -> list[Checkpoint]:
    """A ledger of October to December with acts, reads and refusals of two institutions and a municipality, sealed as
    it went; the checkpoints of it."""
    chance = random.Random(seed)  # noqa: S311
    actors = (
        Actor("machine", "kompas", SCHOOL, on_behalf_of=uuid4()),
        Actor("machine", "linde", CLINIC, on_behalf_of=uuid4()),
        Actor("case_supervisor", "console", municipality=WESTERVELD, person=str(uuid4())),
        events.MATCHER,
    )
    kinds = (events.MATCH_READ, events.SIGNALS_LISTED, events.NOTICE_READ, events.SIGNAL_REGISTERED)
    begins = datetime(2026, 10, 25, tzinfo=UTC)
    moments = sorted(begins + timedelta(seconds=chance.randrange(44 * 86_400)) for _ in range(count))
    kept = []
    for first in range(0, count, 50):
        batch = [
            Event(events.ACCESS_REFUSED, at, chance.choice(actors), outcome="refused")
            if chance.random() < 0.1
            else Event(chance.choice(kinds), at, chance.choice(actors))
            for at in moments[first : first + 50]
        ]
        with database.engine("worker").begin() as connection:
            events.append(connection, batch)
        sealing.seal(database.engine("worker"), batch[-1].at + timedelta(seconds=20), SIGNER)
        note = database.scalar("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        kept.append(Checkpoint.open(note, [SIGNER.key]))
    return kept


def by_definition(content: bytes, kept: list[Checkpoint], oin: str | None, code: str | None) -> list[int]:
    """The places of November's sample, written anew after the words of docs/ledger.md."""
    root, size = next(
        (one.root, one.size)
        for one in sorted(kept, key=lambda one: one.size)
        if one.at >= datetime(2026, 11, 30, 23, 10, tzinfo=UTC)
    )
    found = []
    for line in content.splitlines()[1:]:
        place, leaf, _, body = line.split(b"\t")
        event = json.loads(body)
        if (
            int(place) < size
            and event["kind"] in ACCESSES
            and event["outcome"] == "success"
            and "2026-10-31T23:00:00" <= event["at"] < "2026-11-30T23:00:00"
            and oin in {None, event["actor"].get("institution")}
            and code in {None, event["actor"].get("municipality")}
        ):
            found.append((sha256(root + bytes.fromhex(leaf.decode())).digest(), int(place)))
    return [place for _, place in sorted(found)[: min(100, max(10, -(-len(found) // 100)))]]


@pytest.mark.parametrize("scope", [Scope(), Scope(oin=SCHOOL), Scope(municipality=WESTERVELD), Scope(oin="0" * 20)])
def test_a_sample_is_what_its_definition_says(index_database: Database, scope: Scope) -> None:
    kept = accesses(index_database, 800)
    content = export_of(index_database)
    fixed_by, choice = sample(BytesIO(content), kept, [SIGNER.key], NOVEMBER, scope, now=NOW)
    assert [one.place for one in choice.chosen()] == by_definition(content, kept, scope.oin, scope.municipality)
    assert fixed_by.at - NOVEMBER.ends < timedelta(days=3)
    assert (choice.accesses > 10) is (scope.oin != "0" * 20)


def test_of_how_many_it_is() -> None:
    """One of each hundred, but at least ten, at most a hundred, and never more than there are."""
    wanted = {0: 0, 3: 3, 10: 10, 999: 10, 1000: 10, 1001: 11, 5_000: 50, 10_000: 100, 1_000_000: 100}
    assert {accesses: how_many(accesses) for accesses in wanted} == wanted


def test_memory_holds_no_more_than_a_sample_and_the_order_shown_is_all_one() -> None:
    shown = [(place, place.to_bytes(32, "big"), b"%d" % place) for place in range(20_000)]
    there, back = Choice(b"seed"), Choice(b"seed")
    for one in shown:
        there.show(*one)
    for one in reversed(shown):
        back.show(*one)
    assert there == back
    assert len(there._least) == len(there.chosen()) == 100


def test_a_month_is_one_of_amsterdam() -> None:
    assert (NOVEMBER.begins, NOVEMBER.ends) == (
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        datetime(2026, 11, 30, 23, tzinfo=UTC),
    )
    assert Month(2026, 12).next == Month(2027, 1)
    assert Month(2026, 3).ends == datetime(2026, 3, 31, 22, tzinfo=UTC)
    for text in ("2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", ""):
        with pytest.raises(ValueError, match="write a month as"):
            Month.parse(text)


def test_the_first_checkpoint_ten_minutes_after_the_month_fixes_it() -> None:
    def signed(size: int, *at: int) -> Checkpoint:
        return Checkpoint("index.test/ledger", size, bytes(32), datetime(2026, *at, tzinfo=UTC))  # type: ignore[arg-type, misc]

    early, first, later = signed(5, 11, 30, 23, 9, 59), signed(6, 11, 30, 23, 10), signed(7, 12, 1)
    assert fixing([later, first, early], NOVEMBER) == first
    with pytest.raises(LedgerError, match="none of these checkpoints fixes the sample of 2026-11"):
        fixing([early], NOVEMBER)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content.replace(b'"kind":"match.read"', b'"kind":"match.ended"', 1), "not what was sealed"),
        (lambda content: content[: len(content) // 2], "not what was sealed"),
        (lambda content: content.replace(b'"part": "whole"', b'"part": "public"', 1), "ask for the whole one"),
    ],
)
def test_no_sample_of_another_ledger(index_database: Database, spoil: Callable[[bytes], bytes], says: str) -> None:
    """Else somebody could hand out a ledger from which a reading was taken. Seen failing without the look at the
    verdict."""
    kept = accesses(index_database, 200)
    spoiled = spoil(export_of(index_database))
    with pytest.raises(LedgerError, match=says):
        sample(BytesIO(spoiled), kept, [SIGNER.key], NOVEMBER, Scope(), now=NOW)


def test_the_command_prints_the_sample(index_database: Database, tmp_path: Path) -> None:
    kept = accesses(index_database, 300)
    content = export_of(index_database)
    (tmp_path / "export").write_bytes(content)
    (tmp_path / "key").write_text(f"{SIGNER.key}\n")
    (tmp_path / "kept").write_text("".join(SIGNER.sign(one.size, one.root, one.at) for one in kept))
    command = [sys.executable, "-m", "verwijsindex", "ledger", "sample", "export", "--month", "2026-11"]
    command += ["--checkpoint", "kept", "--public-key", "key", "--institution", SCHOOL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    printed = [line.split("\t") for line in done.stdout.splitlines()]
    assert [int(place) for place, _ in printed] == by_definition(content, kept, SCHOOL, None)
    assert all(json.loads(event)["actor"]["institution"] == SCHOOL for _, event in printed)
    assert f"{len(printed)} of " in done.stderr
    done = subprocess.run(
        [*command, "--municipality", WESTERVELD], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "name an institution or a municipality" in done.stderr


def test_the_vector_of_the_documents() -> None:
    """docs/ledger-vectors.json: anybody's software can be compared with it."""
    written: dict[str, Any] = vectors.made()["sample"]
    choice = Choice(bytes.fromhex(written["seed"]))
    for place in range(vectors.SIZE):
        nonce, body = vectors.event(place)
        choice.show(place, leaf_hash(nonce, body), body)
    assert [one.place for one in choice.chosen()] == written["order"]
