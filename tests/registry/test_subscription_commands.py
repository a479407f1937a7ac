# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex admin subscription ...`: of a client that was revoked nothing is pushed any more (R25, R37)."""

import json
from contextlib import ExitStack

import pytest
from notices.posting import Post
from support import CLINIC, SCHOOL, Index
from typer.testing import CliRunner, Result

from verwijsindex.cli import command_line


def admin(index: Index, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Runs it with the registrar's rights."""
    url = index.database.urls["verwijsindex_registrar"].get_secret_value()
    monkeypatch.setenv("VERWIJSINDEX_REGISTRAR_DATABASE_URL", url)
    return CliRunner().invoke(command_line("admin"), ["admin", "subscription", *arguments])


def test_an_administrator_ends_the_subscription_of_a_revoked_client(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had its key may have had the webhooks sent elsewhere, and the index does not hear of a revocation by itself.
    What waits goes with it, no notice does, and it is in the ledger. Seen failing without the grant of migration 0042.
    """
    with ExitStack() as stack:
        post = Post(index, stack)
        ours, theirs = post.receiver(SCHOOL), post.receiver(CLINIC)
        listed = admin(index, monkeypatch, "list")
        assert all(one in listed.output for one in (f"client-{SCHOOL}", f"client-{CLINIC}", theirs.address))
        # A client says where it wants to be told: seen failing, with a traceback, when that was taken for markup.
        post.change("UPDATE subscription SET address = 'https://a.example/[/]' WHERE oin = :oin", oin=SCHOOL)
        assert "https://a.example/[/]" in admin(index, monkeypatch, "list").output
        post.change("UPDATE subscription SET address = confirmed_address")
        post.tell()
        subscription = post.subscription(CLINIC).id
        done = admin(index, monkeypatch, "end", f"client-{CLINIC}")
        assert (done.exit_code, done.output) == (0, "")
        assert post.deliver() == 1
        post.tell(2)  # one of them is new
        assert post.deliver() == 1
        assert (len(ours.ids), theirs.ids) == (2, [])
    assert f"client-{CLINIC}" not in admin(index, monkeypatch, "list").output
    assert len(index.get("/notices", index.reader(CLINIC)).json["items"]) == 2
    told = json.loads(
        index.database.scalar("SELECT body FROM event WHERE kind = 'registry.changed' ORDER BY id DESC LIMIT 1")
    )
    assert (told["record"], told["recordId"], told["change"]) == ("subscription", str(subscription), "ended")
    again = admin(index, monkeypatch, "end", f"client-{CLINIC}")
    assert (again.exit_code, "this client has no subscription" in again.output) == (2, True)
