# SPDX-License-Identifier: EUPL-1.2
"""Telling: who gets a notice of a change, once (R8, I3), and what a recipient finds in its inbox."""

from collections.abc import Sequence, Set
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.ledger import events

# A new party is told to all parties and all supervising municipalities; a municipality that comes in without one is
# told alone. One change of a match is one number: the unique constraints on it are what makes a notice come once.
_NEXT_CHANGE = text("UPDATE match SET change = change + 1 WHERE id = ANY(:matches) RETURNING id, change")
_TELL = text(
    """
    INSERT INTO notice (id, kind, match_id, change, reporter_id, municipality_code, placed_at)
    SELECT uuidv7(), 'match', m.id, m.change, told.reporter_id, told.municipality_code, :now
    FROM match m CROSS JOIN LATERAL (
        SELECT p.reporter_id, NULL AS municipality_code FROM party p
        WHERE p.match_id = m.id AND p.left_at IS NULL AND m.id = ANY(:all_told)
        UNION ALL
        SELECT NULL, v.municipality_code FROM supervision v
        WHERE v.match_id = m.id AND v.left_at IS NULL AND (m.id = ANY(:all_told) OR (m.id, v.municipality_code)
              IN (SELECT * FROM unnest(CAST(:newcomer_matches AS uuid[]), CAST(:newcomers AS char(4)[]))))
    ) told
    WHERE m.id = ANY(:matches)
    ORDER BY m.id, told.reporter_id, told.municipality_code
    ON CONFLICT DO NOTHING
    RETURNING id, match_id, reporter_id, municipality_code
    """
)
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


def tell_of_matches(
    connection: Connection,
    *,
    changed_parties: Set[UUID],
    new_supervisions: Sequence[tuple[UUID, str]],
    now: datetime,
    push_due_at: datetime,
) -> int:
    """Place one notice for each recipient of each change, its event, and a webhook for who subscribed.

    Args:
        changed_parties: matches with a new party: everyone in them is told.
        new_supervisions: match and municipality newly supervising; told also when there is no new party.
        push_due_at: when the webhooks may leave.

    Returns:
        How many notices were placed.
    """
    matches = changed_parties | {match for match, _ in new_supervisions}
    if not matches:
        return 0
    connection.execute(_NEXT_CHANGE, {"matches": sorted(matches)})
    placed = connection.execute(
        _TELL,
        {
            "matches": sorted(matches),
            "all_told": sorted(changed_parties),
            "newcomer_matches": [match for match, _ in new_supervisions],
            "newcomers": [municipality for _, municipality in new_supervisions],
            "now": now,
        },
    ).all()
    connection.execute(_PUSH, {"notices": [row.id for row in placed], "due_at": push_due_at})
    events.append(
        connection,
        [
            events.Event(
                events.NOTICE_PLACED,
                now,
                events.MATCHER,
                says={"matchId": str(row.match_id), "noticeId": str(row.id)},
                recipient_reporter=row.reporter_id,
                recipient_municipality=row.municipality_code,
            )
            for row in placed
        ],
    )
    return len(placed)
