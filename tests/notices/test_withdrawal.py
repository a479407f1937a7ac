# SPDX-License-Identifier: EUPL-1.2
"""Who was told that a party withdrew reads whom to ask about it (R37, R2, R12, R33, R36)."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from matching import life
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, Answer, Index

Headers = dict[str, str]
LINDE = {"telephone": "0612345678", "email": "someone@example.org"}
COORDINATOR = {
    "shownAs": "coordinator",
    "institution": "De Linde",
    "standIns": [{"name": "Coördinator De Linde", **LINDE}],
}
OFFICER = {
    "shownAs": "named_officer",
    "institution": "De Linde",
    "standIns": [{"name": "Functionaris De Linde", **LINDE}],
}


def _line(index: Index, reader: Headers) -> dict[str, Any]:
    """The one notice of a withdrawal in this inbox."""
    items = index.get("/notices", reader).json["items"]
    [line] = [item for item in items if item["kind"] == "party_withdrew"]
    found: dict[str, Any] = line
    return found


def _notice(index: Index, reader: Headers) -> Answer:
    return index.get(f"/notices/{_line(index, reader)['id']}", reader)


def _ask(index: Index, reader: Headers) -> Any:
    answer = _notice(index, reader)
    assert answer.status_code == 200, answer.text
    return answer.json["ask"]


def _withdrawn(index: Index, *oins: str, shielded: bool = False) -> None:
    """A match of the school with the first reporters of these institutions, who all withdraw in one run; the school's
    second reporter stays a party."""
    index.place(0, SCHOOL)
    index.place(0, SCHOOL, 1)
    others = [index.place(0, oin, n) for n, oin in enumerate(oins)]
    if shielded:
        life.shield(index, others[0])
    index.match()
    for signal in others:
        life.end(index, signal)
    index.match()


def test_who_was_told_reads_whom_to_ask(index: Index) -> None:
    """R37: while the match shows the party no more. The list and the link tell of no institution (R33)."""
    _withdrawn(index, CLINIC)
    for reader in (index.reader(SCHOOL), index.reader(SCHOOL, 1), index.supervisor()):
        line = _line(index, reader)
        assert set(line) == {"id", "kind", "placedAt", "match", "link"}
        assert line["link"] == f"/api/v1/notices/{line['id']}"
        answer = _notice(index, reader)
        numbers = answer.json["inDangerNow"]
        assert answer.json == line | {"ask": [COORDINATOR], "inDangerNow": numbers}
        assert [number["telephone"] for number in numbers] == ["112", "0800-2000"]
        assert "De Linde" not in index.get(f"/matches/{line['match']}", reader).text


def test_nobody_else_reads_it(index: Index) -> None:
    """I8: as if there were none. Seen failing when `inbox_notice` did not look whose notice it is."""
    _withdrawn(index, CLINIC)
    notice = _line(index, index.reader(SCHOOL))["id"]
    strangers = [index.reader(SCHOOL, 1), index.reader(CLINIC), index.reader(POLICE), index.supervisor()]
    strangers += [index.supervisor(DORDRECHT), index.coordinator(), index.coordinator(CLINIC), index.officer()]
    for stranger in strangers:
        answer, nothing = (index.get(f"/notices/{one}", stranger) for one in (notice, uuid4()))
        assert (answer.status_code, answer.data) == (404, nothing.data)
    assert index.get(f"/notices/{notice}", index.desk()).status_code == 403


def test_the_named_officer_reads_no_reporters_own_notices(index: Index) -> None:
    """R36: those of before the shield stay the reporter's. Seen failing when `inbox_notice` took all for whom the
    officer stands."""
    _withdrawn(index, CLINIC)
    notice = _line(index, index.reader(SCHOOL))["id"]
    own = "SELECT id FROM signal WHERE reporter_id = :reporter"
    life.shield(index, index.database.scalar(own, reporter=index.reporters[SCHOOL][0]))
    assert index.get(f"/notices/{notice}", index.officer(SCHOOL)).status_code == 404
    assert index.get(f"/notices/{notice}", index.reader(SCHOOL)).status_code == 200


def test_the_named_officer_is_asked_about_who_was_shielded(index: Index) -> None:
    """R36. Seen failing when `_WITHDREW` said that nobody was shielded."""
    _withdrawn(index, CLINIC, shielded=True)
    assert _ask(index, index.reader(SCHOOL)) == _ask(index, index.supervisor()) == [OFFICER]


def test_the_named_officer_of_who_is_shielded_reads_it(index: Index) -> None:
    life.shield(index, index.place(0, SCHOOL))
    clinic = index.place(0, CLINIC)
    index.match()
    life.end(index, clinic)
    index.match()
    assert _ask(index, index.officer(SCHOOL)) == [COORDINATOR]
    notice = _line(index, index.officer(SCHOOL))["id"]
    for nobody in (index.reader(SCHOOL), index.coordinator(SCHOOL), index.officer(CLINIC)):
        assert index.get(f"/notices/{notice}", nobody).status_code == 404


def test_the_coordinator_of_who_left_reads_it(index: Index) -> None:
    """R34: and is told whose it is."""
    _withdrawn(index, CLINIC)
    life.leave(index, index.reporters[SCHOOL][0])
    answer = _notice(index, index.coordinator(SCHOOL))
    assert (answer.json["reporter"], answer.json["ask"]) == (str(index.reporters[SCHOOL][0]), [COORDINATOR])


def test_of_a_person_with_an_own_agreement_the_access_team_is_asked(index: Index) -> None:
    """R2: of the municipality that contracted, and without the name of an institution."""
    with index.database.superuser.begin() as connection:
        category = "UPDATE institution SET category_code = 'general_practitioner' WHERE oin = :oin"
        connection.execute(sa.text(category), {"oin": CLINIC})
    _withdrawn(index, CLINIC)
    team = {"name": "Toegangsteam Westerveld", "telephone": "14 0521"}
    assert _ask(index, index.reader(SCHOOL)) == [{"shownAs": "access_team", "standIns": [team]}]


def test_parties_that_withdraw_together_are_one_notice(index: Index) -> None:
    """And whoever they were, and under which agreements, each institution once. Seen failing (two of De Linde) when
    `inbox_notice` did not group them, and (one institution) when `place` kept the first of a recipient only."""
    with index.database.superuser.begin() as connection:
        second = "INSERT INTO agreement (id, oin, municipality_code, valid_from, valid_until)"
        second += " SELECT gen_random_uuid(), oin, :other, valid_from, valid_until FROM agreement WHERE oin = :oin"
        connection.execute(sa.text(second), {"other": DORDRECHT, "oin": CLINIC})
    index.place(0, SCHOOL)
    others = [
        index.place(0, CLINIC),
        index.place(0, CLINIC, 1, residenceMunicipality=DORDRECHT),
        index.place(0, POLICE),
    ]
    index.match()
    for signal in others:
        life.end(index, signal)
    index.match()
    assert len(index.database.rows("SELECT DISTINCT agreement_id FROM notice_withdrawal")) == 3
    for reader in (index.reader(SCHOOL), index.supervisor()):
        asked = [(one["shownAs"], one["institution"]) for one in _ask(index, reader)]
        assert asked == [("coordinator", "De Linde"), ("coordinator", "Noord")]


def test_one_who_stood_on_two_siblings_is_asked_about_once(index: Index) -> None:
    """R10: a family's notice does not tell how many siblings there are."""
    signals = [index.place(0, SCHOOL), index.place(1, CLINIC), index.place(2, CLINIC)]
    for signal in signals:
        life.give_parents(index, signal, 1)
    index.match()
    for signal in signals[1:]:
        life.end(index, signal)
    index.match()
    assert _ask(index, index.reader(SCHOOL)) == [COORDINATOR]


def test_who_can_be_asked_is_looked_up_when_it_is_read(index: Index) -> None:
    """R12: nothing of a person is copied. Who is no coordinator any more is not shown."""
    _withdrawn(index, CLINIC)
    with index.database.superuser.begin() as connection:
        last = {"day": index.clock().date() - timedelta(days=1), "oin": CLINIC}
        connection.execute(sa.text("UPDATE coordinator SET last_day = :day WHERE oin = :oin"), last)
    assert _ask(index, index.reader(SCHOOL)) == [COORDINATOR | {"standIns": []}]
    rows = index.database.rows("SELECT oin, shielded FROM notice_withdrawal")
    assert {tuple(row) for row in rows} == {(CLINIC, False)}


def test_other_notices_tell_nothing_to_ask(index: Index) -> None:
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    [line] = index.get("/notices", index.reader()).json["items"]
    answer = index.get(f"/notices/{UUID(line['id'])}", index.reader())
    assert set(answer.json) == set(line) | {"inDangerNow"}
    assert line["link"] == f"/api/v1/matches/{line['match']}"
    assert index.database.rows("SELECT FROM notice_withdrawal") == []
