# SPDX-License-Identifier: EUPL-1.2
"""The examples do what they say."""

import base64
import json
import os
import runpy
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from client.services import Services, draft
from joserfc.jwk import OKPKey
from standardwebhooks import Webhook

import verwijsindex.client
from verwijsindex.client import Accepted, ClientConfig, Informed, RefusedRow, SignalRow, read_rows
from verwijsindex.client.rows import COLUMNS, REQUIRED
from verwijsindex.client.webhooks import CHALLENGE_TYPE
from verwijsindex.keyfiles import write_public_key, write_signing_key
from verwijsindex.matching.service import match_waiting

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_good_sample_is_good_and_the_faulty_one_has_faults_of_many_kinds() -> None:
    with (EXAMPLES / "export.csv").open("rb") as file:
        good = [row for row in read_rows(file) if isinstance(row, SignalRow)]
    assert len(good) == 12
    assert {len(row.draft.parents) for row in good} == {0, 1, 2}
    assert sum(row.draft.shielded for row in good) == 1
    with (EXAMPLES / "export-faulty.csv").open("rb") as file:
        rows = list(read_rows(file))
    codes = {fault.code for row in rows if isinstance(row, RefusedRow) for fault in row.faults}
    assert len(codes) > 10
    content = (EXAMPLES / "export-faulty.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf" + ";".join(REQUIRED).encode())


def test_the_readme_names_every_column_and_every_file() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    assert not [name for name in COLUMNS if f"`{name}`" not in readme]
    assert not [path.name for path in EXAMPLES.iterdir() if path.suffix != ".md" and f"({path.name})" not in readme]


def test_the_configuration_loads(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text((EXAMPLES / "client.toml").read_text())
    write_signing_key(tmp_path / "institution.key.json", OKPKey.generate_key("Ed25519"))
    write_public_key(tmp_path / "key-list-signer.pub.json", OKPKey.generate_key("Ed25519"))
    assert ClientConfig.load(tmp_path / "client.toml").client_id == "jeugdhulp"


def test_generate_writes_exports_for_reporters_of_ones_own(tmp_path: Path) -> None:
    reporter = str(UUID(int=5, version=4))
    script, out = str(EXAMPLES / "generate.py"), str(tmp_path / "out")
    command = [sys.executable, script, out, "--rows", "60", "--reporter", reporter]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "58 good rows, 2 faulty ones" in done.stdout
    with (tmp_path / "out" / "export.csv").open("rb") as file:
        drafts = [row.draft for row in read_rows(file) if isinstance(row, SignalRow)]
    assert str(drafts[0].reporter) == reporter


def test_send_signal_sends_one(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And reads its inbox, whatever is in it. Seen failing (KeyError) when it took every notice for one of a match."""
    services.now = datetime.now(UTC)
    reporter, earlier = services.register(["Anna Voorbeeld", "Bram Voorbeeld"])
    about = {"made_at": services.now, "informing": Informed(services.now.date(), "both")}
    with services.client() as client:
        [placed] = client.submit([draft(earlier, "999900006", **about)])
        assert isinstance(placed, Accepted)
        client.acts.withdraw(earlier, placed.id, "risk_gone")
    config = services.config()
    values = config.model_dump(mode="json", exclude_none=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (tmp_path / "client.toml").write_text("\n".join(lines))
    monkeypatch.setattr(verwijsindex.client, "VerwijsindexClient", services.client)
    monkeypatch.setattr(sys, "argv", ["send_signal.py", str(tmp_path / "client.toml"), str(reporter)])
    for _ in range(2):
        match_waiting(services.index_database.engine("worker"), services.now, services.now, keys={})
        runpy.run_path(str(EXAMPLES / "send_signal.py"))
    first, second, notice = capsys.readouterr().out.splitlines()
    assert first.startswith("accepted as ")
    assert second.startswith("accepted as ")
    assert "archive: read /api/v1/archived-signals/" in notice
    assert services.index_database.scalar("SELECT count(*) FROM signal") == 2


def test_the_receiver_believes_only_what_is_signed() -> None:
    key = bytes(range(32))
    environment = {**os.environ, "WEBHOOK_SECRET": "whsec_" + base64.b64encode(key).decode()}
    receiver = subprocess.Popen(
        [sys.executable, EXAMPLES / "webhook_receiver.py", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert receiver.stdout
        address = receiver.stdout.readline().split()[-1]
        assert address.startswith("http://127.0.0.1:")
        now = datetime.now(UTC)
        body = json.dumps(
            {
                "specversion": "1.0",
                "id": "7",
                "source": "urn:nld:oin:1",
                "type": "nl.verwijsindex.inbox-changed",
                "subject": str(UUID(int=8)),
                "time": now.isoformat(),
                "data": {"inbox": "https://index.example/api/v1/notices"},
            }
        )
        headers = {
            "webhook-id": "7",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(key).sign("7", now, body),
        }
        assert httpx.post(address, content=body, headers=headers).status_code == 204
        assert httpx.post(address, content=body, headers=headers).status_code == 204
        assert httpx.post(address, content=body + " ", headers=headers).status_code == 400
        challenge = json.dumps(json.loads(body) | {"type": CHALLENGE_TYPE, "data": {"challenge": "abc"}})
        signature = {"webhook-signature": Webhook(key).sign("7", now, challenge)}
        answer = httpx.post(address, content=challenge, headers=headers | signature)
        assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})
    finally:
        receiver.terminate()
        told, _ = receiver.communicate(timeout=10)
    assert told.splitlines() == [
        f"something new for reporter {UUID(int=8)}: read https://index.example/api/v1/notices",
        "not believed: the signature is not made with this secret",
        "this receiver is confirmed",
    ]
