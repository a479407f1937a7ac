# SPDX-License-Identifier: EUPL-1.2
"""The answer to a sender never depends on what is known (I7, R18)."""

from support import CLINIC, POLICE, SCHOOL, Answer, Index, headers, parents


def _form(answer: Answer) -> tuple[int, list[tuple[str, str]], int, list[str]]:
    told = [(name, value if name != "Location" else str(len(value))) for name, value in headers(answer)]
    return answer.status_code, told, len(answer.data), sorted(answer.json)


def test_the_answer_is_of_one_form_whatever_is_known(index: Index) -> None:
    """I7: of an unknown youngster, one that waits for the matcher, one known, one matched, one's own again, and one
    whose signals have ended. That it *cannot* depend on it is what tests/test_roles.py shows."""
    answers = [index.post(index.signal(0, POLICE), POLICE)]
    answers.append(index.post(index.signal(0, POLICE, 1), POLICE))
    index.match()
    answers.append(index.post(index.signal(0, POLICE), POLICE))
    index.place(1, SCHOOL)
    index.match()
    answers.append(index.post(index.signal(1, POLICE), POLICE))
    index.place(1, CLINIC)
    index.match()
    answers.append(index.post(index.signal(1, POLICE, 1), POLICE))
    index.clock.move(days=731)
    answers.append(index.post(index.signal(1, POLICE), POLICE))
    forms = [_form(answer) for answer in answers]
    assert forms[0][0] == 201
    assert all(form == forms[0] for form in forms)


def test_the_answer_is_of_one_form_shielded_or_not_and_whatever_is_known_of_the_parents(index: Index) -> None:
    """I7: open, shielded, and with parents that nobody knows, that a sibling has, and that made a match."""
    index.allow_parents(POLICE, SCHOOL)
    answers = [index.post(index.signal(0, POLICE), POLICE)]
    answers.append(index.post(index.signal(0, POLICE, 1, shielded=True), POLICE))
    answers.append(index.post(index.signal(1, POLICE, parents=parents(10, 11)), POLICE))
    index.place(2, SCHOOL, parents=parents(11, 12), shielded=True)
    index.match()
    answers.append(index.post(index.signal(3, POLICE, parents=parents(12)), POLICE))
    index.match()
    answers.append(index.post(index.signal(1, POLICE, 1, parents=parents(11)), POLICE))
    forms = [_form(answer) for answer in answers]
    assert forms[0][0] == 201
    assert all(form == forms[0] for form in forms)
    own = index.get("/signals", index.reader(POLICE, 1)).json["items"]
    assert len(own) == 2
    assert own[0].keys() == own[1].keys()


def test_a_reporters_own_signal_looks_the_same_matched_or_not(index: Index) -> None:
    """The own list says nothing of matches: those are told in the inbox."""
    alone, matched = index.place(0, SCHOOL), index.place(1, SCHOOL)
    index.place(1, CLINIC)
    before = [index.get(f"/signals/{signal}", index.reader()).json for signal in (alone, matched)]
    index.match()
    after = [index.get(f"/signals/{signal}", index.reader()).json for signal in (alone, matched)]
    assert before == after
    assert before[0] | {"id": ""} == before[1] | {"id": ""}


def test_a_case_reference_comes_back_to_its_sender_only(index: Index) -> None:
    """R6: sealed in the database, and no other reader gets it."""
    signal = index.place(0, SCHOOL, caseReference="zaak-17")
    index.place(0, CLINIC)
    index.match()
    assert index.get(f"/signals/{signal}", index.reader()).json["caseReference"] == "zaak-17"
    assert index.get(f"/signals/{signal}", index.reader(SCHOOL, 1)).status_code == 404
    [match] = index.get("/matches", index.reader(CLINIC)).json["items"]
    assert "zaak-17" not in index.get(f"/matches/{match['id']}", index.reader(CLINIC)).text
    [row] = index.database.rows("SELECT case_reference_sealed FROM signal WHERE id = :id", id=signal)
    assert b"zaak-17" not in bytes(row[0])


def test_records_of_two_requests_cannot_be_compared(index: Index) -> None:
    """I7: the intake role reads these records. Seen equal, and so telling who signalled the same youngster, when the
    fingerprints were of the content alone."""
    for _ in range(2):
        index.place(0, SCHOOL)
        index.place(0, CLINIC)
    rows = index.database.rows("SELECT body_fingerprint, pseudonym_fingerprint FROM idempotency_record")
    prints = [bytes(one) for row in rows for one in row]
    assert len(set(prints)) == len(prints) == 8
