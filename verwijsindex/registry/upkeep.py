# SPDX-License-Identifier: EUPL-1.2
"""Contact data of who left: destroyed when nothing can show it any more (AVG 5(1)(e); docs/retention.md).

The row stays, with its id, institution and position: signals, parties and the ledger refer to it, and the institution
knows who that was.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import Connection, text

from verwijsindex.ledger import events

# A function of the owner's: the role of the workers may call it, and reads or changes no contact data by itself.
_REMOVE = text("SELECT record, id, municipality_code FROM remove_contact_data(:today, :before, :size)")


def remove_contact_data(connection: Connection, now: datetime, today: date, kept_days: int, size: int) -> int:
    """Destroy name, telephone and e-mail of who left more than `kept_days` days ago, each with its event; how many.

    `today` is the Amsterdam date of `now`. At most `size` of each kind at a time. A reporter's stay as long as there
    is a signal of theirs, or an archived one (R16, R17).
    """
    values = {"today": today, "before": today - timedelta(days=kept_days), "size": size}
    removed = connection.execute(_REMOVE, values).all()
    events.append(
        connection,
        [
            events.Event(
                events.CONTACT_DATA_REMOVED,
                now,
                events.UPKEEP,
                says={"record": row.record, "recordId": str(row.id)},
                recipient_reporter=row.id if row.record == "reporter" else None,
                recipient_municipality=row.municipality_code,
            )
            for row in removed
        ],
    )
    return len(removed)
