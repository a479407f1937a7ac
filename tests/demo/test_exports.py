# SPDX-License-Identifier: EUPL-1.2
"""The demo's exports: what they promise of their rows is what the client and the index make of them."""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from client.services import OIN, OTHER_OIN, Services
from support import Database

from verwijsindex.client import Accepted, Bsn, RefusedRow, SignalRow, read_rows
from verwijsindex.client.faults import ADVICE
from verwijsindex.demo.exports import Expected, ExportPlan, known_test_bsns, write_exports

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DST = datetime(2026, 10, 27, 10, tzinfo=UTC)  # in the days before, the clock was changed
PLANS = [
    ExportPlan(name, tuple(UUID(int=100 * n + r) for r in range(size)), places)
    for n, (name, size, places) in enumerate(
        [
            ("een", 4, ("1701", "0505")),
            ("twee", 3, ("0505", "0971")),
            ("drie", 2, ("0971", "1701")),
            ("vier", 1, ("1701",)),
        ]
    )
]
INDEX_REFUSES = {"out_of_time", "unknown", "reporter-not-designated"}


@pytest.fixture(scope="module", params=[NOW, DST])
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    return write_exports(tmp_path_factory.mktemp("exports"), PLANS, 1701, request.param)


def test_the_client_reads_what_is_promised(expected: Expected) -> None:
    for export in expected.exports.values():
        accepted = {row.line: row for row in export.accepted}
        with export.path.open("rb") as file:
            for row in read_rows(file):
                if isinstance(row, RefusedRow):
                    assert {fault.code for fault in row.faults} == export.refused[row.line]
                elif row.line in accepted:
                    draft, told = row.draft, accepted[row.line]
                    assert draft.bsn.digits.decode() == told.bsn
                    assert (draft.reporter, draft.residence_municipality) == (told.reporter, told.residence)
                    assert draft.case_reference == told.case_reference
                else:
                    assert export.refused[row.line] <= INDEX_REFUSES


def test_there_are_as_many_rows_as_asked_and_every_kind_of_fault(expected: Expected) -> None:
    assert sum(export.rows for export in expected.exports.values()) == 3000
    codes = Counter(code for export in expected.exports.values() for codes in export.refused.values() for code in codes)
    assert set(codes) == INDEX_REFUSES | set(ADVICE) - {"moment-unclear", "too-many-parents"}
    refused = sum(len(export.refused) for export in expected.exports.values())
    assert refused == 90


def test_only_test_bsns_are_used_and_spare_ones_are_in_no_file(expected: Expected) -> None:
    assert len(known_test_bsns()) > 9000
    assert all(Bsn.parse(bsn).digits.startswith(b"9999") for bsn in known_test_bsns())
    content = b"".join(export.path.read_bytes() for export in expected.exports.values())
    assert not {bsn.encode() for bsn in expected.spare} & set(re.findall(rb"(?=([0-9]{9}))", content))
    assert {row.bsn for export in expected.exports.values() for row in export.accepted} <= expected.all_bsns()
    assert len(expected.spare) > 2000


def test_youngsters_are_known_in_every_way_that_matters(expected: Expected) -> None:
    institution = {reporter: plan.client_id for plan in PLANS for reporter in plan.reporters}
    many = expected.reporters_of()
    assert {len(reporters) for reporters in many.values()} == {1, 2, 3, 4}
    matches = [reporters for reporters in many.values() if len(reporters) > 1]
    assert 60 < len(matches) < 150
    assert any(len({institution[r] for r in reporters}) == 1 for reporters in matches)
    times = Counter((row.reporter, row.bsn) for export in expected.exports.values() for row in export.accepted)
    alone_twice = [bsn for (_, bsn), count in times.items() if count == 2 and len(many[bsn]) == 1]
    matched_twice = [bsn for (_, bsn), count in times.items() if count == 2 and len(many[bsn]) > 1]
    assert alone_twice
    assert matched_twice
    residences: dict[str, set[str]] = {}
    for export in expected.exports.values():
        for row in export.accepted:
            residences.setdefault(row.bsn, set()).add(row.residence)
    assert any(len(places) > 1 for places in residences.values())


def test_the_same_seed_and_moment_make_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        write_exports(tmp_path / name, PLANS, seed, NOW, 200)
    contents = [[path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc"]
    assert contents[0] == contents[1] != contents[2]
    assert [content[:3] for content in contents[0]].count(b"\xef\xbb\xbf") == 2


def test_the_index_takes_and_refuses_what_is_promised(
    index_database: Database, issuer_database: Database, pseudonyms_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "services").mkdir()
    services = Services(tmp_path / "services", index_database, issuer_database, pseudonyms_database)
    reporters = services.register(["Anna Voorbeeld", "Bram Verzonnen"])
    services.register(["Chaima Fictief"], oin=OTHER_OIN, municipality="1701")
    plan = ExportPlan(OIN, tuple(reporters), ("0971", "1701"))
    expected = write_exports(tmp_path, [plan], 7, services.now, 900)
    [export] = expected.exports.values()
    with export.path.open("rb") as file, services.client() as client:
        rows = [row for row in read_rows(file) if isinstance(row, SignalRow)]
        outcomes = dict(zip((row.line for row in rows), client.submit(row.draft for row in rows), strict=True))
    assert sorted(n for n, o in outcomes.items() if isinstance(o, Accepted)) == [row.line for row in export.accepted]
    refused = {
        line: frozenset([e.code for e in outcome.problem.errors] or [outcome.problem.slug])
        for line, outcome in outcomes.items()
        if not isinstance(outcome, Accepted)
    }
    assert refused == {line: codes for line, codes in export.refused.items() if codes <= INDEX_REFUSES}
    assert set.union(*map(set, refused.values())) == INDEX_REFUSES
