# SPDX-License-Identifier: EUPL-1.2
"""The services that a client talks to."""

from pathlib import Path

import pytest
from client.services import Services
from support import Database


@pytest.fixture
def services(
    tmp_path: Path, index_database: Database, issuer_database: Database, pseudonyms_database: Database
) -> Services:
    """Issuer, pseudonym service and index, real, with one client registered and no reporter."""
    folder = tmp_path / "services"
    folder.mkdir()
    return Services(folder, index_database, issuer_database, pseudonyms_database)
