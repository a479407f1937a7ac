# SPDX-License-Identifier: EUPL-1.2
"""What is counted is what the documents list, and no label has a value of who asks (I5, R33)."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from support import CLINIC, INDEX, POLICE, SCHOOL, WESTERVELD, Index, bsn, pseudonym

from verwijsindex import metrics
from verwijsindex.metrics import REGISTRY, outcome_class

DOCS = Path(__file__).parent.parent / "docs"


def value(name: str, **labels: str) -> float:
    """What is counted now, 0 where nothing was."""
    return REGISTRY.get_sample_value(f"verwijsindex_{name}", labels) or 0.0


def test_every_metric_is_in_the_documents_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| .+ \|$", (DOCS / "metrics.md").read_text(), re.M)
    there: dict[str, Any] = {m._name: m for m in vars(metrics).values() if hasattr(m, "_labelnames")}
    assert {name: (kind, labels.strip()) for name, kind, labels in rows} == {
        name: (metric._type, ", ".join(metric._labelnames)) for name, metric in there.items()
    }


def test_every_alert_is_about_a_metric_that_there_is() -> None:
    text = (DOCS / "alerts.yml").read_text()
    known = {
        name for family in REGISTRY.collect() for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    assert set(re.findall(r"verwijsindex_\w+", text)) <= known
    assert text.count("- alert:") == text.count("expr:") == text.count("annotations:") > 10


def test_requests_are_counted_by_operation_and_status(index: Index) -> None:
    """400 and 401 too, which are counted and nothing else. Each answer of a batch counts as a signal."""
    before = {
        (operation, status): value("requests_total", operation=operation, status=status)
        for operation in ("registerSignal", "listSignals", "none")
        for status in ("201", "400", "401", "404")
    }
    signals, refused = value("signals_accepted_total"), value("tokens_refused_total", reason="missing")
    index.place(0)
    index.place(1)
    index.post(b"{")
    index.http.get("/api/v1/signals")
    index.http.get(f"/{bsn(1).digits.decode()}")
    counted = {key: value("requests_total", operation=key[0], status=key[1]) - old for key, old in before.items()}
    assert {key: count for key, count in counted.items() if count} == {
        ("registerSignal", "201"): 2,
        ("registerSignal", "400"): 1,
        ("listSignals", "401"): 1,
        ("none", "404"): 1,
    }
    assert value("signals_accepted_total") - signals == 2
    assert value("tokens_refused_total", reason="missing") - refused == 1


def test_no_metric_says_who_or_about_whom(index: Index) -> None:
    for youngster in range(3):
        index.place(youngster, SCHOOL)
        index.place(youngster, CLINIC)
    index.match()
    index.get("/signals", index.reader(POLICE))
    index.get(f"/matches/{bsn(2).digits.decode()}?{pseudonym(0).to_text()}", index.reader())
    # Without the numbers that were counted: the digits of a time may be those of a municipality's code.
    told = re.sub(r" \S+$", "", generate_latest(REGISTRY).decode(), flags=re.M)
    assert 'operation="registerSignal"' in told
    for secret in (
        SCHOOL,
        CLINIC,
        POLICE,
        "client-",
        WESTERVELD,
        INDEX,
        bsn(2).digits.decode(),
        pseudonym(0).to_text(),
    ):
        assert secret not in told


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("ok", "delivered"),
        ("status 503", "status 5xx"),
        ("status 404", "status 4xx"),
        ("ReadTimeout", "timeout"),
        ("ConnectError", "no connection"),
        ("plain http", "not sent"),
    ],
)
def test_outcomes_are_few(outcome: str, word: str) -> None:
    assert outcome_class(outcome) == word


def test_connections_in_use_are_counted(index: Index) -> None:
    before = value("database_connections", role="index")
    with index.app.extensions["index_pool"].connect():
        assert value("database_connections", role="index") == before + 1
    assert value("database_connections", role="index") == before
