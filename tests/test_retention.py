# SPDX-License-Identifier: EUPL-1.2
"""docs/retention.md says of every table how long it is kept, and says what the code does."""

import re
from datetime import timedelta
from pathlib import Path

from support import Database

from verwijsindex.issuer.service import _MARGIN as JTI_MARGIN
from verwijsindex.limits.service import _KEPT as COUNTERS_KEPT
from verwijsindex.notices import upkeep
from verwijsindex.repeating import KEPT as ANSWERS_KEPT
from verwijsindex.settings import WorkerSettings
from verwijsindex.signals.known_requests import KEPT as REQUESTS_KEPT

PAGE = (Path(__file__).parents[1] / "docs" / "retention.md").read_text()
ROWS = re.findall(r"^\| (`[a-z_`, ]+`) \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE)


def _said(table: str) -> str:
    kept: str = next(kept for names, kept in ROWS if f"`{table}`" in names)
    return kept


def test_every_table_is_on_the_page(
    index_database: Database, issuer_database: Database, pseudonyms_database: Database
) -> None:
    """Who makes a table says here how long its rows are kept."""
    listed = {name for names, _ in ROWS for name in re.findall(r"`(\w+)`", names)}
    tables: set[str] = set()
    for database in (index_database, issuer_database, pseudonyms_database):
        found = database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables |= {str(row[0]) for row in found}
    assert listed - {"limit_counter"} == tables - {"alembic_version", "limit_counter"}


def test_the_periods_are_those_of_the_code() -> None:
    told = {"attempt": upkeep.ATTEMPTS_KEPT, "delivery": upkeep.DELIVERIES_KEPT, "mail": upkeep.MAIL_KEPT}
    for table, period in (told | dict.fromkeys(("subscription_request", "act_request"), ANSWERS_KEPT)).items():
        assert _said(table).startswith(f"{period.days} days"), table
    assert timedelta(days=7, minutes=5) == REQUESTS_KEPT
    assert _said("idempotency_record") == "7 days and 5 minutes"
    assert _said("assertion_jti") == f"{JTI_MARGIN.seconds // 60} minutes after it expired"
    assert _said("limit_counter").startswith(f"{COUNTERS_KEPT.days} days")
    days = WorkerSettings.model_fields["contact_data_days"].default
    for table in ("reporter", "coordinator", "case_supervisor"):
        assert _said(table).startswith(f"`VERWIJSINDEX_CONTACT_DATA_DAYS` ({days}) days")
