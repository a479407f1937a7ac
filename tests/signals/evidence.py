# SPDX-License-Identifier: EUPL-1.2
"""What a test looks at to see that nothing was stored and nothing was said."""

from collections.abc import Iterator
from contextlib import contextmanager

from support import Answer, Database, Index, Logged

from verwijsindex.keyfiles import encode_base64url

TABLES = (
    "signal",
    "work",
    "parent",
    "idempotency_record",
    "youngster",
    "match",
    "party",
    "notice",
    "delivery",
    "event",
)


def counts(database: Database) -> dict[str, object]:
    """How many rows each table of the index has that a request could fill."""
    return {table: database.scalar(f'SELECT count(*) FROM "{table}"') for table in TABLES}


@contextmanager
def nothing_stored(database: Database, *, events: int = 0) -> Iterator[None]:
    """Within it no row comes into any table, but for so many events (refusals of a known caller, I4)."""
    before = counts(database)
    yield
    after = counts(database)
    assert after == before | {"event": before["event"] + events}  # type: ignore[operator]


def known_by(index: Index, client: str, key: str, version: int = 1) -> str:
    """What a request is known by once it was accepted (docs/protocol.md, 9)."""
    fingerprint = index.app.extensions["index_keys"][version].fingerprint("key", f"{client}\0{key}".encode())
    return f"{version}:{encode_base64url(fingerprint)}"


def silent_about(answer: Answer, logged: Logged, *values: str) -> None:
    """Neither the answer nor a log line holds any of these values, however either is written (I5)."""
    said = "\n".join([answer.text, str(answer.headers), logged.text])
    for value in values:
        assert value.casefold() not in said.casefold()


def slug(answer: Answer) -> str:
    """Which problem an answer is."""
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    return str(answer.json["type"]).removeprefix("urn:problem-type:verwijsindex:")


def places(answer: Answer) -> set[str]:
    """Where a 400 finds faults."""
    assert answer.status_code == 400, answer.text
    assert slug(answer) == "invalid-input"
    return {fault["location"].get("pointer") or fault["location"]["name"] for fault in answer.json["errors"]}
