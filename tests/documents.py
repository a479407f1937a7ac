# SPDX-License-Identifier: EUPL-1.2
"""Parts of documents that are made from the code, and kept the same by a test."""

import os
from pathlib import Path


def keep(document: Path, name: str, made: str, by: str) -> None:
    """The part of `document` between the marks of `name` is `made`; with WRITE_DOCS=1 it is written anew.

    Args:
        by: the test that makes it, as the mark names it.
    """
    text = document.read_text()
    marks = f"<!-- {name}: made by {by} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(marks[0])
    shown, _, after = rest.partition(marks[1])
    if os.environ.get("WRITE_DOCS"):
        document.write_text(f"{before}{marks[0]}\n{made.strip()}\n\n{marks[1]}{after}")
    else:
        assert shown.strip() == made.strip(), "run this test with WRITE_DOCS=1, and read what it changed"
