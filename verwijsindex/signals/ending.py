# SPDX-License-Identifier: EUPL-1.2
"""What ended leaves the table of signals: into the archive, or destroyed with a tombstone (R14 to R16).

Which of the two is decided from what the signal says, whenever it is looked at: safe to run twice, at once or late.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.signals.dates import AMSTERDAM, amsterdam_date, two_years_after, years_after

ARCHIVED_YEARS = 5
"""How long an archived signal is kept at most (Jeugdwet 7.1.4.6)."""
Bury = Callable[[Sequence[UUID], Mapping[UUID, datetime]], bool]
"""Writes the ids of signals that are about to be destroyed, and of those withdrawn and when, where a restore finds them
(R13, R16). Whether they stand there for good: if not, none is destroyed now; nothing shows them, and the next sweep
tries again. What was withdrawn is archived all the same, so that a new signal is told of it (R17)."""

# Locked, so that no act and no work can come to them any more: an act waits, and finds them gone. And locked by the
# caller before it looked at what is live: work of an end that came later would be deleted here unseen.
# Shielded is who had another, shielded signal when it ended: the party was shielded as a whole (R36). An aggregate,
# unlike EXISTS, is found by the youngster, and not by a look at all that is shielded.
_ENDS = "least({0}.ended_at, {0}.removal_date::timestamp AT TIME ZONE 'Europe/Amsterdam')"
_ENDED = text(
    "SELECT id, youngster_id, reporter_id, oin, agreement_id, key_version, made_at, received_at, removal_date,"  # noqa: S608
    " turns23_on_sealed, ended_at, end_reason, restricted_at IS NOT NULL AS restricted,"
    " shielded OR coalesce((SELECT bool_or(o.shielded) FROM signal o"
    " WHERE o.youngster_id = s.youngster_id AND o.reporter_id = s.reporter_id"
    f" AND coalesce(o.held_since, o.received_at) <= {_ENDS.format('s')} AND {_ENDS.format('o')} >= {_ENDS.format('s')}"
    "), false) AS shielded FROM signal s"
    " WHERE youngster_id = ANY(:youngsters) AND (ended_at IS NOT NULL OR removal_date <= :today)"
    " ORDER BY id FOR NO KEY UPDATE"
)
_ARCHIVED_OF_DEAD = text(
    "SELECT a.id FROM archived_signal a JOIN unnest(CAST(:youngsters AS uuid[]), CAST(:moments AS timestamptz[]))"
    " i (id, told_at) ON a.youngster_id = i.id AND a.received_at <= i.told_at"
)
_ARCHIVE_ENDED = text(
    "SELECT id, youngster_id FROM archived_signal WHERE destroy_on <= :today ORDER BY destroy_on LIMIT :size"
)
_TAKE_OUT_OF_ARCHIVE = text("DELETE FROM archived_signal WHERE id = ANY(:signals) RETURNING reporter_id")
_ARCHIVE_COLUMNS = {
    "id": "uuid",
    "youngster_id": "uuid",
    "reporter_id": "uuid",
    "oin": "char(20)",
    "agreement_id": "uuid",
    "shielded": "boolean",
    "restricted": "boolean",
    "received_at": "timestamptz",
    "ended_at": "timestamptz",
    "end_reason": "text",
    "destroy_on": "date",
}
_ARCHIVE = text(
    f"INSERT INTO archived_signal ({', '.join(_ARCHIVE_COLUMNS)}) SELECT {', '.join(_ARCHIVE_COLUMNS)}"  # noqa: S608
    f" FROM json_to_recordset(CAST(:rows AS json)) AS i ({', '.join(map(' '.join, _ARCHIVE_COLUMNS.items()))})"
)
_BURY = text(
    "INSERT INTO tombstone (signal_id, destroyed_at) SELECT unnest(CAST(:signals AS uuid[])), :now"
    " ON CONFLICT DO NOTHING"
)
_FORGET_WORK = text("DELETE FROM work WHERE signal_id = ANY(:signals)")
_TAKE_OUT = text("DELETE FROM signal WHERE id = ANY(:signals) RETURNING youngster_id")
# Also of who was handed over without its parents, whosever signals these are: nobody else forgets parents.
_PARENTS = text(
    "WITH former AS (DELETE FROM former_parent RETURNING parent_id)"
    " SELECT parent_id FROM former UNION SELECT parent_id FROM signal_parent WHERE signal_id = ANY(:signals)"
)
_FORGET_PARENTS = text(
    "DELETE FROM parent p WHERE p.id = ANY(:parents)"
    " AND NOT EXISTS (SELECT FROM signal_parent s WHERE s.parent_id = p.id)"
)
_FORGET_STANDINGS = text(
    "DELETE FROM standing st WHERE st.youngster_id = ANY(:youngsters)"
    " AND (st.handed_over_at IS NOT NULL OR st.youngster_id = ANY(:left))"
    " AND NOT EXISTS (SELECT FROM signal s WHERE s.standing_id = st.id)"
    " RETURNING st.youngster_id, st.reporter_id, NOT EXISTS (SELECT FROM archived_signal a"
    " WHERE a.youngster_id = st.youngster_id AND a.reporter_id = st.reporter_id) AS for_good"
)
# A line in an inbox says that its reader had a signal on the youngster of its match. It goes once there is none any
# more, live or archived (of officers and coordinators: none of the institution); and one of an archived signal goes
# with that. The lock on the subscription comes before that on its deliveries, which go with the line, as everywhere
# (`notices.outcomes`). OFFSET 0 has PostgreSQL look each row up, whatever it guesses of tables it has not seen full.
_LINES_OF = """
SELECT n.id FROM {about} o CROSS JOIN LATERAL (
    SELECT id, {recipient} FROM notice WHERE {about}_id = o.id AND {recipient} IS NOT NULL OFFSET 0
) n WHERE o.youngster_id = ANY(:youngsters)
  AND NOT EXISTS (SELECT FROM signal x WHERE x.youngster_id = o.youngster_id AND {own} OFFSET 0)
  AND NOT EXISTS (SELECT FROM archived_signal x WHERE x.youngster_id = o.youngster_id AND {own} OFFSET 0)
"""
_LINES_OF_DESTROYED = (
    "SELECT id FROM notice"
    " WHERE archived_signal_id = ANY(:destroyed) AND archived_signal_id IS NOT NULL AND {} IS NOT NULL"
)
_OWN = {"reporter_id": "x.reporter_id = n.reporter_id", "officer_oin": "x.oin = n.officer_oin"}
_LINES = (
    " UNION ALL ".join(
        part
        for recipient, own in _OWN.items()
        for part in (
            _LINES_OF.format(about="match", recipient=recipient, own=own),
            _LINES_OF.format(about="archived_signal", recipient=recipient, own=own),
            _LINES_OF_DESTROYED.format(recipient),
        )
    )
    + " UNION ALL "
    + _LINES_OF.format(about="match", recipient="coordinator_oin", own="x.oin = n.coordinator_oin")
)
_FORGET_LINES = text(
    f"WITH line AS MATERIALIZED ({_LINES}), held AS MATERIALIZED ("  # noqa: S608
    " SELECT s.client_id FROM subscription s WHERE s.client_id IN (SELECT d.client_id FROM line CROSS JOIN LATERAL"
    " (SELECT client_id FROM delivery WHERE notice_id = line.id OFFSET 0) d) ORDER BY s.client_id FOR KEY SHARE"
    ") DELETE FROM notice WHERE id IN (SELECT id FROM line) AND (SELECT count(*) FROM held) IS NOT NULL"
)
# Who said of whom "we already work together" goes with the standing of who said it; and when the other leaves a
# youngster for good, unless it is there still, live or archived, or stands on a sibling (R16, R23). Of whom a mute
# names and who is in the archive of a sibling it is not remembered of which: it may go too early, which delays nothing.
_FORGET_MUTES = text(
    """
    DELETE FROM mute u WHERE u.other_id = ANY(:reporters)
      AND NOT EXISTS (SELECT FROM signal s WHERE s.youngster_id = u.youngster_id AND s.reporter_id = u.other_id)
      AND NOT EXISTS (
        SELECT FROM archived_signal a WHERE a.youngster_id = u.youngster_id AND a.reporter_id = u.other_id)
      AND NOT EXISTS (
        SELECT FROM signal o JOIN signal_parent op ON op.signal_id = o.id
        JOIN signal_parent sp ON sp.parent_id = op.parent_id JOIN signal s ON s.id = sp.signal_id
        WHERE o.youngster_id = u.youngster_id AND s.reporter_id = u.other_id)
    """
)
_FORGET_YOUNGSTERS = text(
    "DELETE FROM youngster y WHERE y.id = ANY(:youngsters)"
    " AND NOT EXISTS (SELECT FROM signal s WHERE s.youngster_id = y.id)"
    " AND NOT EXISTS (SELECT FROM archived_signal a WHERE a.youngster_id = y.id)"
)


@dataclass(frozen=True, slots=True)
class Settled:
    """How many signals were archived, and how many destroyed."""

    archived: int = 0
    destroyed: int = 0


def settle(
    connection: Connection,
    keys: Mapping[int, IndexKey],
    youngsters: Sequence[UUID],
    now: datetime,
    bury: Bury,
    dead: Mapping[UUID, datetime] | None = None,
) -> Settled:
    """Archive or destroy the signals of these youngsters that have ended, and what was there for them alone.

    Under the matcher's lock, after matches were brought up to date.

    Args:
        dead: youngsters who died, and when that was told: their archive goes too.
    """
    today = amsterdam_date(now)
    ended = connection.execute(_ENDED, {"youngsters": list(youngsters), "today": today}).all()
    dead = dead or {}
    died = {one.id for one in ended if one.youngster_id in dead and one.received_at <= dead[one.youngster_id]}
    kept = [row for one in ended if one.id not in died and (row := _archived(one, keys, today))]
    gone = {one.id for one in ended} - {row["id"] for row in kept}
    if dead:
        asked = {"youngsters": list(dead), "moments": list(dead.values())}
        gone |= set(connection.execute(_ARCHIVED_OF_DEAD, asked).scalars())
    # An end by date needs nobody to remember it.
    withdrawn = {row["id"]: row["ended_at"] for row in kept if row["end_reason"] == "risk_gone"}
    if (gone or withdrawn) and not bury(sorted(gone), withdrawn):
        gone = set()
    connection.execute(_ARCHIVE, {"rows": as_json(kept)})
    touched, left = take_out(connection, [row["id"] for row in kept] + sorted(gone), youngsters)
    left |= destroy(connection, gone, now)
    forget(connection, gone, touched | dead.keys() | {one.youngster_id for one in ended}, left)
    events.append(
        connection,
        [events.Event(events.SIGNAL_ARCHIVED, now, events.UPKEEP, says={"signalId": str(r["id"])}) for r in kept],
    )
    return Settled(len(kept), len(gone))


def end_archive(connection: Connection, now: datetime, bury: Bury, size: int) -> int:
    """Destroy archived signals whose time is over (R16), at most `size`; how many. Under the matcher's lock: it gives
    new signals the youngsters that this may forget."""
    rows = connection.execute(_ARCHIVE_ENDED, {"today": amsterdam_date(now), "size": size}).all()
    signals = {row.id for row in rows}
    if not signals or not bury(sorted(signals), {}):
        return 0
    left = destroy(connection, signals, now)
    forget(connection, signals, {row.youngster_id for row in rows}, left)
    return len(signals)


def take_out(
    connection: Connection, signals: Sequence[UUID], youngsters: Sequence[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """These signals leave, with what was there for them alone: work, parents, standings of these youngsters. The
    youngsters on whom a standing ended, and the reporters who left one of them for good: not into the archive."""
    asked = {"signals": list(signals)}
    parents = list(connection.execute(_PARENTS, asked).scalars())
    left: set[UUID] = set()
    if signals:
        connection.execute(_FORGET_WORK, asked)
        # A signal that no matcher has seen yet has no standing.
        left = {standing for standing in connection.execute(_TAKE_OUT, asked).scalars() if standing}
    if parents:
        connection.execute(_FORGET_PARENTS, {"parents": parents})
    # Also of who handed all over, and has none that ends.
    standings = {"youngsters": list(youngsters), "left": sorted(left)}
    ended = connection.execute(_FORGET_STANDINGS, standings).all()
    return {row.youngster_id for row in ended}, {row.reporter_id for row in ended if row.for_good}


def destroy(connection: Connection, signals: Collection[UUID], now: datetime) -> set[UUID]:
    """These leave the archive, each with a tombstone and an event (R16). Those in the table of signals are taken out
    before. The reporters of those that were in the archive."""
    if not signals:
        return set()
    ids = sorted(signals)
    reporters = set(connection.execute(_TAKE_OUT_OF_ARCHIVE, {"signals": ids}).scalars())
    connection.execute(_BURY, {"signals": ids, "now": now})
    gone = [events.Event(events.SIGNAL_DESTROYED, now, events.UPKEEP, says={"signalId": str(one)}) for one in ids]
    events.append(connection, gone)
    return reporters


def forget(
    connection: Connection, destroyed: Collection[UUID], youngsters: Collection[UUID], left: Collection[UUID]
) -> None:
    """What is left for nobody goes: lines in inboxes, mutes, and a youngster without any signal (R16).

    Args:
        destroyed: signals.
        youngsters: on whom a standing or an archived signal ended.
        left: reporters who have nothing there any more, live or archived, where they had something.
    """
    if left:
        connection.execute(_FORGET_MUTES, {"reporters": sorted(left)})
    if youngsters:
        asked = {"youngsters": sorted(youngsters), "destroyed": sorted(destroyed)}
        connection.execute(_FORGET_LINES, asked)
        connection.execute(_FORGET_YOUNGSTERS, asked)


def _archived(row: Row[Any], keys: Mapping[int, IndexKey], today: date) -> dict[str, Any] | None:
    """The row of the archive that an ended signal becomes; None when it is destroyed (R15, R16)."""
    sealed = row.turns23_on_sealed
    turns_23 = (
        date.fromisoformat(keys[row.key_version].open("turns-23-on", row.id.bytes, sealed).decode()) if sealed else None
    )
    by_law = row.removal_date == two_years_after(amsterdam_date(row.made_at)) and row.removal_date != turns_23
    reason = row.end_reason or ("expired" if by_law else "turned_23")
    if reason not in {"risk_gone", "expired"}:
        return None
    ended_at = row.ended_at or datetime.combine(row.removal_date, time(), AMSTERDAM)
    destroy_on = years_after(amsterdam_date(ended_at), ARCHIVED_YEARS)
    destroy_on = min(destroy_on, turns_23) if turns_23 else destroy_on
    if destroy_on <= today:
        return None
    return {
        "id": row.id,
        "youngster_id": row.youngster_id,
        "reporter_id": row.reporter_id,
        "oin": row.oin,
        "agreement_id": row.agreement_id,
        "shielded": row.shielded,
        "restricted": row.restricted,
        "received_at": row.received_at,
        "ended_at": ended_at,
        "end_reason": reason,
        "destroy_on": destroy_on,
    }
