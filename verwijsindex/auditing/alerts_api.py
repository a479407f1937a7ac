# SPDX-License-Identifier: EUPL-1.2
"""Routes of alerts, for privacy officers within their scopes (R28, R37)."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from verwijsindex.access.caller import LEDGER_AUDIT
from verwijsindex.acting import ActHeaders, OnBehalfOf
from verwijsindex.auditing import alerts
from verwijsindex.auditing.alert_schemas import (
    AlertActOut,
    AlertPath,
    AlertsAsked,
    AlertsOut,
    AlertWithEventsOut,
    AssessmentIn,
    ConfirmationIn,
)
from verwijsindex.auditing.api import TAG
from verwijsindex.auditing.officer import auditing
from verwijsindex.ledger import events
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "alerts",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[TAG],
    abp_security=needs(LEDGER_AUDIT),
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)


@api.get(
    "/alerts",
    operation_id="listAlerts",
    summary="List alerts, the newest first",
    responses={200: AlertsOut},
)
@parsed
def list_alerts(header: OnBehalfOf, query: AlertsAsked) -> Response:
    with auditing(header) as act:
        found = alerts.page(act.connection, query)
        act.tell(events.ALERTS_LISTED, count=len(found.items))
    return answer(found)


@api.get(
    "/alerts/<alertId>",
    operation_id="getAlert",
    summary="Read an alert, with the ids of the events behind it",
    responses={200: AlertWithEventsOut, **problem_responses(404)},
)
@parsed
def get_alert(header: OnBehalfOf, path: AlertPath) -> Response:
    with auditing(header) as act:
        found = alerts.one(act.connection, path.alert_id)
        act.tell(events.ALERT_READ, alertId=str(found.id))
    return answer(found)


@api.post(
    "/alerts/<alertId>/assessments",
    operation_id="assessAlert",
    summary="Say what an open alert was",
    responses={201: AlertActOut, **problem_responses(404, 409, 413, 415, 422)},
)
@parsed
def assess_alert(header: ActHeaders, path: AlertPath, body: AssessmentIn) -> Response:
    with auditing(header) as act:

        def assess() -> AlertActOut:
            done = alerts.assess(act.connection, path.alert_id, body.code, act.now)
            act.tell(events.ALERT_ASSESSED, alertId=str(path.alert_id), code=body.code)
            return done

        done = act.once(header, body, assess)
    return answer(done.body, done.status)


@api.post(
    "/alerts/<alertId>/confirmations",
    operation_id="confirmAlert",
    summary="Close what another officer assessed, or have it looked at anew",
    responses={201: AlertActOut, **problem_responses(404, 409, 413, 415, 422)},
)
@parsed
def confirm_alert(header: ActHeaders, path: AlertPath, body: ConfirmationIn) -> Response:
    with auditing(header) as act:

        def confirm() -> AlertActOut:
            done = alerts.confirm(act.connection, path.alert_id, body.decision, act.now)
            act.tell(events.ALERT_CONFIRMED, alertId=str(path.alert_id), decision=body.decision)
            return done

        done = act.once(header, body, confirm)
    return answer(done.body, done.status)
