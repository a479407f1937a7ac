# SPDX-License-Identifier: EUPL-1.2
"""Routes of a machine's own webhook subscription. Each act and each read is an event (I4)."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from verwijsindex.access.caller import SUBSCRIPTIONS_MANAGE
from verwijsindex.acting import Act, IdempotencyKey, own_client
from verwijsindex.ledger import events
from verwijsindex.notices import subscriptions
from verwijsindex.notices.reading import attempts
from verwijsindex.notices.repeating import count_change, once
from verwijsindex.notices.subscription_schemas import (
    AttemptsOut,
    ReplayIn,
    ReplayOut,
    SubscriptionChange,
    SubscriptionGone,
    SubscriptionIn,
    SubscriptionMade,
    SubscriptionOut,
    SubscriptionsOut,
)
from verwijsindex.paging import Page
from verwijsindex.parsing import ParseContext, Strict, parsed
from verwijsindex.problems import ADDRESS_NOT_ALLOWED, INVALID_INPUT, Fault, Problem
from verwijsindex.repeating import Answer, Asked
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

PATH = "/webhook-subscriptions"
api = APIBlueprint(
    "webhook_subscriptions",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="webhook-subscriptions", description="Where a client is told that an inbox has something new.")],
    abp_security=needs(SUBSCRIPTIONS_MANAGE),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


class SubscriptionPath(Strict):
    """Which subscription."""

    subscription_id: UUID = Field(alias="subscriptionId")


@api.post(
    PATH,
    operation_id="createWebhookSubscription",
    summary="Subscribe the client",
    description="One for each client. Nothing is delivered before the receiver has answered the challenge.",
    responses={201: SubscriptionMade, **problem_responses(409, 413, 415, 422, 429)},
)
@parsed
def create_subscription(header: IdempotencyKey, body: SubscriptionIn) -> Response:
    _only_https(body.address)
    with own_client(SUBSCRIPTIONS_MANAGE) as act:

        def create() -> Answer:
            _may_be_reached(body.address)
            key, caller = current_app.extensions["index_keys"].current, act.caller
            made = subscriptions.create(act.connection, key, caller.client_id, str(caller.oin), body.address, act.now)
            act.tell(events.SUBSCRIPTION_CHANGED, change="created", subscriptionId=str(made.id))
            return Answer.of(201, made)

        done = _once(act, header, "create", body, create)
    return answer(done.body, done.status, {"Location": f"{API_PREFIX}{PATH}/{done.body['id']}"})


@api.get(
    PATH,
    operation_id="listWebhookSubscriptions",
    summary="List the client's subscriptions",
    description="None or one.",
    responses={200: SubscriptionsOut},
)
@parsed
def list_subscriptions() -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:
        found = SubscriptionsOut(items=subscriptions.every(act.connection))
        act.tell(events.SUBSCRIPTIONS_LISTED, count=len(found.items))
    return answer(found)


@api.get(
    f"{PATH}/<subscriptionId>",
    operation_id="getWebhookSubscription",
    summary="Read a subscription",
    responses={200: SubscriptionOut, **problem_responses(404)},
)
@parsed
def get_subscription(path: SubscriptionPath) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:
        found = subscriptions.read(act.connection, path.subscription_id)
        act.tell(events.SUBSCRIPTION_READ, subscriptionId=str(found.id))
    return answer(found)


@api.patch(
    f"{PATH}/<subscriptionId>",
    operation_id="changeWebhookSubscription",
    summary="Pause, go on, or change the address",
    description="Another address is challenged before anything is delivered to it. What waits is kept.",
    responses={200: SubscriptionOut, **problem_responses(404, 413, 415, 429)},
)
@parsed
def change_subscription(path: SubscriptionPath, body: SubscriptionChange) -> Response:
    _only_https(body.address)
    with own_client(SUBSCRIPTIONS_MANAGE) as act:
        paused = body.state and body.state == "paused"
        keys, most = current_app.extensions["index_keys"], current_app.extensions["webhook_changes"]
        count_change(act.connection, keys, act.caller.client_id, act.now, most)
        if body.address:
            _may_be_reached(body.address)
        changed = subscriptions.change(act.connection, path.subscription_id, body.address, paused, act.now)
        what = " and ".join(filter(None, ("address" if body.address else "", body.state)))
        act.tell(events.SUBSCRIPTION_CHANGED, change=what, subscriptionId=str(changed.id))
    return answer(changed)


@api.delete(
    f"{PATH}/<subscriptionId>",
    operation_id="deleteWebhookSubscription",
    summary="End a subscription",
    description="Its deliveries go with it, taken or not; every notice stays in its inbox.",
    responses={200: SubscriptionGone, **problem_responses(404)},
)
@parsed
def delete_subscription(path: SubscriptionPath) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:
        gone = SubscriptionGone(discarded=subscriptions.delete(act.connection, path.subscription_id))
        subscription, count = str(path.subscription_id), gone.discarded
        act.tell(events.SUBSCRIPTION_CHANGED, change="deleted", subscriptionId=subscription, count=count)
    return answer(gone)


@api.post(
    f"{PATH}/<subscriptionId>/challenges",
    operation_id="challengeWebhookSubscription",
    summary="Ask for the challenge anew",
    description="Of a pending or failed subscription; of another nothing changes.",
    responses={202: SubscriptionOut, **problem_responses(404, 422, 429)},
)
@parsed
def challenge_subscription(header: IdempotencyKey, path: SubscriptionPath) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:

        def challenge() -> Answer:
            found = subscriptions.challenge_anew(act.connection, path.subscription_id, act.now)
            act.tell(events.SUBSCRIPTION_CHANGED, change="challenge", subscriptionId=str(found.id))
            return Answer.of(202, found)

        done = _once(act, header, f"challenge {path.subscription_id}", None, challenge)
    return answer(done.body, done.status)


@api.post(
    f"{PATH}/<subscriptionId>/secrets",
    operation_id="rotateWebhookSecret",
    summary="Make a new secret",
    description="It and the one before both sign, for a day unless the operator set it otherwise.",
    responses={201: SubscriptionMade, **problem_responses(404, 422, 429)},
)
@parsed
def rotate_secret(header: IdempotencyKey, path: SubscriptionPath) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:

        def rotate() -> Answer:
            key = current_app.extensions["index_keys"].current
            overlap: timedelta = current_app.extensions["webhook_secret_overlap"]
            made = subscriptions.rotate(act.connection, key, path.subscription_id, act.now, overlap)
            act.tell(events.SUBSCRIPTION_CHANGED, change="secret", subscriptionId=str(made.id))
            return Answer.of(201, made)

        done = _once(act, header, f"rotate {path.subscription_id}", None, rotate)
    return answer(done.body, done.status)


@api.get(
    f"{PATH}/<subscriptionId>/attempts",
    operation_id="listWebhookAttempts",
    summary="What became of each try, newest first",
    description="Kept for 30 days.",
    responses={200: AttemptsOut, **problem_responses(404)},
)
@parsed
def list_attempts(path: SubscriptionPath, query: Page) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:
        subscription = subscriptions.read(act.connection, path.subscription_id)
        found = attempts(act.connection, query)
        act.tell(events.ATTEMPTS_LISTED, subscriptionId=str(subscription.id), count=len(found.items))
    return answer(found)


@api.post(
    f"{PATH}/<subscriptionId>/replays",
    operation_id="replayWebhooks",
    summary="Send again: one delivery, or all since a moment",
    description="Each with the webhook-id that it had. With since: what was taken from then on, what waits,"
    " and dead letters.",
    responses={202: ReplayOut, **problem_responses(404, 413, 415, 422, 429)},
)
@parsed
def replay(header: IdempotencyKey, path: SubscriptionPath, body: ReplayIn, context: ParseContext) -> Response:
    with own_client(SUBSCRIPTIONS_MANAGE) as act:

        def again() -> Answer:
            _within_reach(body, context)
            count = subscriptions.replay(act.connection, path.subscription_id, body, act.now)
            subscription = str(path.subscription_id)
            act.tell(events.SUBSCRIPTION_CHANGED, change="replay", subscriptionId=subscription, count=count)
            return Answer.of(202, ReplayOut(count=count))

        done = _once(act, header, f"replay {path.subscription_id}", body, again)
    return answer(done.body, done.status)


def _once(act: Act, header: IdempotencyKey, operation: str, body: BaseModel | None, do: Callable[[], Answer]) -> Answer:
    request = f"{operation}\0{body.model_dump_json(by_alias=True) if body else ''}".encode()
    asked = Asked(act.caller.client_id, header.idempotency_key, request, act.now)
    keys, most = current_app.extensions["index_keys"], current_app.extensions["webhook_changes"]
    done = once(act.connection, keys, asked, most, do)
    if done.is_repeat and "secret" in done.body:  # told again: that is a read (I4)
        act.tell(events.SUBSCRIPTION_READ, subscriptionId=done.body["id"])
    return done


def _only_https(address: str | None) -> None:
    if address and address.startswith("http:") and not current_app.extensions["allow_plain_http"]:
        fault = Fault("body", "#/address", "not_allowed", "Webhooks go to https addresses only.")
        raise Problem(INVALID_INPUT, errors=[fault])


def _may_be_reached(address: str) -> None:
    """For who makes a mistake: what the name says later is judged at each connection (`posting`)."""
    if current_app.extensions["webhook_destinations"].refuse(address):
        raise Problem(ADDRESS_NOT_ALLOWED)


def _within_reach(asked: ReplayIn, context: ParseContext) -> None:
    if asked.since and not context.now - subscriptions.REPLAY_REACHES <= asked.since <= context.now:
        fault = Fault("body", "#/since", "out_of_time", "Name a moment in the last 30 days.")
        raise Problem(INVALID_INPUT, errors=[fault])
