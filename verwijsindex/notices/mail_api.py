# SPDX-License-Identifier: EUPL-1.2
"""Routes of mail: when it is wanted (R23), to whom it does not come, and the link in a mail (RFC 8058)."""

from uuid import UUID

from flask import Blueprint, Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from verwijsindex.access.caller import (
    INSTITUTION_READ,
    INSTITUTION_WRITE,
    SHIELDED_READ,
    SHIELDED_WRITE,
    SIGNALS_READ,
    SIGNALS_WRITE,
    SUPERVISION_READ,
    SUPERVISION_WRITE,
)
from verwijsindex.acting import Act, OnBehalfOf, reading
from verwijsindex.database import transaction
from verwijsindex.ledger import events
from verwijsindex.notices import mail_links, mail_preferences
from verwijsindex.notices.mail_links import Choice
from verwijsindex.notices.mail_preferences import Inbox
from verwijsindex.notices.mail_schemas import MailPreferenceIn, MailPreferenceOut, RefusedMailsOut
from verwijsindex.paging import PageById
from verwijsindex.parsing import Strict, parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

OWN, OF_REPORTER = "/mail-preference", "/reporters/<reporterId>/mail-preference"
READERS = (SIGNALS_READ, SUPERVISION_READ, INSTITUTION_READ, SHIELDED_READ)
CHOOSERS = (SIGNALS_WRITE, SUPERVISION_WRITE, INSTITUTION_WRITE, SHIELDED_WRITE)
_WHOSE = (
    "Of the own inbox: that of the reporter for whom a machine asks, of the municipality's supervision, of the"
    " institution's coordinators together, or of its named officers together."
)
api = APIBlueprint(
    "mail",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[Tag(name="mail", description="When mail about an inbox is wanted, and to whom it does not come.")],
    abp_responses=problem_responses(400, 401, 403, 406, 500, 503),
)
links = Blueprint("mail_links", __name__, url_prefix=mail_links.PATH)
"""Open to all, said aloud: the link itself says whose it is, and the answer tells nothing."""


class ReporterPath(Strict):
    """Which reporter."""

    reporter_id: UUID = Field(alias="reporterId")


@api.get(
    OWN,
    operation_id="getMailPreference",
    summary="When mail is wanted",
    description=_WHOSE,
    security=needs(*READERS),
    responses={200: MailPreferenceOut},
)
@parsed
def get_mail_preference(header: OnBehalfOf) -> Response:
    with reading(header, *READERS) as act:
        found = mail_preferences.read(act.connection, act.actor, act.now, _own(act))
    return answer(found)


@api.put(
    OWN,
    operation_id="chooseMailPreference",
    summary="Choose when mail is wanted",
    description=f"{_WHOSE} What waits already leaves when it would have.",
    security=needs(*CHOOSERS),
    responses={200: MailPreferenceOut, **problem_responses(413, 415)},
)
@parsed
def choose_mail_preference(header: OnBehalfOf, body: MailPreferenceIn) -> Response:
    with reading(header, *CHOOSERS) as act:
        chosen = mail_preferences.choose(act.connection, act.actor, act.now, _own(act), body)
    return answer(chosen)


@api.get(
    OF_REPORTER,
    operation_id="getMailPreferenceOfReporter",
    summary="When a reporter of the own institution wants mail",
    security=needs(INSTITUTION_READ),
    responses={200: MailPreferenceOut, **problem_responses(404)},
)
@parsed
def get_mail_preference_of_reporter(header: OnBehalfOf, path: ReporterPath) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        mail_preferences.check_of_institution(act.connection, path.reporter_id)
        found = mail_preferences.read(act.connection, act.actor, act.now, Inbox(path.reporter_id))
    return answer(found)


@api.put(
    OF_REPORTER,
    operation_id="chooseMailPreferenceOfReporter",
    summary="Choose when a reporter of the own institution gets mail",
    security=needs(INSTITUTION_WRITE),
    responses={200: MailPreferenceOut, **problem_responses(404, 413, 415)},
)
@parsed
def choose_mail_preference_of_reporter(header: OnBehalfOf, path: ReporterPath, body: MailPreferenceIn) -> Response:
    with reading(header, INSTITUTION_WRITE) as act:
        mail_preferences.check_of_institution(act.connection, path.reporter_id)
        chosen = mail_preferences.choose(act.connection, act.actor, act.now, Inbox(path.reporter_id), body)
    return answer(chosen)


@api.get(
    "/refused-mails",
    operation_id="listRefusedMails",
    summary="To which reporters and coordinators of the own institution mail does not come",
    description="The mail server said that it never will. Their inboxes have every notice; have the address mended.",
    security=needs(INSTITUTION_READ),
    responses={200: RefusedMailsOut},
)
@parsed
def list_refused_mails(header: OnBehalfOf, query: PageById) -> Response:
    with reading(header, INSTITUTION_READ) as act:
        found = mail_preferences.refused_mail(act.connection, query)
        act.tell(events.REFUSED_MAILS_LISTED, count=len(found.items))
    return answer(found)


def _own(act: Act) -> Inbox:
    if act.caller.role == "machine":
        return Inbox(act.actor.on_behalf_of)
    if act.caller.role == "case_supervisor":
        return Inbox(municipality=act.caller.municipality)
    if act.caller.role == "coordinator":
        return Inbox(coordinator_oin=act.caller.oin)
    return Inbox(officer_oin=act.caller.oin)


@links.get("/<token>")
def ask_for_choice(token: str) -> Response:
    """A page that says what is chosen, with one button: what follows every link in a mail, to look for harm, must not
    choose anything."""
    return _page(_ASKED, mail_links.read(current_app.extensions["index_keys"], token))


@links.post("/<token>")
def make_choice(token: str) -> Response:
    """The choice of the link. The answer follows from the link alone: of what is stored it tells nothing."""
    choice = mail_links.read(current_app.extensions["index_keys"], token)
    if choice:
        with transaction(current_app.extensions["index_pool"]) as connection:
            mail_preferences.turn(connection, current_app.extensions["clock"](), choice)
    return _page(_DONE, choice)


def _page(said: dict[bool, str], choice: Choice | None) -> Response:
    page = _HTML.format(said[choice.digest] if choice else _NO_LINK)
    return Response(page, content_type="text/html; charset=utf-8")


_HTML = (
    '<!DOCTYPE html>\n<html lang="nl"><head><meta charset="utf-8"><title>Verwijsindex: mail</title></head>'
    "<body><main><h1>Mail van de Verwijsindex</h1>{}</main></body></html>\n"
)
_FORM = (
    '<form method="post"><p>{}</p><p lang="en">{}</p>'
    '<p><button type="submit">Ja <span lang="en">/ Yes</span></button></p></form>'
    '<p>Meer dan tien keer per dag wisselen kan niet.</p><p lang="en">You cannot change more than ten times a day.</p>'
)
_TOLD = '<p>{}</p><p lang="en">{}</p>'
_ASKED = {
    True: _FORM.format(
        "Wilt u voortaan eens per dag een mail, als er iets nieuws is?",
        "Do you want one mail a day from now on, if there is anything new?",
    ),
    False: _FORM.format(
        "Wilt u voortaan elke keer meteen een mail?", "Do you want a mail at once each time from now on?"
    ),
}
_DONE = {
    True: _TOLD.format("Uw keuze is ontvangen: eens per dag een mail.", "Your choice was received: one mail a day."),
    False: _TOLD.format(
        "Uw keuze is ontvangen: elke keer meteen een mail.", "Your choice was received: a mail at once each time."
    ),
}
_NO_LINK = _TOLD.format(
    "Deze link werkt niet, of niet meer: neem die uit uw nieuwste mail van de Verwijsindex.",
    "This link does not work, or not any more: use the one in your newest mail from the Verwijsindex.",
)
