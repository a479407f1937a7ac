# SPDX-License-Identifier: EUPL-1.2
"""Who is told of whom (R8, R9)."""

from datetime import timedelta

from support import CLINIC, DORDRECHT, POLICE, SCHOOL, STEIN, WESTERVELD, Index


def _inbox(index: Index, oin: str, n: int = 0) -> list[str]:
    answer = index.get("/notices", index.reader(oin, n))
    assert answer.status_code == 200, answer.text
    return [item["match"] for item in answer.json["items"] if item["kind"] == "match"]


def _supervision(index: Index, municipality: str) -> list[str]:
    return [item["match"] for item in index.get("/notices", index.supervisor(municipality)).json["items"]]


def test_a_second_reporter_makes_a_match_and_each_is_told_once(index: Index) -> None:
    index.place(0, SCHOOL)
    index.match()
    assert _inbox(index, SCHOOL) == []
    index.place(0, CLINIC, residenceMunicipality=DORDRECHT)
    index.match()
    [match] = _inbox(index, SCHOOL)
    assert _inbox(index, CLINIC) == [match]
    assert _supervision(index, WESTERVELD) == [match]
    assert _supervision(index, DORDRECHT) == [match]
    assert _supervision(index, STEIN) == []


def test_a_third_reporter_informs_all(index: Index) -> None:
    for oin in (SCHOOL, CLINIC, POLICE):
        index.place(0, oin)
        index.match()
    assert len(_inbox(index, SCHOOL)) == 2
    assert len(_inbox(index, CLINIC)) == 2
    assert len(_inbox(index, POLICE)) == 1
    assert len(_supervision(index, WESTERVELD)) == 2


def test_newcomers_between_two_runs_share_one_notice(index: Index) -> None:
    for oin in (SCHOOL, CLINIC, POLICE):
        index.place(0, oin)
    index.match()
    for oin in (SCHOOL, CLINIC, POLICE):
        assert len(_inbox(index, oin)) == 1


def test_a_second_signal_of_the_same_reporter_makes_no_match_and_no_notice(index: Index) -> None:
    """R9, I3. Seen failing (told twice) when who was told was not remembered."""
    index.place(0, SCHOOL)
    index.place(0, SCHOOL)
    index.match()
    assert _inbox(index, SCHOOL) == []
    index.place(0, CLINIC)
    index.match()
    index.place(0, CLINIC)
    index.match()
    assert len(_inbox(index, SCHOOL)) == len(_inbox(index, CLINIC)) == 1


def test_two_reporters_of_one_institution_do_match(index: Index) -> None:
    index.place(0, SCHOOL, 0)
    index.place(0, SCHOOL, 1)
    index.match()
    assert len(_inbox(index, SCHOOL, 0)) == len(_inbox(index, SCHOOL, 1)) == 1


def test_a_municipality_that_comes_in_later_is_told_alone(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.place(0, CLINIC, residenceMunicipality=STEIN)
    index.match()
    assert len(_supervision(index, STEIN)) == 1
    assert len(_supervision(index, WESTERVELD)) == 1
    assert len(_inbox(index, SCHOOL)) == len(_inbox(index, CLINIC)) == 1


def test_other_youngsters_do_not_match(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(1, CLINIC)
    index.match()
    assert _inbox(index, SCHOOL) == _inbox(index, CLINIC) == []


def test_a_match_shows_whom_to_call_and_the_own_case_reference_only(index: Index) -> None:
    index.place(0, SCHOOL, caseReference="school-1")
    index.place(0, CLINIC, caseReference="clinic-1")
    index.match()
    [match] = _inbox(index, SCHOOL)
    answer = index.get(f"/matches/{match}", index.reader(SCHOOL))
    assert answer.status_code == 200, answer.text
    assert [party["institution"] for party in answer.json["parties"]] == ["De Linde"]
    assert [c["name"] for c in answer.json["parties"][0]["coordinators"]] == ["Coördinator De Linde"]
    assert answer.json["ownCaseReferences"] == ["school-1"]
    assert [point["municipality"] for point in answer.json["contactPoints"]] == [WESTERVELD]
    seen = index.get(f"/matches/{match}", index.supervisor())
    assert {party["institution"] for party in seen.json["parties"]} == {"De Linde", "Het Kompas"}
    assert seen.json["ownCaseReferences"] == []


def test_an_expired_signal_is_gone_from_every_view_before_any_worker_has_run(index: Index) -> None:
    """I6. Seen failing when `removal_date > scope_today()` was taken out of `visible_parties`."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [match] = _inbox(index, SCHOOL)
    index.clock.move(days=731)
    assert index.get("/signals", index.reader(SCHOOL)).json["items"] == []
    assert index.get("/matches", index.reader(SCHOOL)).json["items"] == []
    assert index.get(f"/matches/{match}", index.reader(SCHOOL)).status_code == 404
    assert index.get(f"/matches/{match}", index.supervisor()).status_code == 404
    assert _inbox(index, SCHOOL) == [match]  # old lines stay as ids


def test_who_ended_and_signals_again_is_a_new_party_and_all_are_told_again(index: Index) -> None:
    """Also when no work came between: seen failing (nobody was told) when the matcher attached new signals before it
    ended what had ended."""
    soon = (index.clock().date() + timedelta(days=5)).isoformat()
    index.place(0, SCHOOL, turns23On=soon, removalDate=soon)
    for oin in (CLINIC, POLICE):
        index.place(0, oin)
    index.match()
    index.clock.move(days=5)
    index.place(0, SCHOOL)
    index.match()
    assert {len(_inbox(index, oin)) for oin in (SCHOOL, CLINIC, POLICE)} == {2}
    assert len(set(_inbox(index, CLINIC))) == 1  # two stayed: it is the same match
    assert len(_supervision(index, WESTERVELD)) == 2


def test_a_match_that_was_over_is_another_match_when_both_signal_again(index: Index) -> None:
    for _ in range(2):
        index.place(0, SCHOOL)
        index.place(0, CLINIC)
        index.match()
        index.clock.move(days=800)
    index.clock.move(days=-100)
    assert len(set(_inbox(index, SCHOOL))) == len(set(_inbox(index, CLINIC))) == 2
    assert len(index.get("/matches", index.reader(CLINIC)).json["items"]) == 1
    assert index.database.scalar("SELECT count(*) FROM match WHERE ended_at IS NULL") == 1


def test_a_signal_that_goes_on_before_the_old_one_ends_tells_nobody(index: Index) -> None:
    """Also when the matcher looks only after the old one has ended: it is as of the day on which the new one came."""
    soon = (index.clock().date() + timedelta(days=5)).isoformat()
    index.place(0, SCHOOL, turns23On=soon, removalDate=soon)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(days=4)
    index.place(0, SCHOOL)
    index.clock.move(days=3)
    index.match()
    assert len(_inbox(index, SCHOOL)) == len(_inbox(index, CLINIC)) == 1
    assert len(index.get("/matches", index.reader()).json["items"]) == 1
