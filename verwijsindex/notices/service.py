# SPDX-License-Identifier: EUPL-1.2
"""Telling: a notice in the inbox of each who has to be told of a change, once, and its push (R8, R12, I3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.notices.mail_wanted import want_mail


@dataclass(frozen=True, slots=True)
class Wanted:
    """A notice that has to be: its kind, of which match or archived signal, and its one recipient: a reporter, the
    supervisors of a municipality, or the named officers (R36) or coordinators (R21) of an institution. Of a withdrawal
    also whose party it was (R37): several that differ in this alone are one notice."""

    kind: Literal["match", "party_withdrew", "move", "archive", "lead", "reminder", "escalation"]
    reporter_id: UUID | None
    municipality_code: str | None
    officer_oin: str | None
    match_id: UUID | None = None
    archived_signal_id: UUID | None = None
    withdrew_oin: str | None = None
    withdrew_agreement: UUID | None = None
    withdrew_shielded: bool | None = None
    quiet: bool = False
    """Its mail waits for the recipient's digest (R23)."""
    coordinator_oin: str | None = None


# One change of a match is one number, whatever was told in it: the unique constraints on it, the kind and the recipient
# are what makes a notice come once.
_NEXT_CHANGE = text("UPDATE match SET change = change + 1 WHERE id = ANY(:matches)")
_PLACE = text(
    """
    INSERT INTO notice
        (id, kind, match_id, archived_signal_id, change, reporter_id, municipality_code, officer_oin,
         coordinator_oin, placed_at, quiet)
    SELECT uuidv7(), i.kind, i.match_id, i.archived_signal_id,
           coalesce((SELECT change FROM match WHERE id = i.match_id), 0), i.reporter_id, i.municipality_code,
           i.officer_oin, i.coordinator_oin, :now, i.quiet
    FROM json_to_recordset(CAST(:wanted AS json)) AS i (kind text, match_id uuid, archived_signal_id uuid,
        reporter_id uuid, municipality_code char(4), officer_oin char(20), coordinator_oin char(20), quiet boolean)
    ORDER BY i.match_id, i.archived_signal_id, i.kind, i.reporter_id, i.municipality_code, i.officer_oin,
             i.coordinator_oin, i.quiet
    ON CONFLICT DO NOTHING
    RETURNING id, match_id, archived_signal_id, reporter_id, municipality_code, coordinator_oin
    """
)
# Only of what was placed just now: a notice that stands says already whom to ask.
_PLACE_WITHDRAWALS = text(
    """
    INSERT INTO notice_withdrawal (notice_id, oin, shielded, agreement_id)
    SELECT DISTINCT n.id, i.withdrew_oin, i.withdrew_shielded, i.withdrew_agreement
    FROM json_to_recordset(CAST(:wanted AS json)) AS i (match_id uuid, reporter_id uuid, municipality_code char(4),
        officer_oin char(20), withdrew_oin char(20), withdrew_shielded boolean, withdrew_agreement uuid)
    JOIN notice n ON n.match_id = i.match_id AND (n.reporter_id = i.reporter_id
        OR n.municipality_code = i.municipality_code OR n.officer_oin = i.officer_oin)
    WHERE n.id = ANY(:notices) AND n.kind = 'party_withdrew'
    """
)
# Nothing is pushed of what goes to the named officers or the coordinators: a client has no inbox to fetch then, and an
# event without a reporter would say to all who run it that there is something shielded (R33, R36).
# The lock waits for who deletes a subscription at this moment, and then leaves it out; the foreign key would fail.
_PUSH = text(
    """
    INSERT INTO delivery (id, notice_id, client_id, due_at, attempts)
    SELECT gen_random_uuid(), n.id, s.client_id, :due_at, 0
    FROM notice n JOIN reporter r ON r.id = n.reporter_id JOIN subscription s ON s.oin = r.oin
    WHERE n.id = ANY(:notices) ORDER BY n.id, s.client_id
    FOR KEY SHARE OF s
    ON CONFLICT (notice_id, client_id) DO NOTHING
    """
)


def _about(row: Row[Any]) -> dict[str, str]:
    about = {"matchId": str(row.match_id)} if row.match_id else {"signalId": str(row.archived_signal_id)}
    return about | ({"coordinatorsOf": row.coordinator_oin} if row.coordinator_oin else {})


def place(connection: Connection, wanted: Sequence[Wanted], now: datetime, push_due_at: datetime) -> int:
    """Place these notices, each with its event, a webhook for who subscribed, and a mail; how many are new.

    Args:
        push_due_at: when webhooks and mail may leave.
    """
    if not wanted:
        return 0
    connection.execute(_NEXT_CHANGE, {"matches": sorted({w.match_id for w in wanted if w.match_id})})
    rows = [{name: getattr(one, name) for name in Wanted.__slots__} for one in wanted]
    placed = connection.execute(_PLACE, {"wanted": as_json(rows), "now": now}).all()
    withdrawals = [row for row in rows if row["kind"] == "party_withdrew"]
    if withdrawals:
        notices = [row.id for row in placed]
        connection.execute(_PLACE_WITHDRAWALS, {"wanted": as_json(withdrawals), "notices": notices})
    connection.execute(_PUSH, {"notices": [row.id for row in placed], "due_at": push_due_at})
    want_mail(connection, [row.id for row in placed], now, push_due_at)
    events.append(
        connection,
        [
            events.Event(
                events.NOTICE_PLACED,
                now,
                events.MATCHER,
                says={"noticeId": str(row.id), **_about(row)},
                recipient_reporter=row.reporter_id,
                recipient_municipality=row.municipality_code,
            )
            for row in placed
        ],
    )
    return len(placed)
