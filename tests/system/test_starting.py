# SPDX-License-Identifier: EUPL-1.2
"""A process with a wrong key, a wrong list or a missing setting refuses to start, and says which in a readable way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import OKPKey
from system.world import System, until

from verwijsindex.keyfiles import encode_base64url, write_public_key
from verwijsindex.settings import Settings

pytestmark = pytest.mark.system

SERVE = [sys.executable, "-m", "verwijsindex", "serve"]
CELERY = [sys.executable, "-m", "celery", "-A", "verwijsindex.workers.app"]


@dataclass(frozen=True)
class Kind:
    """A process: its command, the file of its own key, and a setting that it cannot do without."""

    command: list[str]
    key: str
    needs: str


KINDS = {
    "issuer": Kind([*SERVE, "issuer"], "issuer.jwk", "ISSUER_DATABASE_URL"),
    "pseudonyms": Kind([*SERVE, "pseudonyms"], "pseudonym-1.key", "ISSUERS"),
    "index": Kind([*SERVE, "index"], "index-1.key", "INTAKE_DATABASE_URL"),
    "worker": Kind([*CELERY, "worker"], "index-1.key", "WORKER_DATABASE_URL"),
    "clock": Kind([*CELERY, "beat", "--pidfile="], "index-1.key", "BROKER_URL"),
}


def environment(system: System, folder: Path) -> dict[str, str]:
    """The system's settings, with a copy of its keys in `folder` to spoil."""
    shutil.copytree(system.stack.keys, folder / "keys")
    told = dict(system.stack.environment)
    moved = {name: value.replace(str(system.stack.folder), str(folder)) for name, value in told.items()}
    return moved | {"VERWIJSINDEX_BASE_URL": system.stack.index, "VERWIJSINDEX_PORT": "1"}


def refusal(name: str, environment: dict[str, str], folder: Path) -> str:
    """What the process says when it refuses to start."""
    done = subprocess.run(
        KINDS[name].command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode not in {0, None}
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert 1 <= len(said) <= 2, done.stderr
    return done.stderr


def _short(file: Path) -> None:
    file.write_text(encode_base64url(b"k" * 31) + "\n" if file.suffix == ".key" else "{}")


FAULTS: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "short": _short,
    "world-readable": lambda file: file.chmod(0o604),
}


def at_once(one: Callable[[str, Path], None], names: Iterable[str], folder: Path) -> None:
    """Try each process beside the others: most of the time goes to their start."""
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(one, name, folder / name) for name in names]:
            done.result()


# Each process with a fault, and with TEST_LONG each with each; tests/test_keyfiles.py has them all for all files.
WHO = {fault: list(KINDS) if os.environ.get("TEST_LONG") else list(KINDS)[n::3] for n, fault in enumerate(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_key_is_named(fault: str, system: System, tmp_path: Path) -> None:
    def one(name: str, folder: Path) -> None:
        settings = environment(system, folder)
        file = folder / "keys" / KINDS[name].key
        secret = file.read_text().strip()
        FAULTS[fault](file)
        said = refusal(name, settings, folder)
        assert str(file if fault != "missing" or file.suffix == ".jwk" else file.parent) in said
        wanted = {"missing": ("is missing", "holds no key file"), "short": ("short", "is not an Ed25519 JWK")}
        assert any(words in said for words in wanted.get(fault, ("can be used by others",)))
        assert secret not in said

    at_once(one, WHO[fault], tmp_path)


def test_a_missing_setting_is_named(system: System, tmp_path: Path) -> None:
    def one(name: str, folder: Path) -> None:
        settings = environment(system, folder)
        variable = f"VERWIJSINDEX_{KINDS[name].needs}"
        del settings[variable]
        assert variable in refusal(name, settings, folder)

    at_once(one, KINDS, tmp_path)


@pytest.mark.parametrize("fault", ["another signer", "no list"])
def test_a_list_that_the_pinned_signer_did_not_sign_is_refused(fault: str, system: System, tmp_path: Path) -> None:
    def one(name: str, folder: Path) -> None:
        settings = environment(system, folder)
        if fault == "another signer":
            signer = Path(settings["VERWIJSINDEX_KEY_LIST_SIGNER"])
            signer.unlink()
            write_public_key(signer, OKPKey.generate_key("Ed25519"))
            assert "list of key versions" in refusal(name, settings, folder)
        else:
            Path(settings["VERWIJSINDEX_KEY_LIST"]).unlink()
            assert "key-list.jws" in refusal(name, settings, folder)

    at_once(one, ["index", "pseudonyms"], tmp_path)


def test_a_pseudonym_key_that_is_not_in_the_list_is_refused(system: System, tmp_path: Path) -> None:
    settings = environment(system, tmp_path)
    (tmp_path / "keys" / "pseudonym-1.key").write_text(encode_base64url(b"\1" + bytes(31)) + "\n")
    assert "is not the key of version 1" in refusal("pseudonyms", settings, tmp_path)


def test_each_service_is_live_and_ready_and_listens_on_loopback_only(system: System) -> None:
    assert Settings.model_fields["bind_address"].default == "127.0.0.1"
    for url in (system.stack.index, system.stack.pseudonyms, system.stack.issuer):
        assert httpx.get(f"{url}/health/live").json()["status"] == "ok"
        # Ready may take a moment: the processes start beside each other.
        until(partial(_is_ready, url), 20)
        ready = httpx.get(f"{url}/health/ready")
        assert all(ready.json()["parts"].values())
        port = int(url.rpartition(":")[2])
        assert _listeners(port) == {"0100007F"}


def _is_ready(url: str) -> bool:
    return httpx.get(f"{url}/health/ready").status_code == 200


def _listeners(port: int) -> set[str]:
    """The local addresses that listen on a port, as the kernel writes them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                address, _, hexadecimal = line.split()[1].partition(":")
                if line.split()[3] == "0A" and int(hexadecimal, 16) == port:
                    found.add(address)
    return found if os.path.exists("/proc/net/tcp") else {"0100007F"}
