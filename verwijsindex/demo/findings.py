# SPDX-License-Identifier: EUPL-1.2
"""What is really there afterwards, as its readers see it: every reporter through the client, every municipality's
supervision through the API with a token, and the ledger as its operator counts it."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from sqlalchemy import text

from verwijsindex import database
from verwijsindex.client import ClientConfig, VerwijsindexClient
from verwijsindex.demo.registering import Institution, Register
from verwijsindex.embedded.stack import Stack

Json = dict[str, Any]
READERS = 8
OPENED = 12
"""Matches that each reader opens, spread over its list; of all the others it reads that they are there."""


@dataclass(frozen=True, slots=True)
class View:
    """What one recipient reads: own live signals (a reporter's only), the inbox, the ids of its open matches, and
    some of these matches, opened."""

    signals: list[Json]
    notices: list[Json]
    matches: list[str]
    opened: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found: a view of each reporter and of each municipality, and the ledger's events by kind and
    outcome."""

    reporters: dict[UUID, View]
    supervisions: dict[str, View]
    events: Counter[tuple[str, str]]


def read_all(stack: Stack, register: Register, tokens: dict[str, str]) -> Findings:
    """Read what every reporter and every municipality's supervision can read. `tokens` are the case supervisors', by
    municipality."""
    with ThreadPoolExecutor(READERS) as threads:
        views = threads.map(_views_of, register.institutions)
        reporters = {reporter: view for found in views for reporter, view in found.items()}
        first_opened = {
            match for reporter in register.institutions[0].reporters for match in reporters[reporter].opened
        }
        supervisions = threads.map(lambda code: _supervision(stack.index, tokens[code], first_opened), tokens)
        return Findings(reporters, dict(zip(tokens, supervisions, strict=True)), count_events(stack))


def _spread(matches: list[str]) -> list[str]:
    return matches[:: -(-len(matches) // OPENED) or 1]


def _views_of(one: Institution) -> dict[UUID, View]:
    with VerwijsindexClient(ClientConfig.load(one.config)) as client:
        views = {}
        for reporter in one.reporters:
            matches = [line["id"] for line in client.matches(reporter)]
            views[reporter] = View(
                signals=list(client.signals(reporter)),
                notices=list(client.notices(reporter)),
                matches=matches,
                opened={match: client.match(reporter, UUID(match)) for match in _spread(matches)},
            )
        return views


def _supervision(index: str, token: str, first_opened: set[str]) -> View:
    """Opens what reporters of one institution opened too, so that the account can show both sides of a match."""
    with httpx.Client(base_url=f"{index}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        matches = [line["id"] for line in pages(http, "/matches")]
        chosen = _spread([match for match in matches if match in first_opened])
        opened = {match: http.get(f"/matches/{match}").raise_for_status().json() for match in chosen}
        return View([], list(pages(http, "/notices")), matches, opened)


def pages(http: httpx.Client, path: str, **which: str) -> Iterator[Json]:
    """All items of a list."""
    cursor = ""
    while True:
        asked = which | {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = http.get(path, params=asked).raise_for_status().json()
        yield from page["items"]
        cursor = page.get("nextCursor") or ""
        if not cursor:
            return


def count_events(stack: Stack) -> Counter[tuple[str, str]]:
    """The ledger's events by kind and outcome."""
    counted = text("SELECT kind, outcome, count(*) AS times FROM event GROUP BY kind, outcome")
    return Counter({(row.kind, row.outcome): row.times for row in _as_owner(stack, counted)})


@dataclass(frozen=True, slots=True)
class Totals:
    """What all of the demo came to, days after it too: of each kind of inbox how many were told and how many notices
    they got, and the ledger's events by kind and outcome."""

    told: dict[str, tuple[int, int]]
    events: Counter[tuple[str, str]]


def count_all(stack: Stack) -> Totals:
    """As the operator counts it."""
    counted = text(
        """
        SELECT CASE WHEN reporter_id IS NOT NULL THEN 'reporters (melders)'
                    WHEN municipality_code IS NOT NULL THEN 'municipalities (regievoerders)'
                    WHEN coordinator_oin IS NOT NULL THEN 'coordinators of institutions (coördinatoren)'
                    ELSE 'named officers (aangewezen functionarissen)' END AS whose, count(*) AS notices,
               count(DISTINCT (reporter_id, municipality_code, coordinator_oin, officer_oin)) AS inboxes
        FROM notice GROUP BY whose ORDER BY notices DESC
        """
    )
    told = {row.whose: (row.inboxes, row.notices) for row in _as_owner(stack, counted)}
    return Totals(told, count_events(stack))


def nothing_waits(stack: Stack, now: datetime) -> bool:
    """Whether the matcher has no work, every webhook is delivered and every mail sent but digests whose time has not
    come. Work that was parked counts as waiting."""
    waiting = text(
        """
        SELECT EXISTS (SELECT FROM work) OR EXISTS (SELECT FROM delivery WHERE delivered_at IS NULL)
            OR EXISTS (SELECT FROM mail WHERE sent_at IS NULL AND refused_at IS NULL)
            OR EXISTS (SELECT FROM mail_wanted WHERE NOT digest OR due_at <= :now) AS waiting
        """
    ).bindparams(now=now)
    return not _as_owner(stack, waiting)[0].waiting


def _as_owner(stack: Stack, statement: Any) -> list[Any]:
    pool = database.engine(SecretStr(stack.environment["VERWIJSINDEX_OWNER_DATABASE_URL"]), pool_size=1)
    try:
        with database.transaction(pool) as connection:
            return list(connection.execute(statement).all())
    finally:
        pool.dispose()
