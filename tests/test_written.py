# SPDX-License-Identifier: EUPL-1.2
"""What is said of a text that is not in its form, wherever a person or a sender reads it: what to do (I5)."""

import re
from pathlib import Path
from typing import Annotated

import pytest
import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from verwijsindex.arguments import day, moment
from verwijsindex.written import Written, fault_told

CANARY = "999990019"
PACKAGE = Path(__file__).parents[1] / "verwijsindex"


class _Some(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    code: Annotated[str, Written(r"^[0-9]{4}$", "four digits")]


@pytest.mark.parametrize("text", [CANARY, "170", "1701\n", "१७०१", ""])
def test_what_is_not_written_so_is_told_how(text: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        _Some(code=text)
    [fault] = wrong.value.errors(include_input=False)
    assert (fault["type"], fault_told(fault)) == ("string_pattern_mismatch", "Write four digits.")
    assert CANARY not in str(wrong.value)


def test_what_is_written_so_passes_and_the_document_says_the_form() -> None:
    assert _Some(code="1701").code == "1701"
    assert _Some.model_json_schema()["properties"]["code"]["pattern"] == "^[0-9]{4}$"


@pytest.mark.parametrize("text", ["24-11-2026", "2026-02-30", "tomorrow"])
def test_a_day_on_a_command_line_is_told_by_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="YYYY-MM-DD, such as"):
        day(text)
    with pytest.raises(typer.BadParameter, match="2026-11-24T10:00:00Z"):
        moment(text)


def test_no_form_is_told_as_an_expression() -> None:
    """A `pattern=` of pydantic's own tells people the regular expression; only what no person sends may have one."""
    found = {
        f"{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bpattern=", path.read_text("utf-8"))
    }
    assert found <= {"client/tokens.py"}, "use verwijsindex.written.Written"
