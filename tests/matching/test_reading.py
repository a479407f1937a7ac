# SPDX-License-Identifier: EUPL-1.2
"""What each reader sees of a match: whom to call, now, and nothing that tells of a sibling (R10, R12, R19, R30, R34,
R36, I6, I8)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from matching import life
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, STEIN, WESTERVELD, Index

from verwijsindex.database import Scope, transaction

Headers = dict[str, str]


def _matches(index: Index, reader: Headers) -> dict[str, str]:
    """Each match that the reader sees: id to kind."""
    answer = index.get("/matches", reader)
    assert answer.status_code == 200, answer.text
    return {item["id"]: item["kind"] for item in answer.json["items"]}


def _read(index: Index, reader: Headers, kind: str = "youngster") -> dict[str, Any]:
    """The one match of this kind that the reader sees."""
    [match] = [match for match, its_kind in _matches(index, reader).items() if its_kind == kind]
    answer = index.get(f"/matches/{match}", reader)
    assert answer.status_code == 200, answer.text
    assert answer.json["kind"] == kind
    found: dict[str, Any] = answer.json
    return found


def _called(match: dict[str, Any]) -> list[tuple[str, ...]]:
    """Of each party: who is shown, whom that is, and which youngster it concerns."""
    return [
        (party["shownAs"], party.get("name") or ", ".join(one["name"] for one in party["standIns"]))
        + ((party["concerns"],) if "concerns" in party else ())
        for party in match["parties"]
    ]


def _siblings(index: Index) -> tuple[UUID, UUID]:
    """The school's and the clinic's signals on two youngsters who share two parents."""
    school = index.place(0, SCHOOL, caseReference="school-1")
    clinic = index.place(1, CLINIC, residenceMunicipality=DORDRECHT)
    life.give_parents(index, school, 1, 2)
    life.give_parents(index, clinic, 1, 2)
    index.match()
    return school, clinic


def test_a_family_match_shows_whom_to_call_about_a_different_youngster(index: Index) -> None:
    """R10, R12: with the own case reference, and the contact points of the own youngster's residence."""
    school, _ = _siblings(index)
    seen = _read(index, index.reader(SCHOOL), "family")
    assert _called(seen) == [("reporter", "De Linde 0", "different_youngster")]
    assert [one["name"] for one in seen["parties"][0]["coordinators"]] == ["Coördinator De Linde"]
    assert [signal["id"] for signal in seen["ownSignals"]] == [str(school)]
    assert seen["ownCaseReferences"] == ["school-1"]
    assert [point["municipality"] for point in seen["contactPoints"]] == [WESTERVELD]
    clinics = _read(index, index.reader(CLINIC), "family")
    assert _called(clinics) == [("reporter", "Het Kompas 0", "different_youngster")]
    assert [point["municipality"] for point in clinics["contactPoints"]] == [DORDRECHT]
    assert seen["id"] != clinics["id"]  # each youngster its own: no id for the pair


def test_a_contact_on_many_siblings_is_one_contact(index: Index) -> None:
    """R10: neither siblings nor shared parents can be counted. Seen failing (the clinic stood there three times) when
    `visible_match` had a contact for each signal."""
    _siblings(index)
    alone = _read(index, index.reader(SCHOOL), "family")
    for youngster in (2, 3):
        life.give_parents(index, index.place(youngster, CLINIC), 1, 2)
    index.match()
    assert _read(index, index.reader(SCHOOL), "family") == alone


def test_a_contact_carries_both_marks_where_both_are_true(index: Index) -> None:
    """In either match: the clinic's reporter signalled this youngster and a sibling."""
    _siblings(index)
    index.place(0, CLINIC)
    index.place(0, POLICE)
    index.match()
    both = ("reporter", "De Linde 0", "both")
    assert _called(_read(index, index.reader(SCHOOL), "family")) == [both]
    assert _called(_read(index, index.reader(SCHOOL))) == [both, ("reporter", "Noord 0", "same_youngster")]


def test_one_reporter_alone_on_two_siblings_sees_no_family_match(index: Index) -> None:
    for youngster in (0, 1):
        life.give_parents(index, index.place(youngster, SCHOOL), 1)
    index.match()
    assert _matches(index, index.reader(SCHOOL)) == _matches(index, index.supervisor()) == {}


def test_pairs_do_not_chain(index: Index) -> None:
    """R10: half-siblings on both sides of a youngster are no siblings of each other."""
    for youngster, oin, parents in ((0, SCHOOL, [1]), (1, CLINIC, [1, 2]), (2, POLICE, [2])):
        life.give_parents(index, index.place(youngster, oin), *parents)
    index.match()
    assert _called(_read(index, index.reader(SCHOOL), "family")) == [("reporter", "De Linde 0", "different_youngster")]
    assert [name for _, name, _ in _called(_read(index, index.reader(CLINIC), "family"))] == ["Het Kompas 0", "Noord 0"]


def test_a_supervisor_sees_a_family_flat(index: Index) -> None:
    """R10, R19: contacts, and not who is on which side. Seen failing when they were marked as a party sees them."""
    _siblings(index)
    for municipality in (WESTERVELD, DORDRECHT):
        seen = _read(index, index.supervisor(municipality), "family")
        assert _called(seen) == [("reporter", "De Linde 0"), ("reporter", "Het Kompas 0")]
        assert (seen["ownSignals"], seen["ownCaseReferences"]) == ([], [])
    assert _matches(index, index.supervisor(STEIN)) == {}


def _expire(index: Index, _: object) -> None:
    index.clock.move(days=731)


ENDS: dict[str, Callable[[Index, UUID], None]] = {
    "withdrawn": life.end,
    "restricted": life.restrict,
    "dead": life.die,
    "expired": _expire,
}


@pytest.mark.parametrize("kind", ["youngster", "family"])
@pytest.mark.parametrize("ended", ENDS)
def test_what_ended_is_gone_from_every_view_at_that_moment(index: Index, kind: str, ended: str) -> None:
    """I6: no worker has run. Seen failing for each of the four when its condition was taken out of `placed_signals` or
    `live_signals`."""
    if kind == "family":
        school, _ = _siblings(index)
    else:
        school = index.place(0, SCHOOL)
        index.place(0, CLINIC, residenceMunicipality=DORDRECHT)
        index.match()
    readers = [index.reader(SCHOOL), index.reader(CLINIC), index.supervisor(), index.supervisor(DORDRECHT)]
    before = [list(_matches(index, reader)) for reader in readers]
    assert [len(matches) for matches in before] == [1, 1, 1, 1]
    ENDS[ended](index, school)
    readers = [index.reader(SCHOOL), index.reader(CLINIC), index.supervisor(), index.supervisor(DORDRECHT)]
    for reader, [match] in zip(readers, before, strict=True):
        assert _matches(index, reader) == {}
        assert index.get(f"/matches/{match}", reader).status_code == 404
    own = index.get(f"/signals/{school}", index.reader(SCHOOL)).status_code
    coordinators = index.get(f"/signals/{school}", index.coordinator(SCHOOL)).status_code
    listed = [item["id"] for item in index.get("/signals", index.reader(SCHOOL)).json["items"]]
    # The own list shows a restricted signal, and unmarked (R30).
    assert (own, coordinators, listed) == ((200, 200, [str(school)]) if ended == "restricted" else (404, 404, []))
    if ended == "restricted":
        life.restrict(index, school, lift=True)
        assert [list(_matches(index, reader)) for reader in readers] == before


def test_a_family_link_ends_with_the_signal_that_names_the_parent(index: Index) -> None:
    """R10: though both parties have other live signals, no worker has run, and the parents are still stored. Seen
    failing when a link counted by whatever signal, on either side."""
    school, _ = _siblings(index)
    index.place(0, SCHOOL)
    index.match()
    life.end(index, school)
    for reader in (index.reader(SCHOOL), index.reader(CLINIC), index.supervisor(), index.supervisor(DORDRECHT)):
        assert _matches(index, reader) == {}


def test_an_ended_party_is_gone_and_the_others_stay(index: Index) -> None:
    index.place(0, SCHOOL)
    clinic = index.place(0, CLINIC, residenceMunicipality=DORDRECHT)
    index.place(0, POLICE)
    index.match()
    life.end(index, clinic)
    assert _called(_read(index, index.reader(SCHOOL))) == [("reporter", "Noord 0", "same_youngster")]
    assert _matches(index, index.reader(CLINIC)) == _matches(index, index.supervisor(DORDRECHT)) == {}
    assert [name for _, name, _ in _called(_read(index, index.supervisor()))] == ["Het Kompas 0", "Noord 0"]


def _shielded(index: Index) -> None:
    """A match of the school with the clinic, whose one signal on the youngster is shielded and whose other is not."""
    index.place(0, SCHOOL, caseReference="school-1")
    life.shield(index, index.place(0, CLINIC, caseReference="clinic-1"))
    index.place(0, CLINIC)
    index.match()


def test_a_named_officer_stands_in_the_place_of_a_shielded_party(index: Index) -> None:
    """R36: as a whole, though the reporter has an open signal there too. Seen failing when `concerned` said of each
    signal for itself whether it is shielded, and when `seats` did not look who reads."""
    _shielded(index)
    others = _read(index, index.reader(SCHOOL))
    assert _called(others) == [("named_officer", "Functionaris De Linde", "same_youngster")]
    assert others["parties"][0] == {
        "contact": others["parties"][0]["contact"],
        "shownAs": "named_officer",
        "concerns": "same_youngster",
        "institution": "De Linde",
        "coordinators": [],
        "standIns": [{"name": "Functionaris De Linde", "telephone": "0612345678", "email": "someone@example.org"}],
    }
    assert _called(_read(index, index.supervisor())) == [
        ("named_officer", "Functionaris De Linde", "same_youngster"),
        ("reporter", "Het Kompas 0", "same_youngster"),
    ]
    assert _matches(index, index.reader(CLINIC)) == {}
    assert index.get("/notices", index.reader(CLINIC)).json["items"] == []
    officers = _read(index, index.officer(CLINIC))
    assert _called(officers) == [("reporter", "Het Kompas 0", "same_youngster")]
    assert {signal["reporterName"] for signal in officers["ownSignals"]} == {"De Linde 0"}
    assert officers["ownCaseReferences"] == []  # only who sent it gets it back (R6)
    [notice] = index.get("/notices", index.officer(CLINIC)).json["items"]
    assert notice["match"] == officers["id"]
    for nobody in (index.officer(SCHOOL), index.coordinator(CLINIC)):
        assert _matches(index, nobody) == {}
        assert index.get(f"/matches/{officers['id']}", nobody).status_code == 404
        assert index.get("/notices", nobody).json["items"] == []


def test_two_who_are_shielded_at_one_institution_are_one_contact(index: Index) -> None:
    index.place(0, SCHOOL)
    for n in (0, 1):
        life.shield(index, index.place(0, CLINIC, n))
    index.match()
    officer = ("named_officer", "Functionaris De Linde", "same_youngster")
    assert _called(_read(index, index.reader(SCHOOL))) == [officer]
    # The officer stands for each of the two, and so sees itself in the other's place.
    assert _called(_read(index, index.officer(CLINIC))) == [officer, ("reporter", "Het Kompas 0", "same_youngster")]


def test_shielded_on_one_youngster_and_open_on_a_sibling_are_two_contacts(index: Index) -> None:
    """Else the mark would tell whose the shielded signal is."""
    _, clinic = _siblings(index)
    life.shield(index, clinic)
    index.place(0, CLINIC)
    index.match()
    assert _called(_read(index, index.reader(SCHOOL))) == [("reporter", "De Linde 0", "same_youngster")]
    assert _called(_read(index, index.reader(SCHOOL), "family")) == [
        ("named_officer", "Functionaris De Linde", "different_youngster")
    ]


def test_a_coordinator_stands_in_the_place_of_a_reporter_who_left(index: Index) -> None:
    """R34: reads the inbox and the match, and is shown as the contact. Seen failing when `stands_for` took every
    reporter of the institution, and when a case reference went to who stands in."""
    index.place(0, SCHOOL, caseReference="school-1")
    clinic = index.place(0, CLINIC)
    index.match()
    assert _matches(index, index.coordinator(SCHOOL)) == {}
    life.leave(index, index.reporters[SCHOOL][0])
    assert index.get("/matches", index.reader(SCHOOL)).status_code == 403
    for reader in (index.reader(CLINIC), index.supervisor()):
        assert ("coordinator", "Coördinator Het Kompas", "same_youngster") in _called(_read(index, reader))
        assert "Het Kompas 0" not in str(_read(index, reader))
    seen = _read(index, index.coordinator(SCHOOL))
    assert _called(seen) == [("reporter", "De Linde 0", "same_youngster")]
    assert [signal["reporterName"] for signal in seen["ownSignals"]] == ["Het Kompas 0"]
    assert seen["ownCaseReferences"] == []
    [notice] = index.get("/notices", index.coordinator(SCHOOL)).json["items"]
    assert (notice["match"], notice["reporter"]) == (seen["id"], str(index.reporters[SCHOOL][0]))
    for nobody in (index.coordinator(CLINIC), index.coordinator(POLICE), index.officer(SCHOOL)):
        assert _matches(index, nobody) == {}
        assert index.get(f"/matches/{seen['id']}", nobody).status_code == 404
        assert index.get("/notices", nobody).json["items"] == []
    life.end(index, clinic)
    assert _matches(index, index.coordinator(SCHOOL)) == {}


def test_of_a_person_with_an_own_agreement_the_access_team_stands_in(index: Index) -> None:
    """R2: no institution and no coordinator are shown; whoever left is reached at the access team alone."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC, residenceMunicipality=DORDRECHT)
    index.match()
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("DELETE FROM coordinator WHERE oin = :oin"), {"oin": CLINIC})
        connection.execute(
            sa.text("UPDATE institution SET category_code = 'general_practitioner' WHERE oin = :oin"), {"oin": CLINIC}
        )
    team = [{"name": "Toegangsteam Westerveld", "telephone": "14 0521"}]  # it contracted, wherever the youngster lives
    [party] = _read(index, index.reader(SCHOOL))["parties"]
    assert "institution" not in party
    assert (party["shownAs"], party["name"], party["coordinators"], party["standIns"]) == (
        *("reporter", "De Linde 0"),
        *([], team),
    )
    life.leave(index, index.reporters[CLINIC][0])
    [party] = _read(index, index.reader(SCHOOL))["parties"]
    del party["contact"]
    assert party == {"shownAs": "access_team", "concerns": "same_youngster", "coordinators": [], "standIns": team}


def test_contact_data_is_as_it_is_when_it_is_read(index: Index) -> None:
    """R12: of coordinators and officers past their last day nothing. Seen failing without a look at the last day."""
    _shielded(index)
    index.place(0, POLICE)
    index.match()
    with index.database.superuser.begin() as connection:
        for table in ("coordinator", "named_officer"):
            yesterday = index.clock().date() - timedelta(days=1)
            connection.execute(sa.text(f"UPDATE {table} SET last_day = :day"), {"day": yesterday})
        connection.exec_driver_sql("UPDATE reporter SET telephone = '0699999999'")
    clinic, police = _read(index, index.reader(SCHOOL))["parties"]
    assert (clinic["shownAs"], clinic["standIns"]) == ("named_officer", [])
    assert (police["telephone"], police["coordinators"]) == ("0699999999", [])


@pytest.mark.parametrize("what", ["shielded", "left", "on a sibling"])
def test_the_database_gives_no_row_of_who_is_not_to_be_selected(index: Index, what: str) -> None:
    """I8: contact data comes from its functions alone, which name no reporter in whose place another stands."""
    if what == "on a sibling":
        _siblings(index)
    else:
        index.place(0, SCHOOL)
        clinic = index.place(0, CLINIC)
        (life.shield(index, clinic) if what == "shielded" else life.leave(index, index.reporters[CLINIC][0]))
        index.match()
    scope = Scope(index.clock().date(), SCHOOL, index.reporters[SCHOOL][0])
    rows = sa.text("SELECT oin FROM reporter UNION ALL SELECT oin FROM coordinator")
    with transaction(index.database.engine("index"), scope) as connection:
        seen = set(connection.execute(rows).scalars())
        [match] = connection.execute(sa.text("SELECT id FROM visible_matches(NULL, NULL, NULL, 9)")).scalars()
        [contacts] = connection.execute(sa.text("SELECT contacts FROM visible_match(:id)"), {"id": match}).scalars()
    assert len(contacts) == 1
    assert str(index.reporters[CLINIC][0]) not in str(contacts)
    assert seen == ({SCHOOL, CLINIC} if what == "left" else {SCHOOL})  # who left: for the version before


def test_the_version_before_sees_what_it_knows(index: Index) -> None:
    """It reads the tables, and would fail on a family match or a notice of another kind. Seen failing without the kind
    in `visible_parties`, and in the policy on `notice`."""
    _siblings(index)
    index.place(0, CLINIC, 1)
    police = index.place(0, POLICE)
    index.match()
    life.end(index, police)
    index.match()
    scope = Scope(index.clock().date(), SCHOOL, index.reporters[SCHOOL][0])
    everything = index.database.rows("SELECT DISTINCT kind FROM notice UNION SELECT kind FROM match")
    assert {str(row[0]) for row in everything} == {"match", "party_withdrew", "youngster", "family"}
    for reads in (scope, Scope(index.clock().date(), municipality=WESTERVELD)):
        with transaction(index.database.engine("index"), reads) as connection:
            assert set(connection.execute(sa.text("SELECT kind FROM match")).scalars()) == {"youngster"}
            assert set(connection.execute(sa.text("SELECT kind FROM notice")).scalars()) == {"match"}


def _in_person(index: Index) -> None:
    """The clinic is a person with agreements of its own: the older with Westerveld, others with Dordrecht and Stein."""
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("DELETE FROM coordinator WHERE oin = :oin"), {"oin": CLINIC})
        person = "UPDATE institution SET category_code = 'general_practitioner' WHERE oin = :oin"
        connection.execute(sa.text(person), {"oin": CLINIC})
        other = "INSERT INTO agreement (id, oin, municipality_code, valid_from, valid_until)"
        other += " SELECT gen_random_uuid(), oin, m, valid_from, valid_until"
        other += " FROM agreement, unnest(CAST(:others AS text[])) m"
        connection.execute(sa.text(f"{other} WHERE oin = :oin"), {"oin": CLINIC, "others": [DORDRECHT, STEIN]})
        older = "UPDATE agreement SET valid_from = valid_from - 9 WHERE oin = :oin AND municipality_code = :code"
        connection.execute(sa.text(older), {"oin": CLINIC, "code": WESTERVELD})


def _teams(match: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(one.get("concerns", ""), [team["name"] for team in one["standIns"]]) for one in match["parties"]]


def test_the_access_team_of_a_person_tells_nothing_of_siblings(index: Index) -> None:
    """R2, R10: on one's own youngster the teams of the agreements there, and of who is on siblings alone one, however
    many there are. Seen failing (two teams, of two siblings) when `visible_match` read the agreements of all
    signals together."""
    _in_person(index)
    mine = index.place(0, SCHOOL)
    theirs = [index.place(1, CLINIC, residenceMunicipality=DORDRECHT), index.place(2, CLINIC)]
    for signal in (mine, *theirs):
        life.give_parents(index, signal, 1)
    index.match()
    assert _teams(_read(index, index.reader(SCHOOL), "family")) == [
        ("different_youngster", ["Toegangsteam Westerveld"])
    ]
    index.place(0, CLINIC, residenceMunicipality=STEIN)
    index.match()
    for kind in ("youngster", "family"):
        assert _teams(_read(index, index.reader(SCHOOL), kind)) == [("both", ["Toegangsteam Stein"])]
