# SPDX-License-Identifier: EUPL-1.2
"""The log says what its catalogue allows and nothing else (I5): whatever is handed to it, and whoever speaks."""

import ast
import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from support import INDEX, SCHOOL, WESTERVELD, Database, Index, Logged, bsn, pseudonym

from verwijsindex import logs
from verwijsindex.logs import EVENTS, WITHHELD, LogEvent, log

ROOT = Path(__file__).parent.parent
KINDS = (logs.COUNT, logs.MILLISECONDS, logs.NAME, logs.ID, logs.ADDRESS, logs.ERROR)


def _secrets() -> Iterator[object]:
    """What must never be written: BSNs and pseudonyms in the forms in which code may hold them."""
    for number in range(50):
        digits, n = bsn(number).digits.decode(), pseudonym(number)
        yield from (
            digits,
            digits.lstrip("0"),
            int(digits),
            f"bsn {digits}",
            f"x{digits}",
            bsn(number),
            digits.encode(),
        )
        yield from (n, n.to_text(), n.value, n.value.hex(), base64.b64encode(n.value).decode(), {"n": n.to_text()})
    yield from ("redis://:hunter2@redis.example:6379/0", "https://user:hunter2@issuer.example", "a text, freely", "")
    for _ in range(200):
        yield base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def test_no_secret_fits_a_kind() -> None:
    """Seen failing when a name might have 64 characters (a pseudonym in hex) or nine digits, or a count ten."""
    for secret in _secrets():
        for kind in KINDS:
            written = kind.write(secret)
            if written is None or (kind is logs.COUNT and written == 9_999_999):
                continue
            assert kind is logs.MILLISECONDS, (kind.name, secret)
            assert written == 999_999.9


def test_what_fits_is_written_and_what_does_not_is_withheld(logged: Logged) -> None:
    event = LogEvent("test.event", "warning", {"n": logs.COUNT, "word": logs.NAME, "id": logs.ID, "error": logs.ERROR})
    some = uuid4()
    log(event, n=7, word="status 503", id=some)
    log(event, n="7", word=bsn(1).digits.decode(), id=str(some), error="text")
    log(event, word=None)
    first, second, third = logged.lines()
    assert {"n": 7, "word": "status 503", "id": str(some)}.items() <= first.items()
    assert list(first)[:3] == ["at", "level", "event"]
    assert {second[name] for name in event.fields} == {WITHHELD}
    assert set(third) == {"at", "level", "event", "process", "pid"}


def test_an_unlisted_field_cannot_be_written(logged: Logged) -> None:
    with pytest.raises(TypeError, match="may not say path"):
        log(logs.REQUEST_ANSWERED, path="/api/v1/signals")
    assert logged.lines() == []


def test_an_error_is_its_classes_and_places(logged: Logged, index_database: Database) -> None:
    """A row that PostgreSQL refuses: its message holds what the row says."""
    digits = bsn(3).digits.decode()
    with index_database.engine("owner").connect() as connection, pytest.raises(sa.exc.DBAPIError) as raised:
        connection.execute(sa.text("SELECT CAST(CAST(:text AS text) AS int)"), {"text": f"x{digits}"})
    assert digits in str(raised.value)
    log(logs.UNFORESEEN, error=raised.value)
    [line] = logged.lines()
    assert line["error"] == "DataError < InvalidTextRepresentation"
    assert digits not in logged.text
    assert all(re.fullmatch(r"[\w.]+:\d+", place) for place in line["where"])


LIBRARIES = r"""
import logging, sys, threading, warnings
import httpx, psycopg, redis
from kombu import Connection
from verwijsindex.logs import configure
configure("test")
SECRET = sys.argv[1]
logging.getLogger("celery.worker").error("lost redis://:%s@redis.example", SECRET)
logging.getLogger("granian").warning(f"cannot serve {SECRET}")
logging.getLogger("kombu").warning("not formattable %d %s", SECRET)
logging.getLogger(SECRET).error("a logger that is named so")
warnings.warn(SECRET)
try:
    raise ValueError(SECRET) from KeyError(SECRET)
except ValueError:
    logging.getLogger("sqlalchemy.pool").exception("Exception during reset %s", SECRET)
thread = threading.Thread(target=lambda: psycopg.connect(f"postgresql://u:{SECRET}@127.0.0.1:1/x", connect_timeout=1))
thread.start(); thread.join()
class Unraisable:
    def __del__(self): raise RuntimeError(SECRET)
Unraisable()
Connection(f"redis://:{SECRET}@127.0.0.1:1/0", transport_options={"socket_connect_timeout": 1}).ensure_connection(
    max_retries=1, errback=lambda error, _: logging.getLogger("kombu").error("%r", error), interval_start=0.01)
"""


def test_whatever_a_library_says_only_who_and_where_gets_in() -> None:
    """A password in an address, a value in an exception, a line that cannot be formatted, a warning, a thread's and the
    process's own end. Seen failing with records' own text, when they were formatted at all, and without the hooks."""
    secret = f"hunter{bsn(5).digits.decode()}"
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES, secret],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert secret not in done.stderr + done.stdout
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = [(line["event"], line.get("library"), line.get("error")) for line in lines]
    assert said[:6] == [
        ("library.failed", "celery.worker", None),
        ("library.warned", "granian", None),
        ("library.warned", "kombu", None),
        ("library.failed", WITHHELD, None),
        ("library.warned", "py.warnings", None),
        ("library.failed", "sqlalchemy.pool", "ValueError < KeyError"),
    ]
    assert ("unforeseen", None, "OperationalError") in said
    assert ("unforeseen", None, "RuntimeError") in said
    assert said[-1][:2] == ("unforeseen", None)
    assert {line["process"] for line in lines} == {"test"}


def test_each_request_is_one_line_without_who_and_what(index: Index, logged: Logged) -> None:
    placed = index.post(index.signal())
    hidden = bsn(4).digits.decode()
    refused = index.http.get(
        f"/api/v1/signals/{hidden}?x={hidden}", headers=index.reader() | {"X-Forwarded-For": "::9"}
    )
    index.http.get("/api/v1/signals")
    index.http.get(f"/{hidden}")
    index.http.get("/health/live")
    lines = logged.lines("request.answered")
    assert [(line["operation"], line["status"], line.get("problem")) for line in lines] == [
        ("registerSignal", 201, None),
        ("getSignal", 400, "invalid-input"),
        ("listSignals", 401, "not-authenticated"),
        ("none", 404, "not-found"),
        ("live", 200, None),
    ]
    assert [UUID(line["request"]) for line in lines[:2]] == [
        UUID(answer.headers["Request-Id"]) for answer in (placed, refused)
    ]
    assert len({line["request"] for line in lines}) == len(lines)
    [token] = logged.lines("token.refused")
    assert (token["reason"], token["request"]) == ("missing", lines[2]["request"])
    for value in (hidden, SCHOOL, WESTERVELD, "::9", "/api/v1", "client-", INDEX, placed.json["id"]):
        assert value not in "\n".join(json.dumps(line) for line in lines)


def _calls() -> Iterator[tuple[Path, str, set[str]]]:
    """Every call of `log` in the source: its file, the name of its event, the fields that it hands over."""
    for path in sorted((ROOT / "verwijsindex").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in {"log", "logs.log"}:
                continue
            yield path, ast.unparse(node.args[0]).removeprefix("logs."), {word.arg or "**" for word in node.keywords}


def test_every_call_says_what_its_event_lists_and_every_event_is_called() -> None:
    called = set()
    for path, name, fields in _calls():
        if path.name == "logs.py" and name == "event":
            continue
        event = getattr(logs, name)
        assert fields == set(event.fields), (path, name)
        called.add(event.name)
    assert called | {"library.warned", "library.failed"} == set(EVENTS)


def test_nobody_else_logs() -> None:
    """No logger besides the one here, and nothing is printed by what serves (CONTRIBUTING.md, How to log)."""
    for path in sorted((ROOT / "verwijsindex").rglob("*.py")):
        text = path.read_text()
        if path.name != "logs.py":
            assert not re.search(r"^\s*(import logging|from logging import)|getLogger", text, re.M), path


def test_every_event_is_in_the_documents_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \|(.*?)\| .+ \|$", (ROOT / "docs" / "logs.md").read_text(), re.M)
    listed = {
        event.name: (event.level, ", ".join(f"{name} ({kind.name})" for name, kind in event.fields.items()))
        for event in EVENTS.values()
    }
    assert {name: (level, fields.strip()) for name, level, fields in rows} == listed
    kinds = re.findall(r"^\| (\w+) \| [^|]+ \|$", (ROOT / "docs" / "logs.md").read_text(), re.M)
    assert {kind.name for kind in KINDS} <= set(kinds)
