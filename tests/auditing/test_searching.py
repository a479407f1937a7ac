# SPDX-License-Identifier: EUPL-1.2
"""A privacy officer searches the ledger: what is found, for whom, and what the ledger says of it (R25, R28, R33)."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from auditing.searches import Json, ask, events_in, every, kinds
from ledger.ledgers import SIGNER
from matching import life
from notices.test_coordinators_told import miss
from sqlalchemy.exc import ProgrammingError
from support import CLINIC, DORDRECHT, NOW, OPERATOR, POLICE, SCHOOL, STEIN, WESTERVELD, Index, rows_read

from verwijsindex.auditing import searching
from verwijsindex.auditing.schemas import LedgerSearch
from verwijsindex.database import Scope, transaction
from verwijsindex.ledger.events import KINDS, MAIL_PREFERENCE_CHANGED, Actor, append
from verwijsindex.ledger.sealing import seal
from verwijsindex.notices.mail_preferences import Inbox

Holds = Callable[[Json], bool]


@pytest.fixture
def matched(index: Index) -> Index:
    """The school's and the clinic's first reporters signalled one youngster, a minute apart; the school's read its
    match and its coordinator its signal, the supervisor the match; the desk restricted the school's signal."""
    signal = index.place(0, SCHOOL)
    index.clock.move(minutes=1)
    index.place(0, CLINIC)
    index.clock.move(minutes=1)
    index.match()
    index.clock.move(minutes=1)
    [match] = index.get("/matches", index.reader(SCHOOL)).json["items"]
    assert index.get(f"/matches/{match['id']}", index.reader(SCHOOL)).status_code == 200
    assert index.get(f"/matches/{match['id']}", index.supervisor(WESTERVELD)).status_code == 200
    assert index.get(f"/signals/{signal}", index.coordinator(SCHOOL)).status_code == 200
    assert index.get(f"/matches/{uuid4()}", index.reader(CLINIC)).status_code == 404
    restricted = index.http.post(f"/api/v1/signals/{signal}/restriction", headers=index.desk(WESTERVELD))
    assert restricted.status_code == 200
    return index


TOLD = ["notice.placed", "party.joined", "signal.registered"]


def test_each_scope_finds_its_own_and_nothing_of_another(matched: Index) -> None:
    """I8, R33. What the school did, was told, and had decided of its signal; never that the clinic signalled or read.
    Seen failing when the policy of row-level security let all through: nothing but that bounds a search by id."""
    own = ["match.read", "matches.listed", "signal.read", "signal.restricted"]
    assert kinds(every(matched)) == sorted([*TOLD, *own])
    assert kinds(every(matched, CLINIC)) == sorted(["access.refused", "lead.proposed", *TOLD])
    assert every(matched, POLICE) == []
    assert kinds(every(matched, WESTERVELD)) == ["match.read", "notice.placed", "signal.restricted"]
    assert every(matched, DORDRECHT) == every(matched, STEIN) == []
    match = next(event["matchId"] for event in every(matched) if event["kind"] == "match.read")
    assert kinds(every(matched, CLINIC, matchId=match)) == ["lead.proposed", "notice.placed", "party.joined"]
    for of in (CLINIC, POLICE, DORDRECHT):
        assert every(matched, of, person=str(matched.reporters[SCHOOL][0])) == []
        assert every(matched, of, institution=SCHOOL) == []
    everything = kinds(every(matched, OPERATOR))
    assert everything.count("signal.registered") == 2
    assert everything.count("notice.placed") == 3
    assert len(everything) == matched.database.scalar("SELECT count(*) FROM event WHERE kind <> 'ledger.searched'")


def test_from_a_signal_one_finds_who_read_its_match(matched: Index) -> None:
    """For a youngster who asks who looked (R25, R31). Seen failing when `party.joined` named no signal."""
    for of, looked in ((SCHOOL, ["machine"]), (OPERATOR, ["case_supervisor", "machine"])):
        signal = next(event["signalId"] for event in every(matched, SCHOOL) if event["kind"] == "signal.registered")
        [joined] = [one for one in every(matched, of, signalId=signal) if one["kind"] == "party.joined"]
        found = every(matched, of, matchId=joined["matchId"], kinds=["match.read"])
        assert sorted(event["actor"]["role"] for event in found) == looked


def test_a_municipality_finds_what_its_own_machines_did(matched: Index) -> None:
    with matched.database.superuser.begin() as connection:
        connection.exec_driver_sql(f"UPDATE municipality SET oin = '{CLINIC}' WHERE code = '{WESTERVELD}'")
    assert kinds(every(matched, WESTERVELD)) == sorted(
        ["access.refused", "signal.registered", "match.read", "notice.placed", "signal.restricted"]
    )


def test_what_was_told_anothers_reporter_of_an_own_signal_is_not_found(index: Index) -> None:
    """R17: whose signal was archived hears nothing of who signals later. What befell the signal itself is found, though
    its events name no reporter. Seen failing when such events were shown of own signals whoever was told."""
    signal = index.place(0, CLINIC)
    index.match()
    life.end(index, signal)
    index.match()
    index.place(0, SCHOOL)
    index.match()
    told = [event for event in every(index, OPERATOR, signalId=str(signal)) if event["kind"] == "notice.placed"]
    assert [event["reporter"] for event in told] == [str(index.reporters[SCHOOL][0])]
    mine = kinds(every(index, CLINIC, signalId=str(signal)))
    assert "notice.placed" not in mine
    assert {"signal.registered", "signal.archived"} <= set(mine)
    assert kinds(every(index, SCHOOL, signalId=str(signal))) == ["notice.placed"]


def test_what_was_told_anothers_named_officer_of_an_own_signal_is_not_found(index: Index) -> None:
    """R17, R33, R36: such a notice names no reporter, but the institution, and that there is something shielded. Seen
    failing when of events that name no reporter all were shown that are of an own signal."""
    signal = index.place(0, CLINIC)
    index.match()
    life.end(index, signal)
    index.match()
    index.place(0, SCHOOL, shielded=True)
    index.match()
    told = [event for event in every(index, OPERATOR, signalId=str(signal)) if event["kind"] == "notice.placed"]
    assert [event["officersOf"] for event in told] == [SCHOOL]
    mine = every(index, CLINIC) + every(index, CLINIC, signalId=str(signal))
    assert "signal.archived" in kinds(mine)
    assert not [event for event in mine if "officersOf" in event]


def _told_institution(of: str) -> Holds:
    return lambda event: of in (event.get("officersOf"), event.get("coordinatorsOf"))


def test_what_was_told_officers_and_coordinators_is_found_by_their_institutions_officer_alone(index: Index) -> None:
    """R33, R36: who is told of a shielded signal or of a missed deadline acts for the institution, and is named by it.
    By match, by signal and in everything. Seen failing before migration 0032 said whose they are (only the operator
    found them); and, of another's archived signal, as long as its institution's officer was shown what names nobody."""
    earlier = index.place(0, POLICE)
    index.match()
    life.end(index, earlier)
    index.match()
    index.place(0, SCHOOL)
    index.place(0, CLINIC, shielded=True)
    index.match()
    miss(index)
    by_link = Inbox(officer_oin=CLINIC).event(MAIL_PREFERENCE_CHANGED, index.clock(), Actor("mail"), mail="digest")
    with index.database.engine("owner").begin() as connection:
        append(connection, [by_link])
    everything = every(index, OPERATOR)
    for of in (CLINIC, SCHOOL):
        wanted = [event for event in everything if _told_institution(of)(event)]
        assert any("matchId" in event for event in wanted)
        others = {SCHOOL, CLINIC, POLICE, WESTERVELD, DORDRECHT} - {of}
        for event in wanted:
            by: Json = {name: event[name] for name in ("matchId", "signalId") if name in event}
            looks: tuple[Json, ...] = ({}, by, {"kinds": [event["kind"]]})
            for criteria in looks:
                assert event in every(index, of, **criteria)
                assert event in every(index, OPERATOR, **criteria)
                assert not any(event in every(index, other, **criteria) for other in others), criteria
            assert event not in every(index, of, institution=of), "an institution is that of who acted"
    clinics = [event for event in everything if _told_institution(CLINIC)(event)]
    assert str(earlier) in [event.get("signalId") for event in clinics], "of another's archived signal (R17)"


def test_who_names_anothers_reporter_is_not_found_there(index: Index) -> None:
    """A person acts on behalf of nobody; what a supervisor sends there is a word. Seen failing: the school's officer
    found a refusal of Westerveld's supervisor, for the school's reporter."""
    named = {"On-Behalf-Of": str(index.reporters[SCHOOL][0])}
    assert index.get("/matches", index.supervisor(WESTERVELD) | named).status_code == 403
    assert every(index, SCHOOL) == []
    assert kinds(every(index, WESTERVELD)) == ["access.refused"]


def _names(person: UUID) -> Holds:
    return lambda event: (
        str(person)
        in (
            *(event["actor"].get(name) for name in ("person", "onBehalfOf")),
            *(event.get(name) for name in ("reporter", "reporterId")),
        )
    )


def test_each_criterion_finds_what_it_says_and_nothing_else(matched: Index, subtests: pytest.Subtests) -> None:
    """Held against all that there is. A person is found whether they acted, it was on their behalf, or it concerned
    them: seen failing, as every search did, without the trigger that says whom an event names."""
    everything = every(matched, OPERATOR)
    reporter, clinics = matched.reporters[SCHOOL][0], matched.reporters[CLINIC][0]
    people = [reporter, clinics, matched.coordinators[SCHOOL], matched.supervisors[WESTERVELD]]
    people += [matched.desk_officers[WESTERVELD], matched.reporters[SCHOOL][1]]
    signal = next(event["signalId"] for event in everything if event["kind"] == "signal.restricted")
    match = next(event["matchId"] for event in everything if event["kind"] == "match.read")
    of = "2026-11-22T10:02:00"  # when the matcher matched
    cases: list[tuple[Json, Holds]] = [({"person": str(one)}, _names(one)) for one in people]
    cases += [
        ({"institution": SCHOOL}, lambda event: event["actor"].get("institution") == SCHOOL),
        ({"signalId": signal}, lambda event: event.get("signalId") == signal),
        ({"matchId": match}, lambda event: event.get("matchId") == match),
        ({"eventIds": [one["id"] for one in everything[::3]]}, lambda event: event in everything[::3]),
        ({"eventIds": [everything[0]["id"]] * 200}, lambda event: event == everything[0]),
        (
            {"eventIds": [one["id"] for one in everything], "kinds": ["match.read"]},
            lambda event: event["kind"] == "match.read",
        ),
        ({"outcome": "refused"}, lambda event: event["outcome"] == "refused"),
        ({"kinds": ["match.read", "signal.read"]}, lambda event: event["kind"] in ("match.read", "signal.read")),
        ({"from": f"{of}Z"}, lambda event: event["at"] >= of),
        ({"until": f"{of}Z"}, lambda event: event["at"] < of),
        ({"from": f"{of}Z", "until": f"{of}.000001Z"}, lambda event: event["at"].startswith(of)),
        (
            {"person": str(reporter), "signalId": signal, "kinds": ["signal.registered"]},
            lambda event: event["kind"] == "signal.registered" and event["signalId"] == signal,
        ),
    ]
    found = 0
    for criteria, holds in cases:
        with subtests.test(str(list(criteria))):
            wanted = [event for event in everything if holds(event)]
            assert sorted(map(str, every(matched, OPERATOR, **criteria))) == sorted(map(str, wanted))
            found += len(wanted)
    assert found > 20, "the cases find nothing"


def test_by_id_an_officer_finds_the_own_scope_alone(matched: Index) -> None:
    """I8, R33. Seen failing when the policy of row-level security let all through."""
    named = [event["id"] for event in every(matched, OPERATOR)]
    for of, count in ((SCHOOL, 7), (CLINIC, 5), (WESTERVELD, 3), (POLICE, 0), (DORDRECHT, 0)):
        assert len(every(matched, of, eventIds=named)) == count
    assert every(matched, OPERATOR, eventIds=[str(uuid4())]) == []


def test_events_are_looked_up_by_their_ids(matched: Index) -> None:
    """However many there are. Seen failing, 30,076 rows read, with the ids compared as text."""
    named = [UUID(event["id"]) for event in every(matched)]
    more = (
        "INSERT INTO event (id, at, kind, outcome, oin, body, nonce) SELECT uuidv7(), now(), 'match.read', 'success',"
        f" '{SCHOOL}', '{{}}', substring(sha256(n::text::bytea) FOR 16) FROM generate_series(1, 30000) n"
    )
    with matched.database.superuser.begin() as connection:
        connection.exec_driver_sql(more)
        connection.exec_driver_sql("ANALYZE event")
    scope = Scope(NOW.date(), oin=SCHOOL, privacy_officer_id=matched.privacy_officers[SCHOOL])
    with transaction(matched.database.engine("auditor"), scope) as connection:
        before = rows_read(connection)
        found = searching.search(connection, LedgerSearch(purpose="alert", eventIds=named))
        assert rows_read(connection) - before < 300
    assert {row.id for row in found} == set(named)


def test_pages_give_each_event_once_the_newest_first(matched: Index) -> None:
    """Also where many are of one moment, as a batch of the matcher is."""
    whole = [item["event"] for item in ask(matched, OPERATOR, limit=200).json["items"]]
    paged: list[str] = []
    cursor: Json = {}
    while True:
        answer = ask(matched, OPERATOR, limit=3, until="2026-11-22T10:03:00Z", **cursor)
        paged += [item["event"] for item in answer.json["items"]]
        if "nextCursor" not in answer.json:
            break
        cursor = {"cursor": answer.json["nextCursor"]}
    earlier = [one for one in whole if json.loads(base64.b64decode(one))["at"] < "2026-11-22T10:03:00"]
    assert paged == earlier
    moments = [json.loads(base64.b64decode(one))["at"] for one in paged]
    assert moments == sorted(moments, reverse=True)
    assert len(set(paged)) == len(paged) > 20


def test_an_event_is_shown_as_it_was_sealed_with_its_place(matched: Index) -> None:
    assert all("place" not in item for item in ask(matched).json["items"])
    seal(matched.database.engine("worker"), matched.clock(), SIGNER)
    items = ask(matched, kinds=["signal.read"]).json["items"]
    row = matched.database.rows(
        "SELECT e.body, l.place FROM event e JOIN leaf l ON l.event_id = e.id WHERE e.kind = 'signal.read'"
    )
    assert items == [{"event": base64.b64encode(bytes(row[0].body)).decode(), "place": row[0].place}]


def test_every_search_is_an_event_with_its_purpose(matched: Index) -> None:
    """R25, I4: and the one who audits finds it there."""
    person, signal = str(matched.reporters[SCHOOL][0]), str(uuid4())
    ask(matched, purpose="alert", eventIds=[signal, person])
    matched.clock.move(seconds=1)
    ask(matched, purpose="complaint", person=person, signalId=signal, kinds=["match.read"], outcome="success")
    matched.clock.move(seconds=1)
    ask(matched, purpose="incident", institution=SCHOOL, **{"from": "2026-11-01T00:00:00Z"}, limit=1)
    found = events_in(ask(matched, kinds=["ledger.searched"]))
    said = [{name: value for name, value in event.items() if name not in ("id", "at", "actor")} for event in found]
    common = {"kind": "ledger.searched", "outcome": "success"}
    criteria = {"personId": person, "signalId": signal, "kinds": "match.read", "havingOutcome": "success"}
    begin = "2026-11-01T00:00:00.000000Z"
    assert said == [
        {**common, "purpose": "incident", "institution": SCHOOL, "from": begin, "count": 1},
        {**common, "purpose": "complaint", **criteria, "count": 0},
        {**common, "purpose": "alert", "eventIds": f"{signal} {person}", "count": 0},
    ]
    officer = str(matched.privacy_officers[SCHOOL])
    wanted = {"clientId": "console", "institution": SCHOOL, "person": officer, "role": "privacy_officer"}
    assert [event["actor"] for event in found] == [wanted] * 3


@contextmanager
def _without(index: Index, privilege: str) -> Iterator[None]:
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql(f"REVOKE {privilege} FROM verwijsindex_auditor")
    try:
        yield
    finally:
        with index.database.superuser.begin() as connection:
            connection.exec_driver_sql(f"GRANT {privilege} TO verwijsindex_auditor")


def test_a_search_whose_event_cannot_be_written_shows_nothing(matched: Index) -> None:
    """I4. Seen failing without the event."""
    with _without(matched, "INSERT ON event"):
        answer = ask(matched)
    assert answer.status_code == 500
    assert "items" not in answer.text
    assert matched.database.scalar("SELECT count(*) FROM event WHERE kind = 'ledger.searched'") == 0


def test_a_search_that_takes_too_long_is_told_to_be_narrower(matched: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rare, in ten million events and without a period. It showed nothing, and is no event. Seen failing (503,
    come again later, which helps nobody) before the problem was there."""

    def slow(connection: sa.Connection, _: object) -> list[str]:
        connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
        return ["SELECT at, id FROM event, pg_sleep(20) WHERE {these}"]

    with monkeypatch.context() as patched:
        patched.setattr(searching, "_ways", slow)
        answer = ask(matched, kinds=["signal.registered"])
    assert (answer.status_code, answer.json["type"].rpartition(":")[2]) == (400, "search-too-wide")
    assert "from and until" in answer.json["detail"]
    assert matched.database.scalar("SELECT count(*) FROM event WHERE kind = 'ledger.searched'") == 0
    assert ask(matched, kinds=["signal.registered"]).status_code == 200


def test_faults_are_told_at_once_and_leave_no_event(matched: Index) -> None:
    """And nothing of what was sent is repeated (I5)."""
    body = {
        "purpose": "curiosity",
        "person": "999990019",
        "institution": "17",
        "kinds": ["match.guessed"],
        "eventIds": [str(uuid4())] * 201,
        "outcome": "maybe",
        "from": "2026-11-22T10:00:00Z",
        "until": "2026-11-22T10:00:00Z",
        "limit": 1000,
        "why": "because",
    }
    answer = matched.http.post("/api/v1/ledger-searches", json=body, headers=matched.privacy_officer())
    assert answer.status_code == 400
    places = {fault["location"]["pointer"] for fault in answer.json["errors"]}  # type: ignore[index]
    assert places == {
        "#",
        "#/purpose",
        "#/person",
        "#/institution",
        "#/kinds",
        "#/eventIds",
        "#/outcome",
        "#/until",
        "#/limit",
    }
    assert not any(value in answer.text for value in ("curiosity", "999990019", "guessed", "maybe", "because"))
    assert ask(matched, purpose=None).status_code == 400
    assert matched.database.scalar("SELECT count(*) FROM event WHERE kind = 'ledger.searched'") == 0


def test_nothing_but_the_event_changes(matched: Index) -> None:
    """R28: the officer decides nothing."""
    before = matched.database.all_rows()
    ask(matched)
    after = matched.database.all_rows()
    changed = {table for table in before | after if before.get(table) != after.get(table)}
    assert changed == {"event", "unsealed_event"}


def _seen(index: Index, **scope: object) -> int:
    officer = scope.pop("officer")
    asked = Scope(index.clock().date(), privacy_officer_id=officer, **scope)  # type: ignore[arg-type]
    with transaction(index.database.engine("auditor"), asked) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one())


def test_the_database_shows_an_officer_the_own_scope_alone(matched: Index) -> None:
    """I8, whatever the code asks: seen failing without the look into the register, and when the operator's scope was
    that of who says nothing."""
    officers = matched.privacy_officers
    whole = matched.database.scalar("SELECT count(*) FROM event")
    assert _seen(matched, officer=officers[SCHOOL], oin=SCHOOL) == 7
    assert _seen(matched, officer=officers[WESTERVELD], municipality=WESTERVELD) == 3
    assert _seen(matched, officer=officers[OPERATOR]) == whole
    nobody: list[dict[str, object]] = [
        {"officer": None},
        {"officer": None, "oin": SCHOOL},
        {"officer": officers[SCHOOL]},
        {"officer": officers[SCHOOL], "oin": CLINIC},
        {"officer": officers[SCHOOL], "oin": SCHOOL, "municipality": WESTERVELD},
        {"officer": officers[OPERATOR], "oin": SCHOOL},
        {"officer": officers[WESTERVELD], "municipality": DORDRECHT},
        {"officer": matched.coordinators[SCHOOL], "oin": SCHOOL},
        {"officer": uuid4(), "oin": SCHOOL},
    ]
    assert [_seen(matched, **scope) for scope in nobody] == [0] * len(nobody)


def test_who_left_sees_nothing_from_the_day_after(matched: Index) -> None:
    end = sa.text("UPDATE privacy_officer SET last_day = :day WHERE oin = :oin")
    today = NOW.date()
    for last, status in ((today, 200), (today - timedelta(days=1), 403)):
        with matched.database.superuser.begin() as connection:
            connection.execute(end, {"day": last, "oin": SCHOOL})
        assert ask(matched).status_code == status
    assert _seen(matched, officer=matched.privacy_officers[SCHOOL], oin=SCHOOL) == 0


@pytest.mark.parametrize(
    "look",
    [
        "SELECT name FROM reporter",
        "SELECT telephone FROM coordinator",
        "SELECT email FROM privacy_officer",
        "SELECT case_reference_sealed FROM signal",
        "SELECT id FROM match",
        "SELECT id FROM notice",
        "SELECT key FROM youngster",
        "UPDATE event SET kind = 'x'",
        "DELETE FROM event",
    ],
)
def test_an_auditor_has_no_contact_data_case_reference_signal_or_match(matched: Index, look: str) -> None:
    """R28, by SQL as the desk's own role: seen failing when the role was granted SELECT on `reporter`."""
    with matched.database.engine("auditor").connect() as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.exec_driver_sql(look)


def test_an_officer_writes_events_of_nobody_else(matched: Index) -> None:
    """The role may insert events: of the officer of the scope alone."""
    insert = sa.text(
        "INSERT INTO event (id, at, kind, outcome, oin, body, nonce)"
        " VALUES (gen_random_uuid(), :at, 'match.read', 'success', :oin, CAST(:body AS bytea), :nonce)"
    )
    mine, other = matched.privacy_officers[SCHOOL], matched.coordinators[SCHOOL]
    scope = Scope(NOW.date(), oin=SCHOOL, privacy_officer_id=mine)
    for person, oin, refused in ((mine, SCHOOL, False), (other, SCHOOL, True), (mine, CLINIC, True)):
        body = json.dumps({"actor": {"person": str(person)}}, separators=(",", ":")).encode()
        values = {"at": NOW, "oin": oin, "body": body, "nonce": bytes(16)}
        with (
            pytest.raises(ProgrammingError, match="row-level") if refused else nullcontext(),
            transaction(matched.database.engine("auditor"), scope) as connection,
        ):
            connection.execute(insert, values)


def test_each_purpose_and_kind_may_be_asked_for(index: Index) -> None:
    for purpose in ("request_of_youngster", "complaint", "incident", "alert", "sample", "periodic_review"):
        assert ask(index, purpose=purpose, kinds=sorted(KINDS)[:20]).status_code == 200
