# SPDX-License-Identifier: EUPL-1.2
"""What must be true of the repository itself: licence lines, links, cited rules, pins, no machine's trace."""

import ast
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest

import verwijsindex
from verwijsindex.ledger.models import OUTCOMES
from verwijsindex.matching.models import MATCH_KINDS
from verwijsindex.notices.models import NOTICE_KINDS
from verwijsindex.registry.models import CONTACT_POINT_KINDS, DOMAINS, LEGAL_GROUNDS
from verwijsindex.signals.informing import AgeGroup
from verwijsindex.signals.models import ARCHIVED, END_REASONS, INFORMED_TO, POSTPONEMENT_GROUNDS

ROOT = Path(__file__).resolve().parent.parent
SPDX = "SPDX-License-Identifier: EUPL-1.2"
# In pieces, so that this file does not find itself.
INDEX_HOSTS = re.compile(
    r"\b(?:(?:upload\.|test\.)?py" + r"pi\.(?:org|python\.org)|files\.python" + r"hosted\.org"
    r"|registry\.(?:npm" + r"js\.org|yarn" + r"pkg\.com)|index\.cra" + r"tes\.io)\b"
)
MACHINE_PATHS = re.compile(r"(?<![\w.}*-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me|Us" + r"ers)(?:/[\w.]|(?![\w/-]))")
ADDRESS = re.compile(r"://|--(?:index|extra-index|find-links|trusted-host)")
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*==[^\s;]+(?: ; [^\\]+?)?(?: --hash=sha256:[0-9a-f]{64})+")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s[^)]*)?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
CITATION = re.compile(r"\b[RI]\d+\b")
RULES = [f"R{n}" for n in range(1, 38)] + [f"I{n}" for n in range(1, 9)]


@cache
def tracked() -> tuple[PurePosixPath, ...]:
    """Every file that git tracks and that is there, relative to the root.

    `safe.directory` is given since the tests may run as another user than the owner of the clone.
    """
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = tuple(PurePosixPath(name) for name in listing.split("\0") if name and (ROOT / name).is_file())
    assert PurePosixPath("LICENSE") in found
    return found


def read(path: PurePosixPath) -> str:
    return (ROOT / path).read_bytes().decode("utf-8", "replace")


def with_suffix(*suffixes: str) -> list[PurePosixPath]:
    return [path for path in tracked() if path.suffix in suffixes]


def comments_and_docstrings(source: str) -> str:
    """The comments and docstrings of a Python file: not its code, where R1 may be a variable."""
    parts = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    parts += [ast.get_docstring(n) or "" for n in ast.walk(ast.parse(source)) if isinstance(n, documented)]
    return "\n".join(parts)


def broken_links(page: PurePosixPath, text: str) -> list[str]:
    """The relative links of a page that lead to nothing that is tracked."""
    here = {path for file in tracked() for path in (file, *file.parents)}
    broken = []
    for match in LINK.finditer(CODE.sub("", text)):
        target = (match[1] or match[2]).partition("#")[0]
        if not target or re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        resolved = (ROOT / page.parent / target).resolve()
        if not resolved.is_relative_to(ROOT) or PurePosixPath(resolved.relative_to(ROOT)) not in here:
            broken.append(f"{page}: {target}")
    return broken


def pins(text: str) -> list[str]:
    """The requirements of a requirements file, each on one line with its hashes."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def test_every_source_file_names_its_licence() -> None:
    scripts = [path for path in tracked() if not path.suffix and read(path).startswith("#!")]
    sources = [*with_suffix(".py", ".sh", ".mako"), PurePosixPath("pyproject.toml"), *scripts]
    missing = []
    for path in sources:
        lines = [line for line in read(path).splitlines()[:2] if not line.startswith("#!")]
        if not lines or lines[0].lstrip("# ") != SPDX:
            missing.append(str(path))
    assert not missing


def test_the_licence_is_whole() -> None:
    text = read(PurePosixPath("LICENSE"))
    assert text.startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2\n")
    assert re.findall(r"^(\d+)\.[A-Z]", text, re.MULTILINE) == [str(n) for n in range(1, 16)]
    assert text.rstrip().endswith("require the production of a new EUPL version.")
    assert "‘Compatible Licences’ according to Article 5 EUPL are:" in text


@pytest.mark.parametrize("needle", [INDEX_HOSTS, MACHINE_PATHS], ids=["package index", "machine path"])
def test_no_file_names_an_address_of_a_machine(needle: re.Pattern[str]) -> None:
    found = [
        f"{path}:{number}: {match[0]}"
        for path in tracked()
        for number, line in enumerate(read(path).splitlines(), 1)
        if (match := needle.search(line))
    ]
    assert not found


def test_the_needles_find_what_they_are_for() -> None:
    for host in ("py" + "pi.org/simple", "files.python" + "hosted.org", "registry.npm" + "js.org"):
        assert INDEX_HOSTS.search(f"https://{host}/x")
    for path in ("/wo" + "rk/main", "/ro" + "ot", "/ho" + "me/someone/x", "cd /wo" + "rk"):
        assert MACHINE_PATHS.search(path)
    for harmless in ("api/v1/work/", "the root/work pair", "https://example.nl/home/page", "PyPI"):
        assert not MACHINE_PATHS.search(harmless)
        assert not INDEX_HOSTS.search(harmless)


def test_every_relative_link_leads_somewhere() -> None:
    assert not [link for page in with_suffix(".md") for link in broken_links(page, read(page))]


def test_every_document_that_code_cites_is_there() -> None:
    pages = {str(path) for path in with_suffix(".md")}
    cited = {
        (str(path), page)
        for path in with_suffix(".py")
        for page in re.findall(r"[\w/-]+\.md\b", comments_and_docstrings(read(path)))
    }
    assert not sorted((path, page) for path, page in cited if page not in pages)


def test_a_broken_link_is_found() -> None:
    page = PurePosixPath("docs/README.md")
    text = "[a](rules.md) [b](nowhere.md) `[c](c.md)` [d](../../outside.md)\n[e](https://f.nl)\n[f]: gone.md"
    assert broken_links(page, text) == [f"{page}: {name}" for name in ("nowhere.md", "../../outside.md", "gone.md")]


def test_every_document_is_in_the_index() -> None:
    index = read(PurePosixPath("docs/README.md"))
    pages = [path.relative_to("docs") for path in with_suffix(".md") if path.is_relative_to("docs")]
    assert not [str(page) for page in pages if page.name != "README.md" and f"]({page})" not in index]


def test_a_decision_says_context_decision_why_and_consequence() -> None:
    decisions = sorted(path for path in tracked() if path.parent == PurePosixPath("docs/decisions"))
    assert len({path.name[:5] for path in decisions}) == len(decisions), "two decisions have one number"
    for path in decisions:
        title, *rest = re.findall(r"^##? (.+)$", read(path), re.MULTILINE)
        assert title.startswith(path.name[:4] + " "), path
        assert rest == ["Context", "Decision", "Why", "Consequence"], path


def test_every_rule_is_there_once_and_says_where_it_stands() -> None:
    text = read(PurePosixPath("docs/rules.md"))
    assert re.findall(r"^### ([RI]\d+) .+$", text, re.MULTILINE) == RULES
    standing = re.findall(r"^### (R\d+) [^\n]+\n\*[^*]+ · (?:built|partly|not built)\b[^*]*\*$", text, re.MULTILINE)
    assert standing == RULES[:37]


def test_every_cited_rule_exists() -> None:
    unknown = {}
    for path in with_suffix(".py", ".md", ".sh", ".sql"):
        text = read(path)
        if _unknown(text) and path.suffix == ".py":  # to find the comments takes a while, and seldom matters
            text = comments_and_docstrings(text)
        if found := _unknown(text):
            unknown[path] = found
    assert not unknown


def _unknown(text: str) -> list[str]:
    return [name for name in CITATION.findall(text) if name not in RULES]


def test_citations_are_read_from_comments_and_docstrings_only() -> None:
    source = 'def f() -> None:\n    """As R99 says."""\n    R98 = "R97"  # I9\n'
    assert sorted(CITATION.findall(comments_and_docstrings(source))) == ["I9", "R99"]


def test_every_value_of_a_fixed_list_is_in_the_glossary() -> None:
    values = {*DOMAINS, *LEGAL_GROUNDS, *CONTACT_POINT_KINDS, *INFORMED_TO, *POSTPONEMENT_GROUNDS}
    values |= {*MATCH_KINDS, *NOTICE_KINDS, *OUTCOMES, *END_REASONS, *ARCHIVED, *get_args(AgeGroup)}
    migration = read(PurePosixPath("verwijsindex/migrations/index/0001_the_path.py"))
    categories = re.findall(r"^\('(\w+)', '\w+', '", migration, re.MULTILINE)
    assert len(categories) > 20
    explained = set(re.findall(r"`(\w+)`", read(PurePosixPath("docs/glossary.md"))))
    assert {*values, *categories} <= explained


def test_every_requirement_is_pinned_with_hashes_and_without_addresses() -> None:
    locks = [path for path in with_suffix(".txt") if path.parts[0] == "requirements"]
    assert {"client.txt", "dev.txt", "redis.txt", "server.txt"} <= {path.name for path in locks}
    for path in locks:
        assert pins(read(path)), path
        assert not [pin for pin in pins(read(path)) if not PIN.fullmatch(pin)], path
        assert not ADDRESS.search(read(path)), path


def test_a_requirement_without_hash_is_found() -> None:
    good = f"click==8.1 ; sys_platform == 'win32' \\\n    --hash=sha256:{'0' * 64}\n    # via typer\n"
    assert [bool(PIN.fullmatch(pin)) for pin in pins(good + "typer==0.20\nrich>=14\n")] == [
        True,
        False,
        False,
    ]


def test_no_other_lock_and_no_address_in_a_node_lock() -> None:
    names = {path.name for path in tracked()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "yarn.lock", "pnpm-lock.yaml"}
    assert not [p for p in tracked() if p.name == "package-lock.json" and '"resolved": "http' in read(p)]


def test_the_changelog_knows_this_version() -> None:
    assert f"\n## [{verwijsindex.__version__}]" in read(PurePosixPath("CHANGELOG.md"))
