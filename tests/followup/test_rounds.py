# SPDX-License-Identifier: EUPL-1.2
"""Rounds and leads that the matcher keeps (R21, R22)."""

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
    assert _rows(index, _LEADS) == [(CLINIC, "proposed", "only_candidate"), (CLINIC, "proposed", "asked_already")]
