# SPDX-License-Identifier: EUPL-1.2
"""Turning the pseudonym key with the index key: nobody is parted or joined by it, and senders do nothing (I1, I2)."""

import os
import signal as signals
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from pseudonyms.test_factors import factor, made
from signals.evidence import places
from support import ADMINISTRATOR, CLINIC, NOW, POLICE, PSEUDONYM_SECRET, SCHOOL, WESTERVELD, Index
from turning.test_turn import OINS, SECRETS, fill, opens_nothing, post_while_it_turns, seen, step, turn
from typer.testing import CliRunner

from verwijsindex import keyfiles
from verwijsindex.matching.service import match_waiting
from verwijsindex.pseudonyms.factors import FactorMissingError, Factors
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, KeyVersion, sign_key_list
from verwijsindex.pseudonyms.ristretto import multiply_base
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.turning import commands, destroying, service

__all__ = ["turn"]

K = {1: PSEUDONYM_SECRET, 2: (1001).to_bytes(32, "little"), 3: (2002).to_bytes(32, "little")}
FACTORS = {new: factor(new - 1, K[new - 1], new, K[new]) for new in (2, 3)}
FILES = {version: SECRETS[version] + (version.to_bytes(4) if version > 1 else b"") for version in K}
KEYS = IndexKeys(FILES, factors=Factors(FACTORS.values()))
DAY = timedelta(days=1)


def take_over(index: Index, version: int) -> None:
    """What `pseudonym-key take-over` puts into the folder of keys: the n-th index key is for the n-th pseudonym key."""
    keyfiles.write_secret(index.folder / f"index-{version}.key", FILES[version])
    FACTORS[version].write(index.folder)


def serve_list(index: Index, *versions: int, ended: tuple[int, ...] = ()) -> None:
    """A list that accepts these versions, and no more those that ended; and the index opened with it."""
    signer = OKPKey.generate_key("Ed25519")
    (index.folder / "list-signer.pub.json").unlink()
    keyfiles.write_public_key(index.folder / "list-signer.pub.json", signer)
    listed = [
        KeyVersion(
            version=one,
            public_key=multiply_base(K[one]),
            accepted_from=NOW - DAY,
            accepted_until=index.clock() if one in ended else None,
        )
        for one in sorted((*versions, *ended))
    ]
    (index.folder / "key-list.jws").write_text(sign_key_list(listed, NOW, signer))
    index.open(index.database)


def by(version: int, number: int) -> dict[str, Any]:
    """The pseudonym of a youngster as a sender makes it that uses this version."""
    return {"pseudonym": {"keyVersion": version, "value": made(version, K[version], number).to_text()}}


def test_two_turns_after_each_other_change_nothing_that_is_seen(index: Index, turn: Any) -> None:
    """And during each, and after it, old and new pseudonyms of one youngster are one youngster's."""
    fill(index)
    before = seen(index)
    youngsters = index.database.rows("SELECT id FROM youngster ORDER BY id")
    for version in (2, 3):
        take_over(index, version)
        done = turn(version)
        assert done.exit_code == 0, done.output
        assert seen(index) == before
        assert index.database.rows("SELECT id FROM youngster ORDER BY id") == youngsters
        assert opens_nothing(index, KEYS[version - 1])
        assert not opens_nothing(index, KEYS[version])
    serve_list(index, 1, 2, 3)
    for version, oin in ((1, CLINIC), (2, POLICE), (3, CLINIC)):
        index.place(0, oin, n=version - 1, **by(version, 0))
        index.place(6, oin, n=version - 1, **by(version, 6))  # who waited, unmatched, through both
    index.match()
    assert index.database.scalar("SELECT count(*) FROM youngster") == 7
    told = index.database.rows("SELECT body FROM event WHERE kind = 'index_key.changed' ORDER BY at")
    assert sum(b'"pseudonymVersion":3' in row.body for row in told) == 1


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("when", ["before", "under way", "after"])
def test_one_youngster_by_either_version_in_either_order(index: Index, turn: Any, first: int, when: str) -> None:
    """I2, also where senders use the new version before the index was turned. Seen failing (two youngsters) when
    pseudonyms were sealed as they came, and when `open_pseudonym` forgot by which version they were."""
    take_over(index, 2)
    if when == "after":
        assert turn(2).exit_code == 0
    serve_list(index, 1, 2)
    index.place(0, SCHOOL, **by(first, 0))
    if when == "under way":
        index.match()
        step(index, service.activate, KEYS, 2, ADMINISTRATOR, NOW)
        index.clock.move(seconds=6)
    index.place(0, CLINIC, **by(3 - first, 0))
    index.match()
    assert index.database.scalar("SELECT count(*) FROM youngster") == 1
    assert len(index.get("/matches", index.reader(SCHOOL)).json["items"]) == 1


def test_parents_are_turned_with_their_youngsters(index: Index, turn: Any) -> None:
    """R10: a parent by either version is one parent, of a signal that the matcher has attached, of one that waits
    through the turn, and of one that comes after."""
    index.allow_parents(SCHOOL, CLINIC, POLICE)
    take_over(index, 2)
    serve_list(index, 1, 2)

    def child(version: int, number: int) -> dict[str, Any]:
        parent = made(version, K[version], 10, "parent")
        return by(version, number) | {"parents": [{"keyVersion": version, "value": parent.to_text()}]}

    index.place(0, SCHOOL, **child(1, 0))
    index.match()
    index.place(1, CLINIC, **child(1, 1))
    index.place(1, CLINIC, n=1, **child(2, 1))
    assert turn(2).exit_code == 0
    index.place(2, POLICE, **child(2, 2))
    index.match()
    assert index.database.scalar("SELECT count(*) FROM parent") == 1
    assert index.database.scalar("SELECT count(*) FROM family_match WHERE ended_at IS NULL") == 3


def test_both_versions_at_the_same_moment_make_one_youngster(index: Index) -> None:
    """I2: 32 threads, by both versions of the pseudonym key, at processes that seal with both versions of the index
    key; a matcher and the turn running between. Half of the youngsters were there before. Seen failing (twelve) when
    pseudonyms were sealed as they came."""
    for number in (0, 2, 4):
        index.place(number, SCHOOL)
    index.match()
    take_over(index, 2)
    step(index, service.activate, KEYS, 2, ADMINISTRATOR, NOW)
    serve_list(index, 1, 2)
    heard = index.app.test_client()
    serve_list(index, 1, 2)
    index.app.extensions["index_keys"]._sealing = lambda: 1
    deaf = index.app.test_client()
    bodies = [
        (oin, index.signal(number, oin, n, **by(version, number)), client)
        for number in range(6)
        for oin in OINS
        for n in range(3)
        for version, client in (((1, heard), (2, deaf)) if (number + n) % 2 else ((2, heard), (1, deaf)))
    ]
    post_while_it_turns(index, KEYS, bodies)
    assert index.database.scalar("SELECT count(*) FROM work") == 0
    assert index.database.scalar("SELECT count(*) FROM youngster") == 6
    assert index.database.rows("SELECT DISTINCT count(*) FROM party GROUP BY match_id") == [(9,)]


def test_at_the_end_the_old_version_is_refused_and_what_turned_it_is_destroyed(
    index: Index, turn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing when the factor was called unneeded though senders could use the older version, and (503) when a
    pseudonym of a version that is not accepted was sealed all the same."""
    fill(index)
    monkeypatch.setattr(commands, "utc_now", index.clock)
    monkeypatch.setenv("VERWIJSINDEX_KEY_LIST", str(index.folder / "key-list.jws"))
    monkeypatch.setenv("VERWIJSINDEX_KEY_LIST_SIGNER", str(index.folder / "list-signer.pub.json"))

    def destroy(version: int, *how: str, **more: Any) -> Any:
        return CliRunner().invoke(commands.app, ["destroy", str(version), *how], **more)

    take_over(index, 2)
    assert "is in use" in destroy(1, "--yes").stderr
    assert turn(2).exit_code == 0
    serve_list(index, 1, 2)
    assert "repeats of requests are found with version 1" in destroy(1, input="n\n").stdout
    index.clock.move(days=8)
    asked = destroy(1, input="n\n")
    assert "repeats" not in asked.output
    assert asked.exit_code == 1
    assert "factor-1-2.key" not in asked.output  # senders may still use version 1
    serve_list(index, 2, ended=(1,))
    answer = index.post(index.signal(0, **by(1, 0)))
    assert (answer.status_code, places(answer)) == (400, {"#/pseudonym/keyVersion"})
    asked = destroy(1, input="n\n")
    assert "factor-1-2.key" in asked.output
    assert "declare the same of pseudonym-1.key" in asked.output
    assert (index.folder / "index-1.key").exists()
    assert not index.database.rows("SELECT FROM event WHERE body LIKE '%destroyed%'")

    assert destroy(1, "--yes").exit_code == 0
    assert sorted(path.name for path in index.folder.glob("*.key")) == ["index-2.key"]
    kinds = index.database.rows("SELECT kind FROM event WHERE body LIKE '%\"destroyed\"%' ORDER BY kind")
    assert [row.kind for row in kinds] == ["index_key.changed", "pseudonym_key.changed"]
    index.open(index.database)
    assert opens_nothing(index, KEYS[1])
    answer = index.post(index.signal(0, **by(1, 0)))
    assert (answer.status_code, places(answer)) == (400, {"#/pseudonym/keyVersion"})
    index.place(6, CLINIC, **by(2, 6))
    index.match()
    assert index.database.scalar("SELECT count(*) FROM youngster") == 7


def test_a_list_that_accepts_what_the_index_cannot_turn_is_not_served(index: Index) -> None:
    """It would answer senders 503 from that moment on. Seen failing (served) without the look at the list."""
    with pytest.raises(KeyListError, match=r"accepts version 2, but .* pseudonym-key"):
        serve_list(index, 1, 2)
    take_over(index, 2)
    serve_list(index, 1, 2)
    (index.folder / "factor-1-2.key").unlink()
    with pytest.raises(KeyListError, match="accepts version 1"):
        index.open(index.database)
    serve_list(index, 2, ended=(1,))  # nobody sends what only the factor turns
    factor(1, K[1], 2, K[3]).write(index.folder)
    with pytest.raises(KeyListError, match="another public key for version 2"):
        index.open(index.database)


def test_a_process_without_the_factor_keeps_nothing_and_breaks_nothing(index: Index, logged: Any) -> None:
    """503, so that the sender comes again; the matcher leaves the work to another, and parks nothing."""
    index.place(0, SCHOOL)
    index.match()
    take_over(index, 2)
    index.open(index.database)
    without = IndexKeys(FILES, index.app.extensions["index_keys"]._sealing)
    step(index, service.activate, KEYS, 2, ADMINISTRATOR, NOW)
    index.place(0, CLINIC)
    index.app.extensions["index_keys"] = without
    answer = index.post(index.signal(0, POLICE), POLICE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert logged.lines("index_key.missing")
    with pytest.raises(FactorMissingError):
        match_waiting(index.database.engine("worker"), NOW, NOW, keys=without)
    assert index.database.rows("SELECT parked_at FROM work") == [(None,)]
    match_waiting(index.database.engine("worker"), NOW, NOW, keys=KEYS)
    assert index.database.scalar("SELECT count(*) FROM youngster") == 1


def test_a_turn_without_the_factor_or_to_an_older_key_changes_nothing(index: Index, turn: Any) -> None:
    fill(index)
    take_over(index, 2)
    before = index.database.rows("SELECT * FROM youngster ORDER BY id")
    (index.folder / "factor-1-2.key").rename(index.folder / "factor-1-2.key.away")
    done = turn_alone()
    assert done.exit_code == 1
    assert "nothing here turns version 1" in done.stderr
    damaged = (index.folder / "factor-1-2.key.away").read_text()
    (index.folder / "factor-1-2.key").write_text("A" + damaged[1:])
    (index.folder / "factor-1-2.key").chmod(0o600)
    assert "damaged" in str(turn_alone().exception)
    assert index.database.rows("SELECT * FROM youngster ORDER BY id") == before
    assert index.database.rows("SELECT version FROM index_key_version") == [(1,)]
    (index.folder / "factor-1-2.key").write_text(damaged)
    assert turn(2).exit_code == 0
    keyfiles.write_secret(index.folder / "index-3.key", SECRETS[3])
    done = turn_alone()
    assert done.exit_code == 1
    assert "version 3 is for version 1 of the pseudonym key" in done.stderr


def turn_alone() -> Any:
    return CliRunner().invoke(commands.app, ["turn", "--yes", "--heard", "0"])


def test_a_version_of_this_program_that_knows_no_factors_refuses_the_new_file(tmp_path: Path) -> None:
    """It would seal pseudonyms as they come: so the file has more bytes than it reads."""
    keyfiles.write_secret(tmp_path / "index-2.key", FILES[2])
    with pytest.raises(keyfiles.KeyFileError, match="too long"):
        keyfiles.versioned_secrets(tmp_path, "index", (32,))


def test_a_repeat_by_another_version_gets_its_first_answer(index: Index, turn: Any) -> None:
    """Pseudonyms are compared within one version only; all else of the request is compared. Seen failing (422) when
    those of two versions were compared."""
    take_over(index, 2)
    serve_list(index, 1, 2)
    body = index.signal(0)
    first = index.post(body, key="one")
    assert turn(2).exit_code == 0
    again = index.post(body | by(2, 0), key="one")
    assert (again.status_code, again.data) == (201, first.data)
    assert index.post(body | by(1, 1), key="one").status_code == 422
    assert index.post(index.signal(0, caseReference="x") | by(2, 0), key="one").status_code == 422
    assert index.database.scalar("SELECT count(*) FROM signal") == 1


def test_killed_again_and_again_under_load(index: Index, turn: Any) -> None:
    """I1, I2: the command is a process that is killed with -9 while signals come in, by two versions of the pseudonym
    key, and are matched; in the end there is one youngster for each person, with every reporter in its match, and the
    old key opens nothing. The index key turns alone in `test_a_turn_that_was_cut_in_the_middle_of_a_batch_goes_on`."""
    take_over(index, 2)
    serve_list(index, 1, 2)
    people, over, posted = 120, Event(), []
    for number in range(people):
        index.place(number, SCHOOL, **by(1, number))
    index.match()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _SLOWLY, "index-key", "turn", "--yes", "--heard", "0.3"]

    def send() -> None:
        for number in range(people):
            for version, oin in ((1 + number % 2, CLINIC), (2 - number % 2, POLICE)):
                posted.append(index.post(index.signal(number, oin, **by(version, number)), oin).status_code)
                index.clock.move(seconds=0.05)  # so that this process hears, and not at once
            time.sleep(0.02)

    def match() -> None:
        while not over.is_set():
            match_waiting(index.database.engine("worker"), NOW, NOW, keys=KEYS, size=5)
            time.sleep(0.01)

    with ThreadPoolExecutor(2) as threads:
        sending, matching = threads.submit(send), threads.submit(match)
        try:
            for _ in range(4):
                process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
                time.sleep(1.6)
                process.send_signal(signals.SIGKILL)
                process.wait()
            sending.result()
        finally:
            over.set()
        matching.result()
    refused = posted.count(500)  # by the guard: what this process had not heard in time
    assert set(posted) <= {201, 500}
    done = turn(2)
    assert done.exit_code == 0, done.output
    index.match()
    assert index.database.scalar("SELECT count(*) FROM youngster") == people
    assert index.database.scalar("SELECT count(*) FROM signal") == 3 * people - refused
    assert index.database.scalar("SELECT count(*) FROM signal WHERE youngster_id IS NULL") == 0
    assert index.database.scalar("SELECT count(*) FROM party WHERE left_at IS NULL") >= 3 * people - 2 * refused
    assert opens_nothing(index, KEYS[1])
    assert index.get("/matches", index.supervisor(WESTERVELD)).status_code == 200


_SLOWLY = """
import time
from verwijsindex.turning import service
whole = service.reseal
def slowly(connection, *arguments):
    done = whole(connection, *arguments, 4)
    time.sleep(0.01)
    return done
service.reseal = slowly
from verwijsindex.cli import main
main()
"""


def test_a_factor_is_needed_as_long_as_an_older_version_is() -> None:
    """The pseudonyms of version 1 are turned to version 3 along both factors, also when version 2 has ended before it.
    Seen failing (the second was called unneeded) when only its own older version was looked at."""
    listed = [
        KeyVersion(
            version=one,
            public_key=multiply_base(K[one]),
            accepted_from=NOW - DAY,
            accepted_until=NOW if one == ended else None,
        )
        for ended in (1, 2)
        for one in K
    ]
    first_ended, second_ended = (KeyList(issued_at=NOW, versions=tuple(part)) for part in (listed[:3], listed[3:]))
    keys = IndexKeys({version: FILES[version] for version in (1, 3)}, factors=KEYS.factors)
    assert destroying.unneeded(keys, 1, second_ended, NOW) == []
    assert [one.old for one in destroying.unneeded(keys, 1, first_ended, NOW)] == [1]


def test_what_was_never_used_is_not_said_to_be_destroyed(index: Index, turn: Any) -> None:
    """Seen failing (the ledger said so of version 9) when only the versions in use were looked at."""
    done = CliRunner().invoke(commands.app, ["destroy", "9", "--yes"])
    assert done.exit_code == 1
    assert "nothing was ever sealed with it" in done.stderr
    assert not index.database.rows("SELECT FROM event WHERE body LIKE '%destroyed%'")


def test_what_was_destroyed_is_in_the_ledger_wherever_it_was_cut_short(
    index: Index, turn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing (nothing said of the pseudonym key, for good) when the files went before the commit."""
    take_over(index, 2)
    assert turn(2).exit_code == 0
    index.clock.move(days=8)
    serve_list(index, 2, ended=(1,))
    monkeypatch.setattr(commands, "utc_now", index.clock)
    monkeypatch.setenv("VERWIJSINDEX_KEY_LIST", str(index.folder / "key-list.jws"))
    monkeypatch.setenv("VERWIJSINDEX_KEY_LIST_SIGNER", str(index.folder / "list-signer.pub.json"))
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path.name == "factor-1-2.key":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        CliRunner().invoke(commands.app, ["destroy", "1", "--yes"])
    assert not (index.folder / "factor-1-2.key").exists()
    assert CliRunner().invoke(commands.app, ["destroy", "1", "--yes"]).exit_code == 0
    assert index.database.rows("SELECT FROM event WHERE kind = 'pseudonym_key.changed'")
