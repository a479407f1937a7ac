# SPDX-License-Identifier: EUPL-1.2
"""`client check receiver`: a good receiver passes every rule, and each way of being wrong fails its own."""

import base64
import hmac
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from verwijsindex.client import WebhookError, cli, verify_webhook
from verwijsindex.client.check.receiver import ReceiverCheck
from verwijsindex.client.check.rules import RECEIVER, SENDER
from verwijsindex.client.webhooks import CHALLENGE_TYPE

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ROOT = Path(__file__).parents[3]
Receive = Callable[[httpx.Request], httpx.Response]


def good(request: httpx.Request) -> httpx.Response:
    """Receives as docs/protocol.md says."""
    if len(request.content) > 16 * 1024:
        return httpx.Response(413)
    try:
        verify_webhook(request.headers, request.content, SECRET, datetime.now(UTC))
    except WebhookError:
        return httpx.Response(400)
    event = json.loads(request.content)
    if event["type"] == CHALLENGE_TYPE:
        return httpx.Response(200, json={"challenge": event["data"]["challenge"]})
    return httpx.Response(204)


def judged(receive: Receive) -> dict[str, str]:
    return {**ReceiverCheck("https://receiver.example/", SECRET, httpx.MockTransport(receive)).run().states()}


def resigned(request: httpx.Request) -> httpx.Response:
    """What comes in, signed anew: a receiver that does not look at the signature."""
    request.headers["webhook-signature"] = _try(_sign, request) or ""
    return good(request)


def _sign(request: httpx.Request) -> str:
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.content
    return "v1," + base64.b64encode(hmac.digest(KEY, content, "sha256")).decode()


def takes_old(request: httpx.Request) -> httpx.Response:
    if good(request).status_code == 400 and request.headers.get("webhook-signature") == _try(_sign, request):
        return httpx.Response(204)
    return good(request)


def _try(function: Callable[[httpx.Request], str], request: httpx.Request) -> str | None:
    try:
        return function(request)
    except KeyError:
        return None


class OncePerId:
    """Refuses a repeat, in the place of saying that all is well."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = good(request)
        if answer.status_code < 300:
            if request.headers["webhook-id"] in self.seen:
                return httpx.Response(409)
            self.seen.add(request.headers["webhook-id"])
        return answer


class Drowned:
    """Is gone after a flood."""

    def __init__(self) -> None:
        self.gone = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.gone = self.gone or len(request.content) > 1_000_000
        if self.gone:
            raise httpx.ConnectError("gone")
        return good(request)


def prefix_blind(request: httpx.Request) -> httpx.Response:
    """Looks for its signature anywhere in the header."""
    signature = _try(_sign, request)
    if signature and signature.removeprefix("v1,") in request.headers.get("webhook-signature", ""):
        request.headers["webhook-signature"] = signature
    return good(request)


def first_signature_only(request: httpx.Request) -> httpx.Response:
    request.headers["webhook-signature"] = request.headers.get("webhook-signature", "").split(" ")[0]
    return good(request)


def known_members_only(request: httpx.Request) -> httpx.Response:
    answer = good(request)
    if answer.status_code < 300 and "more" in json.loads(request.content):
        return httpx.Response(400)
    return answer


def small(request: httpx.Request) -> httpx.Response:
    return httpx.Response(413) if len(request.content) > 4096 else good(request)


def silent_on_challenges(request: httpx.Request) -> httpx.Response:
    answer = good(request)
    return httpx.Response(204) if answer.status_code == 200 else answer


def echoes_anybodys(request: httpx.Request) -> httpx.Response:
    if CHALLENGE_TYPE.encode() in request.content:
        return httpx.Response(200, json={"challenge": json.loads(request.content)["data"]["challenge"]})
    return good(request)


def crashes_on_headers(request: httpx.Request) -> httpx.Response:
    return good(request) if "webhook-id" in request.headers else httpx.Response(500)


def reparsed(request: httpx.Request) -> httpx.Response:
    """Checks the signature over a body that it read and wrote anew."""
    parts = request.headers.get("webhook-signature", "")
    try:
        content = json.dumps(json.loads(request.content)).encode()
    except ValueError:
        return good(request)
    again = httpx.Request("POST", request.url, headers=request.headers, content=content)
    again.headers["webhook-signature"] = parts
    return good(again)


def slow(request: httpx.Request) -> httpx.Response:
    answer = good(request)
    if answer.status_code == 204 and b"something-new" in request.content:
        raise httpx.ReadTimeout("slow")
    return answer


BAD: dict[str, tuple[Receive, set[str]]] = {
    "closed to all": (lambda _: httpx.Response(403), {"V1"}),
    "looks at no signature": (resigned, {"V2", "V3"}),
    "writes the body anew before it checks": (reparsed, {"V3"}),
    "looks at no time": (takes_old, {"V4"}),
    "crashes without a header": (crashes_on_headers, {"V5"}),
    "knows no versions": (prefix_blind, {"V6"}),
    "reads one signature": (first_signature_only, {"V7"}),
    "refuses repeats": (OncePerId(), {"V8"}),
    "refuses what it does not know": (known_members_only, {"V9"}),
    "reads 4 KiB": (small, {"V10"}),
    "drowns": (Drowned(), {"V11"}),
    "does not answer challenges": (silent_on_challenges, {"V12"}),
    "answers anybody's challenge": (echoes_anybodys, {"V12"}),
    "works before it answers": (slow, {"V13"}),
}


def test_a_good_receiver_passes() -> None:
    states = judged(good)
    assert {rule for rule, state in states.items() if state == "not seen"} == {"V14"}  # no connection in this test
    assert "failed" not in states.values()


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_one_fails_its_rule(fault: str) -> None:
    receive, rules = BAD[fault]
    failed = {rule for rule, state in judged(receive).items() if state == "failed"}
    assert failed >= rules
    if fault not in {"closed to all", "drowns", "looks at no signature", "works before it answers"}:
        assert failed == rules


def test_there_is_a_bad_one_for_each_rule() -> None:
    assert {rule for _, rules in BAD.values() for rule in rules} == {rule.id for rule in RECEIVER} - {"V14"}


def test_one_that_is_not_there_fails_and_the_rest_is_not_seen() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    states = judged(refuse)
    assert states.pop("V1") == "failed"
    assert set(states.values()) == {"not seen"}


def test_our_example_passes_by_the_command_that_a_tester_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "webhook_receiver.py"), "0"]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout
        address = running.stdout.readline().split()[-1]
        monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("COLUMNS", "200")
        result = CliRunner().invoke(cli.app, ["check", "receiver", address])
    finally:
        running.terminate()
        running.communicate(timeout=10)
    assert result.exit_code == 0, result.output
    assert f"ok {len(RECEIVER)}, failed 0, not seen 0" in result.stdout
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("address", "secret", "status"),
    [("http://127.0.0.1:1/", SECRET, 1), ("ftp://a", SECRET, 2), ("nonsense", SECRET, 2), ("https://a", "b", 2)],
)
def test_what_cannot_be_used_or_reached_is_said(
    monkeypatch: pytest.MonkeyPatch, address: str, secret: str, status: int
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    result = CliRunner().invoke(cli.app, ["check", "receiver", address])
    assert result.exit_code == status
    assert "Traceback" not in result.output


def test_the_protocol_names_each_rule_once_in_the_same_words() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text()
    named = re.findall(r"^\| ([SV]\d+) \| (.+?) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert named == [(rule.id, rule.holds, rule.section) for rule in (*SENDER, *RECEIVER)]
    sections = set(re.findall(r"^###? ([\d.]*\d)\.? ", text, re.MULTILINE))
    assert {rule.section for rule in (*SENDER, *RECEIVER)} <= sections
