# SPDX-License-Identifier: EUPL-1.2
"""A death, told by a municipality (R14): ends what there is at that moment, and tells nobody whether there was anything
(I1, I4, I6, I7)."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import uuid4

import pytest
import sqlalchemy as sa
from ledger.faults import failing
from signals.evidence import nothing_stored, places, slug
from sqlalchemy.exc import ProgrammingError
from support import ADMINISTRATOR, CLINIC, NOW, POLICE, SCHOOL, WESTERVELD, Answer, Index, headers, pseudonym

from verwijsindex import keyfiles
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.registry import schemas, service
from verwijsindex.signals.limiting import SignalLimits

TOWN = "00000001701000000000"
"""The municipality's own OIN."""
_LIVE = "SELECT id FROM live_signals(CAST(:today AS date)) ORDER BY received_at, id"
Tell = Callable[..., Answer]


@pytest.fixture
def tell(index: Index) -> Tell:
    """Tells the death of the n-th test youngster as the municipality's machine."""
    with index.database.engine("registrar").begin() as connection:
        town = schemas.MunicipalityOin(code=WESTERVELD, oin=TOWN)
        service.set_oin(connection, ADMINISTRATOR, NOW, town)

    def send(number: int = 0, *, key: str | None = None, oin: str = TOWN, body: object = None, **token: str) -> Answer:
        answer = index.http.post(
            "/api/v1/deaths",
            json={"pseudonym": {"keyVersion": 1, "value": pseudonym(number).to_text()}} if body is None else body,
            headers=index.machine(oin, *token.values()) | {"Idempotency-Key": key or str(uuid4())},
        )
        return cast(Answer, answer)

    return send


def _deaths(index: Index) -> int:
    return int(index.database.scalar("SELECT count(DISTINCT id) FROM death"))


def _live(index: Index) -> list[Any]:
    return [row.id for row in index.database.rows(_LIVE, today=index.clock().date())]


def test_the_answer_is_the_same_whatever_is_known(index: Index, tell: Tell) -> None:
    """I7: of nobody, of one whose signal waits for the matcher, one known, one matched, one whose death was told, and
    one whose signals have ended. That it *cannot* depend on it is what tests/test_roles.py shows."""
    answers = [tell(0)]
    index.place(1, SCHOOL)
    answers.append(tell(1))
    index.place(2, SCHOOL)
    index.match()
    answers.append(tell(2))
    index.place(3, SCHOOL)
    index.place(3, CLINIC)
    index.match()
    answers += [tell(3), tell(3)]
    index.match()
    answers.append(tell(3))
    assert answers[0].status_code == 202
    assert answers[0].json == {"receivedAt": "2026-11-22T10:00:00Z"}
    assert all((one.data, headers(one)) == (answers[0].data, headers(answers[0])) for one in answers)


def test_what_there_is_ends_at_that_moment_and_leaves_nothing(index: Index, tell: Tell) -> None:
    """R14, R15, I6: in every view with no worker running, of a signal that is attached and of one that is not; then the
    matcher destroys them, ends the match, and tells nobody: of the lines that were there the supervisors' are left.
    Nobody else's signal is touched."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    other = index.place(1, SCHOOL)
    index.match()
    lines = index.database.rows("SELECT id FROM notice WHERE municipality_code IS NOT NULL")
    index.place(0, POLICE)
    index.clock.move(seconds=1)
    match = index.database.scalar("SELECT id FROM match")
    readers = [index.reader(SCHOOL), index.reader(CLINIC), index.supervisor()]
    assert [index.get(f"/matches/{match}", who).status_code for who in readers] == [200] * 3
    assert tell(0).status_code == 202
    assert [index.get(f"/matches/{match}", who).status_code for who in readers] == [404] * 3
    assert [index.get("/matches", who).json for who in readers] == [{"items": []}] * 3
    for who in (index.reader(SCHOOL), index.coordinator(SCHOOL)):
        assert [item["id"] for item in index.get("/signals", who).json["items"]] == [str(other)]
    for oin in (CLINIC, POLICE):
        assert index.get("/signals", index.reader(oin)).json == {"items": []}
    assert _live(index) == [other]
    index.clock.move(minutes=5)
    index.match()
    assert [row.id for row in index.database.rows("SELECT id FROM signal")] == [other]
    assert index.database.scalar("SELECT count(*) FROM tombstone") == 3
    assert index.database.scalar("SELECT count(*) FROM archived_signal") == 0
    assert index.database.scalar("SELECT count(*) FROM match WHERE ended_at IS NULL") == 0
    assert index.database.rows("SELECT id FROM notice") == lines
    assert _deaths(index) == 0


def test_a_later_signal_is_accepted_as_any_other(index: Index, tell: Tell) -> None:
    """Told by mistake, or of somebody else: it ends what was there, and bars nobody."""
    index.place(0, SCHOOL)
    tell(0)
    index.clock.move(seconds=1)
    later = index.place(0, SCHOOL)
    assert _live(index) == [later]
    index.match()
    assert _live(index) == [later]


def test_it_is_told_under_every_key_and_finds_its_youngster_under_any(index: Index, tell: Tell) -> None:
    """While the index key is turned a youngster may stand under either version (R16)."""
    index.place(0, SCHOOL)
    index.match()
    keyfiles.write_secret(index.folder / "index-2.key", bytes(range(1, 33)))
    index.app.extensions["index_keys"] = IndexKeys.load(index.folder, lambda: 1)
    assert tell(0).status_code == 202
    rows = index.database.rows("SELECT id, key_version, key, octet_length(key) AS size FROM death ORDER BY key_version")
    assert [(row.key_version, row.size) for row in rows] == [(1, 48), (2, 48)]
    assert len({row.id for row in rows}) == 1
    assert _live(index) == []


def test_who_tells_is_in_the_ledger_and_of_whom_is_not(index: Index, tell: Tell) -> None:
    """I4, I5: one event, which says nothing but who."""
    tell(0)
    [row] = index.database.rows("SELECT body, client_id, oin, signal_id FROM event WHERE kind = 'death.told'")
    said = json.loads(row.body)
    assert set(said) == {"id", "at", "kind", "outcome", "actor"}
    assert said["actor"] == {"role": "machine", "clientId": f"client-{TOWN}", "institution": TOWN}
    assert row.signal_id is None
    with failing(index.database, "event", "INSERT"):
        assert tell(1).status_code == 500
    assert _deaths(index) == 1


def test_only_a_municipality_tells_it(index: Index, tell: Tell) -> None:
    """Seen failing, with the deaths there, without the look at the register."""
    index.place(0, SCHOOL)
    for oin in (SCHOOL, CLINIC):
        with nothing_stored(index.database, events=1):
            answer = tell(0, oin=oin)
        assert (answer.status_code, slug(answer)) == (403, "not-a-municipality")
    with nothing_stored(index.database, events=1):
        assert slug(tell(0, scope="signals:write")) == "not-allowed"
    [refused] = index.database.rows("SELECT body FROM event WHERE kind = 'access.refused' AND oin = :oin", oin=CLINIC)
    assert json.loads(refused.body)["operation"] == "deaths.tell_death"
    assert _deaths(index) == 0


def test_a_repeat_is_the_same_death_and_gets_the_first_answer(index: Index, tell: Tell) -> None:
    first = tell(0, key="once")
    index.clock.move(days=1)
    with nothing_stored(index.database):
        repeat = tell(0, key="once")
    assert (repeat.status_code, repeat.data) == (202, first.data)
    assert index.database.scalar("SELECT count(*) FROM idempotency_record WHERE key = 'once'") == 0  # a fingerprint
    assert _deaths(index) == 1


def test_a_key_that_was_used_for_something_else_is_refused(index: Index, tell: Tell) -> None:
    """For another death, for a signal, and by a signal: the machine of a municipality may be its institution's."""
    with index.database.engine("registrar").begin() as connection:
        service.set_oin(connection, ADMINISTRATOR, NOW, schemas.MunicipalityOin(code=WESTERVELD, oin=SCHOOL))
    tell(0, oin=SCHOOL, key="death")
    index.post(index.signal(), key="signal")
    with nothing_stored(index.database):
        answers = [tell(1, oin=SCHOOL, key="death"), tell(0, oin=SCHOOL, key="signal")]
        answers.append(index.post(index.signal(), key="death"))
    assert {slug(answer) for answer in answers} == {"idempotency-key-reused"}


def test_of_the_same_request_many_times_at_once_one_is_told(index: Index, tell: Tell) -> None:
    """Seen failing without ON CONFLICT of the record: the others were 500."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tell(0, key="once"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert _deaths(index) == 1
    assert index.database.scalar("SELECT count(*) FROM event WHERE kind = 'death.told'") == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"keyVersion": 2}, "#/pseudonym/keyVersion"),
        ({"value": "A" * 43}, "#/pseudonym/value"),
        ({"value": "999900006"}, "#/pseudonym/value"),
        ({"reporter": "x"}, "#/pseudonym"),
    ],
)
def test_what_is_no_pseudonym_of_now_is_refused(index: Index, tell: Tell, change: dict[str, Any], place: str) -> None:
    body = {"pseudonym": {"keyVersion": 1, "value": pseudonym(0).to_text()} | change}
    with nothing_stored(index.database):
        assert places(tell(body=body)) == {place}
        assert places(tell(body=body, oin=SCHOOL)) == {place}  # before who may
        assert places(tell(body={})) == {"#/pseudonym"}
        assert places(tell(body={"pseudonym": body["pseudonym"] | {"keyVersion": 1}, "on": "2026-11-22"})) >= {"#"}
    assert _deaths(index) == 0


def test_a_death_costs_what_a_signal_costs(index: Index, tell: Tell) -> None:
    """R37: of the institution and the country; refusals cost the country nothing, repeats and faults cost nothing."""
    index.app.extensions["signal_limits"] = SignalLimits(reporter=9, institution=2, country=3)
    tell(0, key="first")
    tell(0, key="first")
    tell(body={})
    tell(body={"pseudonym": {"keyVersion": 2, "value": pseudonym(0).to_text()}})
    tell(1, key="first")  # 422
    assert tell(1).status_code == 202
    refused = tell(2)
    assert (refused.status_code, slug(refused)) == (429, "limit-reached")
    assert refused.json["detail"].startswith("Your institution")
    assert tell(0, key="first").status_code == 202
    assert [tell(0, oin=SCHOOL).status_code for _ in range(3)] == [403, 403, 429]
    assert index.post(index.signal(0, CLINIC), CLINIC).status_code == 201
    assert slug(index.post(index.signal(0, CLINIC), CLINIC)) == "limit-reached"
    assert _deaths(index) == 2


def test_intake_cannot_read_what_deaths_were_told(index: Index, tell: Tell) -> None:
    tell(0)
    for role in ("intake", "index", "registrar", "auditor"):
        with index.database.engine(role).connect() as connection, pytest.raises(ProgrammingError, match="denied"):
            connection.execute(sa.text("SELECT count(*) FROM death"))
