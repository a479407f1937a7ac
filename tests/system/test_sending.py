# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex client send`, killed again and again in the midst of a file (I1, R9)."""

import csv
import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from support import bsn
from system.world import INSTITUTIONS, Reporter, System, until

from verwijsindex.client.rows import REQUIRED

pytestmark = pytest.mark.system

ROWS, KILLS = (6_000, 100) if os.environ.get("TEST_LONG") else (500, 6)
BEFORE = "eaa7d58"  # 0.2.0
HERE = Path(__file__).resolve().parents[2]
EVERY = 10
"""One row in so many is faulty."""
# Batches of ten, so that a file of some hundred rows has a beginning, a middle and an end.
COMMAND = (
    "import sys\nfrom verwijsindex.client import posting, sending\nposting.BATCH = sending.BATCH = 10\n"
    "from verwijsindex.cli import main\nmain()\n"
)


@pytest.mark.timeout(3600)
def test_killed_at_any_point_it_sends_each_row_once_and_tells_the_same(system: System, tmp_path: Path) -> None:
    """kill -9 at random moments, most of them between an answer and its line in the journal or in the midst of one.

    Seen failing with a new idempotency key for each try: rows that were answered and not yet written down became two
    signals.
    """
    reporters = system.reporters(ROWS // 500 + 1, (INSTITUTIONS[1],))
    config = _configured(system, INSTITUTIONS[1], tmp_path)
    export = _export(reporters, system.youngsters(ROWS), tmp_path / "export.csv")
    journal, chance = tmp_path / "export.csv.journal", random.Random(20261122)  # noqa: S311
    kills = 0
    while kills < KILLS:
        run = _start(system, export, config)
        _until_written(journal, chance.randint(1, 5_000), run)
        time.sleep(chance.uniform(0, 0.1))
        if run.poll() is not None:
            break
        run.kill()
        run.communicate()
        kills += 1
    print(f"killed {kills} times in {ROWS} rows")  # -rP shows it
    assert kills >= KILLS // 2, "it was too quick to be killed"
    told, said = _start(system, export, config).communicate()
    assert "going on with" in said

    faulty = ROWS // EVERY
    assert told.rstrip().splitlines()[-1] == "all refused rows: refused.csv"
    assert f"accepted {ROWS - faulty}, refused {faulty}" in told
    stored = system.rows(
        "SELECT count(*) AS signals FROM signal WHERE reporter_id = ANY(:ids)", ids=[each.id for each in reporters]
    )
    assert stored[0].signals == ROWS - faulty
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry["row"] for entry in entries[1:-1]] == [n + 2 for n in range(ROWS) if n % EVERY]
    same = export.rename(tmp_path / "same.csv")
    report = (tmp_path / "refused.csv").read_bytes()
    undisturbed, _ = _start(system, same, config).communicate()
    assert undisturbed == told
    assert (tmp_path / "refused.csv").read_bytes() == report


def test_the_client_of_before_sends_to_this_index_and_this_one_repeats_what_it_sent(
    system: System, tmp_path: Path
) -> None:
    """An index is upgraded before its senders; and a sender that is upgraded within the week makes nothing twice."""
    archive = subprocess.run(
        ["git", "-C", str(HERE), "archive", BEFORE, "verwijsindex"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"this clone's history has no {BEFORE} (0.2.0): git fetch --unshallow, then try again")
    before = tmp_path / "before"
    before.mkdir()
    subprocess.run(["tar", "-x", "-C", str(before)], input=archive.stdout, check=True)
    reporters = system.reporters(2, (INSTITUTIONS[1],))
    config = _configured(system, INSTITUTIONS[1], tmp_path)
    export = _export(reporters, system.youngsters(20), tmp_path / "export.csv")
    ids = "SELECT id FROM signal WHERE reporter_id = ANY(:ids) ORDER BY id"
    told, _ = _start(system, export, config, before).communicate()
    assert f"accepted {20 - 2}, refused 2" in told
    first = system.rows(ids, ids=[each.id for each in reporters])
    assert len(first) == 18
    (tmp_path / "export.csv.journal").unlink()
    told, _ = _start(system, export, config).communicate()
    assert f"accepted {20 - 2}, refused 2" in told
    assert system.rows(ids, ids=[each.id for each in reporters]) == first


def _until_written(journal: Path, more: int, run: "subprocess.Popen[str]") -> None:
    """Until so many bytes more are in the journal, or the run has ended."""
    size = journal.stat().st_size if journal.exists() else 0
    until(lambda: run.poll() is not None or (journal.exists() and journal.stat().st_size > size + more), 120)


def _start(system: System, export: Path, config: Path, code: Path = HERE) -> "subprocess.Popen[str]":
    arguments = ["client", "send", export.name, "--config", str(config), "--refused", "refused.csv"]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=export.parent,
        env=system.stack.environment | {"COLUMNS": "200", "PYTHONPATH": str(code)},
    )


def _configured(system: System, oin: str, folder: Path) -> Path:
    system.stack.run("client", "keygen", str(folder / "own.jwk"))
    client = f"client-{uuid4().hex[:8]}"
    public = ("--public-key", str(folder / "own.jwk.pub.json"))
    system.stack.run("issuer", "client", "add", "--id", client, "--name", "Killed", "--oin", oin, *public)
    config = folder / "client.toml"
    config.write_text(
        f'index = "{system.stack.index}"\npseudonyms = "{system.stack.pseudonyms}"\nissuer = "{system.stack.issuer}"\n'
        f'client_id = "{client}"\nkey_file = "own.jwk"\nkey_list_signer = "{system.stack.key_list_signer}"\n'
    )
    return config


def _export(reporters: list[Reporter], youngsters: list[int], path: Path) -> Path:
    now = datetime.now(UTC)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, REQUIRED)
        writer.writeheader()
        for n, youngster in enumerate(youngsters):
            writer.writerow(
                {
                    "case_reference": f"kill-{n}",
                    "bsn": bsn(youngster).digits.decode(),
                    "birth_date": "2012-03-04",
                    "residence_municipality": "1701",
                    "reporter": str(reporters[n % len(reporters)].id),
                    "made_at": (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "informed_on": (now - timedelta(days=2)).date().isoformat(),
                    "informed_to": "both" if n % EVERY else "aunt",
                    "reasonable_suspicion": "yes",
                }
            )
    return path
