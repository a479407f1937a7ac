# SPDX-License-Identifier: EUPL-1.2
"""What a reporter, or the coordinator on the reporter's behalf, does with a placed signal (R13, R24, R26, R27, R34).

Each act changes one signal, and gives the matcher work where a match may change by it (docs/decisions/0003); its event
says on whose behalf a coordinator acts. Whose signal it is, and whether it is placed, is the database's to say: the
view `acting_signal` holds those on which the scope may act, so that another's, an ended one and none at all are alike.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.problems import (
    ALREADY_INFORMED,
    CATALOGUE,
    INVALID_INPUT,
    RECEIVER_MAY_NOT_SIGNAL,
    SIGNAL_NOT_FOUND,
    Fault,
    Problem,
)
from verwijsindex.registry.reading import check_takes_part
from verwijsindex.signals.acts_schemas import (
    HandoverOut,
    InformedNow,
    InformingRecorded,
    MoveOut,
    PostponedNow,
    Reason,
    WithdrawalOut,
)
from verwijsindex.signals.informing import TO_INFORM

# Of two at once the second waits for the first, and looks again at the row as it is then: it has ended, or is held by
# another, and so is not in the view any more. Exactly one withdraws.
_WITHDRAW = text("SELECT withdraw(:signal, :reason, :now)")
_RECORD = text(
    "UPDATE informing_signal SET informing_status = :status, informed_on = :on, informed_to = :to,"
    " postponed_ground = :ground, review_date = :review_date WHERE id = :signal RETURNING reporter_id"
)
_INFORMED = text("SELECT EXISTS (SELECT FROM acting_signal WHERE id = :signal AND informing_status = 'informed')")
# One statement, so that what allows the one allows the other: between two a death might be told.
_MOVE = text(
    "WITH resides AS (UPDATE acting_signal SET residence_municipality = :municipality WHERE id = :signal"
    " RETURNING id, reporter_id), told AS (INSERT INTO move (id, signal_id, municipality_code, reporter_id, told_at)"
    " SELECT :id, id, :municipality, reporter_id, :now FROM resides) SELECT reporter_id FROM resides"
)
_HAND_OVER = text("SELECT hand_over(:signal, :receiver, :now)")
_WORK = text("INSERT INTO work (signal_id) VALUES (:signal)")


def withdraw(
    connection: Connection, actor: events.Actor, now: datetime, signal_id: UUID, reason: Reason
) -> WithdrawalOut:
    """End a signal (R13). Raises Problem 404 for one that is not placed, or not the actor's to act on."""
    reporter = _change(connection, signal_id, _WITHDRAW, now=now, reason=reason)
    connection.execute(_WORK, {"signal": signal_id})
    _tell(connection, events.SIGNAL_WITHDRAWN, actor, now, signal_id, reporter, reason=reason)
    return WithdrawalOut(ended_at=now, reason=reason)


def record_informing(
    connection: Connection, actor: events.Actor, now: datetime, signal_id: UUID, informing: InformedNow | PostponedNow
) -> InformingRecorded:
    """Write down that the family was informed, or that it is postponed (anew). The age group is not kept (R26), and the
    matcher has nothing to do.

    Raises:
        Problem: 404 as `withdraw`, 409 for a family that was informed already: it only goes forward.
    """
    informed = informing if isinstance(informing, InformedNow) else None
    postponed = None if isinstance(informing, InformedNow) else informing
    values = {
        "status": informing.status,
        "on": informed.on if informed else None,
        "to": TO_INFORM[informed.age_group] if informed else None,
        "ground": postponed.ground if postponed else None,
        "review_date": postponed.review_date if postponed else None,
    }
    reporter = connection.execute(_RECORD, {"signal": signal_id} | values).scalar_one_or_none()
    if reporter is None:
        informed_already = connection.execute(_INFORMED, {"signal": signal_id}).scalar_one()
        raise Problem(ALREADY_INFORMED if informed_already else SIGNAL_NOT_FOUND)
    _tell(connection, events.INFORMING_RECORDED, actor, now, signal_id, reporter, status=informing.status)
    return InformingRecorded(recorded_at=now, status=informing.status)


def tell_move(
    connection: Connection, actor: events.Actor, now: datetime, signal_id: UUID, municipality: str
) -> MoveOut:
    """Say where the signal's youngster lives now (R24): at once on this signal, by the matcher on all the others.

    Raises:
        Problem: 400 for a municipality that does not take part, 404 as `withdraw`.
    """
    check_takes_part(connection, municipality)
    reporter = _change(connection, signal_id, _MOVE, id=uuid4(), municipality=municipality, now=now)
    connection.execute(_WORK, {"signal": signal_id})
    _tell(connection, events.SIGNAL_MOVED, actor, now, signal_id, reporter)
    return MoveOut(told_at=now, residence_municipality=municipality)


def hand_over(
    connection: Connection, actor: events.Actor, now: datetime, signal_id: UUID, receiver: UUID
) -> HandoverOut:
    """Give a signal of the coordinator's institution to another of its reporters, under that one's agreement (R34).
    The giver's case reference goes (R6), and parents that this agreement may not send (R10).

    Raises:
        Problem: 404 as `withdraw`, 400 for who holds it already, 403 for who may not signal today (and why).
    """
    values = {"signal": signal_id, "receiver": receiver, "now": now}
    refused: str | None = connection.execute(_HAND_OVER, values).scalar_one()
    if refused == SIGNAL_NOT_FOUND.slug:
        raise Problem(SIGNAL_NOT_FOUND)
    if refused == "same-reporter":
        fault = Fault("body", "#/to", "not_allowed", "This reporter holds the signal already.")
        raise Problem(INVALID_INPUT, errors=[fault])
    if refused:
        raise Problem(RECEIVER_MAY_NOT_SIGNAL, detail=f"{CATALOGUE[refused].title}. {RECEIVER_MAY_NOT_SIGNAL.detail}")
    _tell(connection, events.SIGNAL_HANDED_OVER, actor, now, signal_id, receiver)
    return HandoverOut(handed_over_at=now, reporter=receiver)


def _change(connection: Connection, signal_id: UUID, statement: Any, **values: object) -> UUID:
    reporter: UUID | None = connection.execute(statement, {"signal": signal_id} | values).scalar_one_or_none()
    if reporter is None:
        raise Problem(SIGNAL_NOT_FOUND)
    return reporter


def _tell(
    connection: Connection,
    kind: events.EventKind,
    actor: events.Actor,
    now: datetime,
    signal_id: UUID,
    reporter: UUID,
    **says: str,
) -> None:
    """The act's event; it names the reporter where the actor is a coordinator (R13). For a machine the actor does."""
    named = {} if actor.on_behalf_of else {"reporterId": str(reporter)}
    events.append(connection, [events.Event(kind, now, actor, says={"signalId": str(signal_id), **says, **named})])
