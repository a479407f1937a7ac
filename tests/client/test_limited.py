# SPDX-License-Identifier: EUPL-1.2
"""`client send` at a limit of a day (R37): a reporter's stands in the way of that reporter's rows and of no others."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from client.services import Services, bsns, draft
from client.test_commands import Shell
from client.test_rows import GOOD

from verwijsindex.client import Limited, posting, sending

AT_MIDNIGHT = "give the same command again after 2026-11-23 01:00 to send what waits"


@pytest.fixture
def shell(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Batches of ten, one after the other."""
    for module in (posting, sending):
        monkeypatch.setattr(module, "BATCH", 10)
    monkeypatch.setattr(posting, "AT_ONCE", 1)
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(services, folder, monkeypatch)


def rows(reporters: list[UUID], count: int, faulty: int = 8) -> list[dict[str, str]]:
    """Rows of each reporter in turn, of which each eighth is refused here."""
    return [
        {**GOOD, "bsn": bsn, "case_reference": f"Z-{n}", "reporter": str(reporters[n % len(reporters)])}
        | ({"informed_to": "aunt"} if n % faulty == faulty - 1 else {})
        for n, bsn in enumerate(bsns(count))
    ]


def placed(services: Services) -> dict[str, int]:
    found = services.index_database.rows("SELECT reporter_id, count(*) AS signals FROM signal GROUP BY reporter_id")
    return {str(row.reporter_id): int(row.signals) for row in found}


@pytest.mark.parametrize("service", ["index", "pseudonyms"])
def test_the_rows_of_other_reporters_go_on(services: Services, shell: Shell, service: str) -> None:
    """Anna, with three of four rows, meets the limit each day; Bert never. Each run tells of every row, and in the end
    it is as if there had been no limit.

    Seen failing (the file stopped) when the index's answer counted as anybody's limit, and when a request that the
    pseudonym service refuses was not asked again for each reporter by itself.
    """
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    if service == "index":
        services.start_index(signals_per_reporter=20)
    else:
        services.start_pseudonyms(elements_per_reporter=20)
    shell.export(rows([anna, anna, anna, bert], 72))
    told, days = [], 0
    while (result := shell.run("send", "export.csv", "--refused", "refused.csv")).exit_code == 3:
        of_anna = placed(services)[str(anna)]
        if service == "index":
            assert of_anna == 20 * (days + 1)
        assert f"accepted {of_anna + 9}, refused 9, waiting {54 - of_anna}" in result.stdout.splitlines()
        assert (
            f"reporters at their limit of a day, and how many rows wait: {anna} {54 - of_anna}"
            in result.stdout.splitlines()
        )
        assert AT_MIDNIGHT.replace("23", str(23 + days)) in result.stderr
        told.append(Path("refused.csv").read_bytes())
        services.now += timedelta(days=1)
        days += 1
    assert days >= 2
    assert (result.exit_code, result.stdout.splitlines()[-2]) == (1, "accepted 63, refused 9")
    assert placed(services) == {str(anna): 54, str(bert): 9}
    assert {*told, Path("refused.csv").read_bytes()} == {told[0]}
    posted = len(services.items())
    assert "nothing was sent now" in shell.run("send", "export.csv").stderr
    assert len(services.items()) == posted


def test_nothing_more_is_asked_for_a_reporter_at_the_limit(services: Services, shell: Shell) -> None:
    """Each evaluation counts towards the institution's limit: one batch finds out, and the one under way beside it.
    Seen failing (all 100) when rows of a reporter at the limit were not left out."""
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    services.start_index(signals_per_reporter=3)
    shell.export([*rows([anna], 100, 999), *rows([bert], 2, 999)])
    assert shell.run("send", "export.csv").exit_code == 3
    asked = [
        reporter
        for request in services.requests
        if request.url.path == "/api/v1/evaluations"
        for reporter in json.loads(request.content)["reporters"]
    ]
    assert asked.count(str(bert)) == 2
    assert asked.count(str(anna)) <= 20
    assert placed(services) == {str(anna): 3, str(bert): 2}


@pytest.mark.parametrize("whose", ["institution", "country"])
def test_a_limit_of_all_stops_the_file_and_all_that_is_known_is_told(
    services: Services, shell: Shell, whose: str
) -> None:
    """Also in a run that gets no further, since a row that waits stands before what was accepted: seen failing
    (accepted 19) when what the journal knows of later rows was not told."""
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    services.start_index(signals_per_reporter=12, **{f"signals_per_{whose}": 20})
    shell.export(rows([anna, anna, bert], 72))
    for limit in (999, 1):
        stopped = shell.run("send", "export.csv")
        assert stopped.exit_code == 3
        assert "accepted 20, refused 3" in stopped.stdout
        assert ("error: your institution has reached its limit of a day" in stopped.stderr) == (whose == "institution")
        assert "the rows that are not told of above wait" in stopped.stderr
        assert stopped.stderr.endswith(f"{AT_MIDNIGHT}\n")
        assert placed(services) == {str(anna): 12, str(bert): 8}
        services.start_index(signals_per_reporter=limit, **{f"signals_per_{whose}": 20})
    services.now += timedelta(days=1)
    services.start_index()
    assert "accepted 63, refused 9" in shell.run("send", "export.csv").stdout
    assert placed(services) == {str(anna): 42, str(bert): 21}


def test_who_sends_signals_of_an_own_source_is_told_which_wait(services: Services) -> None:
    anna, bert = services.register(["Anna de Vries", "Bert Smit"])
    services.start_index(signals_per_reporter=1)
    with services.client() as client:
        signals = [draft((anna, bert)[n % 2], bsn) for n, bsn in enumerate(bsns(4))]
        outcomes = list(client.submit(signals))
    limited = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Limited)]
    assert limited == [2, 3]
    assert {o.until.isoformat() for o in outcomes if isinstance(o, Limited)} == {"2026-11-23T00:00:00+00:00"}
