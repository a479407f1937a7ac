# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex officer sample` and `officer report`, against the real index in this process (R25)."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from ledger.ledgers import SIGNER
from support import NOW, SCHOOL, Index
from typer.testing import CliRunner, Result

from verwijsindex.auditing import report_command, sample_commands
from verwijsindex.auditing.commands import app
from verwijsindex.auditing.connection import Desk
from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.events import Actor, Event


@pytest.fixture
def audited(index: Index, monkeypatch: pytest.MonkeyPatch) -> Index:
    """One read by the school's people, in a month that is over."""
    for command in (sample_commands, report_command):
        monkeypatch.setattr(command, "Desk", partial(Desk, transport=httpx.WSGITransport(app=index.app)))
    monkeypatch.setenv("COLUMNS", "1000")
    worker, by = index.database.engine("worker"), Actor("machine", "client-school", SCHOOL)
    with worker.begin() as connection:
        events.append(connection, [Event(events.MATCH_READ, datetime(2026, 10, 5, 9, tzinfo=UTC), by)])
    sealing.seal(worker, NOW, SIGNER)
    return index


def run(index: Index, *arguments: str) -> Result:
    bearer = index.privacy_officer(SCHOOL)["Authorization"].removeprefix("Bearer ")
    return CliRunner().invoke(app, [*arguments, "--index", "https://index.test"], input=bearer)


def test_a_sample_is_shown_and_signed_off(audited: Index, tmp_path: Path) -> None:
    note = tmp_path / "october.checkpoint"
    shown = run(audited, "sample", "show", "2026-10", "--checkpoint", str(note))
    assert shown.exit_code == 0, shown.stderr
    assert "1 of 1 accesses" in shown.stdout
    assert note.read_text() == audited.database.scalar("SELECT note FROM checkpoint")
    event = str(audited.database.scalar("SELECT id FROM event WHERE kind = 'match.read'"))
    assert event in shown.stdout
    signed = run(audited, "sample", "sign", "2026-10", "as_expected", event)
    assert signed.stdout == "1 signed off; 0 of the sample are open\n"
    assert "as_expected" in run(audited, "sample", "show", "2026-10").stdout
    assert run(audited, "sample", "sign", "2026-10", "as_expected", event).exit_code == 3


@pytest.mark.parametrize("ending", ["json", "pdf"])
def test_a_report_is_written_to_a_new_file(audited: Index, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"october.{ending}"
    asked = ("report", str(file), "--from", "2026-10-01", "--until", "2026-10-31")
    done = run(audited, *asked)
    assert done.exit_code == 0, done.stderr
    assert file.read_bytes().startswith(b"%PDF-" if ending == "pdf" else b"{")
    if ending == "json":
        assert json.loads(file.read_text())["total"]["reads"] == 1
    assert run(audited, *asked).exit_code == 2
    other = run(audited, "report", "october.txt", "--from", "2026-10-01", "--until", "2026-10-31")
    assert (other.exit_code, "end with .pdf or .json" in other.stderr) == (2, True)
