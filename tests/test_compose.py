# SPDX-License-Identifier: EUPL-1.2
"""docker-compose.yml and the Dockerfile, without an engine: their form, who gets which secret, who reaches whom.

That the commands work with what they get there, is tests/system/test_compose.py.
"""

import re
import shlex
import subprocess
import sys
from importlib import metadata

import pytest
from composition import COMPOSE, ROOT, Composition, Service

from verwijsindex.operating import ENVIRONMENT, roles_of
from verwijsindex.serving import _SERVICES
from verwijsindex.settings import IssuerSettings, Settings, WorkerSettings

ADDRESSES = {
    "INDEX_URL": "https://index.test",
    "PSEUDONYMS_URL": "https://pseudonyms.test",
    "ISSUER_URL": "https://issuer.test",
    "OPERATOR_OIN": "00000009999999999000",
    "LEDGER_ORIGIN": "index.test/ledger",
}
COMPOSITION = Composition(ADDRESSES)
SERVICES = COMPOSITION.services
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# Who gets which secret and which folder of keys: nobody more than its own. A new one has to be written here as well.
INDEX_ROLES = {f"verwijsindex_{role}_database_url" for role in ("intake", "index", "worker", "registrar", "auditor")}
WORKING = {"verwijsindex_worker_database_url", "verwijsindex_broker_url", "ledger_key"}
GIVEN: dict[str, tuple[set[str], str | None]] = {
    "index-postgres": ({"index_postgres_password"}, None),
    "redis": ({"redis.conf"}, None),
    "index-init": ({"index_admin_database_url", "verwijsindex_owner_database_url", *INDEX_ROLES}, None),
    "index-upgrade": ({"verwijsindex_owner_database_url"}, None),
    "index": (
        {
            "verwijsindex_intake_database_url",
            "verwijsindex_index_database_url",
            "verwijsindex_auditor_database_url",
            "verwijsindex_broker_url",
        },
        "./secrets/index/keys",
    ),
    "worker": (WORKING, "./secrets/index/keys"),
    "deliverer": (WORKING, "./secrets/index/keys"),
    "clock": (WORKING, "./secrets/index/keys"),
    "index-mail": (set(), None),
    "index-proxy": ({"index_tls_certificate", "index_tls_key"}, None),
    "admin": ({"verwijsindex_registrar_database_url"}, "./secrets/index/keys"),
    "pseudonyms-postgres": ({"pseudonyms_postgres_password"}, None),
    "pseudonyms-init": (
        {
            "pseudonyms_admin_database_url",
            "verwijsindex_pseudonyms_owner_database_url",
            "verwijsindex_pseudonyms_database_url",
        },
        None,
    ),
    "pseudonyms-upgrade": ({"verwijsindex_pseudonyms_owner_database_url"}, None),
    "pseudonyms": ({"verwijsindex_pseudonyms_database_url"}, "./secrets/pseudonyms/keys"),
    "index-db": ({"verwijsindex_owner_database_url"}, "./backups/index"),
    "issuer-db": ({"verwijsindex_issuer_owner_database_url"}, "./backups/issuer"),
    "pseudonyms-db": ({"verwijsindex_pseudonyms_owner_database_url"}, "./backups/pseudonyms"),
    "pseudonyms-proxy": ({"pseudonyms_tls_certificate", "pseudonyms_tls_key"}, None),
    "issuer-postgres": ({"issuer_postgres_password"}, None),
    "issuer-init": (
        {
            "issuer_admin_database_url",
            "verwijsindex_issuer_owner_database_url",
            "verwijsindex_issuer_database_url",
        },
        None,
    ),
    "issuer-upgrade": ({"verwijsindex_issuer_owner_database_url"}, None),
    "issuer": ({"verwijsindex_issuer_database_url"}, "./secrets/issuer/keys"),
    "issuer-proxy": ({"issuer_tls_certificate", "issuer_tls_key"}, None),
    "issuer-admin": ({"verwijsindex_issuer_owner_database_url"}, None),
    "prepare": (set(), "./secrets"),
}
KINDS: dict[str, type[Settings]] = {
    **{name: kind for name, (_, kind) in _SERVICES.items()},
    **dict.fromkeys(("worker", "deliverer", "clock"), WorkerSettings),
}


def _operator(service: str) -> str:
    part = service.partition("-")[0]
    return part if part in {"pseudonyms", "issuer"} else "index"


def _reaches(one: Service) -> set[str]:
    return {other.name for other in SERVICES.values() if other.networks & one.networks} - {one.name}


def test_it_is_a_compose_file() -> None:
    """By the schema of the compose specification; seen failing when `restart` was a list."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_process_gets_its_own_secrets_and_no_others() -> None:
    """I5, and docs/trust-model.md. Seen failing when the worker was given the intake role's address."""
    given = {name: (set(one.secrets.values()), next(iter(one.bound.values()), None)) for name, one in SERVICES.items()}
    assert given == GIVEN
    for name, one in SERVICES.items():
        files = [*map(COMPOSITION.file_of, one.secrets.values()), *one.bound.values()]
        own = (f"./secrets/{_operator(name)}/", f"./backups/{_operator(name)}")
        assert name == "prepare" or all(file.startswith(own) for file in files), name
        volumes = [volume for volume in one.raw.get("volumes", ()) if isinstance(volume, dict)]
        assert name.endswith(("prepare", "-db")) or all(volume["read_only"] for volume in volumes)


def test_no_secret_is_in_the_environment() -> None:
    for name, one in SERVICES.items():
        told = " ".join(f"{key}={value}" for key, value in one.environment.items())
        assert not re.search(r"_URL=(?!https?://)|PASSWORD=|://[^/]*@|whsec_", told), name


def test_who_acts_by_a_command_has_a_name() -> None:
    """The account that the image runs as has none: `index-key turn` (docs/operations.md) ended with a traceback. Seen
    failing without USER at `index-db`."""
    for name in ("admin", "index-db"):
        assert "USER" in SERVICES[name].environment


@pytest.mark.parametrize("name", KINDS)
def test_each_process_is_told_what_it_must_know(name: str) -> None:
    """Every setting without a default, by the environment or as a secret; and nothing that it does not know."""
    one, fields = SERVICES[name], KINDS[name].model_fields
    told = {key.removeprefix("VERWIJSINDEX_").lower() for key in one.environment} - {"secrets"}
    told |= {target.removeprefix("verwijsindex_") for target in one.secrets}
    assert {field for field, about in fields.items() if about.is_required()} <= told <= set(fields)


def test_the_databases_are_reached_by_their_own_operator_alone() -> None:
    """No network leads from the pseudonym service to the index or its database, or to any other database."""
    for name in ("index-postgres", "pseudonyms-postgres", "issuer-postgres", "redis"):
        assert {_operator(other) for other in _reaches(SERVICES[name])} == {_operator(name)}
    own = {f"pseudonyms-{name}" for name in ("proxy", "postgres", "init", "upgrade", "db")}
    assert _reaches(SERVICES["pseudonyms"]) == own | {"issuer"}
    assert _reaches(SERVICES["issuer"]) == {"issuer-proxy", "issuer-postgres", "issuer-init", "issuer-upgrade"} | {
        "issuer-admin",
        "issuer-db",
        "index",
        "pseudonyms",
    }
    for proxy in ("index-proxy", "pseudonyms-proxy", "issuer-proxy"):
        assert _reaches(SERVICES[proxy]) == {_operator(proxy)}


def test_only_who_delivers_and_the_proxies_have_a_way_out() -> None:
    outside = {name for name, about in COMPOSITION.raw["networks"].items() if not (about or {}).get("internal")}
    assert {name for name, one in SERVICES.items() if one.networks & outside} == {
        *("deliverer", "clock", "index-mail", "index-proxy", "pseudonyms-proxy", "issuer-proxy")
    }
    assert {name for name, one in SERVICES.items() if "ports" in one.raw} == {
        *("index-mail", "index-proxy", "pseudonyms-proxy", "issuer-proxy")
    }
    assert SERVICES["index-mail"].raw["ports"] == ["127.0.0.1:8025:8025"]
    assert SERVICES["index-mail"].raw["profiles"] == ["mail"], "nobody starts it by mistake"
    assert SERVICES["prepare"].raw["network_mode"] == "none"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name: str) -> None:
    """Read-only, without capabilities, not root; PostgreSQL's image needs five to become its own user."""
    raw = SERVICES[name].raw
    assert raw["read_only"] is True
    assert raw["cap_drop"] == ["ALL"]
    assert raw["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in raw
    if raw["image"].startswith("postgres:"):
        assert raw["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    else:
        assert "cap_add" not in raw
        assert raw["user"] == "10001:10001"
    once = name.endswith(("-init", "-upgrade", "-db", "admin")) or name == "prepare"
    assert raw["restart"] == ("no" if once else "unless-stopped")
    assert once or "healthcheck" in raw or name == "redis" or name.endswith("-proxy")


def test_the_proxy_buffers_and_leads_to_the_port_that_the_services_listen_on() -> None:
    """docs/operations.md: a service must not see a body before it is whole."""
    proxy = (ROOT / "deploy" / "nginx.conf").read_text()
    [port] = {one.environment["VERWIJSINDEX_PORT"] for name, one in SERVICES.items() if name in _SERVICES}
    assert f"http://service:{port};" in proxy
    assert "proxy_request_buffering on;" in proxy
    assert not re.search(r"proxy_request_buffering off|access_log (?!off)", proxy)
    assert "error_log stderr error;" in proxy  # at `warn` each batch is a line with its sender's address
    for name in _SERVICES:
        assert f"127.0.0.1:{port}/health/ready" in SERVICES[name].raw["healthcheck"]["test"][-1]
        assert SERVICES[name].raw["networks"][f"{name}-front"] == {"aliases": ["service"]}
        listens = SERVICES[f"{name}-proxy"].raw["ports"][0].rpartition(":")[2]
        assert f"listen {listens} ssl;" in proxy


def test_it_waits_for_what_it_needs() -> None:
    for name, one in SERVICES.items():
        for other, about in one.raw.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other.endswith(("-init", "-upgrade")) else "service_healthy"
            assert about == {"condition": wanted}, name
            assert wanted != "service_healthy" or "healthcheck" in SERVICES[other].raw


def test_init_is_told_every_role() -> None:
    for branch in ("index", "pseudonyms", "issuer"):
        wanted = {ENVIRONMENT[role].lower() for role in roles_of([branch])} | {"verwijsindex_admin_database_url"}
        assert set(SERVICES[f"{branch}-init"].secrets) == wanted


def _ignored(path: str) -> bool:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return not any(line.startswith("!") and (line[1:] == path or path.startswith(line[1:] + "/")) for line in lines)


def test_what_the_dockerfile_copies_is_there_and_reaches_the_engine() -> None:
    copied = [shlex.split(line)[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    sources = [source for one in copied if not one[0].startswith("--from") for source in one]
    requirements = ["requirements/build.txt", "requirements/server.txt"]
    assert sources == [*requirements, "pyproject.toml", "README.md", "LICENSE", "verwijsindex"]
    for source in sources:
        assert (ROOT / source).exists()
        assert not _ignored(source)
    for secret in ("secrets/index/keys/index-1.key", ".env", ".git/config", "database.env"):
        assert _ignored(secret)


def test_the_image_installs_by_hash_what_the_tests_ran_with() -> None:
    assert DOCKERFILE.count("pip install --require-hashes --no-deps --only-binary :all: -r requirements/") == 2
    pin = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
    tested = dict(pin.findall((ROOT / "requirements" / "dev.txt").read_text()))
    for name in ("build", "server"):
        pins = dict(pin.findall((ROOT / "requirements" / f"{name}.txt").read_text()))
        assert pins.items() <= tested.items()


def test_the_image_runs_what_the_wheel_brings_and_not_as_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.13-slim"] * 2
    scripts = {entry.name for entry in metadata.entry_points(group="console_scripts")}
    ours = [one for one in SERVICES.values() if one.ours]
    assert {one.command[0] for one in ours} == {"verwijsindex", "celery"} <= scripts
    assert "hatchling" in scripts
    checks = [one.raw["healthcheck"]["test"] for one in ours if "healthcheck" in one.raw]
    assert {check[1] for check in checks} == {"python", "verwijsindex"}


def test_the_issuer_knows_both_services() -> None:
    told = SERVICES["issuer"].environment["VERWIJSINDEX_RESOURCES"]
    assert told == f'["{ADDRESSES["INDEX_URL"]}", "{ADDRESSES["PSEUDONYMS_URL"]}"]'
    assert IssuerSettings.model_fields["resources"].is_required()


def test_a_missing_address_is_said_before_anything_starts() -> None:
    for name in ADDRESSES:
        with pytest.raises(KeyError, match=name):
            Composition({other: value for other, value in ADDRESSES.items() if other != name})


def test_git_leaves_the_secrets_alone() -> None:
    assert {"secrets/", "backups/"} <= set((ROOT / ".gitignore").read_text().splitlines())
