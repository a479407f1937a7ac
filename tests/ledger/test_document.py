# SPDX-License-Identifier: EUPL-1.2
"""docs/ledger.md lists the kinds of events that the code has. WRITE_DOCS=1 writes its made parts anew."""

from pathlib import Path

from documents import keep

from verwijsindex.ledger import events
from verwijsindex.ledger.kinds import ACCESSES

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "ledger.md"
SORTS = {"act": "Acts", "read": "Reads", "refusal": "Refusals", "system": "Of the system itself"}


def _kinds() -> str:
    tables = []
    for sort, title in SORTS.items():
        lines = [f"**{title}**\n", "| Kind | Written when | May say |", "|---|---|---|"]
        for kind in events.KINDS.values():
            if kind.sort == sort:
                sampled = " *" if kind.name in ACCESSES else ""
                fields = ", ".join(f"`{name}`" for name in sorted(kind.fields))
                lines.append(f"| `{kind.name}`{sampled} | {kind.when} | {fields} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def test_every_kind_is_listed() -> None:
    keep(DOCUMENT, "kinds", _kinds(), "tests/ledger/test_document.py")
