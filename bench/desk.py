# SPDX-License-Identifier: EUPL-1.2
"""The privacy officer's desk on a full ledger: samples, reports, the tally and the detector (R25, R28, R37).

Used by `bench.ledger_years`. An officer's statements run as role auditor, under row-level security and the ten seconds
that PostgreSQL gives any of them: one that takes longer ends the run, as it would be a 503 to an officer.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import sqlalchemy as sa

from bench.figures import Figure
from bench.ledger import TOP
from verwijsindex.auditing.detecting import detect
from verwijsindex.auditing.reports import report
from verwijsindex.auditing.reports_pdf import as_pdf
from verwijsindex.auditing.samples import read_sample
from verwijsindex.database import Scope, transaction
from verwijsindex.ledger import sampling
from verwijsindex.ledger.tallying import tally_waiting

MONTH = sampling.Month(2021, 12)
OFFICER = UUID("0b0e0b0e-0b0e-4b0e-8b0e-0b0e0b0e0b0e")
INSTITUTION, MUNICIPALITY = f"{7:020}", "0007"
_SCOPES = {
    "an institution": sampling.Scope(oin=INSTITUTION),
    "a municipality": sampling.Scope(municipality=MUNICIPALITY),
    "the operator": sampling.Scope(),
}
_PERIODS = {"a month": date(2021, 12, 31), "a year": date(2022, 11, 30)}
_TIMES = 3
_WATCHED = sa.text("SELECT coalesce(max(place), 0) FROM watched_place")
LIMIT = 10_000
"""Milliseconds that PostgreSQL gives a statement of an officer."""
COMES = 4 * TOP
"""Events a second of the top intake, four for a signal: who counts and who watches them keeps up with it, and catches
up with what waited meanwhile."""


def as_officer(superuser: sa.Engine, oin: str | None = None, municipality: str | None = None) -> None:
    """Make the officer that of an institution, of a municipality, or (neither) the operator's."""
    with superuser.connect() as connection:
        connection.execute(
            sa.text("UPDATE privacy_officer SET oin = CAST(:oin AS varchar), municipality_code = :municipality"),
            {"oin": oin, "municipality": municipality},
        )


def tallied(worker: sa.Engine) -> float:
    """Events a second."""
    began = time.perf_counter()
    counted = tally_waiting(worker)
    return counted / (time.perf_counter() - began)


def detected(worker: sa.Engine, moment: Callable[[int], datetime]) -> float:
    """Events a second; `moment` says when what has a place was done."""
    with worker.connect() as connection:
        first = place = int(
            connection.exec_driver_sql("SELECT coalesce(max(place), 0) FROM watched_place").scalar_one()
        )
    began = time.perf_counter()
    while looked := detect(worker, moment(place)).places:
        place += looked
    return (place - first) / (time.perf_counter() - began)


def asked(auditor: sa.Engine, superuser: sa.Engine) -> dict[str, float]:
    """Milliseconds, the slowest of a few, by what is asked and whose officer asks."""
    took: dict[str, float] = {}
    for name, scope in _SCOPES.items():
        as_officer(superuser, scope.oin, scope.municipality)
        firsts, agains = [], []
        for _ in range(_TIMES):
            with superuser.connect() as connection:
                connection.exec_driver_sql("DELETE FROM sample")
            firsts.append(_sample(auditor, scope))
            agains.append(_sample(auditor, scope))
        took[f"sample of {name}, first"] = max(firsts)
        took[f"sample of {name}, again"] = max(agains)
        for period, until in _PERIODS.items():
            found = [_report(auditor, scope, until) for _ in range(_TIMES)]
            took[f"report of {period} of {name}, JSON"] = max(counted for counted, _ in found)
            took[f"report of {period} of {name}, PDF"] = max(sum(both) for both in found)
    return took


def figures(found: dict[str, float], fewer: dict[str, float], at: str, with_fewer: str) -> list[Figure]:
    """What an officer waits for: the first of a sample beside the limit, all else beside the same with fewer events."""
    return [
        Figure(name + at, ms, "ms", "the limit of a statement", LIMIT, goal=0.5, at_most=True)
        if name.endswith("first") or "year" in name
        else Figure(name + at, ms, "ms", with_fewer, fewer[name])
        for name, ms in found.items()
    ]


def _scope(scope: sampling.Scope) -> Scope:
    today = datetime.now(UTC).date()
    return Scope(today, oin=scope.oin, municipality=scope.municipality, privacy_officer_id=OFFICER)


def _sample(auditor: sa.Engine, scope: sampling.Scope) -> float:
    with transaction(auditor, _scope(scope)) as connection:
        began = time.perf_counter()
        found = read_sample(connection, MONTH, scope, OFFICER, datetime.now(UTC))
        took = time.perf_counter() - began
    assert len(found.items) == sampling.MOST
    return 1000 * took


def _report(auditor: sa.Engine, scope: sampling.Scope, until: date) -> tuple[float, float]:
    """Milliseconds to count, and to draw."""
    with transaction(auditor, _scope(scope)) as connection:
        began = time.perf_counter()
        found = report(connection, scope, MONTH.first_day, until, datetime.now(UTC))
        found.model_dump_json()
        counted = time.perf_counter()
    assert found.total.reads
    as_pdf(found, "nl")
    return 1000 * (counted - began), 1000 * (time.perf_counter() - counted)
