# SPDX-License-Identifier: EUPL-1.2
"""Who is told nothing, and who is told although alone (R24, R30, R33, R34, R36; docs/rules.md, Telling)."""

import sqlalchemy as sa
from matching import life
from support import CLINIC, DORDRECHT, SCHOOL, STEIN, Index, parents


def _told(index: Index, headers: dict[str, str]) -> list[str]:
    return [item["kind"] for item in index.get("/notices", headers).json["items"]]


def test_a_handover_in_a_match_of_two_is_not_told_to_supervisors(index: Index) -> None:
    """R34: the other party and the receiver are told once. With one party left the match ends and another begins. Seen
    failing (the supervisors had two notices) when a new match had nobody who was told."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    index.clock.move(minutes=1)
    body = {"to": str(index.reporters[SCHOOL][1])}
    assert index.act(f"/signals/{signal}/handover", body, index.coordinator()).status_code == 201
    index.match()
    assert _told(index, index.reader(CLINIC)) == ["match", "match"]
    assert _told(index, index.reader(SCHOOL, 1)) == ["match"]
    assert _told(index, index.supervisor()) == ["match"]


def test_a_move_that_all_know_already_is_told_to_nobody(index: Index) -> None:
    """R24: so that nobody can be told the same five times. Seen failing (two notices) when every move was told."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    for _ in range(2):
        index.clock.move(minutes=1)
        body = {"residenceMunicipality": DORDRECHT}
        assert index.act(f"/signals/{signal}/move", body, index.reader(SCHOOL)).status_code == 201
        index.match()
    assert _told(index, index.reader(CLINIC)) == ["move", "match"]


def test_lifting_in_a_match_of_two_is_told_to_nobody(index: Index) -> None:
    """R30: nor to supervisors, whose municipality was the residence all the time. Seen failing as the handover."""
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    for lift in (False, True):
        life.restrict(index, signal, lift=lift)
        index.match()
        index.clock.move(minutes=1)
    assert index.database.scalar("SELECT count(*) FROM match") == 2
    for reader in (index.reader(SCHOOL), index.reader(CLINIC), index.supervisor()):
        assert _told(index, reader) == ["match"]


def test_a_link_that_goes_and_comes_back_is_told_to_nobody(index: Index) -> None:
    """R10: nor to supervisors. Seen failing as the handover. Who withdraws from what came back is told of once."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, SCHOOL, parents=parents(1))
    signals = [index.place(1, CLINIC, residenceMunicipality=DORDRECHT)]
    for _ in range(3):
        signals.append(index.place(1, CLINIC, parents=parents(1), residenceMunicipality=DORDRECHT))
        index.match()
        index.clock.move(minutes=1)
        if len(signals) < 4:
            life.end(index, signals.pop(), "unjustified")
            index.match()
            index.clock.move(minutes=1)
    readers = [index.reader(SCHOOL), index.reader(CLINIC), index.supervisor(), index.supervisor(DORDRECHT)]
    assert [_told(index, reader) for reader in readers] == [["match"]] * 4
    for signal in signals:
        life.end(index, signal)
    index.match()
    withdrew = ["party_withdrew", "match"]
    assert [_told(index, reader) for reader in readers[:3]] == [withdrew, ["match"], withdrew]


def test_who_is_alone_on_a_youngster_is_told_of_a_move_by_its_supervisor(index: Index) -> None:
    """R24: by way of the family match. Seen failing (nobody was told) when a move was told on matches of youngsters
    alone."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, SCHOOL, parents=parents(1))
    index.place(1, CLINIC, parents=parents(1), residenceMunicipality=DORDRECHT)
    index.match()
    [match] = index.get("/matches", index.supervisor()).json["items"]
    index.clock.move(minutes=1)
    moved = index.act(f"/matches/{match['id']}/move", {"residenceMunicipality": STEIN}, index.supervisor())
    assert moved.status_code == 201
    index.match()
    assert _told(index, index.reader(SCHOOL)) == ["move", "match"]
    assert _told(index, index.reader(CLINIC)) == ["match"]


def test_who_was_whose_sibling_is_forgotten_with_the_link(index: Index) -> None:
    """R10: as the parents are; else the archive would tell it for five years. Seen failing when an ended pair kept its
    youngsters."""
    index.allow_parents(SCHOOL, CLINIC)
    index.place(0, SCHOOL, parents=parents(1))
    brother = index.place(1, CLINIC, parents=parents(1))
    index.match()
    life.end(index, brother)
    index.match()
    assert index.database.scalar("SELECT count(*) FROM archived_signal") == 1
    [pair] = index.database.rows("SELECT youngster_id, sibling_id, ended_at IS NULL AS is_open FROM family_match")
    assert tuple(pair) == (None, None, False)


def test_nothing_is_pushed_of_what_goes_to_the_named_officer(index: Index) -> None:
    """R33, R36: an event whose subject is no reporter would tell an institution's machines that something is shielded.
    Seen failing (its subject was "None") when the officer's notices had deliveries."""
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO subscription (client_id, oin, address, key_version, secret_sealed, created_at, id, state,"
                " confirmed_address, secret_number, challenge_attempts, failures) SELECT oin, oin, 'https://a.example',"
                " 1, '', now(), gen_random_uuid(), 'active', 'https://a.example', 1, 0, 0 FROM institution"
            )
        )
    index.place(0, SCHOOL, shielded=True)
    index.place(0, CLINIC)
    index.match()
    assert _told(index, index.officer(SCHOOL)) == _told(index, index.reader(CLINIC)) == ["match"]
    assert index.database.rows("SELECT client_id FROM delivery") == [(CLINIC,)]
