# SPDX-License-Identifier: EUPL-1.2
"""The event of each notice says to whom it went, and that is what the inboxes hold (R25, R31)."""

import json
from collections import Counter

from notices.test_coordinators_told import miss
from support import CLINIC, SCHOOL, WESTERVELD, Index

_INBOXES = "SELECT id, reporter_id, municipality_code, officer_oin, coordinator_oin FROM notice"
_SAID = "SELECT convert_from(body, 'UTF8') AS body FROM event WHERE kind = 'notice.placed'"
RECIPIENTS = ("reporter", "municipality", "officersOf", "coordinatorsOf")


def test_the_event_of_a_notice_says_in_whose_inbox_it_is(index: Index) -> None:
    """A reporter's, a supervision's, that of named officers, that of coordinators. Seen failing (nobody was said) for
    the officers, whose notices named no recipient at all."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC, shielded=True)
    index.match()
    miss(index)
    said = {}
    for row in index.database.rows(_SAID):
        body = json.loads(row.body)
        said[body["noticeId"]] = [(name, body[name]) for name in RECIPIENTS if name in body]
    inboxes = {
        str(row.id): [(name, str(one)) for name, one in zip(RECIPIENTS, tuple(row)[1:], strict=True) if one]
        for row in index.database.rows(_INBOXES)
    }
    assert said == inboxes
    assert {recipient for [recipient] in said.values()} == {
        ("reporter", str(index.reporters[SCHOOL][0])),
        ("municipality", WESTERVELD),
        ("officersOf", CLINIC),
        ("coordinatorsOf", SCHOOL),
    }
    assert Counter(name for [(name, _)] in said.values())["officersOf"] > 1
