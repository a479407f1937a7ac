# SPDX-License-Identifier: EUPL-1.2
"""What a match shows besides contact data: by which handle each contact is named, where its follow-up stands, and whom
to call when a child is in danger now (R10, R12, R21, R22, R36)."""

from hashlib import sha256
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from matching import life
from support import ADMINISTRATOR, CLINIC, DORDRECHT, POLICE, SCHOOL, WESTERVELD, Index

from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import ContactPointEntry

Headers = dict[str, str]


def _matches(index: Index, reader: Headers) -> list[dict[str, Any]]:
    """All matches of this reader, whole."""
    listed = index.get("/matches", reader).json["items"]
    return [dict(index.get(f"/matches/{one['id']}", reader).json) for one in listed]


def _handles(match: dict[str, Any]) -> dict[str, str]:
    """Of each contact in it, by who is called."""
    return {
        party.get("name") or ", ".join(one["name"] for one in party["standIns"]): party["contact"]
        for party in match["parties"]
    }


def _lead(index: Index, match: dict[str, Any], reader: Headers, **answer: str) -> None:
    done = index.act(f"/matches/{match['id']}/lead-answer", answer, reader)
    assert done.status_code == 201, done.text


def test_a_match_shows_where_its_follow_up_stands_and_which_contact_leads(index: Index) -> None:
    """To the parties, and to the supervisor, who may do nothing."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [match] = _matches(index, index.reader(CLINIC))
    assert (match["followUp"]["state"], match["followUp"]["lead"]["you"]) == ("seen", True)
    _lead(index, match, index.reader(CLINIC), answer="accept")
    [schools] = _matches(index, index.reader(SCHOOL))
    handle = _handles(schools)["De Linde 0"]
    follow_up = schools["followUp"]
    assert follow_up["lead"] == {"state": "accepted", "you": False, "contact": handle, "reason": "only_candidate"}
    assert follow_up["possible"] == ["record_contact", "close_at_once"]
    [supervisors] = _matches(index, index.supervisor())
    assert supervisors["followUp"] == follow_up | {"possible": []}
    assert _handles(supervisors)["De Linde 0"] == handle
    shown = index.get(f"/matches/{match['id']}/follow-up", index.reader(SCHOOL)).json
    del shown["inDangerNow"]
    assert shown == follow_up


def test_no_handle_is_found_again_in_another_match(index: Index) -> None:
    """R10: by it nobody sees that two matches are of siblings, of one youngster, or of nobody alike. Seen failing when
    the handle was made without the match."""
    index.allow_parents(SCHOOL, CLINIC)
    for youngster in (0, 1):
        for oin in (SCHOOL, CLINIC):
            life.give_parents(index, index.place(youngster, oin), 1, 2)
    index.place(2, SCHOOL)
    index.place(2, CLINIC)
    index.match()
    for reader in (index.reader(SCHOOL), index.reader(CLINIC), index.supervisor()):
        matches = _matches(index, reader)
        assert sorted(one["kind"] for one in matches) == ["family"] * 2 + ["youngster"] * 3
        handles = [handle for match in matches for handle in _handles(match).values()]
        assert len(set(handles)) == len(handles)


def test_who_knows_all_reporters_cannot_tell_whose_handle_it_is(index: Index) -> None:
    """R36: a colleague's machine has the ids of all who may be behind the officer. Seen failing when the handle was
    made without the youngster's id, which nobody is told."""
    index.place(0, SCHOOL)
    life.shield(index, index.place(0, CLINIC))
    index.match()
    [match] = _matches(index, index.reader(SCHOOL))
    known = [match["id"], CLINIC, "named_officer", "reporter", *map(str, index.reporters[CLINIC])]
    for length in range(1, 5):
        for parts in permutations(known, length):
            assert UUID(bytes=sha256(" ".join(parts).encode()).digest()[:16]) != UUID(match["parties"][0]["contact"])


def test_behind_an_officer_nobody_is_counted_or_recognised(index: Index) -> None:
    """R36: two who are shielded have one handle, whoever of them leads; and it is not that of who stood there openly
    before. Seen failing when the handle was of the reporter."""
    index.place(0, SCHOOL)
    for n in (0, 1):
        index.place(0, CLINIC, n)
    index.match()
    [match] = _matches(index, index.reader(SCHOOL))
    openly = _handles(match)
    assert set(openly) == {"De Linde 0", "De Linde 1"}
    for n in (0, 1):
        life.shield(index, index.place(0, CLINIC, n))
    index.match()
    [match] = _matches(index, index.reader(SCHOOL))
    assert list(_handles(match)) == ["Functionaris De Linde"]
    [handle] = _handles(match).values()
    assert handle not in openly.values()
    assert match["followUp"]["lead"]["contact"] == handle
    _lead(index, match, index.officer(CLINIC), answer="decline", reason="no_capacity")
    index.match()
    [match] = _matches(index, index.reader(SCHOOL))
    assert match["followUp"]["lead"]["reason"] == "nobody_to_propose", "the officer answered for both"
    _lead(index, match, index.officer(CLINIC), answer="accept")
    for n in (0, 1):
        with index.database.superuser.begin() as connection:
            connection.execute(sa.text("DELETE FROM lead WHERE state <> 'accepted'"))
            leads = {"reporter": index.reporters[CLINIC][n]}
            connection.execute(sa.text("UPDATE lead SET reporter_id = :reporter"), leads)
        [match] = _matches(index, index.reader(SCHOOL))
        assert (match["followUp"]["lead"]["contact"], _handles(match)) == (handle, {"Functionaris De Linde": handle})


def test_a_lead_is_handed_to_who_stands_in_and_handed_back(index: Index) -> None:
    """R36: the officer answers for who is behind."""
    index.place(0, POLICE)
    life.shield(index, index.place(0, SCHOOL))
    index.place(0, CLINIC)
    index.match()
    [match] = _matches(index, index.reader(CLINIC))
    _lead(index, match, index.reader(CLINIC), answer="accept")
    officer = _handles(match)["Functionaris Het Kompas"]
    path = f"/matches/{match['id']}/lead-handover"
    asked = index.act(path, {"to": officer}, index.reader(CLINIC))
    assert asked.json["lead"]["contact"] == officer
    [officers] = _matches(index, index.officer(SCHOOL))
    assert officers["followUp"]["lead"]["you"]
    _lead(index, match, index.officer(SCHOOL), answer="accept")
    back = index.act(path, {"to": _handles(officers)["De Linde 0"]}, index.officer(SCHOOL))
    assert (back.status_code, back.json["lead"]["you"]) == (201, False)
    _lead(index, match, index.reader(CLINIC), answer="accept")


def _lines(index: Index) -> None:
    for code in (WESTERVELD, DORDRECHT):
        entry = ContactPointEntry(municipality_code=code, kind="crisis_line", name=f"Crisis {code}", telephone=code)
        with index.database.engine("registrar").begin() as connection:
            registry.set_contact_point(connection, ADMINISTRATOR, index.clock(), entry)


NATIONAL = ["112", "0800-2000"]


def _called(answer: Any) -> list[str]:
    assert answer.status_code in (200, 201), answer.text
    return [one["telephone"] for one in answer.json["inDangerNow"]]


@pytest.mark.parametrize("kind", ["youngster", "family"])
def test_every_answer_about_a_match_says_where_to_call(index: Index, kind: str) -> None:
    """R12: the national numbers, and the crisis lines of the own youngster's residences: never of a sibling's (R10)."""
    _lines(index)
    school = index.place(0, SCHOOL)
    clinic = index.place(int(kind == "family"), CLINIC, residenceMunicipality=DORDRECHT)
    if kind == "family":
        for signal in (school, clinic):
            life.give_parents(index, signal, 1)
    index.match()
    reader, wanted = (
        index.reader(SCHOOL),
        [*NATIONAL, WESTERVELD] if kind == "family" else [*NATIONAL, DORDRECHT, WESTERVELD],
    )
    [match] = _matches(index, reader)
    [notice] = index.get("/notices", reader).json["items"]
    for path in (f"/matches/{match['id']}", f"/matches/{match['id']}/follow-up", f"/notices/{notice['id']}"):
        assert _called(index.get(path, reader)) == wanted
    close = {"outcome": "already_together"}
    assert _called(index.act(f"/matches/{match['id']}/closing", close, reader)) == wanted
    life.end(index, clinic)
    assert _called(index.get(f"/notices/{notice['id']}", reader)) == NATIONAL  # of a match that is not there any more


def test_an_archive_notice_says_where_to_call(index: Index) -> None:
    """R12, R17: of where the youngster lives now."""
    _lines(index)
    life.end(index, index.place(0, CLINIC, residenceMunicipality=DORDRECHT))
    index.match()
    index.place(0, SCHOOL)
    index.match()
    reader = index.reader(SCHOOL)
    [notice] = index.get("/notices", reader).json["items"]
    assert notice["kind"] == "archive"
    for path in (f"/notices/{notice['id']}", f"/archived-signals/{notice['archivedSignal']}"):
        assert _called(index.get(path, reader)) == [*NATIONAL, WESTERVELD]
