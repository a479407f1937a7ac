# SPDX-License-Identifier: EUPL-1.2
"""How far a file is: a bar with rate and time left on a terminal, plain lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from verwijsindex.client import Report, progress


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """What is on the screen after two hundred rows, half of the file, with a line in between."""
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    out = io.StringIO()
    console, report = Console(file=out, force_terminal=terminal, width=120), Report(None)
    with progress.sending(1000, lambda: 500, report, console) as bar:
        for _ in range(2):
            report.accepted += 100
            bar.step()
        console.print("going on in 5 s")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_elsewhere_than_on_a_terminal_lines_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = shown(monkeypatch, terminal=False).splitlines()
    assert re.fullmatch(r"50 % read: accepted 100, refused 0, [0-9]+ a second", first)
    assert second.startswith("50 % read: accepted 200")
    assert third == "going on in 5 s"


def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    last = shown(monkeypatch, terminal=True).split("\r")[-1]
    assert re.search(r"accepted 200, refused 0, [0-9]+ a second", last)
    assert "50%" in last
    assert re.search(r"[0-9-]+:[0-9-]+:[0-9-]+", last)
