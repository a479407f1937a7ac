# SPDX-License-Identifier: EUPL-1.2
"""The client keeps checkpoints, and finds out when the ledger is not what it was (R25, docs/ledger.md)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from client.services import NOW, Services
from joserfc.jwk import OKPKey
from ledger.ledgers import some_events
from support import Database

from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.errors import ClientProblem, ConfigError, UnreachableError
from verwijsindex.client.watching import LedgerChangedError, Watch
from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.checkpoint import Signer, read_notes

SIGNER = Signer("index.example/ledger", OKPKey.generate_key("Ed25519"))
TABLES = ("event", "unsealed_event", "leaf", "tree_node", "checkpoint")


@pytest.fixture
def grow(index_database: Database) -> Callable[..., None]:
    """Seal so many new events, so many days from now."""

    def more(count: int = 3, days: float = 0, signer: Signer = SIGNER) -> None:
        pool = index_database.engine("worker")
        with pool.begin() as connection:
            events.append(connection, some_events(count))
        sealing.seal(pool, NOW + timedelta(days=days), signer)

    return more


@pytest.fixture
def watching(services: Services) -> Callable[[], VerwijsindexClient]:
    """A client that is configured to keep checkpoints."""
    key = services.folder / "ledger.vkey"
    key.write_text(f"{SIGNER.key}\n")
    kept = services.folder / "ledger.checkpoints"
    config = services.config().model_copy(update={"ledger_key": key, "checkpoints": kept})
    return lambda: services.client(config)


def kept(services: Services) -> list[str]:
    return read_notes((services.folder / "ledger.checkpoints").read_text())


def look(client: VerwijsindexClient) -> int:
    assert client.ledger
    return client.ledger.look().size


def forget(database: Database) -> None:
    """As if the operator began anew."""
    with database.superuser.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(f"TRUNCATE {', '.join(TABLES)}")


def test_the_client_keeps_checkpoints_by_itself(
    services: Services, watching: Callable[[], VerwijsindexClient], grow: Callable[..., None]
) -> None:
    """The newest of each day and the newest, at the end of each use; and it needs no token for that."""
    for days in (0, 0.01, 0.02, 1, 1.01, 2):
        grow(days=days)
        with watching():
            pass
    sizes = [int(note.splitlines()[1]) for note in kept(services)]
    assert sizes == [9, 15, 18]
    assert not any("Authorization" in request.headers for request in services.requests)
    with watching():
        pass
    assert len(kept(services)) == 3


def test_a_ledger_that_was_rolled_back_is_found(
    services: Services,
    watching: Callable[[], VerwijsindexClient],
    grow: Callable[..., None],
    index_database: Database,
) -> None:
    """To an earlier size of the same ledger, with its own checkpoint. Seen failing without the comparison of sizes."""
    grow(5)
    early = index_database.all_rows()
    grow(4)
    with watching():
        pass
    before = kept(services)
    forget(index_database)
    index_database.put_back({table: early[table] for table in TABLES if table in early})
    with (
        pytest.raises(LedgerChangedError, match=r"rolled back: it has 5 events, and had 9.*privacy officer"),
        watching(),
    ):
        pass
    forget(index_database)
    with pytest.raises(LedgerChangedError, match="no checkpoint any more"), watching():
        pass
    assert kept(services) == before


@pytest.mark.parametrize("more", [0, 1, 4, 11])
def test_a_fork_between_two_kept_checkpoints_is_found(
    services: Services,
    watching: Callable[[], VerwijsindexClient],
    grow: Callable[..., None],
    index_database: Database,
    more: int,
) -> None:
    """Another ledger of the same size or a larger one, signed with the same key. Seen failing when the proof was not
    verified, and, of the same size, when roots were not compared."""
    grow(7)
    with watching():
        pass
    forget(index_database)
    grow(7 + more, days=1)
    with pytest.raises(LedgerChangedError, match="does not begin with the 7 events"), watching():
        pass
    assert len(kept(services)) == 1


def test_another_key_is_found(
    services: Services, watching: Callable[[], VerwijsindexClient], grow: Callable[..., None]
) -> None:
    grow()
    with watching():
        pass
    grow(signer=Signer("index.example/ledger", OKPKey.generate_key("Ed25519")))
    with pytest.raises(LedgerChangedError, match="not signed by the key that you hold"), watching():
        pass


def test_what_was_to_be_done_is_done_before_the_ledger_is_looked_at(
    services: Services, watching: Callable[[], VerwijsindexClient], grow: Callable[..., None]
) -> None:
    """A signal waits for no ledger; an error of the work itself is the one that is told; and an index that goes away at
    the end is told of, and no more."""
    grow()
    with watching():
        assert not (services.folder / "ledger.checkpoints").exists()
    (services.folder / "ledger.checkpoints").unlink()
    with pytest.raises(ZeroDivisionError), watching():
        raise ZeroDivisionError
    assert not (services.folder / "ledger.checkpoints").exists()
    heard: list[str] = []
    services.intervene = lambda _: httpx.Response(503)
    config = services.config().model_copy(
        update={"ledger_key": services.folder / "ledger.vkey", "checkpoints": services.folder / "ledger.checkpoints"}
    )
    with services.client(config, tell=heard.append):
        pass
    assert "the ledger was not looked at" in heard[-1]
    with pytest.raises(UnreachableError):
        look(watching())


@pytest.mark.parametrize("answer", ["{}", "[]", '{"checkpoint": ""}', '{"checkpoint": 1}', "<html>"])
def test_what_is_no_checkpoint_is_not_kept(
    services: Services, watching: Callable[[], VerwijsindexClient], answer: str
) -> None:
    services.intervene = lambda _: httpx.Response(200, text=answer)
    with pytest.raises((LedgerChangedError, ClientProblem)):
        look(watching())
    assert not (services.folder / "ledger.checkpoints").exists()


def test_many_at_once_see_no_roll_back(
    services: Services, watching: Callable[[], VerwijsindexClient], grow: Callable[..., None]
) -> None:
    """Seen failing without the lock: one's older answer was compared with another's newer one."""
    grow()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(8):
                look(watching())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        grow(1)
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_key_file_that_is_none_is_refused(services: Services, tmp_path: Path) -> None:
    for content in (None, "", "x"):
        key = tmp_path / "key"
        if content is not None:
            key.write_text(content)
        with pytest.raises(ConfigError, match=r"cannot be read|no verifier key"):
            services.client(services.config().model_copy(update={"ledger_key": key}))


def test_watch_is_for_whoever_has_the_key(services: Services, grow: Callable[..., None], tmp_path: Path) -> None:
    """No configuration, no client, no token."""
    grow()
    channel = services.client()._channel
    watch = Watch(channel, services.config().index, [SIGNER.key], tmp_path / "kept")
    assert watch.look().size == 3
    grow()
    assert watch.look().size == 6
    assert len(read_notes((tmp_path / "kept").read_text())) == 1
