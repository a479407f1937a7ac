# SPDX-License-Identifier: EUPL-1.2
"""Searching as a privacy officer of the tests' index."""

import base64
import json
from typing import Any, cast

from support import SCHOOL, Answer, Index

Json = dict[str, Any]


def ask(index: Index, of: str = SCHOOL, **criteria: Any) -> Answer:
    """The answer to a search by the privacy officer of this scope."""
    body = {"purpose": "incident"} | criteria
    return cast(Answer, index.http.post("/api/v1/ledger-searches", json=body, headers=index.privacy_officer(of)))


def events_in(answer: Answer) -> list[Json]:
    """The events of a page, decoded."""
    assert answer.status_code == 200, answer.text
    return [json.loads(base64.b64decode(item["event"])) for item in answer.json["items"]]


def every(index: Index, of: str = SCHOOL, **criteria: Any) -> list[Json]:
    """All events that a search finds, page after page, but for those of searches."""
    asked, found = {"limit": 200} | criteria, []
    while True:
        answer = ask(index, of, **asked)
        found += events_in(answer)
        if "nextCursor" not in answer.json:
            return [event for event in found if event["kind"] != "ledger.searched"]
        asked["cursor"] = answer.json["nextCursor"]


def kinds(found: list[Json]) -> list[str]:
    """In order of the alphabet: events of one moment have none of their own."""
    return sorted(event["kind"] for event in found)
