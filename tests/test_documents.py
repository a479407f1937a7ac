# SPDX-License-Identifier: EUPL-1.2
"""What the documents list is what the code has."""

import re
from pathlib import Path

from verwijsindex.operating import ENVIRONMENT
from verwijsindex.problems import CATALOGUE
from verwijsindex.settings import IndexSettings, IssuerSettings, PseudonymSettings, WorkerSettings

DOCS = Path(__file__).parent.parent / "docs"


def test_every_problem_is_in_the_documents_and_no_other() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| (.*?) \| (.*?) \|$", (DOCS / "problems.md").read_text(), re.M)
    assert {slug: (int(status), title, detail) for status, slug, title, detail in rows} == {
        problem.slug: (problem.status, problem.title, problem.detail) for problem in CATALOGUE.values()
    }


def test_every_setting_is_in_the_documents_and_no_other() -> None:
    text = (DOCS / "operations.md").read_text()
    kinds = (IndexSettings, WorkerSettings, PseudonymSettings, IssuerSettings)
    settings = {f"VERWIJSINDEX_{name.upper()}" for kind in kinds for name in kind.model_fields}
    asked = {"VERWIJSINDEX_ADMIN_DATABASE_URL", "VERWIJSINDEX_SECRETS", *ENVIRONMENT.values()}
    assert set(re.findall(r"`(VERWIJSINDEX_[A-Z_]+)`", text)) == settings | asked
