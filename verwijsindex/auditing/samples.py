# SPDX-License-Identifier: EUPL-1.2
"""The monthly sample of accesses and its sign-offs (R25, R28): chance chooses, the officers look, nothing is decided.

What is in a sample anybody can compute from an export (`ledger.sampling`). It is kept once it was asked for, so that it
is there at once the next time; as it is the same whenever it is made, two who ask at once keep the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from verwijsindex.auditing.samples_schemas import SampledOut, SampleOut, SignedOff, SignOff, SignOffsOut
from verwijsindex.database import as_json
from verwijsindex.ledger.base64 import encode
from verwijsindex.ledger.checkpoint import Checkpoint
from verwijsindex.ledger.kinds import ACCESSES
from verwijsindex.ledger.sampling import MOST, Month, Scope, how_many
from verwijsindex.ledger.verification import KEPT_YEARS, years_before
from verwijsindex.problems import NOT_FOUND, SIGN_OFF_NOT_POSSIBLE, Fault, Problem

# None of later than now: a clock that was ahead signed it, and not all of the period is before it.
_FIXING = text("SELECT size, note FROM checkpoint WHERE at >= :settles AND at <= :now ORDER BY at, size LIMIT 1")
# Before this place stands nothing of the month: it was sealed a day before, and no clock is a day wrong. Without it
# each sample would go through the places of five years.
_BEFORE = text(
    "SELECT size FROM checkpoint WHERE at < CAST(:begins AS timestamptz) - interval '1 day' ORDER BY at DESC LIMIT 1"
)
_OF_SCOPE = "month = :month AND oin IS NOT DISTINCT FROM :oin AND municipality_code IS NOT DISTINCT FROM :municipality"
_KEPT = text(f"SELECT id, accesses, checkpoint_size FROM sample WHERE {_OF_SCOPE}")  # noqa: S608 (a constant)
_NOTE = text("SELECT note FROM checkpoint WHERE size = :size")
# Under row-level security, which shows no more than the scope has; the condition picks the index of the scope.
_WHOSE = {"oin": "e.oin = :oin", "municipality": "e.municipality_code = :municipality", "all": "true"}
_CHOOSE = {
    scope: text(
        f"""
        WITH access AS MATERIALIZED (
            SELECT e.id, sha256(CAST(:seed AS bytea) || l.hash) AS rank
            FROM event e JOIN leaf l ON l.event_id = e.id
            WHERE {whose} AND e.at >= :begins AND e.at < :ends AND e.kind = ANY(:kinds) AND e.outcome = 'success'
              AND l.place >= :first AND l.place < :size
        )
        SELECT (SELECT count(*) FROM access) AS accesses,
               ARRAY(SELECT id FROM access ORDER BY rank LIMIT :most) AS first
        """  # noqa: S608 (constants)
    )
    for scope, whose in _WHOSE.items()
}
# The sample is the same for both of two who make it at once: whichever comes second does nothing.
_KEEP = text(
    "INSERT INTO sample (id, month, oin, municipality_code, checkpoint_size, accesses, events)"
    " VALUES (:id, :month, :oin, :municipality, :size, :accesses, :events) ON CONFLICT DO NOTHING"
)
_ENTRIES = text(
    """
    SELECT e.id, e.body, l.place, e.person, o.finding, o.officer_id, o.at
    FROM sample s CROSS JOIN LATERAL unnest(s.events) WITH ORDINALITY n (event_id, number)
    JOIN event e ON e.id = n.event_id JOIN leaf l ON l.event_id = e.id
    LEFT JOIN sign_off o ON o.sample_id = s.id AND o.event_id = e.id
    WHERE s.id = :sample ORDER BY n.number
    """
)
# Two officers who sign off the same access at once: the second waits for the first, and then inserts one row less.
_SIGN = text(
    "INSERT INTO sign_off (sample_id, event_id, officer_id, at, finding)"
    " SELECT :sample, event_id, :officer, :now, finding"
    " FROM json_to_recordset(CAST(:signed AS json)) s (event_id uuid, finding text) ORDER BY event_id"
    " ON CONFLICT DO NOTHING"
)

_FORGET = (
    text("DELETE FROM sample WHERE month + interval '1 month' < :before"),
    text("DELETE FROM event_hour WHERE hour < :before"),
)


def read_sample(connection: Connection, month: Month, scope: Scope, officer: UUID, now: datetime) -> SampleOut:
    """The sample of a month, made now if nobody asked for it before.

    Args:
        connection: of the auditor's role, in the scope of `officer`.

    Raises:
        Problem: 404 where nothing fixes it yet.
    """
    kept = _kept(connection, month, scope, now)
    items = [
        SampledOut(
            place=row.place,
            event=encode(bytes(row.body)),
            own=row.person == str(officer),
            signed_off=SignedOff(finding=row.finding, officer=row.officer_id, at=row.at) if row.finding else None,
        )
        for row in connection.execute(_ENTRIES, {"sample": kept.id})
    ]
    note = connection.execute(_NOTE, {"size": kept.checkpoint_size}).scalar_one()
    return SampleOut(month=str(month), accesses=kept.accesses, checkpoint=note, items=items)


def sign_off(
    connection: Connection, month: Month, scope: Scope, officer: UUID, now: datetime, signed: Sequence[SignOff]
) -> SignOffsOut:
    """Say of these accesses what was found.

    Raises:
        Problem: 404 as above; 409 with a fault for each that is not in the sample, was signed off, or is the officer's
            own. Then none is.
    """
    kept = _kept(connection, month, scope, now)
    entries = {row.id: row for row in connection.execute(_ENTRIES, {"sample": kept.id})}
    faults = [
        fault for n, one in enumerate(signed) if (fault := _fault(n, entries.get(one.event_id), officer)) is not None
    ]
    if faults:
        raise Problem(SIGN_OFF_NOT_POSSIBLE, errors=faults)
    rows = [{"event_id": one.event_id, "finding": one.finding} for one in signed]
    parameters = {"sample": kept.id, "officer": officer, "now": now, "signed": as_json(rows)}
    if connection.execute(_SIGN, parameters).rowcount < len(rows):  # another officer was first, a moment ago
        raise Problem(SIGN_OFF_NOT_POSSIBLE)
    still_open = sum(row.finding is None for row in entries.values())
    return SignOffsOut(signed_off=len(rows), open=still_open - len(rows))


def _kept(connection: Connection, month: Month, scope: Scope, now: datetime) -> Row[Any]:
    """The row of the sample, made if it is not there."""
    of = {"month": month.first_day, "oin": scope.oin, "municipality": scope.municipality}
    found = connection.execute(_KEPT, of).one_or_none()
    if found is None:
        _make(connection, month, of, now)
        found = connection.execute(_KEPT, of).one()
    return found


def _make(connection: Connection, month: Month, of: dict[str, Any], now: datetime) -> None:
    fixed_by = connection.execute(_FIXING, {"settles": month.settles, "now": now}).one_or_none()
    if fixed_by is None:
        raise Problem(
            NOT_FOUND,
            detail=f"The sample of {month} is fixed by the first checkpoint from {month.settles:%Y-%m-%dT%H:%M:%SZ} on:"
            " ask again after that. If that is past, ask again in a minute.",
        )
    which = "oin" if of["oin"] else "municipality" if of["municipality"] else "all"
    parameters = of | {
        "seed": Checkpoint.stated(fixed_by.note).root,
        "first": connection.execute(_BEFORE, {"begins": month.begins}).scalar() or 0,
        "size": fixed_by.size,
        "begins": month.begins,
        "ends": month.ends,
        "kinds": sorted(ACCESSES),
        "most": MOST,
    }
    found = connection.execute(_CHOOSE[which], parameters).one()
    events = found.first[: how_many(found.accesses)]
    connection.execute(_KEEP, of | {"id": uuid4(), "size": fixed_by.size, "accesses": found.accesses, "events": events})


def _fault(number: int, entry: Row[Any] | None, officer: UUID) -> Fault | None:
    if entry is None:
        code, detail = "not_in_sample", "It is not in the sample of this month: read the sample again."
    elif entry.person == str(officer):
        code, detail = "own_access", "It was yours: another officer of your scope signs it off."
    elif entry.finding is not None:
        code, detail = "signed_off_already", "An officer signed it off before: leave it out."
    else:
        return None
    return Fault("body", f"#/signOffs/{number}/eventId", code, detail)


def forget_old(connection: Connection, now: datetime) -> None:
    """Destroy samples and their sign-offs, and what was counted by the hour, once the events of it are gone (five
    years): by the worker."""
    before = years_before(now, KEPT_YEARS)
    for statement in _FORGET:
        connection.execute(statement, {"before": before})
