# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym key is turned by its commands, on real processes under load, and nobody notices (I1, I2, I3)."""

import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from support import only_long
from system.fire.fire import BACK_WITHIN, fire

pytestmark = [pytest.mark.system, pytest.mark.timeout(600), only_long]  # tests/turning has the short form


def test_the_pseudonym_key_turns_under_load() -> None:
    """Senders with the client library go over to the new version by themselves; those by plain HTTP stay with the old
    one. The turn is killed with -9 again and again."""
    with fire(seed := 1 + secrets.randbelow(10**6), youngsters=400, probes=4) as burning:
        print(f"seed {seed}")
        stack, keys = burning.system.stack, burning.system.stack.keys
        listed, signer = str(keys / "key-list.jws"), str(keys / "list-signer.jwk")
        with burning.load:
            burning.probe(time.monotonic())
            stack.run("keys", "pseudonym", str(keys))
            begins = datetime.now(UTC) + timedelta(seconds=60)
            service = ("--service-keys", str(keys))
            ends = ("--begins", f"{begins:%FT%TZ}", "--ends", f"1={begins + timedelta(hours=2):%FT%TZ}")
            stack.run("keys", "sign-list", *service, "--signer", signer, "--out", listed, *ends)
            recipient = stack.run("pseudonym-key", "recipient", "turn.key").strip()
            stack.run("pseudonym-key", "hand-over", *service, "--recipient", recipient, "--out", "factor.sealed")
            checked = ("--key-list", listed, "--signer", str(stack.key_list_signer), "--folder", str(keys))
            stack.run("pseudonym-key", "take-over", "factor.sealed", "--recipient", "turn.key", *checked)
            for name in ("worker", "deliverer", "clock", "index", "pseudonyms"):
                stack.restart(name)
            burning.probe(time.monotonic())
            command = [sys.executable, "-m", "verwijsindex", "index-key", "turn", "--yes"]
            for seconds in (4, 12, 11):  # while processes hear of it, and while rows are turned
                turn = subprocess.Popen(command, env=stack.environment, cwd=stack.folder, stderr=subprocess.DEVNULL)
                time.sleep(seconds)
                turn.kill()
                turn.wait()
            stack.run("index-key", "turn", "--yes")
            time.sleep(max(0.0, (begins - datetime.now(UTC)).total_seconds()) + 10)
            assert burning.probe(time.monotonic()) < BACK_WITHIN
            stack.check()
        counts = burning.judge()
        print(counts)
        used = "SELECT DISTINCT pseudonym_version FROM idempotency_record WHERE received_at > :begins ORDER BY 1"
        assert burning.system.rows(used, begins=begins) == [(1,), (2,)]
        assert burning.system.rows("SELECT DISTINCT key_version FROM youngster") == [(2,)]
