# SPDX-License-Identifier: EUPL-1.2
"""The models are what the migrations make, on the real server."""

import importlib
from types import ModuleType

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from support import Database

ROOMS = ("auditing", "limits", "registry", "signals", "matching", "followup", "figures", "notices", "ledger", "turning")


def _metadata(*modules: ModuleType) -> sa.MetaData:
    """The tables of these modules alone: SQLModel keeps those of all rooms and databases together."""
    found = sa.MetaData()
    for module in modules:
        for model in vars(module).values():
            if isinstance(model, type) and model.__module__ == module.__name__ and hasattr(model, "__table__"):
                model.__table__.to_metadata(found)
    return found


def _differences(database: Database, metadata: sa.MetaData) -> list[object]:
    with database.superuser.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def test_models_of_the_index_equal_the_migrated_catalogue(index_database: Database) -> None:
    """Seen failing when a column was left out of the migration, and when an index was left out of a model."""
    models = [importlib.import_module(f"verwijsindex.{room}.models") for room in ROOMS]
    assert _differences(index_database, _metadata(*models)) == []


def test_models_of_the_pseudonym_service_equal_the_migrated_catalogue(pseudonyms_database: Database) -> None:
    models = [importlib.import_module(f"verwijsindex.{room}.models") for room in ("pseudonyms", "limits")]
    assert _differences(pseudonyms_database, _metadata(*models)) == []


def test_models_of_the_issuer_equal_the_migrated_catalogue(issuer_database: Database) -> None:
    models = [importlib.import_module(f"verwijsindex.{room}.models") for room in ("issuer", "limits")]
    assert _differences(issuer_database, _metadata(*models)) == []
