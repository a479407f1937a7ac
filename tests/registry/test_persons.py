# SPDX-License-Identifier: EUPL-1.2
"""A person with an own agreement stands alone (R2), and the last named officer stays while needed (R36): by the
database, also when two commands run at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from support import ADMINISTRATOR, CLINIC, DORDRECHT, NOW, SCHOOL, WESTERVELD, Index

from verwijsindex.registry import reading, schemas, service
from verwijsindex.registry.models import NamedOfficer, RightsDeskOfficer
from verwijsindex.registry.service import RegistryError

TODAY = NOW.date()
DOCTOR = "00000004444444444000"
PERSON = {"name": "D. Okter", "telephone": "0612345678", "email": "dokter@example.org"}
_SHIELD = sa.text("UPDATE signal SET shielded = true WHERE id = :id")


def _add(index: Index, entry: schemas.Entry) -> UUID:
    with index.database.engine("registrar").begin() as connection:
        found = service.add(connection, ADMINISTRATOR, NOW, entry)
        return UUID(int=0) if not hasattr(found, "id") else UUID(str(found.id))


def _reporter(start: date = TODAY, oin: str = DOCTOR) -> schemas.ReporterEntry:
    return schemas.ReporterEntry(oin=oin, position="huisarts", designated_from=start, **PERSON)


def _end_officer(index: Index, officer: UUID, last: date = TODAY) -> None:
    with index.database.engine("registrar").begin() as connection:
        service.end_service(connection, ADMINISTRATOR, NOW, NamedOfficer, officer, last)


def _end_reporter(index: Index, reporter: UUID, last: date) -> None:
    with index.database.engine("registrar").begin() as connection:
        service.end_designation(connection, ADMINISTRATOR, NOW, reporter, last)


@pytest.fixture
def doctor(index: Index) -> UUID:
    """The one reporter of a general practitioner with an own agreement."""
    _add(index, schemas.InstitutionEntry(oin=DOCTOR, name="D. Okter", category_code="general_practitioner"))
    return _add(index, _reporter())


@contextmanager
def _second(index: Index, act: Callable[[], object]) -> Iterator[Connection]:
    """A transaction during which another begins `act`, which then waits for it and is refused."""
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor(1) as pool:
        with index.database.engine("registrar").begin() as first:
            yield first
            second = pool.submit(act)
            while not second.done() and not index.database.scalar(waits):
                pass
        with pytest.raises(RegistryError):
            second.result()


def _shield(index: Index, youngster: int = 0) -> UUID:
    signal = index.place(youngster, SCHOOL)
    with index.database.superuser.begin() as connection:
        connection.execute(_SHIELD, {"id": signal})
    return signal


def test_a_person_signals_without_an_institution(index: Index, doctor: UUID) -> None:
    """R2: under an agreement of the person's own, like any reporter."""
    until = TODAY + timedelta(days=365)
    own = schemas.AgreementEntry(oin=DOCTOR, municipality_code=WESTERVELD, valid_from=TODAY, valid_until=until)
    signal = index.signal(0, reporter=str(doctor))
    refused = index.post(signal, DOCTOR)
    assert (refused.status_code, refused.json["type"].rpartition(":")[2]) == (403, "no-valid-agreement")
    _add(index, own)
    assert index.post(signal, DOCTOR).status_code == 201


@pytest.mark.parametrize(
    "entry",
    [
        _reporter(),
        _reporter(TODAY + timedelta(days=400)),
        schemas.CoordinatorEntry(oin=DOCTOR, **PERSON),
        schemas.NamedOfficerEntry(oin=DOCTOR, **PERSON),
    ],
    ids=["second reporter", "second reporter later", "coordinator", "named officer"],
)
@pytest.mark.usefixtures("doctor")
def test_nobody_stands_beside_the_person(index: Index, entry: schemas.Entry) -> None:
    """Seen failing without the triggers."""
    events = index.database.scalar("SELECT count(*) FROM event")
    with pytest.raises(RegistryError, match="one person with an own agreement"):
        _add(index, entry)
    assert index.database.scalar("SELECT count(*) FROM event") == events
    assert index.database.scalar("SELECT count(*) FROM reporter WHERE oin = :oin", oin=DOCTOR) == 1


def test_a_person_who_returns_is_designated_anew_after_the_last_day(index: Index, doctor: UUID) -> None:
    last = TODAY + timedelta(days=10)
    _end_reporter(index, doctor, last)
    with pytest.raises(RegistryError, match="end the designation first"):
        _add(index, _reporter(last))
    _add(index, _reporter(last + timedelta(days=1)))
    with pytest.raises(RegistryError, match="end the designation first"):
        _end_reporter(index, doctor, last + timedelta(days=1))
    _end_reporter(index, doctor, TODAY - timedelta(days=1))  # designated by mistake: on no day at all
    _add(index, schemas.CoordinatorEntry(oin=SCHOOL, **PERSON))
    _add(index, _reporter(oin=SCHOOL))


def test_of_two_reporters_at_once_one_is_the_person(index: Index) -> None:
    """Seen failing without the lock of the institution: both were designated."""
    _add(index, schemas.InstitutionEntry(oin=DOCTOR, name="D. Okter", category_code="school_attendance_officer"))
    with _second(index, lambda: _add(index, _reporter())) as first:
        service.add(first, ADMINISTRATOR, NOW, _reporter())
    assert index.database.scalar("SELECT count(*) FROM reporter WHERE oin = :oin", oin=DOCTOR) == 1


def test_the_last_named_officer_stays_while_a_shielded_signal_lasts(index: Index) -> None:
    """R36. Seen failing without the trigger."""
    officer, other = index.officers[SCHOOL], index.officers[CLINIC]
    signal = _shield(index)
    removal = index.database.scalar("SELECT removal_date FROM signal")
    _end_officer(index, other)  # of another institution
    with pytest.raises(RegistryError, match="add another first"):
        _end_officer(index, officer)
    second = _add(index, schemas.NamedOfficerEntry(oin=SCHOOL, **PERSON))
    _end_officer(index, second, TODAY + timedelta(days=30))
    with pytest.raises(RegistryError, match="add another first"):
        _end_officer(index, officer)  # the second ends too
    assert index.database.scalar("SELECT last_day FROM named_officer WHERE id = :id", id=officer) is None
    _end_officer(index, officer, removal - timedelta(days=1))  # as long as the signal can live
    with index.database.superuser.begin() as connection:
        ended = "UPDATE signal SET ended_at = :now, end_reason = 'unjustified' WHERE id = :id"
        connection.execute(sa.text(ended), {"now": NOW, "id": signal})
    _end_officer(index, officer)


def test_of_two_officers_who_end_at_once_one_stays(index: Index) -> None:
    """Seen failing without the lock of the institution: both ended."""
    _shield(index)
    second = _add(index, schemas.NamedOfficerEntry(oin=SCHOOL, **PERSON))
    with _second(index, lambda: _end_officer(index, second)) as first:
        service.end_service(first, ADMINISTRATOR, NOW, NamedOfficer, index.officers[SCHOOL], TODAY)
    staying = "SELECT count(*) FROM named_officer WHERE oin = :oin AND last_day IS NULL"
    assert index.database.scalar(staying, oin=SCHOOL) == 1


def test_who_ends_the_last_officer_waits_for_signals_under_way(index: Index) -> None:
    """A shielded signal whose sender saw an officer is not left without one. Seen failing without the lock of the
    table: the officer ended. Who waits too long is told to try again."""
    signal = index.place(0, SCHOOL)
    with index.database.superuser.begin() as connection:
        connection.execute(_SHIELD, {"id": signal})
        with pytest.raises(RegistryError, match="same command again"):
            _end_officer(index, index.officers[SCHOOL])
    with pytest.raises(RegistryError, match="add another first"):
        _end_officer(index, index.officers[SCHOOL])


def test_the_rights_desk_may_be_left_by_its_last_officer(index: Index) -> None:
    with index.database.engine("registrar").begin() as connection:
        officer = index.desk_officers[WESTERVELD]
        service.end_service(connection, ADMINISTRATOR, NOW, RightsDeskOfficer, officer, TODAY)


def test_a_municipality_has_one_oin_and_shares_it_with_no_other(index: Index) -> None:
    """R14."""
    with index.database.engine("registrar").connect() as connection:
        for code, oin in ((WESTERVELD, DOCTOR), (WESTERVELD, SCHOOL)):
            with connection.begin():
                service.set_oin(connection, ADMINISTRATOR, NOW, schemas.MunicipalityOin(code=code, oin=oin))
        with connection.begin(), pytest.raises(RegistryError, match="another municipality has this OIN"):
            service.set_oin(connection, ADMINISTRATOR, NOW, schemas.MunicipalityOin(code="0505", oin=SCHOOL))
    assert index.database.scalar("SELECT oin FROM municipality WHERE code = :code", code=WESTERVELD) == SCHOOL


@pytest.mark.parametrize("table", ["named_officer", "rights_desk_officer"])
def test_the_database_refuses_officers_of_nothing(index: Index, table: str) -> None:
    """Each is of what is in the register, and the index reads none of them by itself (I8)."""
    column = "oin" if table == "named_officer" else "municipality_code"
    insert = f"INSERT INTO {table} (id, {column}, name, telephone, email) VALUES (gen_random_uuid(), :of, '', '', '')"
    with index.database.engine("registrar").connect() as connection, pytest.raises(IntegrityError):
        connection.execute(sa.text(insert), {"of": "9" * (20 if table == "named_officer" else 4)})
    with index.database.engine("index").connect() as connection, pytest.raises(DBAPIError, match="denied"):
        connection.execute(sa.text(f"SELECT name FROM {table}"))


def test_the_signals_of_a_person_without_agreement_stand_on_the_administrators_list(index: Index, doctor: UUID) -> None:
    """R2, R34: there is no coordinator to see them; by contracting municipality, with ids alone, and in the ledger. An
    institution with a coordinator has its own list."""
    agreement = _add(
        index,
        schemas.AgreementEntry(oin=DOCTOR, municipality_code=WESTERVELD, valid_from=TODAY, valid_until=TODAY),
    )
    index.reporters[DOCTOR] = [doctor]
    signals = [index.place(0, DOCTOR), index.place(0, SCHOOL)]
    index.match()
    assert agreement

    def listed(days: float, municipality: str | None = None) -> list[tuple[object, ...]]:
        with index.database.engine("registrar").begin() as connection:
            found = reading.orphans(connection, ADMINISTRATOR, NOW + timedelta(days=days), municipality)
            return [tuple(row) for row in found]

    assert listed(0) == []
    # Half past midnight in Amsterdam, and the evening before in UTC: seen failing when that was the day.
    assert listed(13.5 / 24) == listed(1)
    assert listed(1) == listed(1, WESTERVELD) == [(WESTERVELD, signals[0], doctor, False, True)]
    assert listed(1, DORDRECHT) == []
    _end_reporter(index, doctor, TODAY)
    assert listed(1) == [(WESTERVELD, signals[0], doctor, True, True)]
    assert listed(731) == []
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text("UPDATE agreement SET valid_until = :day WHERE oin = :oin"), {"day": TODAY, "oin": SCHOOL}
        )
    assert len(listed(1)) == 1
    with index.database.superuser.begin() as connection:
        connection.execute(
            sa.text("UPDATE coordinator SET last_day = :day WHERE oin = :oin"), {"day": TODAY, "oin": SCHOOL}
        )
    assert len(listed(1)) == 2
    bodies = [bytes(row[0]) for row in index.database.rows("SELECT body FROM event")]
    assert len([body for body in bodies if b'"orphaned_signals.listed"' in body]) == 10
