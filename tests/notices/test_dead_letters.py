# SPDX-License-Identifier: EUPL-1.2
"""What no try could deliver is a dead letter: kept, counted, shown to the coordinator and sent again (I3, R20)."""

import json
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from notices.posting import Post, now
from pydantic import SecretStr
from signals.evidence import slug
from support import CLINIC, SCHOOL, Answer, Logged
from system.receiver import Receiver, answering

from verwijsindex import metrics
from verwijsindex.database import Scope, transaction
from verwijsindex.workers.measuring import Measuring


def listed(post: Post, oin: str = SCHOOL, query: str = "") -> Any:
    found = post.index.get(f"/dead-letters{query}", post.index.coordinator(oin))
    assert found.status_code == 200
    return found.json


def replayed(post: Post, body: object, oin: str = SCHOOL, key: str | None = None) -> Answer:
    headers = post.index.coordinator(oin) | {"Idempotency-Key": key or str(uuid4())}
    return cast(Answer, post.index.http.post("/api/v1/dead-letter-replays", json=body, headers=headers))


def tried_often(post: Post, times: int = 7) -> None:
    post.change("UPDATE delivery SET attempts = :times WHERE due_at < 'infinity'", times=times)


def failing(post: Post, oin: str = SCHOOL, matches: int = 1) -> Receiver:
    """A receiver that refuses, and so many dead letters of it."""
    receiver = post.receiver(oin, answering(500))
    post.tell(matches)
    tried_often(post)
    for _ in range(matches):
        post.due()
        post.deliver()
    return receiver


def test_the_whole_schedule_and_then_a_dead_letter(post: Post, logged: Logged) -> None:
    """Eight tries; then it is tried no more, by nobody, until somebody wants it. Seen failing (a ninth try, and so on
    for ever) when the last pause repeated."""
    receiver = post.receiver(SCHOOL, answering(500))
    post.tell()
    for tries in range(1, 9):
        assert post.rows(SCHOOL)[0].dead_at is None
        post.due()
        assert post.deliver() == 1
        assert post.rows(SCHOOL)[0].attempts == tries
    [row] = post.rows(SCHOOL)
    assert (row.last_outcome, row.delivered_at, row.due_at) == ("status 500", None, None)
    assert abs(row.dead_at - now()) < timedelta(minutes=1)
    post.due()
    assert post.deliver() == 0
    assert len(receiver.received) == 8
    assert len(logged.lines("delivery.not_taken")) == 7
    [line] = logged.lines("delivery.dead")
    assert (line["level"], line["delivery"], line["outcome"]) == ("warning", str(row.id), "status 500")
    last = post.index.database.rows("SELECT next_try_at FROM attempt ORDER BY at DESC LIMIT 1")
    assert last[0].next_try_at is None
    Measuring().look(post.index.database.engine("worker"), SecretStr("redis://127.0.0.1:1/0"), now())
    assert metrics.DEAD_LETTERS._value.get() == 1
    assert len(post.index.get("/notices", post.index.reader()).json["items"]) == 1


def test_the_coordinator_sees_those_of_the_own_institution_and_no_others(post: Post) -> None:
    """R20, I8; in pages, newest first. Seen failing (the other institution's too) without `oin` in `dead_letters`."""
    post.receiver(CLINIC, answering(500))
    failing(post, matches=3)
    mine = {row.id for row in post.rows(SCHOOL) if row.dead_at}
    first = listed(post, query="?limit=2")
    rest = listed(post, query=f"?limit=2&cursor={first['nextCursor']}")
    items = first["items"] + rest["items"]
    assert (first["count"], rest["count"], "nextCursor" in rest) == (3, 3, False)
    assert {UUID(one["delivery"]) for one in items} == mine
    assert [one["deadAt"] for one in items] == sorted((one["deadAt"] for one in items), reverse=True)
    assert set(items[0]) == {"delivery", "client", "deadAt", "attempts", "outcome"}
    assert (items[0]["client"], items[0]["attempts"], items[0]["outcome"]) == (f"client-{SCHOOL}", 8, "status 500")
    theirs = {one["delivery"] for one in listed(post, CLINIC)["items"]}
    assert theirs == {str(row.id) for row in post.rows(CLINIC)}
    assert {replayed(post, {"delivery": one}).status_code for one in theirs} == {404}
    assert listed(post, CLINIC)["count"] == 3


def test_one_or_all_are_sent_again_with_the_ids_they_had(post: Post) -> None:
    """A repeat of the request does nothing; one that is no dead letter is a 404. What fails again for the whole
    schedule is a dead letter again."""
    receiver = failing(post, matches=4)
    ids = {str(row.id) for row in post.rows(SCHOOL)}
    one = listed(post)["items"][1]["delivery"]
    receiver.behaviour = answering(204)
    before = len(receiver.received)
    assert replayed(post, {"delivery": one}, key="one").json == {"count": 1}
    assert replayed(post, {"delivery": one}, key="one").json == {"count": 1}
    post.due()
    assert post.deliver() == 1
    assert receiver.ids[before:] == [one]
    gone = replayed(post, {"delivery": one})
    assert (gone.status_code, slug(gone)) == (404, "not-found")
    receiver.behaviour = answering(500)
    assert replayed(post, {"all": True}).json == {"count": 3}
    assert (post.subscription(SCHOOL).rests_until, listed(post)["count"]) == (None, 0)
    assert {row.attempts for row in post.rows(SCHOOL) if not row.delivered_at} == {0}
    tried_often(post)
    for _ in range(3):
        post.due()
        post.deliver()
    assert listed(post)["count"] == 3
    receiver.behaviour = answering(204)
    assert replayed(post, {"all": True}).json == {"count": 3}
    post.due()
    assert post.deliver() == 3
    assert set(receiver.ids) == ids
    assert replayed(post, {"all": True}).json == {"count": 0}
    assert all(row.delivered_at for row in post.rows(SCHOOL))


@pytest.mark.parametrize("body", [{}, {"all": False}, {"all": True, "delivery": str(uuid4())}, {"some": 1}])
def test_neither_one_nor_all_is_refused(post: Post, body: object) -> None:
    assert replayed(post, body).status_code == 400


def test_the_client_sees_them_and_sends_them_again_with_all_that_waits(post: Post) -> None:
    """The way back after days of absence. Those that are dead are older than what waits, and are not dropped."""
    receiver = failing(post, matches=2)
    post.index.place(7, SCHOOL)
    post.index.place(7, CLINIC)
    post.index.match()
    subscription = str(post.subscription(SCHOOL).id)
    path = f"/api/v1/webhook-subscriptions/{subscription}"
    own = post.index.machine() | {"Idempotency-Key": str(uuid4())}
    shown = cast(Any, post.index.http.get(path, headers=own)).json
    assert (shown["waiting"], shown["deadLetters"]) == (1, 2)
    receiver.behaviour = answering(204)
    post.index.clock.move(days=3)
    since = {"since": post.index.clock().strftime("%Y-%m-%dT%H:%M:%SZ")}
    own |= post.index.machine()
    assert cast(Any, post.index.http.post(f"{path}/replays", json=since, headers=own)).json == {"count": 3}
    post.due()
    assert post.deliver() == 3
    assert listed(post)["count"] == 0


def test_deleting_the_subscription_says_that_they_go(post: Post) -> None:
    failing(post, matches=2)
    subscription = str(post.subscription(SCHOOL).id)
    gone = post.index.http.delete(f"/api/v1/webhook-subscriptions/{subscription}", headers=post.index.machine())
    assert cast(Any, gone).json == {"discarded": 2}


def test_each_is_an_event(post: Post) -> None:
    """I4; it says how many and nothing of whom."""
    failing(post)
    listed(post)
    replayed(post, {"all": True})
    bodies = [json.loads(bytes(row[0])) for row in post.index.database.rows("SELECT body FROM event ORDER BY at")]
    found = {one["kind"]: one for one in bodies if one["kind"].startswith("dead_letters")}
    assert set(found) == {"dead_letters.listed", "dead_letters.replayed"}
    assert {one["count"] for one in found.values()} == {1}
    assert {one["actor"]["role"] for one in found.values()} == {"coordinator"}


def test_the_database_shows_them_to_no_other_scope(post: Post) -> None:
    """I8, without the API: no scope, a machine's, another's coordinator. Seen failing (all were replayed) without the
    look at the coordinator in `replay_dead_letters`."""
    failing(post)
    day, pool = post.index.clock().date(), post.index.database.engine("index")
    own, theirs = post.index.coordinators[SCHOOL], post.index.coordinators[CLINIC]
    nobody = [
        None,
        Scope(day, SCHOOL),
        Scope(day, SCHOOL, client_id=f"client-{SCHOOL}"),
        Scope(day, SCHOOL, coordinator_id=theirs),
        Scope(day, CLINIC, coordinator_id=theirs),
        Scope(day, SCHOOL, reporter_id=post.index.reporters[SCHOOL][0]),
    ]
    for scope in nobody:
        with transaction(pool, scope) as connection:
            counted = connection.exec_driver_sql("SELECT count(*) FROM dead_letters(NULL, NULL, NULL)").scalar_one()
            again = connection.exec_driver_sql("SELECT replay_dead_letters(NULL, now())").scalar_one()
            assert (counted, again) == (0, 0), scope
    with transaction(pool, Scope(day, SCHOOL, coordinator_id=own)) as connection:
        assert connection.exec_driver_sql("SELECT replay_dead_letters(NULL, now())").scalar_one() == 1


def test_what_the_version_before_replays_is_alive_again(post: Post) -> None:
    """Its index knows no dead letters and sets when a delivery is due; its deliverers claim what is due."""
    receiver = failing(post)
    receiver.behaviour = answering(204)
    post.change("UPDATE delivery SET due_at = :now, attempts = 0, delivered_at = NULL", now=now())
    assert listed(post)["count"] == 0
    post.due()
    assert post.deliver() == 1
    assert post.rows(SCHOOL)[0].delivered_at
