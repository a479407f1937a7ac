# SPDX-License-Identifier: EUPL-1.2
"""The one step that turns a request into typed parts, with all its faults at once and none of its values (I5)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, get_type_hints

from flask import current_app, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from verwijsindex.problems import CONTENT_TOO_LARGE, INVALID_INPUT, UNSUPPORTED_MEDIA_TYPE, Fault, Problem, Where
from verwijsindex.written import fault_told

P = ParamSpec("P")
R = TypeVar("R")


class Strict(BaseModel):
    """What comes in: lowerCamelCase, strict types, unknown fields refused (R5), immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


def _never_null(schema: dict[str, Any]) -> None:
    """What is unset is left out of an answer (`web.answer`), so the document names no null."""
    for field_schema in schema.get("properties", {}).values():
        forms = [form for form in field_schema.pop("anyOf", []) if form != {"type": "null"}]
        if len(forms) == 1:
            field_schema.update(forms[0])
        elif forms:
            field_schema["anyOf"] = forms
        if field_schema.get("default", ...) is None:
            del field_schema["default"]


class Outgoing(BaseModel):
    """What goes out: lowerCamelCase, without what is unset."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, json_schema_extra=_never_null
    )


def _written_as(pattern: str, form: str, read: Callable[[str], object]) -> BeforeValidator:
    expression = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if not isinstance(value, str) or not expression.fullmatch(value):
            raise ValueError(f"write it as {form}")
        try:
            return read(value)
        except ValueError:
            raise ValueError("it does not exist in the calendar") from None

    return BeforeValidator(check)


# Narrower than pydantic's own reading, which takes numbers, offsets and more for a date or a moment. Years have a
# bound, so that no sum with a date that came in leaves the calendar.
Day = Annotated[
    date,
    _written_as(r"[12]\d{3}-\d{2}-\d{2}", "a day: 2026-11-22 (RFC 3339)", date.fromisoformat),
    WithJsonSchema({"type": "string", "format": "date"}),
]
UtcMoment = Annotated[
    datetime,
    _written_as(
        r"[12]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z",
        "a moment in UTC: 2026-11-22T10:00:00Z (RFC 3339)",
        datetime.fromisoformat,
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


@dataclass(slots=True)
class ParseContext:
    """What validators may look at besides the value: the app's clock; and where they leave faults of time.

    A fault that only the clock shows (too old by now) is left in `clock_faults` instead of raised, since a
    repeat of an accepted request gets its first answer also when it has become too old.
    """

    now: datetime
    clock_faults: list[Fault] = field(default_factory=list)


def parsed(view: Callable[P, R]) -> Callable[..., R]:
    """Call `view` with those of `path`, `query`, `header`, `body` and `context` that its signature asks for.

    The types of the first four are pydantic models, `context` is the ParseContext that their validators saw.

    Raises:
        Problem: 400 with every fault of every part, 415 for a body that is not declared as JSON.
    """
    hints = get_type_hints(view)
    models: dict[Where, type[BaseModel]] = {
        where: hints[where] for where in ("path", "query", "header", "body") if where in hints
    }
    header_names = (
        {info.alias or name for name, info in models["header"].model_fields.items()} if "header" in models else set()
    )

    @wraps(view)
    def wrapper(**path: Any) -> R:
        context = ParseContext(now=current_app.extensions["clock"]())
        parts: dict[str, Any] = {}
        faults: list[Fault] = []
        for where, model in models.items():
            try:
                if where == "body":
                    if request.mimetype != "application/json":
                        raise Problem(UNSUPPORTED_MEDIA_TYPE)
                    parts[where] = model.model_validate_json(_body(), context=context)
                else:
                    parts[where] = model.model_validate_strings(_strings(where, path, header_names), context=context)
            except ValidationError as error:
                faults += faults_of(error, where, model)
        if faults:
            raise Problem(INVALID_INPUT, errors=faults + context.clock_faults)
        if "context" in hints:
            parts["context"] = context
        return view(**parts)  # type: ignore[call-arg]

    wrapper.__delay_validate_request__ = True  # type: ignore[attr-defined]  # flask-openapi3: we validate, it documents
    return wrapper


def _body() -> bytes:
    """The body. Raises Problem 413, also for a chunked one, which werkzeug would cut off at the limit."""
    body = request.get_data(cache=False)
    if request.content_length is None and len(body) == request.max_content_length:
        raise Problem(CONTENT_TOO_LARGE)
    return body


def _strings(where: Where, path: dict[str, Any], header_names: set[str]) -> dict[str, Any]:
    if where == "path":
        return path
    if where == "header":
        return {name: request.headers[name] for name in header_names if name in request.headers}
    return {name: values[0] if len(values) == 1 else ",".join(values) for name, values in request.args.lists()}


def faults_of(error: ValidationError, where: Where, model: type[BaseModel], *, below: str = "") -> list[Fault]:
    """The faults in `error`, in the API's form; neither values nor names of unknown fields are repeated (I5).

    Args:
        below: the member of what was read in which `model` stands; its places are told as if it came alone.
    """
    faults: dict[tuple[str, str], Fault] = {}
    tagged = {info.alias or name for name, info in model.model_fields.items() if info.discriminator}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        code, path = item["type"], [str(part) for part in item["loc"]]
        if below and path[:1] == [below]:
            del path[0]
        if path and path[0] in tagged:
            del path[1:2]  # the tag of the union, which is no place in the body
        if code == "extra_forbidden":
            code, path = "unknown_field", path[:-1]
        place = "#" + "".join(f"/{part}" for part in path) if where == "body" else ".".join(path)
        detail = item["msg"] if code in _MESSAGES_WITHOUT_VALUES else _DETAILS.get(code, "This value is not valid.")
        if code == "value_error":
            code, detail = "not_allowed", fault_told(item)
        faults.setdefault((place, code), Fault(where, place, code, detail))
    return list(faults.values())


# pydantic's messages of these kinds say what is wanted and repeat nothing of what came.
_MESSAGES_WITHOUT_VALUES = frozenset(
    [
        "missing",
        "string_type",
        "string_too_short",
        "string_too_long",
        "string_pattern_mismatch",
        "int_type",
        "int_parsing",
        "greater_than_equal",
        "less_than_equal",
        "literal_error",
        "bool_type",
        "list_type",
        "too_short",
        "too_long",
        "too_many",
        "duplicate",
    ]
)
_DETAILS = {
    "unknown_field": "There are unknown fields; send only those in the documentation.",
    "model_type": "Input should be an object.",
    "json_invalid": "This is not valid JSON.",
    "uuid_parsing": "Input should be a UUID.",
    "uuid_type": "Input should be a UUID.",
    "union_tag_invalid": "The status is not one of those in the documentation.",
    "union_tag_not_found": "The status is missing.",
}
