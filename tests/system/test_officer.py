# SPDX-License-Identifier: EUPL-1.2
"""A privacy officer, from the register to what the command shows, with the processes and commands of a real system."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from system.world import INSTITUTIONS, System

from verwijsindex.access.caller import SCOPES
from verwijsindex.issuer.signing import Terms

pytestmark = pytest.mark.system


def test_an_officer_of_the_register_finds_what_the_own_institution_did(system: System) -> None:
    """R25. And nothing of another's; the running index refuses one factor."""
    own, other = system.reporters(2, INSTITUTIONS[:2])
    [youngster] = system.youngsters(1)
    placed = [system.place(youngster, reporter) for reporter in (own, other)]
    contact = ("F. Voorbeeld", "0521000006", "fg@example.org")
    officer = UUID(system.stack.run("admin", "privacy-officer", "add", "--institution", own.oin, *contact).strip())

    def search(*factors: str) -> subprocess.CompletedProcess[str]:
        terms = Terms(system.stack.index, SCOPES["privacy_officer"], timedelta(minutes=5))
        signed_in = {"amr": list(factors)}
        token = system.signer.person_token(
            "privacy_officer", officer, own.oin, "console", terms, datetime.now(UTC), signed_in
        )
        asked = ("--purpose", "incident", "--kind", "signal.registered", "--index", system.stack.index, "--json")
        command = [sys.executable, "-m", "verwijsindex", "officer", "search", *asked]
        environment = {k: v for k, v in system.stack.environment.items() if not k.startswith("VERWIJSINDEX_")}
        return subprocess.run(command, input=token, env=environment, capture_output=True, text=True, check=False)

    found = search("pwd", "mfa")
    assert found.returncode == 0, found.stderr
    signals = {one["event"]["signalId"]: one["event"]["actor"] for one in json.loads(found.stdout)}
    assert signals[str(placed[0].id)]["onBehalfOf"] == str(own.id)
    assert str(placed[1].id) not in signals
    refused = search("pwd")
    assert refused.returncode == 3
    assert "two factors" in refused.stderr
