# SPDX-License-Identifier: EUPL-1.2
"""The register: each change is one event; what does not fit is refused and leaves nothing (R1, R25, R34, R35)."""

import json
from collections.abc import Callable
from datetime import date, datetime
from uuid import uuid4

import pytest
from ledger.faults import failing
from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from support import ADMINISTRATOR, NOW, SCHOOL, WESTERVELD, Index

from verwijsindex.registry import schemas, service
from verwijsindex.registry.models import Agreement, Municipality

PERSON = {"name": "Iemand", "telephone": "0612345678", "email": "iemand@example.org"}


def _connection(index: Index) -> Connection:
    return index.database.engine("registrar").connect()


def _last_event(index: Index) -> dict[str, object]:
    [row] = index.database.rows("SELECT convert_from(body, 'UTF8') FROM event WHERE at = :at", at=index.clock())
    found = json.loads(str(row[0]))
    assert isinstance(found, dict)
    return found


def test_each_change_is_one_event_that_says_which_record(index: Index) -> None:
    reporter = index.reporters[SCHOOL][0]
    with _connection(index) as connection:
        [agreement] = service.entries(connection, Agreement, oin=SCHOOL)
    entry = schemas.ContactPointEntry(municipality_code=WESTERVELD, kind="crisis_line", name="Crisis", telephone="112")
    changes: list[tuple[Callable[[Connection, datetime], object], str, str]] = [
        (lambda c, at: service.set_contact_point(c, ADMINISTRATOR, at, entry), "contact_point", "1701 crisis_line"),
        (lambda c, at: service.set_legal_ground(c, ADMINISTRATOR, at, WESTERVELD, "off"), "municipality", WESTERVELD),
        (lambda c, at: service.set_designated(c, ADMINISTRATOR, at, "halt", False), "category", "halt"),
        (
            lambda c, at: service.end_agreement(c, ADMINISTRATOR, at, agreement.id, date(2027, 1, 1)),
            "agreement",
            str(agreement.id),
        ),
        (
            lambda c, at: service.end_designation(c, ADMINISTRATOR, at, reporter, date(2027, 1, 1)),
            "reporter",
            str(reporter),
        ),
        (
            lambda c, at: service.add(c, ADMINISTRATOR, at, schemas.MunicipalityEntry(code="0014", name="Ergens")),
            "municipality",
            "0014",
        ),
    ]
    for change, record, identity in changes:
        index.clock.move(seconds=1)
        with _connection(index) as connection, connection.begin():
            change(connection, index.clock())
        event = _last_event(index)
        assert (event["kind"], event["record"], event["recordId"]) == ("registry.changed", record, identity)
        assert event["actor"] == {"role": "administrator", "person": "test"}


def test_a_change_whose_event_cannot_be_written_is_not_made(index: Index) -> None:
    """I4."""
    pool = index.database.engine("registrar")
    with failing(index.database, "event", "INSERT"), pytest.raises(DBAPIError), pool.begin() as connection:
        service.set_legal_ground(connection, ADMINISTRATOR, NOW, WESTERVELD, "off")
    assert index.database.scalar("SELECT legal_ground FROM municipality WHERE code = :c", c=WESTERVELD) == "duty"


def test_an_event_holds_no_contact_data(index: Index) -> None:
    rows = index.database.rows("SELECT convert_from(body, 'UTF8') FROM event")
    assert rows
    assert not [row for row in rows if "example.org" in str(row[0]) or "Het Kompas" in str(row[0])]


def test_what_does_not_fit_the_register_is_refused_and_says_why(index: Index) -> None:
    today = NOW.date()
    twice = schemas.MunicipalityEntry(code=WESTERVELD, name="Nog eens")
    nowhere = schemas.CaseSupervisorEntry(municipality_code="9998", **PERSON)
    no_category = schemas.InstitutionEntry(oin="0" * 20, name="Opvang", category_code="childcare")
    before = index.database.scalar("SELECT count(*) FROM event")
    for entry, why in (
        (twice, "already"),
        (nowhere, "that it names is not there"),
        (no_category, "that it names is not there"),
    ):
        with _connection(index) as connection, pytest.raises(service.RegistryError, match=why) as raised:
            service.add(connection, ADMINISTRATOR, NOW, entry)
        assert PERSON["email"] not in str(raised.value)
    acts: list[Callable[[Connection], None]] = [
        lambda c: service.set_legal_ground(c, ADMINISTRATOR, NOW, "9998", "off"),
        lambda c: service.set_designated(c, ADMINISTRATOR, NOW, "childcare", True),
        lambda c: service.end_agreement(c, ADMINISTRATOR, NOW, uuid4(), today),
        lambda c: service.end_designation(c, ADMINISTRATOR, NOW, uuid4(), today),
    ]
    for act in acts:
        with _connection(index) as connection, pytest.raises(service.RegistryError, match="there is no such"):
            act(connection)
    with _connection(index) as connection:
        [agreement] = service.entries(connection, Agreement, oin=SCHOOL)
        with pytest.raises(service.RegistryError, match="ends_after_it_begins"):
            service.end_agreement(connection, ADMINISTRATOR, NOW, agreement.id, date(2020, 1, 1))
    assert index.database.scalar("SELECT count(*) FROM event") == before


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (schemas.MunicipalityEntry, {"code": "170", "name": "x"}),
        (schemas.MunicipalityEntry, {"code": "1701\n", "name": "x"}),
        (schemas.MunicipalityEntry, {"code": "1701", "name": " "}),
        (schemas.MunicipalityEntry, {"code": "1701", "name": "x", "legal_ground": "whim"}),
        (schemas.InstitutionEntry, {"oin": "1" * 19, "name": "x", "category_code": "halt"}),
        (schemas.InstitutionEntry, {"oin": "1" * 20, "name": "x" * 201, "category_code": "halt"}),
        (schemas.CoordinatorEntry, {"oin": SCHOOL, **PERSON, "email": "geen adres"}),
        (schemas.CoordinatorEntry, {"oin": SCHOOL, **PERSON, "telephone": "bel mij"}),
        (schemas.CoordinatorEntry, {"oin": SCHOOL, **PERSON, "address": "Dorpsstraat 1"}),
        (
            schemas.AgreementEntry,
            {"oin": SCHOOL, "municipality_code": "1701", "valid_from": "2026-02-01", "valid_until": "2026-01-31"},
        ),
    ],
)
def test_an_entry_of_another_form_is_refused(kind: type[schemas.Entry], values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(values)


def test_entries_are_listed_as_they_are(index: Index) -> None:
    with _connection(index) as connection:
        found = service.entries(connection, Municipality)
    assert {row.code for row in found} == {"1701", "0505", "0971"}
