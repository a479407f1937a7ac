# SPDX-License-Identifier: EUPL-1.2
"""Telling: a notice in the inbox of each who has to be told of a change, once, and its push (R8, R12, I3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Connection, text

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
# are what makes a notice come once. Under the matcher's lock nobody else places any: so what is there is looked for
# here, and the constraints are left to be the guarantee (ON CONFLICT writes each row a second time).
_EVENTS = events.of_rows(
    events.NOTICE_PLACED,
    events.MATCHER,
    "placed",
    {
        "noticeId": "id",
        "matchId": "match_id",
        "signalId": "archived_signal_id",
        "officersOf": "officer_oin",
        "coordinatorsOf": "coordinator_oin",
    },
    {"reporter": "reporter_id", "municipality": "municipality_code"},
)
_PLACE = text(
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:wanted AS json)) AS i (kind text, match_id uuid, archived_signal_id uuid,
            reporter_id uuid, municipality_code char(4), officer_oin char(20),
            coordinator_oin char(20), quiet boolean)
    ), changed AS (
        UPDATE match SET change = change + 1 WHERE id = ANY(ARRAY(SELECT match_id FROM wanted)) RETURNING id, change
    ), placed AS (
        INSERT INTO notice
            (id, kind, match_id, archived_signal_id, change, reporter_id, municipality_code, officer_oin,
             coordinator_oin, placed_at, quiet)
        SELECT uuidv7(), i.kind, i.match_id, i.archived_signal_id, coalesce(m.change, 0), i.reporter_id,
               i.municipality_code, i.officer_oin, i.coordinator_oin, CAST(:event_at AS timestamptz), i.quiet
        FROM (
            SELECT DISTINCT ON (match_id, archived_signal_id, kind, reporter_id, municipality_code, officer_oin,
                                coordinator_oin) *
            FROM wanted ORDER BY match_id, archived_signal_id, kind, reporter_id, municipality_code, officer_oin,
                                 coordinator_oin, quiet
        ) i LEFT JOIN changed m ON m.id = i.match_id
        WHERE i.match_id IS NOT NULL OR NOT EXISTS (
            SELECT FROM notice n WHERE n.archived_signal_id = i.archived_signal_id
            AND (n.reporter_id = i.reporter_id OR n.officer_oin = i.officer_oin))
        ORDER BY i.match_id, i.archived_signal_id, i.kind, i.reporter_id, i.municipality_code, i.officer_oin
        RETURNING id, match_id, archived_signal_id, reporter_id, municipality_code, officer_oin, coordinator_oin
    ), told AS ({_EVENTS})
    SELECT id FROM placed
    """  # noqa: S608 (constants)
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


def place(connection: Connection, wanted: Sequence[Wanted], now: datetime, push_due_at: datetime) -> int:
    """Place these notices, each with its event, a webhook for who subscribed, and a mail; how many are new.

    Args:
        push_due_at: when webhooks and mail may leave.
    """
    if not wanted:
        return 0
    asked = {"wanted": _as_json(wanted), **events.of_rows_at(now, len(wanted))}
    notices = list(connection.execute(_PLACE, asked).scalars())
    withdrawals = [one for one in wanted if one.kind == "party_withdrew"]
    if withdrawals:
        connection.execute(_PLACE_WITHDRAWALS, {"wanted": _as_json(withdrawals), "notices": notices})
    connection.execute(_PUSH, {"notices": notices, "due_at": push_due_at})
    want_mail(connection, notices, now, push_due_at)
    return len(notices)


def _as_json(wanted: Sequence[Wanted]) -> str:
    return to_json(wanted, exclude_none=True).decode()
