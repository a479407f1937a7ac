# SPDX-License-Identifier: EUPL-1.2
"""The client against the real services: what it sends, what it makes of the answers, and what it never tells."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

import httpx
import pytest
from client.services import CLIENT_ID, INDEX, NOW, OTHER_OIN, Services, bsns, draft
from joserfc.jwk import OKPKey

from verwijsindex.client import (
    Accepted,
    ClientProblem,
    DraftError,
    Informed,
    Outcome,
    Refused,
    SignalDraft,
    UnreachableError,
    idempotency,
)
from verwijsindex.client.channel import PATIENCE
from verwijsindex.client.idempotency import IdempotencyKeys
from verwijsindex.client.posting import AT_ONCE, BATCH
from verwijsindex.matching.service import match_waiting
from verwijsindex.pseudonyms.bsn import Bsn, hides_bsn


@pytest.fixture
def reporter(services: Services) -> UUID:
    [only] = services.register(["Anna de Vries"])
    return only


def submit(services: Services, *drafts: SignalDraft) -> list[Outcome]:
    with services.client() as client:
        return list(client.submit(drafts))


def signals_stored(services: Services) -> object:
    return services.index_database.scalar("SELECT count(*) FROM signal")


def test_signals_are_told_in_the_order_they_came_each_with_its_own_fate(services: Services, reporter: UUID) -> None:
    drafts = [draft(reporter if n % 7 else uuid4(), bsn) for n, bsn in enumerate(bsns(230))]
    outcomes = submit(services, *drafts)
    assert [outcome.draft for outcome in outcomes] == drafts
    refused = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Refused)]
    assert refused == list(range(0, 230, 7))
    assert {o.problem.slug for o in outcomes if isinstance(o, Refused)} == {"reporter-not-designated"}
    assert signals_stored(services) == 230 - len(refused)
    evaluations = [r for r in services.requests if r.url.path == "/api/v1/evaluations"]
    assert [len(json.loads(r.content)["blindedElements"]) for r in evaluations] == [100, 100, 30]


def test_parents_go_in_one_batch_with_their_youngster_and_count(services: Services, reporter: UUID) -> None:
    """R10, R37: never more than a hundred people in a request, and no youngster apart from its parents. Seen failing
    when signals were counted and not people."""
    with services.index_database.superuser.begin() as connection:
        connection.exec_driver_sql("UPDATE agreement SET may_send_parents = true")
    everyone = bsns(150)
    family = [
        draft(reporter, everyone[n], parents=tuple(Bsn.parse(one) for one in everyone[100 + n : 102 + n]))
        for n in range(40)
    ]
    alone = [draft(reporter, bsn) for bsn in everyone[40:60]]
    outcomes = submit(services, *family, *alone)
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    evaluations = [json.loads(r.content) for r in services.requests if r.url.path == "/api/v1/evaluations"]
    assert [len(one["blindedElements"]) for one in evaluations] == [99, 41]
    assert all(len(one["reporters"]) == len(one["blindedElements"]) for one in evaluations)
    counted = "SELECT sum(taken) FROM limit_counter WHERE name = 'pseudonyms/reporter'"
    assert services.pseudonyms_database.scalar(counted) >= 140
    posted = [item["signal"] for item in services.items()]
    values = [{parent["value"] for parent in signal.get("parents", [])} for signal in posted]
    assert [len(one) for one in values] == [2] * 40 + [0] * 20
    assert all(len(values[n] & values[n + 1]) == 1 for n in range(39))  # the next one's first is this one's second
    assert not set().union(*values) & {signal["pseudonym"]["value"] for signal in posted}
    stored = "SELECT count(*) FROM signal WHERE cardinality(parents_sealed) = 2"
    assert services.index_database.scalar(stored) == 40
    assert not [bsn for r in services.requests for bsn in everyone if bsn in f"{r.url} {r.content!r}"]


def test_who_may_not_send_parents_or_has_no_officer_is_told_so(services: Services, reporter: UUID) -> None:
    outcomes = submit(
        services,
        draft(reporter, parents=(Bsn.parse("999900018"),)),
        draft(reporter, shielded=True),
        draft(reporter, informing=Informed(date(2026, 11, 21), "both", "12_to_15")),
    )
    slugs = [outcome.problem.slug if isinstance(outcome, Refused) else "" for outcome in outcomes]
    assert slugs == ["parents-not-allowed", "no-named-officer", ""]


def test_a_draft_refuses_parents_that_cannot_be_and_an_age_group_that_does_not_fit() -> None:
    own, one, other = map(Bsn.parse, bsns(3))
    wrong: list[tuple[dict[str, object], str]] = [
        ({"parents": (one, one)}, "parent-twice"),
        ({"parents": (one, other, own)}, "parent-is-youngster too-many-parents"),
        ({"informing": Informed(date(2026, 11, 21), "both", "under_12")}, "age-group-unfit"),
    ]
    for changes, codes in wrong:
        with pytest.raises(DraftError) as caught:
            draft(uuid4(), bsns(1)[0], **changes)
        assert " ".join(fault.code for fault in caught.value.faults) == codes


def test_what_leaves_holds_no_bsn_and_no_birth_date(services: Services, reporter: UUID) -> None:
    people = bsns(3)
    born = date(2011, 3, 17)
    submit(services, *[draft(reporter, bsn, birth_date=born) for bsn in people])
    for request in services.requests:
        sent = f"{request.url} {request.headers.raw!r} {request.content!r}"
        assert not [bsn for bsn in people if bsn in sent]
        assert "2011" not in sent
        assert "pseudonym" not in str(request.url.path)
    assert len(services.items()) == 3
    assert {key for item in services.items() for key in item["signal"]} == {
        "reporter",
        "pseudonym",
        "residenceMunicipality",
        "madeAt",
        "removalDate",
        "reasonableSuspicion",
        "informing",
        "caseReference",
    }


def test_the_same_bsn_has_the_same_pseudonym_and_never_the_same_blinded_element(
    services: Services, reporter: UUID
) -> None:
    one, other = draft(reporter), draft(reporter, case_reference="Z-8")
    submit(services, one)
    submit(services, other)
    assert len({item["signal"]["pseudonym"]["value"] for item in services.items()}) == 1
    evaluations = [r.content for r in services.requests if r.url.path == "/api/v1/evaluations"]
    assert len(set(evaluations)) == 2


def test_a_repeat_is_the_same_signal_with_the_same_answer(services: Services, reporter: UUID) -> None:
    [first] = submit(services, draft(reporter))
    services.now += timedelta(hours=3)
    [again] = submit(services, draft(reporter))
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.id, again.received_at) == (first.id, first.received_at)
    assert signals_stored(services) == 1


def test_a_repeat_after_eight_days_is_refused_and_one_after_seven_is_the_same(
    services: Services, reporter: UUID
) -> None:
    """The client leaves to the index what only the clock shows: a repeat has its first answer for as long as the
    index remembers it."""
    submit(services, draft(reporter))
    services.now += timedelta(days=6, hours=23)
    assert isinstance(submit(services, draft(reporter))[0], Accepted)
    late = draft(reporter, bsns(2)[1])
    services.now += timedelta(days=1)
    [outcome] = submit(services, late)
    assert isinstance(outcome, Refused)
    assert [fault.place for fault in outcome.problem.errors] == ["#/madeAt"]


def test_a_key_tells_one_signal_from_another_and_is_only_ours() -> None:
    own, other = IdempotencyKeys(OKPKey.generate_key("Ed25519")), IdempotencyKeys(OKPKey.generate_key("Ed25519"))
    someone = uuid4()
    base = draft(someone)
    changed = [
        draft(uuid4()),
        draft(someone, bsns(2)[1]),
        draft(someone, residence_municipality="1701"),
        draft(someone, made_at=base.made_at + timedelta(microseconds=1)),
        draft(someone, case_reference=None),
        draft(someone, birth_date=date(2005, 1, 1)),
    ]
    keys = [own.of(each) for each in (base, *changed)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 43 for key in keys)
    assert own.of(draft(someone)) == own.of(base)
    assert other.of(base) != own.of(base)


def test_a_signal_that_0_2_0_could_send_keeps_its_key() -> None:
    """A file that 0.2.0 began to send goes on, and nothing in it becomes a second signal. The bytes are 0.2.0's.

    And each thing that is new makes another signal: seen failing without the parents in it."""
    made_at = datetime(2026, 11, 22, 10, tzinfo=UTC)
    one = draft(UUID(int=7), "999900006", made_at=made_at)
    assert one.canonical() == (
        b'{"bsn":"999900006","caseReference":"Z-2026-0007",'
        b'"informing":{"on":"2026-11-21","status":"informed","to":"both"},"madeAt":"2026-11-22T10:00:00Z","reasonableSuspicion":true,"removalDate":"2028-11-22",'
        b'"reporter":"00000000-0000-0000-0000-000000000007","residenceMunicipality":"0971"}'
    )
    parents = tuple(map(Bsn.parse, bsns(3)[1:]))
    more: list[dict[str, object]] = [
        {"parents": parents},
        {"parents": parents[:1]},
        {"shielded": True},
        {"informing": Informed(date(2026, 11, 21), "both", "12_to_15")},
    ]
    others = [draft(UUID(int=7), "999900006", made_at=made_at, **changes) for changes in more]
    assert len({other.canonical() for other in (one, *others)}) == 5
    turned = draft(UUID(int=7), "999900006", made_at=made_at, parents=parents[::-1])
    assert turned.canonical() == others[0].canonical()


def test_a_key_with_digits_like_a_bsn_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index refuses one as it stands, though it is by chance: one signal in a million could never be sent."""
    monkeypatch.setattr(idempotency, "encode_base64url", lambda _: "A" * 30 + bsns(1)[0] + "BBBB")
    key = IdempotencyKeys(OKPKey.generate_key("Ed25519")).of(draft(uuid4()))
    assert key.replace("-", "") == "A" * 30 + bsns(1)[0] + "BBBB"
    assert not hides_bsn(key)
    assert len(key) <= 64


def test_a_new_version_of_the_key_is_taken_up_in_the_midst(services: Services, reporter: UUID) -> None:
    people = bsns(4)
    with services.client() as client:
        assert all(isinstance(o, Accepted) for o in client.submit([draft(reporter, bsn) for bsn in people[:2]]))
        services.add_key_version(accepted_until=services.now)
        services.start_index()  # the index knows; the pseudonym service still evaluates with the old list
        services.start_pseudonyms()
        outcomes = list(client.submit([draft(reporter, bsn) for bsn in people[2:]]))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [item["signal"]["pseudonym"]["keyVersion"] for item in services.items()] == [1, 1, 2, 2]


def test_a_pseudonym_that_became_old_on_its_way_is_made_anew(services: Services, reporter: UUID) -> None:
    """The version ends after the evaluation and before the post: the index says so, and one signal comes of it."""

    def end_version_before_the_post(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.host == "index.example" and len(services.versions) == 1:
            services.add_key_version(accepted_until=services.now)
            services.start_index()
            services.start_pseudonyms()

    services.intervene = end_version_before_the_post
    [outcome] = submit(services, draft(reporter))
    assert isinstance(outcome, Accepted)
    assert [item["signal"]["pseudonym"]["keyVersion"] for item in services.items()] == [1, 2]
    assert len({item["idempotencyKey"] for item in services.items()}) == 1
    assert signals_stored(services) == 1


def answer_first(
    services: Services, *answers: httpx.Response | httpx.TransportError, host: str = "index.example"
) -> None:
    """The first posts to a host are answered so, and not by the service."""
    waiting = list(answers)

    def intervene(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and request.url.host == host and waiting:
            answer = waiting.pop(0)
            if isinstance(answer, httpx.TransportError):
                raise answer
            return answer
        return None

    services.intervene = intervene


def test_what_passes_is_waited_for_with_the_same_key(services: Services, reporter: UUID) -> None:
    answer_first(
        services,
        httpx.Response(503, headers={"Retry-After": "17"}),
        httpx.ConnectError("refused"),
        httpx.Response(429),
        httpx.Response(500),
    )
    [outcome] = submit(services, draft(reporter))
    assert isinstance(outcome, Accepted)
    assert len({item["idempotencyKey"] for item in services.items()}) == 1
    assert services.waits[0] == 17
    assert [0.5 <= w <= 1 for w in services.waits[1:2]] + [1 <= w <= 2 for w in services.waits[2:3]] == [True, True]
    assert len(services.waits) == 4


def test_an_answer_that_got_lost_makes_no_second_signal(services: Services, reporter: UUID) -> None:
    lost: list[int] = []

    def lose_the_first(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and request.url.host == "index.example" and not lost:
            lost.append(services.answer(request).status_code)
            raise httpx.ReadTimeout("lost")
        return None

    services.intervene = lose_the_first
    [outcome] = submit(services, draft(reporter))
    assert lost == [200]
    assert isinstance(outcome, Accepted)
    assert signals_stored(services) == 1


def test_patience_has_an_end_and_what_was_known_is_told_first(services: Services, reporter: UUID) -> None:
    drafts = [draft(reporter, bsn) for bsn in bsns(150)]
    seen: list[str] = []

    def away_after_a_hundred(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/api/v1/evaluations":
            seen.append("evaluation")
            return httpx.Response(503) if len(seen) > 1 else None
        return None

    services.intervene = away_after_a_hundred
    told: list[Outcome] = []
    with services.client() as client, pytest.raises(UnreachableError, match=r"pseudonyms\.example.* HTTP 503"):
        told.extend(client.submit(drafts))
    assert len(told) == 100
    assert len(seen) > 5
    assert sum(services.waits) <= PATIENCE
    assert signals_stored(services) == 100


def test_who_asks_for_an_hour_is_not_waited_for(services: Services, reporter: UUID) -> None:
    answer_first(services, httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(UnreachableError, match="3600 seconds"):
        submit(services, draft(reporter))
    assert services.waits == []
    assert len(services.posted()) == 1


def test_a_retry_after_may_be_a_date(services: Services, reporter: UUID) -> None:
    answer_first(services, httpx.Response(503, headers={"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT"}))
    submit(services, draft(reporter))
    assert services.waits == [30]


NOT_ALLOWED = {"type": "urn:problem-type:verwijsindex:not-allowed", "detail": "Another scope."}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, text="<html>proxy</html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"items": []}),
        httpx.Response(200, json={"items": [{"status": 201, "signal": {"id": 7}}]}),
        httpx.Response(200, json={"items": [{"status": 201}]}),
        httpx.Response(200, json={"items": [{"status": 403, "problem": NOT_ALLOWED}]}),
        httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx.Response(404, json={"type": "urn:problem-type:verwijsindex:not-found", "detail": "Nothing here."}),
        httpx.Response(403, json=NOT_ALLOWED),
    ],
)
def test_an_answer_in_the_way_of_every_signal_stops_all(
    services: Services, reporter: UUID, answer: httpx.Response
) -> None:
    answer_first(services, *[answer] * 3)
    with pytest.raises(ClientProblem):
        submit(services, draft(reporter))
    assert len(services.posted()) == 1


def test_a_service_that_echoes_is_not_repeated(services: Services, reporter: UUID) -> None:
    [bsn] = bsns(1)
    problem = {
        "type": "urn:problem-type:verwijsindex:invalid-input",
        "detail": f"bad value {bsn}",
        "errors": [{"location": {"pointer": f"#/{bsn}"}, "code": "x", "detail": f"\x1b[31m{bsn}"}],
    }
    answer_first(services, httpx.Response(200, json={"items": [{"status": 400, "problem": problem}]}))
    [outcome] = submit(services, draft(reporter, bsn))
    assert isinstance(outcome, Refused)
    assert bsn not in f"{outcome.problem} {outcome.problem.errors!r} {outcome!r}"
    assert "\x1b" not in str(outcome.problem)


def test_all_signals_are_not_read_before_the_first_is_told(services: Services) -> None:
    reporters = services.register([f"Reporter {n}" for n in range(40)])  # each within the limit of a day (R37)
    taken = 0

    def endless() -> Iterator[SignalDraft]:
        nonlocal taken
        people = bsns(50)
        while True:
            taken += 1
            yield draft(reporters[taken % 40], people[taken % 50], case_reference=f"Z-{taken}")

    with services.client() as client:
        outcomes = client.submit(endless())
        assert all(isinstance(outcome, Accepted) for outcome in islice(outcomes, 120))
        assert taken <= BATCH * (AT_ONCE + 2)
        outcomes.close()  # type: ignore[attr-defined]
    assert len(services.items()) <= BATCH * (AT_ONCE + 2)


def test_lists_are_read_page_by_page_for_one_reporter(services: Services) -> None:
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    submit(services, *[draft(anna, bsn) for bsn in bsns(205)], draft(bert))
    with services.client() as client:
        own = list(client.signals(anna))
        assert len({item["id"] for item in own}) == 205
        assert {item["reporter"] for item in own} == {str(anna)}
        [of_bert] = client.signals(bert)
        assert client.signal(bert, UUID(of_bert["id"]))["caseReference"] == "Z-2026-0007"
        with pytest.raises(ClientProblem, match="HTTP 404"):
            client.signal(anna, UUID(of_bert["id"]))
    pages = [r for r in services.requests if r.method == "GET" and r.url.path == "/api/v1/signals"]
    assert [r.headers["On-Behalf-Of"] for r in pages] == [str(anna)] * 3 + [str(bert)]


def test_a_match_is_told_and_can_be_read(services: Services) -> None:
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    submit(services, draft(anna, case_reference="Z-A"), draft(bert, case_reference="Z-B"))
    match_waiting(services.index_database.engine("worker"), services.now, services.now, keys={})
    with services.client() as client:
        [notice] = client.notices(anna)
        [line] = client.matches(anna)
        assert notice["match"] == line["id"]
        assert client.notice(anna, UUID(notice["id"]))["link"] == notice["link"]
        found = client.match(anna, UUID(line["id"]))
    assert [party["name"] for party in found["parties"]] == ["Bert Smit"]
    assert found["ownCaseReferences"] == ["Z-A"]


def test_another_institutions_reporter_is_refused_in_reading_and_sending(services: Services) -> None:
    [stranger] = services.register(["Chris Bos"], oin=OTHER_OIN)
    [outcome] = submit(services, draft(stranger))
    assert isinstance(outcome, Refused)
    assert outcome.problem.slug == "reporter-not-designated"
    with services.client() as client, pytest.raises(ClientProblem, match="reporter-not-designated"):
        list(client.signals(stranger))


def test_who_sends_says_which_client_it_is(services: Services, reporter: UUID) -> None:
    submit(services, draft(reporter))
    assert services.index_database.scalar("SELECT client_id FROM signal") == CLIENT_ID
    assert services.posted()[0].headers["User-Agent"].startswith("verwijsindex-client/")
    assert str(services.posted()[0].url) == f"{INDEX}/api/v1/signal-batches"
    assert services.now == NOW
