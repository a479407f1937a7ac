# SPDX-License-Identifier: EUPL-1.2
"""What a worker is told of its mail server: no mail without TLS by mistake, and nothing half."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from verwijsindex.settings import WorkerSettings


def told(**changes: Any) -> WorkerSettings:
    """Settings of a worker with a mail server elsewhere."""
    mail = {"mail_host": "mail.example", "mail_sender": "verwijsindex@index.example"}
    return WorkerSettings(
        base_url="https://index.example",
        worker_database_url=SecretStr("postgresql+psycopg://x@127.0.0.1/x"),
        broker_url=SecretStr("redis://127.0.0.1"),
        keys=Path(),
        tombstones=Path("x"),
        ledger_key=Path("x"),
        ledger_origin="index.example/ledger",
        **mail | changes,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mail_host": "", "mail_sender": ""},
        {"mail_security": "tls", "mail_port": 465},
        {"mail_security": "none", "mail_host": "127.0.0.1"},
        {"mail_security": "none", "plain_network": True},
        {"mail_user": "index", "mail_password": Path("/run/secrets/mail")},
        {"mail_link": "https://console.example/inbox"},
    ],
)
def test_what_may_be(changes: dict[str, Any]) -> None:
    assert told(**changes).mail_port in {465, 587}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mail_security": "none"}, "without TLS"),
        ({"mail_sender": ""}, "needs an address"),
        ({"mail_sender": "x@y\r\nBcc: z@example.org"}, "needs an address"),
        ({"mail_user": "index"}, "come together"),
        ({"mail_password": Path("/run/secrets/mail")}, "come together"),
        ({"mail_link": "http://console.example"}, "https"),
        ({"mail_security": "ssl"}, "starttls"),
    ],
)
def test_what_may_not_be(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        told(**changes)
