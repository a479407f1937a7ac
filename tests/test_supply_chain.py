# SPDX-License-Identifier: EUPL-1.2
"""What it is made of: the audit hides no finding and no silence, and the bill of materials names every package."""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parent.parent
RUN = runpy.run_path(str(ROOT / "run.py"), run_name="run")


def _found(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


GOOD = {"name": "flask", "version": "3.1", "vulns": []}
BAD = {"name": "celery", "version": "5.6", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.7"], "aliases": []}]}
UNKNOWN = {"name": "rbcl", "skip_reason": "Dependency not found and could not be audited"}


@pytest.mark.parametrize(
    ("found", "said", "good", "told"),
    [
        (_found(GOOD), "", True, "1 packages, no known vulnerability"),
        (_found(GOOD, BAD), "Found 1 known vulnerability", False, "VULNERABLE: celery 5.6: PYSEC-1, mended in 5.7"),
        (_found(BAD, UNKNOWN), "", False, "VULNERABLE: celery"),
        (_found(GOOD, UNKNOWN), "", True, "NOT AUDITED: rbcl"),
        (_found(UNKNOWN), "No known vulnerabilities found", True, "NOT AUDITED: the package index"),
        ("", "requests.exceptions.ConnectionError: no route", True, "NOT AUDITED: the advisory database"),
        ("", "ERROR: requirements/server.txt is wrong", False, "requirements/server.txt is wrong"),
        ("", "", False, "pip-audit failed"),
    ],
)
def test_no_finding_is_hidden_and_no_silence_is_an_all_clear(found: str, said: str, good: bool, told: str) -> None:
    verdict, lines = RUN["audited"](found, said)
    assert verdict is good
    assert told in "\n".join(lines)


@pytest.mark.parametrize("name", ["server", "client"])
def test_the_bill_of_materials_names_every_locked_package(name: str, tmp_path: Path) -> None:
    file = RUN["bill_of_materials"](name, tmp_path, Path(sys.executable))
    bill = json.loads(file.read_text())
    locked = set(
        re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE)
    )
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "verwijsindex")
    assert re.fullmatch(r"\d+\.\d+\.\d+", bill["metadata"]["component"]["version"])
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
    hashes = [one for part in bill["components"] for about in part["externalReferences"] for one in about["hashes"]]
    assert len(hashes) >= len(locked)
    [whole] = [one for one in bill["dependencies"] if one["ref"] == bill["metadata"]["component"]["bom-ref"]]
    assert len(whole["dependsOn"]) == len(locked)
