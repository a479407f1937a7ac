# SPDX-License-Identifier: EUPL-1.2
"""What an institution installs needs the base dependencies only, and no room of the server."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def distributions(extra: str | None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {re.match("[A-Za-z0-9-]+", line)[0].replace("-", "_") for line in lines}  # type: ignore[index]


def test_the_client_and_its_commands_load_nothing_of_the_server() -> None:
    script = "import sys, verwijsindex.client.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("verwijsindex.") and not name.startswith("verwijsindex.client")}
    assert ours == {
        "verwijsindex.followup",
        "verwijsindex.followup.states",
        "verwijsindex.keyfiles",
        "verwijsindex.ledger",
        *(f"verwijsindex.ledger.{name}" for name in ("base64", "checkpoint", "tree")),
        "verwijsindex.arguments",
        "verwijsindex.tls",
        "verwijsindex.written",
        "verwijsindex.pseudonyms",
        *(
            f"verwijsindex.pseudonyms.{name}"
            for name in ("bsn", "key_list", "proof", "pseudonym", "ristretto", "voprf")
        ),
        "verwijsindex.signals",
        "verwijsindex.signals.dates",
        "verwijsindex.signals.informing",
    }
    server = distributions("server") - distributions(None) - {"packaging"}
    assert not {name.partition(".")[0] for name in loaded} & server
