# SPDX-License-Identifier: EUPL-1.2
"""A repeat gets its first answer before, during and after a turn of the index key, and beside versions that kept
idempotency keys as they were sent; who has a backup and a client's secret finds no key in it (R9, I5)."""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import choices
from string import ascii_letters
from threading import Event
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from signals.evidence import known_by, nothing_stored, slug
from support import ADMINISTRATOR, CLINIC, NOW, SCHOOL, Answer, Index
from turning.test_turn import Turn, activate, give, step, turn
from typer.testing import CliRunner

from verwijsindex.embedded.postgres import programs_folder
from verwijsindex.signals.known_requests import KEPT
from verwijsindex.turning import service
from verwijsindex.turning.commands import app

__all__ = ["turn"]  # the fixture

KEY, CLIENT = "the-key", f"client-{SCHOOL}"
_RECORD = sa.text("INSERT INTO idempotency_record VALUES (:client, :key, 1, '', '', 1, CAST(:signal AS uuid), :now)")


def known(index: Index) -> list[str]:
    """What stands in the records."""
    return sorted(str(row[0]) for row in index.database.rows("SELECT key FROM idempotency_record"))


def as_before(index: Index) -> None:
    """As a database that a version up to 0.2.0 has used."""
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE index_key_version SET knows_requests = false"))


def batch(index: Index, body: object, key: str = KEY) -> Any:
    """The outcome of the one item of a batch."""
    sent = {"signals": [{"idempotencyKey": key, "signal": body}]}
    answer: Any = index.http.post("/api/v1/signal-batches", json=sent, headers=index.machine())
    [item] = answer.json["items"]
    return item


def test_a_backup_holds_no_idempotency_key(index: Index) -> None:
    """I5: an HMAC over a BSN, with a client's key and a backup anybody's to try. A dump of PostgreSQL, as `db backup`
    makes it. Seen failing (all found) when `known_by` gave the key as sent alone."""
    keys = ["".join(choices(ascii_letters, k=43)) for _ in range(21)]  # noqa: S311
    index.post(index.signal(), key=keys[0])
    items = [{"idempotencyKey": key, "signal": index.signal(n)} for n, key in enumerate(keys[1:])]
    index.http.post("/api/v1/signal-batches", json={"signals": items}, headers=index.machine())
    index.post(index.signal(), key=keys[0])
    url = index.database.urls["verwijsindex_owner"].get_secret_value().replace("+psycopg", "")
    tool = programs_folder() / "bin" / "pg_dump"
    dump = subprocess.run([tool, "--inserts", url], capture_output=True, check=True, env={"LC_ALL": "C"}).stdout
    assert dump.count(b"INSERT INTO public.idempotency_record ") == len(keys)
    forms = [form for key in keys for form in (key.encode(), key.encode().hex().encode())]
    assert [form for form in forms if form in dump] == []
    assert all(re.fullmatch(r"1:[A-Za-z0-9_-]{43}", one) for one in known(index))


def test_the_same_key_of_two_clients_is_known_by_other_fingerprints(index: Index) -> None:
    """Who reads the records cannot tell that two clients sent one key. Seen failing without the client's id in it."""
    index.post(index.signal(), SCHOOL, key=KEY)
    index.post(index.signal(oin=CLINIC), CLINIC, key=KEY)
    assert len(set(known(index))) == 2


def test_what_a_version_before_accepted_is_found(index: Index) -> None:
    """By its key as sent, alone and in a batch. Seen failing (a second signal) when the statement did not look for what
    is `known`."""
    as_before(index)
    body = index.signal()
    first = index.post(body, key=KEY)
    assert known(index) == [KEY]  # as that version writes it
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE index_key_version SET knows_requests = true"))
    with nothing_stored(index.database):
        assert index.post(body, key=KEY).data == first.data
        assert batch(index, body)["signal"] == first.json
        assert slug(index.post(body | {"caseReference": "a"}, key=KEY)) == "idempotency-key-reused"


def test_in_a_database_that_was_in_use_keys_are_kept_as_sent_until_the_turn(index: Index, turn: Turn) -> None:
    """So that a version before, running beside this one, finds them."""
    as_before(index)
    bodies = [index.signal(n) for n in range(2)]
    firsts = [index.post(bodies[0], key="before")]
    assert "stored as they are sent" in CliRunner().invoke(app, ["status"]).stdout
    assert turn(2).exit_code == 0
    firsts.append(index.post(bodies[1], key="after"))
    assert known(index) == sorted(["before", known_by(index, CLIENT, "after", 2)])
    assert "as they are sent" not in CliRunner().invoke(app, ["status"]).stdout
    with nothing_stored(index.database):
        assert [index.post(body, key=key).data for body, key in zip(bodies, ("before", "after"), strict=True)] == [
            first.data for first in firsts
        ]


def test_a_repeat_is_found_in_every_step_of_a_turn(index: Index) -> None:
    """By processes that hold the old version, both and the new one, as long as each may run. Seen failing (a second
    signal) when the statement did not look for what is `known`."""
    firsts: list[tuple[str, Any, Answer]] = []

    def each() -> None:
        index.open(index.database)
        body, key = index.signal(len(firsts)), f"key-{len(firsts)}"
        firsts.append((key, body, index.post(body, key=key)))
        with nothing_stored(index.database):
            assert [index.post(body, key=key).data for key, body, _ in firsts] == [one.data for *_, one in firsts]

    each()
    give(index, 2)
    each()
    activate(index)
    each()
    step(index, service.end_older)
    each()
    for table in service.TABLES:
        step(index, service.reseal, index.app.extensions["index_keys"], table, 2, service.FIRST)
    index.match()
    assert step(index, service.drop_ended, ADMINISTRATOR, NOW) == [1]
    each()
    assert known(index) == sorted(known_by(index, CLIENT, f"key-{n}", 1 if n < 4 else 2) for n in range(5))
    (index.folder / "index-1.key").unlink()
    index.open(index.database)
    with nothing_stored(index.database):
        key, body, first = firsts[-1]
        assert index.post(body, key=key).data == first.data


@contextmanager
def claimed_elsewhere(index: Index) -> Iterator[sa.Connection]:
    """Another process is in the middle of accepting KEY, known by the first version. Commit, or it is taken back."""
    with index.database.superuser.connect() as other:
        values = {"client": CLIENT, "key": known_by(index, CLIENT, KEY), "signal": uuid4(), "now": NOW}
        other.execute(_RECORD, values)
        yield other


def test_a_repeat_waits_for_the_first_across_the_end_of_a_turn(index: Index) -> None:
    """R9: from one version to the next while the first is under way. Seen failing (two signals) when `drop_ended` did
    not lock the records."""
    activate(index)
    index.open(index.database)
    step(index, service.end_older)
    with ThreadPoolExecutor(2) as threads, claimed_elsewhere(index) as other:
        dropping = threads.submit(step, index, service.drop_ended, ADMINISTRATOR, NOW)
        time.sleep(0.3)
        repeating = threads.submit(index.post, index.signal(), key=KEY)
        time.sleep(0.3)
        other.commit()
        assert dropping.result(timeout=30) == [1]
        assert repeating.result(timeout=30).status_code in {201, 422}
    assert index.database.scalar("SELECT count(*) FROM signal") == 0  # the first's is only in its record here
    assert index.database.scalar("SELECT count(*) FROM idempotency_record") == 1


def test_a_turn_comes_again_when_it_has_waited_too_long_for_requests(index: Index, turn: Turn) -> None:
    """Who inserts waits behind it no longer than that. Seen failing (the command ended) when it tried once."""
    give(index, 2)
    over = Event()
    with ThreadPoolExecutor(1) as thread, claimed_elsewhere(index) as other:
        turning = thread.submit(turn, 2)
        turning.add_done_callback(lambda _: over.set())
        assert not over.wait(4)
        assert index.post(index.signal(1)).status_code == 201
        other.commit()
        assert turning.result(timeout=60).exit_code == 0


def test_an_index_without_the_version_that_knows_requests_says_so(index: Index, logged: Any) -> None:
    """Its file was taken away too early, in the middle of a turn: 503, so that the sender comes again, alone and in a
    batch. Seen failing (no word of the key, no `Retry-After`) when `_place` did not look at it."""
    activate(index)
    (index.folder / "index-1.key").unlink()
    index.open(index.database)
    body = index.signal()
    answer = index.post(body, key=KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    sent = {"signals": [{"idempotencyKey": KEY, "signal": body}]}
    assert index.http.post("/api/v1/signal-batches", json=sent, headers=index.machine()).status_code == 503
    assert logged.lines("index_key.missing")
    assert index.database.scalar("SELECT count(*) FROM signal") == 0


def test_the_old_version_is_named_as_long_as_a_repeat_is_found_with_it(index: Index, turn: Turn) -> None:
    """Also of requests that came when the new one sealed already. Seen failing when only the versions that requests
    are compared with were looked at."""
    activate(index)
    index.open(index.database)
    index.clock.move(hours=1)
    index.place()
    assert index.database.rows("SELECT key_version FROM idempotency_record") == [(2,)]
    until = index.clock() + KEPT
    assert turn(2).exit_code == 0
    done = CliRunner().invoke(app, ["status"])
    assert f"version 1: repeats of requests are found with it until {until:%F %R}" in done.stdout
