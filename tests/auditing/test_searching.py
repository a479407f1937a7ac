# SPDX-License-Identifier: EUPL-1.2
"""A privacy officer searches the ledger: what is found, for whom, and what the ledger says of it (R25, R28, R33)."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from support import CLINIC, DORDRECHT, OPERATOR, POLICE, SCHOOL, STEIN, WESTERVELD, Answer, Index


def ask(index: Index, of: str = SCHOOL, **criteria: Any) -> Answer:
    """Search as the privacy officer of one of the scopes."""
    body = {"purpose": "incident"} | criteria
    return index.http.post("/api/v1/ledger-searches", json=body, headers=index.privacy_officer(of))  # type: ignore[return-value]


def events_in(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(base64.b64decode(item["event"])) for item in answer.json["items"]]


def found(index: Index, of: str = SCHOOL, **criteria: Any) -> list[str]:
    """The kinds of the events found, but for the searches themselves."""
    return kinds(events_in(ask(index, of, **criteria)))


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events if event["kind"] != "ledger.searched"]


@pytest.fixture
def matched(index: Index) -> Index:
    """The school's and the clinic's first reporters signalled the same youngster; the school's read its match."""
    index.place(0, SCHOOL)
    index.clock.move(minutes=1)
    index.place(0, CLINIC)
    index.clock.move(minutes=1)
    index.match()
    index.clock.move(minutes=1)
    [match] = index.get("/matches", index.reader(SCHOOL)).json["items"]
    index.get(f"/matches/{match['id']}", index.reader(SCHOOL))
    return index


def test_each_scope_finds_its_own_and_nothing_of_another(matched: Index) -> None:
    """I8, R33. What the school did and what it was told; never that the clinic signalled or read."""
    told = ["notice.placed", "party.joined", "signal.registered"]
    assert sorted(found(matched, CLINIC)) == ["lead.proposed", *told]
    assert sorted(found(matched)) == ["match.read", "matches.listed", *told]
    assert found(matched, POLICE) == []
    assert found(matched, WESTERVELD) == ["notice.placed"]
    assert found(matched, DORDRECHT) == found(matched, STEIN) == []
    everything = found(matched, OPERATOR, limit=200)
    assert everything.count("signal.registered") == 2
    assert everything.count("notice.placed") == 3
    assert "registry.changed" in everything
