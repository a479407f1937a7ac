# SPDX-License-Identifier: EUPL-1.2
"""When mail about an inbox is wanted (R23), and to whom it does not come: of the scope, and no others (I8)."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.notices.mail_links import Choice
from verwijsindex.notices.mail_schemas import (
    FIRST_DIGEST,
    MailPreferenceIn,
    MailPreferenceOut,
    RefusedMailOut,
    RefusedMailsOut,
)
from verwijsindex.paging import PageById
from verwijsindex.problems import DIGEST_TIME_NOT_EVERY_DAY, NOT_FOUND, Problem

LINK = events.Actor(role="mail link")
"""Who has the link of a mail, and did not sign in."""

# Row-level security leaves what the scope may choose.
_OF = (
    "reporter_id IS NOT DISTINCT FROM CAST(:reporter_id AS uuid)"
    " AND municipality_code IS NOT DISTINCT FROM CAST(:municipality_code AS char(4))"
    " AND officer_oin IS NOT DISTINCT FROM CAST(:officer_oin AS char(20))"
    " AND coordinator_oin IS NOT DISTINCT FROM CAST(:coordinator_oin AS char(20))"
)
_READ = text(f"SELECT digest, to_char(digest_at, 'HH24:MI') AS digest_at FROM mail_preference WHERE {_OF}")  # noqa: S608
# Of two that choose at once the later one counts.
_CHOOSE = text(
    """
    INSERT INTO mail_preference
        (id, reporter_id, municipality_code, officer_oin, coordinator_oin, digest, digest_at, chosen_at)
    VALUES (:id, :reporter_id, :municipality_code, :officer_oin, :coordinator_oin, :digest, CAST(:digest_at AS time),
            :now)
    ON CONFLICT (reporter_id, municipality_code, officer_oin, coordinator_oin) DO UPDATE
        SET digest = excluded.digest, digest_at = excluded.digest_at, chosen_at = excluded.chosen_at
    """
)
_TURN = text(
    "SELECT turn_mail(CAST(:reporter_id AS uuid), CAST(:municipality_code AS char(4)), CAST(:officer_oin AS char(20)),"
    " CAST(:coordinator_oin AS char(20)), :digest, :now)"
)
_OF_INSTITUTION = text(
    "SELECT EXISTS (SELECT FROM reporter WHERE id = :id AND oin = (SELECT scope_oin()) AND contact_removed_on IS NULL)"
)
_REFUSED = text(
    "SELECT id, recipient, person_id, refused_at, outcome"
    " FROM refused_mail_of_institution(CAST(:after AS uuid), CAST(:limit AS integer))"
)


class Inbox:
    """Whose mail it is: a reporter's, that of a municipality's supervision, or that of an institution's named officers
    or coordinators; one of the four."""

    def __init__(
        self,
        reporter_id: UUID | None = None,
        municipality: str | None = None,
        officer_oin: str | None = None,
        coordinator_oin: str | None = None,
    ) -> None:
        self.named = {
            "reporter_id": reporter_id,
            "municipality_code": municipality,
            "officer_oin": officer_oin,
            "coordinator_oin": coordinator_oin,
        }

    @classmethod
    def of_choice(cls, choice: Choice) -> "Inbox":
        """That of a link."""
        return cls(choice.reporter_id, choice.municipality_code, choice.officer_oin, choice.coordinator_oin)

    def event(self, kind: events.EventKind, now: datetime, actor: events.Actor, **says: str | int) -> events.Event:
        """An event that concerns whose it is."""
        for column, name in (("officer_oin", "officersOf"), ("coordinator_oin", "coordinatorsOf")):
            if self.named[column]:
                says[name] = str(self.named[column])
        reporter, municipality = self.named["reporter_id"], self.named["municipality_code"]
        return events.Event(
            kind,
            now,
            actor,
            says=says,
            recipient_reporter=reporter if isinstance(reporter, UUID) else None,
            recipient_municipality=str(municipality) if municipality else None,
        )


def check_of_institution(connection: Connection, reporter_id: UUID) -> None:
    """Raises Problem 404 for a reporter who is not of the scope's institution."""
    if not connection.execute(_OF_INSTITUTION, {"id": reporter_id}).scalar_one():
        raise Problem(NOT_FOUND)


def read(connection: Connection, actor: events.Actor, now: datetime, inbox: Inbox) -> MailPreferenceOut:
    """What was chosen, or what holds without a choice; with its event."""
    row = connection.execute(_READ, inbox.named).one_or_none()
    events.append(connection, [inbox.event(events.MAIL_PREFERENCE_READ, now, actor)])
    if row is None:
        return MailPreferenceOut(mail="at_once", digest_at=FIRST_DIGEST)
    return MailPreferenceOut(mail="digest" if row.digest else "at_once", digest_at=row.digest_at)


def choose(
    connection: Connection, actor: events.Actor, now: datetime, inbox: Inbox, wanted: MailPreferenceIn
) -> MailPreferenceOut:
    """From now on what is told is mailed so; what waits already leaves when it would have. With its event.

    Raises Problem 400 for a time that is not there on the day the clocks change.
    """
    if not wanted.is_there_every_day:
        raise Problem(DIGEST_TIME_NOT_EVERY_DAY)
    values = {"id": uuid4(), "digest": wanted.mail == "digest", "digest_at": wanted.digest_at, "now": now}
    connection.execute(_CHOOSE, inbox.named | values)
    changed = inbox.event(events.MAIL_PREFERENCE_CHANGED, now, actor, mail=wanted.mail, digestAt=wanted.digest_at)
    events.append(connection, [changed])
    return MailPreferenceOut(mail=wanted.mail, digest_at=wanted.digest_at)


def turn(connection: Connection, now: datetime, choice: Choice) -> None:
    """What the link in a mail asks for, at the time of the digest that was chosen before; with its event. What is so
    already is no act, nor is more than ten times a day (`turn_mail`): whoever has the link could fill the ledger."""
    inbox = Inbox.of_choice(choice)
    if not connection.execute(_TURN, inbox.named | {"digest": choice.digest, "now": now}).all():
        return
    mail = "digest" if choice.digest else "at_once"
    events.append(connection, [inbox.event(events.MAIL_PREFERENCE_CHANGED, now, LINK, mail=mail)])


def refused_mail(connection: Connection, page: PageById) -> RefusedMailsOut:
    """A page of the reporters and coordinators of the scope's institution to whom mail does not come."""
    rows, cursor = page.cut(connection.execute(_REFUSED, page.parameters()).all())
    return RefusedMailsOut(
        items=[
            RefusedMailOut(
                id=row.id, recipient=row.recipient, person=row.person_id, refused_at=row.refused_at, outcome=row.outcome
            )
            for row in rows
        ],
        next_cursor=cursor,
    )
