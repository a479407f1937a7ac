# SPDX-License-Identifier: EUPL-1.2
"""Rounds and leads that the matcher keeps (R21, R22)."""

from matching import life
from support import CLINIC, POLICE, SCHOOL, Index, parents

_ROUNDS = (
    "SELECT m.kind, r.number, r.state FROM round r JOIN match m ON m.id = r.match_id ORDER BY r.began_at, r.number"
)
_LEADS = (
    "SELECT r.oin, l.state, l.reason FROM lead l LEFT JOIN reporter r ON r.id = l.reporter_id ORDER BY l.proposed_at"
)


def _rows(index: Index, statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in index.database.rows(statement)]


def test_a_match_has_a_round_and_a_proposal_and_a_new_party_begins_another(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    assert _rows(index, _ROUNDS) == [("youngster", 1, "notified")]
    assert _rows(index, _LEADS) == [(CLINIC, "proposed", "only_candidate")]
    index.place(0, POLICE)
    index.match()
    assert _rows(index, _ROUNDS) == [("youngster", 1, "renewed"), ("youngster", 2, "notified")]
    assert _rows(index, _LEADS) == [(CLINIC, "proposed", "only_candidate")]


def test_one_lead_for_a_family_and_another_is_proposed_when_it_goes(index: Index) -> None:
    """The clinic's reporter is on one sibling, the other clinic's on the other: the same is asked in both matches."""
    index.allow_parents(SCHOOL, CLINIC, POLICE)
    index.place(0, CLINIC, parents=parents(0))
    index.place(1, SCHOOL, parents=parents(0))
    index.match()
    assert _rows(index, _ROUNDS) == [("family", 1, "notified")] * 2
    assert sorted(_rows(index, _LEADS)) == [
        (CLINIC, "proposed", "asked_already"),
        (CLINIC, "proposed", "only_candidate"),
    ]


def test_a_match_that_comes_back_goes_on_where_it_was(index: Index) -> None:
    """R30: lifting a restriction is told to nobody, also not by asking for the lead a second time; who led leads on.
    Seen failing (another round, another request) when the matcher knew nothing of the match that ended."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [match] = index.get("/matches", index.reader(CLINIC)).json["items"]
    today = index.clock().date().isoformat()
    index.act(f"/matches/{match['id']}/lead-answer", {"answer": "accept"}, index.reader(CLINIC))
    index.act(f"/matches/{match['id']}/contact", {"contactedOn": today}, index.reader(CLINIC))
    assert _rows(index, _ROUNDS) == [("youngster", 1, "lead_agreed")]
    for lift in (False, True):
        index.clock.move(minutes=1)
        life.restrict(index, signal, lift=lift)
        index.match()
    assert _rows(index, _ROUNDS) == [("youngster", 1, "lapsed"), ("youngster", 1, "lead_agreed")]
    assert _rows(index, _LEADS) == [(CLINIC, "accepted", "only_candidate")]
    assert index.database.scalar("SELECT count(*) FROM notice WHERE kind = 'lead'") == 0


def test_who_leads_at_the_end_of_a_chain_stays_when_something_happens_at_its_other_end(index: Index) -> None:
    """Half siblings: the first shares a parent with the second, the second with the third. What was declined on the
    third is no reason to take its lead away (the year, test_year, found that it was)."""
    index.allow_parents(SCHOOL, CLINIC, POLICE)
    index.place(0, SCHOOL, parents=parents(10))
    index.place(1, POLICE, parents=parents(10, 11))
    index.place(2, CLINIC, parents=parents(11))
    index.place(2, CLINIC, 1, parents=parents(11))
    index.match()
    for reader in (index.reader(CLINIC), index.reader(CLINIC, 1)):
        for match in index.get("/matches", reader).json["items"]:
            index.act(f"/matches/{match['id']}/lead-answer", {"answer": "decline"}, reader)
    index.match()
    without = (
        "SELECT m.id FROM match m WHERE m.ended_at IS NULL AND NOT EXISTS"
        " (SELECT FROM lead l WHERE l.match_id = m.id AND l.state IN ('proposed', 'accepted'))"
    )
    assert _rows(index, without) == []
    index.place(0, SCHOOL, 1, parents=parents(10))
    index.match()
    assert _rows(index, without) == []


def test_who_comes_to_lead_after_the_contact_can_go_on(index: Index) -> None:
    """The school leads the match of the youngster and so that of the family too, where contact was recorded before:
    as long as the round stayed `contacted`, nobody could say "coordinated" (seen)."""
    index.allow_parents(SCHOOL, CLINIC, POLICE)
    index.place(0, SCHOOL, parents=parents(10))
    index.place(0, CLINIC, parents=parents(10))
    index.place(1, POLICE, parents=parents(10))
    index.match()
    found = {one["kind"]: f"/matches/{one['id']}" for one in index.get("/matches", index.reader(CLINIC)).json["items"]}

    def act(kind: str, what: str, body: dict[str, str] | None, oin: str) -> None:
        answer = index.act(f"{found[kind]}/{what}", body, index.reader(oin))
        assert answer.status_code == 201, answer.text

    act("youngster", "lead-answer", {"answer": "accept"}, CLINIC)
    act("family", "lead-answer", {"answer": "decline"}, CLINIC)
    act("family", "contact", {"contactedOn": index.clock().date().isoformat()}, CLINIC)
    [school] = index.get(found["youngster"], index.reader(CLINIC)).json["parties"]
    act("youngster", "lead-handover", {"to": school["contact"]}, CLINIC)
    act("youngster", "lead-answer", {"answer": "accept"}, SCHOOL)
    index.match()
    act("family", "coordination", None, SCHOOL)
