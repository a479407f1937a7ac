# SPDX-License-Identifier: EUPL-1.2
"""Forms of numbers and codes, and what is said of a text that is none: what to do, never the text (I5)."""

import re
from dataclasses import dataclass

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Written:
    """Of a text in a model: it matches `pattern` (from `^` to `$`), or the fault says `how` to write it."""

    pattern: str
    how: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        expression = re.compile(self.pattern, re.ASCII)

        def check(text: str) -> str:
            if not expression.fullmatch(text):  # `$` alone would let a last line end pass
                raise PydanticCustomError("string_pattern_mismatch", "{how}", {"how": f"Write {self.how}."})
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


def fault_told(fault: ErrorDetails) -> str:
    """What pydantic says of one fault, as a person reads it."""
    return fault["msg"].removeprefix("Value error, ")
