# SPDX-License-Identifier: EUPL-1.2
"""For whom a request acts, and the one transaction of a read or an act with its event (I4, I8).

A machine says by `On-Behalf-Of` for which reporter of its institution it reads or acts; a case supervisor does so for
the own municipality (R19), a coordinator and a named officer for the own institution (R20, R36), an officer of the
rights desk decides for the own municipality (R30). The scope is checked against the register in the same transaction,
by row-level security as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Flask, Response, current_app, g, request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import SQLAlchemyError

from verwijsindex.access.caller import Caller, Role
from verwijsindex.access.http import caller as calling
from verwijsindex.database import Scope, transaction
from verwijsindex.ledger import events
from verwijsindex.logs import REFUSAL_NOT_RECORDED, log
from verwijsindex.parsing import Outgoing, Strict
from verwijsindex.problems import (
    INVALID_INPUT,
    NOT_ALLOWED,
    REPORTER_NOT_DESIGNATED,
    UNAVAILABLE,
    Fault,
    Problem,
    ProblemType,
)
from verwijsindex.repeating import ACTS, Answer, Asked, KeyText
from verwijsindex.signals.dates import amsterdam_date

# For each role, the one row of the register that must be there today, and what is refused without it.
_IN_REGISTER: dict[Role, tuple[TextClause, ProblemType]] = {
    "machine": (text("SELECT scope_own_reporter()"), REPORTER_NOT_DESIGNATED),
    "case_supervisor": (text("SELECT id FROM case_supervisor WHERE id = :person"), NOT_ALLOWED),
    "coordinator": (text("SELECT scope_own_coordinator()"), NOT_ALLOWED),
    "named_officer": (text("SELECT scope_own_officer()"), NOT_ALLOWED),
    "rights_desk": (text("SELECT code FROM scope_own_desk() code WHERE code = :municipality"), NOT_ALLOWED),
}
_LOGGED_REFUSALS = (403, 404, 429)


class OnBehalfOf(Strict):
    """The reporter for whom a machine reads or acts; a person's token has none."""

    on_behalf_of: UUID | None = Field(
        default=None,
        alias="On-Behalf-Of",
        description="Id of the reporter for whom this is; a machine must send it, a person must not.",
    )


class IdempotencyKey(Strict):
    """The sender's own key of this request; a repeat with the same key and content gets the first answer."""

    idempotency_key: KeyText = Field(alias="Idempotency-Key")


class ActHeaders(IdempotencyKey, OnBehalfOf):
    """Of an act: for whom, and its own key."""


@dataclass(frozen=True, slots=True)
class Act:
    """An act or a read under way: the scoped transaction, who acts, and when."""

    connection: Connection
    caller: Caller
    actor: events.Actor
    now: datetime

    def tell(self, kind: events.EventKind, **says: str | int) -> None:
        """Write the event of what is done or read, in its own transaction (I4)."""
        events.append(self.connection, [events.Event(kind, self.now, self.actor, says=says)])

    def once(self, header: ActHeaders, body: BaseModel | None, do: Callable[[], Outgoing]) -> Answer:
        """A 201 with what `do` gives; of a repeat the first answer, and nothing is done (`repeating.Requests.once`)."""
        said = body.model_dump_json(by_alias=True) if body else ""
        content = f"{request.method} {request.path}\0{header.on_behalf_of or ''}\0{said}".encode()
        asked = Asked(caller_text(self.caller), header.idempotency_key, content, self.now)
        return ACTS.once(self.connection, current_app.extensions["index_keys"], asked, lambda: Answer.of(201, do()))


@contextmanager
def reading(header: OnBehalfOf, *scopes: str) -> Iterator[Act]:
    """A transaction in which only what the caller may see exists.

    Args:
        scopes: whoever holds one of these may read this; each is of one role.

    Raises:
        Problem: 403 for a role, scope, reporter or person that may not.
    """
    caller = calling()
    caller.require(*scopes)
    if caller.role == "machine" and header.on_behalf_of is None:
        missing = Fault("header", "On-Behalf-Of", "missing", "Name the reporter for whom this is.")
        raise Problem(INVALID_INPUT, errors=[missing])
    if caller.role != "machine" and header.on_behalf_of is not None:
        raise Problem(NOT_ALLOWED)
    now: datetime = current_app.extensions["clock"]()
    pool: Engine = current_app.extensions["index_pool"]
    scope = Scope(
        today=amsterdam_date(now),
        oin=caller.oin,
        reporter_id=header.on_behalf_of,
        municipality=caller.municipality if caller.role == "case_supervisor" else None,
        coordinator_id=caller.person_id if caller.role == "coordinator" else None,
        officer_id=caller.person_id if caller.role == "named_officer" else None,
        desk_officer_id=caller.person_id if caller.role == "rights_desk" else None,
        caller=caller_text(caller),
    )
    with transaction(pool, scope) as connection:
        who, otherwise = _IN_REGISTER[caller.role]
        named = {"person": caller.person_id, "municipality": caller.municipality}
        if connection.execute(who, named).scalar_one_or_none() is None:
            raise Problem(otherwise)
        yield Act(connection, caller, actor_of(caller, header.on_behalf_of), now)


@contextmanager
def acting(header: OnBehalfOf, *scopes: str) -> Iterator[Act]:
    """As `reading`, for what changes something: when it is committed the matcher's bell is rung."""
    with reading(header, *scopes) as act:
        yield act
    current_app.extensions["match_bell"].ring()


@contextmanager
def own_client(scope: str) -> Iterator[Act]:
    """A transaction in which only what belongs to the calling machine itself exists; for no reporter.

    Raises:
        Problem: 403 unless a machine calls whose token holds `scope`.
    """
    caller = calling()
    caller.require(scope)
    now: datetime = current_app.extensions["clock"]()
    pool: Engine = current_app.extensions["index_pool"]
    with transaction(pool, Scope(amsterdam_date(now), oin=caller.oin, client_id=caller.client_id)) as connection:
        yield Act(connection, caller, actor_of(caller, None), now)


def log_refusals(app: Flask) -> None:
    """Make each 403, 404 and 429 of a known caller an event of its own (I4), then answer it."""

    @app.errorhandler(Problem)
    def on_problem(problem: Problem) -> Response:
        caller: Caller | None = g.get("caller")
        if caller and problem.type.status in _LOGGED_REFUSALS:
            says: dict[str, str | int] = {
                "problem": problem.type.slug,
                "operation": request.endpoint or "none",
            }
            for name in (
                "signalId",
                "archivedSignalId",
                "matchId",
                "noticeId",
                "reporterId",
                "subscriptionId",
                "muteId",
                "alertId",
            ):
                asked = _uuid((request.view_args or {}).get(name))
                if asked:
                    says[name] = str(asked)
            named = _uuid(request.headers.get("On-Behalf-Of")) if caller.role == "machine" else None
            actor = actor_of(caller, named)
            now = current_app.extensions["clock"]()
            refusal = events.Event(events.ACCESS_REFUSED, now, actor, outcome="refused", says=says)
            try:
                with transaction(current_app.extensions["index_pool"]) as connection:
                    events.append(connection, [refusal])
            except SQLAlchemyError as error:  # nothing handles what an error handler raises
                log(REFUSAL_NOT_RECORDED, error=error)
                return Problem(UNAVAILABLE, headers={"Retry-After": "2"}).response()
        return problem.response()


def actor_of(caller: Caller, on_behalf_of: UUID | None) -> events.Actor:
    """The caller as an event names it; for a machine, the reporter for whom it says to act."""
    return events.Actor(
        role=caller.role,
        client_id=caller.client_id,
        oin=caller.oin,
        municipality=caller.municipality,
        person=str(caller.person_id) if caller.person_id else None,
        on_behalf_of=on_behalf_of,
    )


def caller_text(caller: Caller) -> str:
    """Whose idempotency keys these are: those of a client, or of a person whatever page they use."""
    return f"{caller.role} {caller.person_id or caller.client_id}"


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
