# SPDX-License-Identifier: EUPL-1.2
"""The wheel, installed elsewhere: the server makes its databases with what is in it, and the client stands alone."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
from packaging.requirements import Requirement

from verwijsindex.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files of this clone, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "verwijsindex", folder / "verwijsindex", ignore=shutil.ignore_patterns("__pycache__"))
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"], folder)
    [built] = (folder / "dist").glob("*.whl")
    return Path(built)


def _installed(wheel: Path, folder: Path, requirements: str) -> Path:
    """Its commands, in an environment with the wheel and what one list of hash-pinned dependencies names, and no more.

    The dependencies are copied from the environment of the tests, which has the same versions, so that nothing is
    fetched here.
    """
    venv.create(folder / "venv")
    bin_ = folder / "venv" / "bin"
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    for line in (ROOT / "requirements" / requirements).read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                _copy(metadata.distribution(requirement.name), requirement, packages)
    uv: list[str | Path] = ["uv", "pip", "install", "--quiet", "--python", bin_ / "python"]
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", bin_ / "python", "--quiet", "install"]
    _run([*(uv if shutil.which("uv") else pip), "--no-deps", wheel], folder)
    return bin_


def _copy(distribution: metadata.Distribution, requirement: Requirement, packages: Path) -> None:
    assert requirement.specifier.contains(distribution.version), requirement.name
    for file in distribution.files or ():
        if ".." not in file.parts:  # with what is compiled already, which goes by a file's time
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target)


def _run(
    command: Sequence[str | Path], folder: Path, *, status: int = 0, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VERWIJSINDEX_", "PYTHON"))}
    environment = clean | dict(settings or {})
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture
def empty_cluster() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        yield server


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    ours = {name.removeprefix("verwijsindex/") for name in names if name.startswith("verwijsindex/")}
    assert {"py.typed", "workers/app.py", "workers/health.py", "migrations/env.py"} <= ours
    for branch in ("index", "issuer"):
        scripts = {file.name for file in (ROOT / "verwijsindex" / "migrations" / branch).glob("*.py")}
        assert scripts
        assert {f"migrations/{branch}/{name}" for name in scripts} <= ours
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"verwijsindex"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_server_makes_its_databases_from_the_wheel(
    wheel: Path, tmp_path: Path, empty_cluster: EmbeddedPostgres
) -> None:
    bin_ = _installed(wheel, tmp_path, "server.txt")
    where = "import verwijsindex; print(verwijsindex.__file__)"
    assert str(tmp_path) in _run([bin_ / "python", "-c", where], tmp_path).stdout
    command = bin_ / "verwijsindex"
    admin = {"VERWIJSINDEX_ADMIN_DATABASE_URL": empty_cluster.url()}
    _run([command, "db", "init", "--out", "addresses"], tmp_path, settings=admin)
    lines = (tmp_path / "addresses").read_text().splitlines()
    addresses = dict(line.split("=", 1) for line in lines)
    for _ in range(2):  # the second time there is nothing to do
        said = _run([command, "db", "upgrade"], tmp_path, settings=addresses).stdout
        assert said.splitlines() == [f"{branch}: up to date" for branch in ("index", "pseudonyms", "issuer")]
    owner = addresses["VERWIJSINDEX_OWNER_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(owner) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM category")
    assert count == 23
    assert json.loads(_run([command, "openapi"], tmp_path).stdout)["openapi"].startswith("3.1")
    celery: list[str | Path] = [bin_ / "python", "-m", "celery", "-A", "verwijsindex.workers.app", "worker"]
    assert "VERWIJSINDEX_WORKER_DATABASE_URL" in _run(celery, tmp_path, status=1).stderr


def test_the_client_stands_alone(wheel: Path, tmp_path: Path) -> None:
    """Without the server's packages: its commands are there, and what is not installed is said."""
    bin_ = _installed(wheel, tmp_path, "client.txt")
    command = bin_ / "verwijsindex"
    absent = "import importlib.util as u; print([n for n in ('flask', 'sqlalchemy', 'celery') if u.find_spec(n)])"
    assert _run([bin_ / "python", "-c", absent], tmp_path).stdout.strip() == "[]"
    assert "send" in _run([command, "client", "--help"], tmp_path).stdout
    assert "sign-list" in _run([command, "keys", "--help"], tmp_path).stdout
    assert "--purpose" in _run([command, "officer", "search", "--help"], tmp_path).stdout
    assert "client" in _run([command, "--help"], tmp_path).stdout
    _run([command, "client", "keygen", "own.jwk"], tmp_path)
    assert (tmp_path / "own.jwk").stat().st_mode & 0o777 == 0o600
    for missing in (["serve", "index"], ["db", "upgrade"], ["admin", "--help"], ["health"]):
        refused = _run([command, *missing], tmp_path, status=1)
        assert refused.stderr.strip().splitlines()[-1].startswith("Install verwijsindex[server]")
        assert "Traceback" not in refused.stderr
    _run([bin_ / "python", "-c", "import verwijsindex.client"], tmp_path)
