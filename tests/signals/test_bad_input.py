# SPDX-License-Identifier: EUPL-1.2
"""Bad input: a clear error, all faults at once, nothing stored, nothing said back (R3 to R7, I5)."""

import base64
import json
from typing import Any

import pytest
from signals.evidence import nothing_stored, places, silent_about, slug
from support import NOW, Index, Logged, bsn, parents, pseudonym

from verwijsindex.pseudonyms.ristretto import _FIELD

BSN = bsn(0).digits.decode()
CANARY = "Kanarie7f3a"


def _text(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "little")).decode().rstrip("=")


def _point(value: object) -> dict[str, object]:
    return {"pseudonym": {"keyVersion": 1, "value": value}}


INFORMED = {"status": "informed", "on": "2026-11-22", "to": "both"}
POSTPONED = {"status": "postponed", "ground": "safety", "reviewDate": "2026-12-22"}
GOOD = pseudonym(0)

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "reporter is no id": ({"reporter": CANARY}, "#/reporter"),
    "reporter is a number": ({"reporter": 7}, "#/reporter"),
    "a BSN for a pseudonym": (_point(BSN), "#/pseudonym/value"),
    "a BSN as a number": (_point(int(BSN)), "#/pseudonym/value"),
    "a padded BSN": (_point(BSN.rjust(43, "A")), "#/pseudonym/value"),
    "a pseudonym as text": ({"pseudonym": GOOD.to_text()}, "#/pseudonym"),
    "the identity": (_point(_text(0)), "#/pseudonym/value"),
    "not on the group": (_point(_text(1 << 250 | 3)), "#/pseudonym/value"),
    "a negative encoding": (_point(_text(_FIELD - int.from_bytes(GOOD.value, "little"))), "#/pseudonym/value"),
    "a second encoding": (_point(_text(int.from_bytes(GOOD.value, "little") + 2**255)), "#/pseudonym/value"),
    "a number over the field": (_point(_text(_FIELD + 2)), "#/pseudonym/value"),
    "padding": (_point(GOOD.to_text() + "="), "#/pseudonym/value"),
    "the last character's spare bits": (_point(GOOD.to_text()[:-1] + "_"), "#/pseudonym/value"),
    "a line end after it": (_point(GOOD.to_text() + "\n"), "#/pseudonym/value"),
    "too short": (_point(GOOD.to_text()[:-1]), "#/pseudonym/value"),
    "no pseudonym": (_point(None), "#/pseudonym/value"),
    "the version is text": ({"pseudonym": {"keyVersion": "1", "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "the version is true": ({"pseudonym": {"keyVersion": True, "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "the version is 1.0": ({"pseudonym": {"keyVersion": 1.0, "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "version 0": ({"pseudonym": {"keyVersion": 0, "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "a version not accepted": ({"pseudonym": {"keyVersion": 9, "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "a huge version": ({"pseudonym": {"keyVersion": 10**400, "value": GOOD.to_text()}}, "#/pseudonym/keyVersion"),
    "the name of a place": ({"residenceMunicipality": "Westerveld"}, "#/residenceMunicipality"),
    "a code as a number": ({"residenceMunicipality": 1701}, "#/residenceMunicipality"),
    "other digits": ({"residenceMunicipality": "١٧٠١"}, "#/residenceMunicipality"),
    "a code with a line end": ({"residenceMunicipality": "1701\n"}, "#/residenceMunicipality"),
    "a municipality that takes no part": ({"residenceMunicipality": "9998"}, "#/residenceMunicipality"),
    "a moment without zone": ({"madeAt": "2026-11-22T10:00:00"}, "#/madeAt"),
    "a moment with an offset": ({"madeAt": "2026-11-22T10:00:00+01:00"}, "#/madeAt"),
    "a moment as a number": ({"madeAt": 1795341600}, "#/madeAt"),
    "the thirtieth of February": ({"madeAt": "2026-02-30T10:00:00Z"}, "#/madeAt"),
    "a moment past the calendar": ({"madeAt": "9999-12-31T23:59:59Z"}, "#/madeAt"),
    "a moment before it": ({"madeAt": "0001-01-01T00:00:00Z"}, "#/madeAt"),
    "made ahead": ({"madeAt": "2026-11-22T10:05:01Z"}, "#/madeAt"),
    "made too long ago": ({"madeAt": "2026-11-15T09:59:59Z", "removalDate": "2028-11-15"}, "#/madeAt"),
    "a removal date past the calendar": ({"removalDate": "9999-12-31"}, "#/removalDate"),
    "a removal date a day late": ({"removalDate": "2028-11-23"}, "#/removalDate"),
    "a removal date a day early": ({"removalDate": "2028-11-21"}, "#/removalDate"),
    "a removal date with a time": ({"removalDate": "2028-11-22T00:00:00Z"}, "#/removalDate"),
    "no suspicion": ({"reasonableSuspicion": False}, "#/reasonableSuspicion"),
    "suspicion as text": ({"reasonableSuspicion": "true"}, "#/reasonableSuspicion"),
    "suspicion as the number 1": ({"reasonableSuspicion": 1}, "#/reasonableSuspicion"),
    "suspicion as 1.0": ({"reasonableSuspicion": 1.0}, "#/reasonableSuspicion"),
    "informing is free text": ({"informing": CANARY}, "#/informing"),
    "informing in no known way": ({"informing": INFORMED | {"status": CANARY}}, "#/informing"),
    "informed tomorrow": ({"informing": INFORMED | {"on": "2026-11-23"}}, "#/informing/on"),
    "informed someone else": ({"informing": INFORMED | {"to": "neighbour"}}, "#/informing/to"),
    "informed and postponed": ({"informing": INFORMED | {"ground": "safety"}}, "#/informing"),
    "postponed on a ground of its own": ({"informing": POSTPONED | {"ground": CANARY}}, "#/informing/ground"),
    "postponed without review": ({"informing": {"status": "postponed", "ground": "safety"}}, "#/informing/reviewDate"),
    "a reference that is a BSN": ({"caseReference": BSN}, "#/caseReference"),
    "a reference that hides a BSN": ({"caseReference": f"2026-{BSN}-b"}, "#/caseReference"),
    "a reference with eight digits of a BSN": ({"caseReference": "dossier-10000008"}, "#/caseReference"),
    "a reference with a space": ({"caseReference": "a b"}, "#/caseReference"),
    "an empty reference": ({"caseReference": ""}, "#/caseReference"),
    "a reference too long": ({"caseReference": "a" * 37}, "#/caseReference"),
    "a reference with other digits": ({"caseReference": "٩٩٩٩"}, "#/caseReference"),
    "a reference with a NUL": ({"caseReference": "a\x00"}, "#/caseReference"),
    "a 23rd birthday on the day itself": (
        {"turns23On": "2026-11-22", "removalDate": "2026-11-22"},
        "#/turns23On",
    ),
    "a 23rd birthday over seven years away": ({"turns23On": "2033-11-23"}, "#/turns23On"),
    "two years though the birthday is first": ({"turns23On": "2027-01-01"}, "#/removalDate"),
    "three parents": ({"parents": parents(1, 2, 3)}, "#/parents"),
    "thousands of parents": ({"parents": [{}] * 1000}, "#/parents"),
    "the same parent twice": ({"parents": parents(1, 1)}, "#/parents"),
    "one parent, not in a list": ({"parents": parents(1)[0]}, "#/parents"),
    "a parent as text": ({"parents": [GOOD.to_text()]}, "#/parents/0"),
    "a BSN for a parent": ({"parents": [{"keyVersion": 1, "value": BSN}]}, "#/parents/0/value"),
    "no parents at all": ({"parents": None}, "#/parents"),
    "a parent of another version": ({"parents": [parents(1)[0] | {"keyVersion": 2}]}, "#/parents"),
    "a parent's name": ({"parents": [parents(1)[0] | {CANARY: CANARY}]}, "#/parents/0"),
    "shielded as text": ({"shielded": "true"}, "#/shielded"),
    "shielded as a number": ({"shielded": 1}, "#/shielded"),
    "an age for a group": ({"informing": INFORMED | {"ageGroup": 13}}, "#/informing/ageGroup"),
    "a group that does not fit": ({"informing": INFORMED | {"ageGroup": "under_12"}}, "#/informing/ageGroup"),
    "a group of a family that was not informed": ({"informing": POSTPONED | {"ageGroup": "under_12"}}, "#/informing"),
    "a birth date besides": ({"birthDate": "2010-01-01"}, "#"),
    "a BSN besides": ({"bsn": BSN}, "#"),
    "the server's own field": ({"id": "00000000-0000-4000-8000-000000000000"}, "#"),
    "another spelling": ({"made_at": "2026-11-22T10:00:00Z"}, "#"),
    "a name in the pseudonym": (
        {"pseudonym": {"keyVersion": 1, "value": GOOD.to_text(), CANARY: CANARY}},
        "#/pseudonym",
    ),
    "a reason in the informing": ({"informing": POSTPONED | {CANARY: CANARY}}, "#/informing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused(index: Index, logged: Logged, name: str) -> None:
    changes, place = WRONG[name]
    with nothing_stored(index.database):
        answer = index.post(index.signal() | changes)
    assert places(answer) == {place}
    silent_about(answer, logged, CANARY, BSN, GOOD.to_text())


@pytest.mark.parametrize(
    "field",
    ["reporter", "pseudonym", "residenceMunicipality", "madeAt", "removalDate", "reasonableSuspicion", "informing"],
)
def test_a_field_left_out_or_null_is_refused(index: Index, field: str) -> None:
    signal = index.signal()
    with nothing_stored(index.database):
        assert places(index.post(signal | {field: None})) == {f"#/{field}"}
        del signal[field]
        assert places(index.post(signal)) == {f"#/{field}"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"a"',
        b"[" * 9000,
        b'{"a":' * 2000,
        b"\xff\xfe{}",
        b'{"caseReference": "\xed\xa0\x80"}',
        b"{'reporter': 1}",
        b'{"reporter": NaN}',
        b"{} {}",
        b"\x00",
    ],
    ids=repr,
)
def test_what_is_no_json_object_is_refused(index: Index, body: bytes) -> None:
    with nothing_stored(index.database):
        assert places(index.post(body)) >= {"#"} or places(index.post(body)) >= {"#/reporter"}


def test_all_faults_of_body_and_header_at_once(index: Index, logged: Logged) -> None:
    body = index.signal() | {
        "reporter": CANARY,
        "pseudonym": {"keyVersion": -1, "value": BSN, CANARY: 1},
        "residenceMunicipality": CANARY,
        "madeAt": "2027-01-01T00:00:00Z",
        "removalDate": CANARY,
        "reasonableSuspicion": CANARY,
        "informing": {"status": "informed", "on": "2099-01-01", "to": CANARY},
        "caseReference": BSN,
        CANARY: BSN,
    }
    with nothing_stored(index.database):
        answer = index.post(body, key=CANARY * 7)
    assert places(answer) == {
        "Idempotency-Key",
        "#/reporter",
        "#/pseudonym",
        "#/pseudonym/keyVersion",
        "#/pseudonym/value",
        "#/residenceMunicipality",
        "#/madeAt",
        "#/removalDate",
        "#/reasonableSuspicion",
        "#/informing/on",
        "#/informing/to",
        "#/caseReference",
        "#",
    }
    silent_about(answer, logged, CANARY, BSN)


@pytest.mark.parametrize("key", [None, "", "a" * 65, "a b", "ä", "a,b", "a\tb"])
def test_an_idempotency_key_is_demanded_and_has_a_form(index: Index, key: str | None) -> None:
    headers = index.machine() | ({"Idempotency-Key": key} if key is not None else {})
    with nothing_stored(index.database):
        answer = index.http.post("/api/v1/signals", json=index.signal(), headers=headers)
        assert places(answer) == {"Idempotency-Key"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reference",
    ["9999000067", "dossier-1234567890123", BSN[:4] + "-" + BSN[4:], "999900007", "1234567", "a" * 36, "-"],
)
def test_a_case_reference_that_hides_no_bsn_is_accepted(index: Index, reference: str) -> None:
    """A run of ten digits holds no whole run of nine; 999900007 does not pass the 11-test."""
    index.place(caseReference=reference)


def test_a_body_too_large_is_refused_before_it_is_read(index: Index) -> None:
    with nothing_stored(index.database):
        answer = index.post(json.dumps(index.signal()) + " " * 16384)
        assert (answer.status_code, slug(answer)) == (413, "content-too-large")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_another_media_type_is_refused(index: Index, media_type: str) -> None:
    with nothing_stored(index.database):
        answer = index.http.post(
            "/api/v1/signals",
            data=json.dumps(index.signal()),
            content_type=media_type,
            headers=index.machine() | {"Idempotency-Key": "a"},
        )
        assert (answer.status_code, slug(answer)) == (415, "unsupported-media-type")  # type: ignore[arg-type]


def test_a_fault_of_time_counts_at_its_exact_edges(index: Index) -> None:
    """At most seven days ago and at most five minutes ahead (R4)."""
    index.place(madeAt="2026-11-15T10:00:00Z", removalDate="2028-11-15")
    index.place(madeAt="2026-11-22T10:05:00Z")
    assert index.clock() == NOW
    assert places(index.post(index.signal(madeAt="2026-11-22T10:05:00.000001Z"))) == {"#/madeAt"}


@pytest.mark.parametrize("key", ["999900006", "x999900006-2026", "zaak_000000012"])
def test_an_idempotency_key_that_hides_a_bsn_is_refused(index: Index, key: str) -> None:
    """I5: the key is stored as it came. A UUID whose digits happen to pass the 11-test is none."""
    with nothing_stored(index.database):
        answer = index.post(index.signal(), key=key)
    assert answer.status_code == 400
    assert key not in answer.text
    assert index.post(index.signal(), key="00000012-0000-4000-8000-000000000000").status_code == 201


@pytest.mark.parametrize(
    ("informing", "place"),
    [
        ({"status": "informed", "on": "2025-11-21", "to": "both"}, "#/informing/on"),
        ({"status": "postponed", "ground": "safety", "reviewDate": "2026-11-21"}, "#/informing/reviewDate"),
        ({"status": "postponed", "ground": "safety", "reviewDate": "2027-11-23"}, "#/informing/reviewDate"),
    ],
)
def test_a_date_of_informing_that_has_nothing_to_do_with_the_signal_is_refused(
    index: Index, informing: dict[str, str], place: str
) -> None:
    """R5: it might be a birth date."""
    with nothing_stored(index.database):
        assert places(index.post(index.signal(informing=informing))) == {place}
