# SPDX-License-Identifier: EUPL-1.2
"""No BSN, no pseudonym and no idempotency key outside its one place (I5), after a run with the real client; and the
search finds one."""

import base64
import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from support import bsn
from system.canary import Places, forms, found, places
from system.receiver import Receiver
from system.world import INSTITUTIONS, Reporter, System, until

from verwijsindex.client.rows import COLUMNS
from verwijsindex.logs import EVENTS

pytestmark = pytest.mark.system

OIN = INSTITUTIONS[2]
EACH = 42 if os.environ.get("TEST_LONG") else 14
"""Rows that are good, and as many that are faulty: in each way twice at least."""


def test_no_bsn_and_no_pseudonym_is_anywhere(system: System, tmp_path: Path) -> None:
    """PostgreSQL (dump and files), Redis with bells that nobody answered, every log, webhooks, mails, problems, the
    client's output and report. Seen failing (all idempotency keys in the dump and in the files of PostgreSQL) when the
    index kept those as sent. Then one more BSN and pseudonym are planted in each of these places, and each is found."""
    mine, other = system.reporters(2, (OIN, INSTITUTIONS[0]))
    youngsters = system.youngsters(EACH)
    with Receiver() as receiver:
        system.subscribe(OIN, receiver.address)
        for youngster in youngsters:
            system.place(youngster, other)
        said = _submit(system, mine, youngsters, tmp_path)
        system.until_no_work()
        until(lambda: len(receiver.received) >= EACH, 30)
        until(lambda: len(system.mails) >= 2, 30)
    problems = _problems(system, mine, youngsters)
    system.stack.process("worker").kill()
    try:
        for youngster in youngsters[:5]:
            system.place(youngster, other)
        left = places(system) | said
        _check_logs(left)
        left["webhooks"] = b"\n".join(repr(one.headers).encode() + one.body for one in receiver.received)
        left["mails"] = b"\n".join(one.raw for one in system.mails)
        left["problems"] = problems
        left["officer's searches"] = _searches(system, youngsters)
        assert found(left, {n: forms(n, system.pseudonym(n)) for n in youngsters}) == set()
        keys = _idempotency_keys(tmp_path)
        assert [(place, key) for place, content in left.items() for key in keys if key in content] == []
        assert b"verwijsindex.match" in left["Redis"], "nothing was looked into"
        assert left["dump of verwijsindex"].count(b"INSERT INTO public.signal ") >= 2 * EACH
        assert b"adv-1" in left["refused rows"], "the report tells nothing"
        _plant_and_find(system, left)
    finally:
        system.change("DELETE FROM delivery")
        system.change("DELETE FROM subscription")
        system.stack.restart("worker")


def _check_logs(left: Places) -> None:
    """Each line of our processes is of the catalogue (docs/logs.md); Celery says goodbye in words of its own."""
    logs = {place: content for place, content in left.items() if place.startswith("log ")}
    lines = []
    for name in ("index", "pseudonyms", "issuer", "worker", "deliverer", "clock"):
        for text in logs[f"log {name}.log"].decode().splitlines():
            if text and text != "worker: Warm shutdown (MainProcess)":
                lines.append(json.loads(text))
    assert {line["event"] for line in lines} <= set(EVENTS)
    assert {"process.started", "request.answered"} <= {line["event"] for line in lines}
    assert {line["process"] for line in lines} == {"index", "pseudonyms", "issuer", "worker", "deliverer", "clock"}


def _plant_and_find(system: System, left: Places) -> None:
    [planted] = system.youngsters(1)
    wanted = forms(planted, system.pseudonym(planted))
    digits, n = wanted["BSN"].decode(), wanted["N in base64url"].decode()
    assert found(left, {planted: wanted}) == set()
    with Redis.from_url(system.stack.redis.url) as redis:
        redis.lpush("planted", n)
    with (system.stack.folder / "worker.log").open("a") as log:
        log.write(f"INFO no match for {digits}\n")
    system.change("CREATE TABLE planted (a text, b bytea, c bytea)")
    system.change("INSERT INTO planted VALUES (:a, :b, :c)", a=digits, b=wanted["N"], c=digits.encode())
    again = left | places(system)
    for place in ("webhooks", "mails", "problems", "refused rows", "output of the client", "officer's searches"):
        again[place] += digits.encode()
    system.change("DROP TABLE planted")
    seen = found(again, {planted: wanted})
    assert {(place, form) for place, _, form in seen} >= {
        ("dump of verwijsindex", "BSN"),
        ("dump of verwijsindex", "BSN as hex"),
        ("dump of verwijsindex", "N as hex"),
        ("files of PostgreSQL", "BSN"),
        ("files of PostgreSQL", "N"),
        ("Redis", "N in base64url"),
        ("log worker.log", "BSN"),
        ("webhooks", "BSN"),
        ("mails", "BSN"),
        ("problems", "BSN"),
        ("officer's searches", "BSN"),
        ("refused rows", "BSN"),
        ("output of the client", "BSN"),
    }


def _searches(system: System, youngsters: list[int]) -> bytes:
    """What the operator's privacy officer finds, decoded, and is answered who asks with a BSN or a pseudonym; and the
    other pages of the desk."""
    headers = system.privacy_officer()
    found = system.http.post("/api/v1/ledger-searches", json={"purpose": "incident", "limit": 200}, headers=headers)
    events = [base64.b64decode(item["event"]) for item in found.json()["items"]]
    assert len(events) > 100
    for youngster in youngsters[:5]:
        digits, n = bsn(youngster).digits.decode(), system.pseudonym(youngster).to_text()
        for body in ({"purpose": digits, "person": n, digits: n}, {"institution": digits, "kinds": [digits, n]}):
            refused = system.http.post("/api/v1/ledger-searches", json={"purpose": "incident"} | body, headers=headers)
            assert refused.status_code == 400
            events.append(refused.content)
    day = datetime.now(ZoneInfo("Europe/Amsterdam")).date() - timedelta(days=1)
    month = day.replace(day=1) - timedelta(days=1)
    for path in ("alerts", f"samples/{month:%Y-%m}", f"ledger-reports?from={day}&until={day}", f"samples/{digits}"):
        got = system.http.get(f"/api/v1/{path}", headers=headers)
        expected = 400 if digits in path else 404 if got.status_code == 404 and path != "alerts" else 200
        assert got.status_code == expected, got.text  # nothing fixes what ended a few minutes ago: 404
        events.append(got.content)
    return b"\n".join(events)


def _submit(system: System, reporter: Reporter, youngsters: list[int], folder: Path) -> Places:
    """Send an export by the command that an institution installs: half of its rows good, half faulty."""
    run = system.stack.run
    run("client", "keygen", str(folder / "own.jwk"))
    own_public = next(folder.glob("own*pub*"))
    client = ("--id", f"client-{uuid4().hex[:8]}", "--name", "Canary", "--oin", reporter.oin)
    run("issuer", "client", "add", *client, "--public-key", str(own_public))
    config = folder / "client.toml"
    config.write_text(
        f'index = "{system.stack.index}"\npseudonyms = "{system.stack.pseudonyms}"\nissuer = "{system.stack.issuer}"\n'
        f'client_id = "{client[1]}"\nkey_file = "own.jwk"\nkey_list_signer = "{system.stack.key_list_signer}"\n'
    )
    export, refused = folder / "export.csv", folder / "refused.csv"
    with export.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for n, youngster in enumerate(youngsters):
            writer.writerow(_row(reporter, bsn(youngster).digits.decode(), n))
        for n, youngster in enumerate(youngsters):
            writer.writerow(_row(reporter, bsn(youngster).digits.decode(), n) | _FAULTS[n % len(_FAULTS)](youngster))
    done = subprocess.run(
        [sys.executable, "-m", "verwijsindex", "client", "send", export, "--config", config, "--refused", refused],
        capture_output=True,
        check=False,
        env=system.stack.environment,
    )
    assert done.returncode == 1, done.stderr.decode()
    assert f"accepted {EACH}, refused {EACH}".encode() in done.stdout
    return {"output of the client": done.stdout + done.stderr, "refused rows": refused.read_bytes()}


def _idempotency_keys(folder: Path) -> set[bytes]:
    """Of the signals that the client placed, made from BSNs under its key: its journal has them."""
    [journal] = folder.glob("*.journal")
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    keys = {line["key"].encode() for line in lines if "accepted" in line}
    assert len(keys) == EACH
    return keys


def _row(reporter: Reporter, digits: str, n: int) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "case_reference": f"adv-{n}",
        "bsn": digits,
        "birth_date": "2012-03-04",
        "residence_municipality": "1701",
        "reporter": str(reporter.id),
        "made_at": (now - timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "informed_on": (now - timedelta(days=2)).date().isoformat(),
        "informed_to": "both",
        "reasonable_suspicion": "yes",
    }


def _digits(youngster: int) -> str:
    return bsn(youngster).digits.decode()


_FAULTS = [
    lambda youngster: {"bsn": _digits(youngster) + "0"},
    lambda youngster: {"case_reference": f"adv-{_digits(youngster)}"},
    lambda youngster: {"residence_municipality": _digits(youngster)},
    lambda youngster: {"reporter": _digits(youngster)},
    lambda youngster: {"informed_to": _digits(youngster)},
    lambda youngster: {"birth_date": _digits(youngster)},
    lambda youngster: {"reporter": str(uuid4())},
]


def _problems(system: System, reporter: Reporter, youngsters: list[int]) -> bytes:
    """What is answered to requests that have a BSN or a pseudonym where none belongs, in values and in names."""
    headers = system.headers(reporter.oin) | {"Idempotency-Key": "k" * 20, "On-Behalf-Of": str(reporter.id)}
    answers = []
    for youngster in youngsters[:10]:
        digits, n = bsn(youngster).digits.decode(), system.pseudonym(youngster).to_text()
        for body in (
            {"pseudonym": {"keyVersion": 1, "value": digits}},
            {"pseudonym": {"keyVersion": 1, "value": n}, digits: n, "reason": n},
            {"reporter": digits, "residenceMunicipality": digits, "madeAt": n, "removalDate": digits},
            [digits, n],
            digits,
        ):
            answers.append(system.http.post("/api/v1/signals", json=body, headers=headers))
            answers.append(system.http.post("/api/v1/signals", content=json.dumps(body), headers=headers))  # 415
        answers.append(system.http.post("/api/v1/signals", content=f'{{"bsn": {digits}', headers=headers))
        answers.append(system.http.post("/api/v1/signals", json={}, headers=headers | {"Idempotency-Key": digits * 30}))
        answers.append(system.http.get(f"/api/v1/matches/{digits}", headers=headers))
        answers.append(system.http.get("/api/v1/notices", params={"cursor": n, digits: n}, headers=headers))
        answers.append(system.http.get("/api/v1/notices", headers=headers | {"Authorization": f"Bearer {n}"}))
        answers.append(system.http.get("/api/v1/notices", headers=headers | {"On-Behalf-Of": digits}))
    assert all(400 <= answer.status_code < 500 for answer in answers)
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)
    return b"\n".join(repr(answer.headers).encode() + answer.content for answer in answers)
