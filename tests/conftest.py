# SPDX-License-Identifier: EUPL-1.2
"""Fixtures that every room uses: a real PostgreSQL, migrated by Alembic, empty at the start of each test."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from support import PASSWORDS, Database, Index, Logged, MovableClock
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from verwijsindex import database
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.operating import ENVIRONMENT, addresses

hypothesis_settings.register_profile("default", deadline=None, print_blob=True)
hypothesis_settings.load_profile("default")


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    """An own PostgreSQL with the roles and databases of `verwijsindex db init`."""
    with EmbeddedPostgres(durable=False) as server:
        database.init_cluster(server.url().replace("+psycopg", ""), PASSWORDS)
        yield server


def _database(cluster: EmbeddedPostgres, branch: str) -> Iterator[Database]:
    by_variable = addresses(cluster.url(), PASSWORDS)
    urls = {role: SecretStr(by_variable[variable]) for role, variable in ENVIRONMENT.items()}
    database.upgrade(urls[database.OWNERS[branch]], branch)
    made = Database(branch, urls, sa.create_engine(cluster.url(database.DATABASES[branch])))
    yield made
    made.close()


@pytest.fixture(scope="session")
def _migrated_index(cluster: EmbeddedPostgres) -> Iterator[Database]:
    yield from _database(cluster, "index")


@pytest.fixture(scope="session")
def _migrated_pseudonyms(cluster: EmbeddedPostgres) -> Iterator[Database]:
    yield from _database(cluster, "pseudonyms")


@pytest.fixture(scope="session")
def _migrated_issuer(cluster: EmbeddedPostgres) -> Iterator[Database]:
    yield from _database(cluster, "issuer")


@pytest.fixture
def index_database(request: pytest.FixtureRequest, _migrated_index: Database) -> Database:
    """The index's database, empty; for a test of `index`, as that leaves it."""
    if "index" not in request.fixturenames:
        _migrated_index.empty()
    return _migrated_index


@pytest.fixture
def pseudonyms_database(_migrated_pseudonyms: Database) -> Database:
    """The pseudonym service's database, empty."""
    _migrated_pseudonyms.empty()
    return _migrated_pseudonyms


@pytest.fixture
def issuer_database(_migrated_issuer: Database) -> Database:
    """The issuer's database, empty."""
    _migrated_issuer.empty()
    return _migrated_issuer


@pytest.fixture
def index(index_database: Database, tmp_path: Path) -> Iterator[Index]:
    """The index in this process, on an empty database with a filled register; its clock stands still."""
    made = Index(index_database, tmp_path, MovableClock())
    yield made
    for pool in ("intake_pool", "index_pool", "sealing_pool", "auditor_pool"):
        made.app.extensions[pool].dispose()


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Logged:
    """What this test's process logs."""
    return Logged(capsys, caplog)


_LONG = {"test_matrix", "test_year", "test_sending"}
_OWN_SYSTEM = {"test_compose", "test_demo", "test_leaving", "test_life"}


def _together(nodeid: str) -> str:
    """What goes to one process of several: a file; and all that share the running system (tests/system/conftest.py),
    since to start another takes as long as many of their tests."""
    path = Path(nodeid.partition("::")[0])
    shares = path.parent == Path("tests/system") and path.stem not in _OWN_SYSTEM
    return str(path.parent if shares else path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadfile`, as run.py asks."""
    if config.getvalue("dist") != "loadfile":
        return None
    made = LoadFileScheduling(config, log)
    made._split_scope = _together
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who needs PostgreSQL is marked `server`, so that `make check` can leave it to `make test`. What takes longest
    comes first, so that no process of several is left alone with it in the end."""
    items.sort(
        key=lambda item: (
            "fire" not in item.path.parts,
            not item.get_closest_marker("system"),
            item.path.stem not in _LONG,
        )
    )
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("server")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of the environment of who runs the tests gets into them."""
    for name in [name for name in os.environ if name.startswith("VERWIJSINDEX_")]:
        del os.environ[name]
