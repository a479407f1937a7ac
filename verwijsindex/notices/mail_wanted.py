# SPDX-License-Identifier: EUPL-1.2
"""That an inbox is to be mailed about: made with the notices, in their transaction; once, however much is told (R12).

A row says which inbox and when, and nothing of what is told. Who is mailed, at which address, is looked up when it
leaves (`mail_outcomes`).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

# A digest leaves the next time it is that time in Amsterdam; a time that is not there, or there twice, on the day the
# clocks change cannot be chosen. What waits already takes along what is told now, and leaves no later than it would
# have. That row is locked until this commits, also where it is not written: so it does not leave before what it tells
# can be read. Of one that is leaving at this moment (`spread_mail`) the end is waited for, and then there is a new one.
# Each arm of the UNION is a look into one index.
_WANT = text(
    """
    INSERT INTO mail_wanted (id, reporter_id, municipality_code, officer_oin, coordinator_oin, digest, due_at)
    SELECT uuidv7(), n.reporter_id, n.municipality_code, n.officer_oin, n.coordinator_oin, n.digest,
           CASE WHEN n.digest THEN (n.today + CASE WHEN n.today + n.digest_at > n.wall THEN 0 ELSE 1 END + n.digest_at)
                AT TIME ZONE 'Europe/Amsterdam' ELSE :due_at END
    FROM (
        SELECT DISTINCT n.reporter_id, n.municipality_code, n.officer_oin, n.coordinator_oin,
               n.quiet OR coalesce(p.digest, false) AS digest, coalesce(p.digest_at, '07:00') AS digest_at,
               CAST(w.wall AS date) AS today, w.wall
        FROM notice n CROSS JOIN (SELECT CAST(:now AS timestamptz) AT TIME ZONE 'Europe/Amsterdam' AS wall) w
        LEFT JOIN LATERAL (
            SELECT * FROM mail_preference WHERE reporter_id = n.reporter_id
            UNION ALL
            SELECT * FROM mail_preference WHERE reporter_id IS NULL AND municipality_code = n.municipality_code
            UNION ALL
            SELECT * FROM mail_preference
            WHERE reporter_id IS NULL AND municipality_code IS NULL AND officer_oin = n.officer_oin
            UNION ALL
            SELECT * FROM mail_preference
            WHERE reporter_id IS NULL AND municipality_code IS NULL AND officer_oin IS NULL
              AND coordinator_oin = n.coordinator_oin
        ) p ON true
        WHERE n.id = ANY(:notices)
    ) n
    ORDER BY n.reporter_id, n.municipality_code, n.officer_oin, n.coordinator_oin, n.digest
    ON CONFLICT (reporter_id, municipality_code, officer_oin, coordinator_oin, digest)
        DO UPDATE SET due_at = excluded.due_at WHERE excluded.due_at < mail_wanted.due_at
    """
)


def want_mail(connection: Connection, notices: Sequence[UUID], now: datetime, due_at: datetime) -> None:
    """Have the recipients of these notices mailed: at `due_at`, or with their digest if they chose that, or if the
    notice is quiet (R23)."""
    if notices:
        connection.execute(_WANT, {"notices": list(notices), "now": now, "due_at": due_at})
