# SPDX-License-Identifier: EUPL-1.2
"""The one step that turns a request into typed parts, with all its faults at once and none of its values (I5)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

from flask import current_app, request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .problems import INVALID_INPUT, UNSUPPORTED_MEDIA_TYPE, Fault, Problem, Where


P = ParamSpec("P")
R = TypeVar("R")


class Strict(BaseModel):
    """What comes in: lowerCamelCase, strict types, unknown fields refused (R5), immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


class Outgoing(BaseModel):
    """What goes out: lowerCamelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


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
        {info.alias or name for name, info in models["header"].model_fields.items()}
        if "header" in models
        else set()
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
                    parts[where] = model.model_validate_json(request.get_data(cache=False), context=context)
                else:
                    parts[where] = model.model_validate_strings(
                        _strings(where, path, header_names), context=context
                    )
            except ValidationError as error:
                faults += faults_of(error, where, model)
        if faults:
            raise Problem(INVALID_INPUT, errors=faults + context.clock_faults)
        if "context" in hints:
            parts["context"] = context
        return view(**parts)  # type: ignore[call-arg]

    wrapper.__delay_validate_request__ = True  # type: ignore[attr-defined]  # flask-openapi3: we validate, it documents
    return wrapper


def _strings(where: Where, path: dict[str, Any], header_names: set[str]) -> dict[str, Any]:
    if where == "path":
        return path
    if where == "header":
        return {name: request.headers[name] for name in header_names if name in request.headers}
    return {
        name: values[0] if len(values) == 1 else ",".join(values) for name, values in request.args.lists()
    }


def faults_of(error: ValidationError, where: Where, model: type[BaseModel]) -> list[Fault]:
    """The faults in `error`, in the API's form; neither values nor names of unknown fields are repeated (I5)."""
    faults: dict[tuple[str, str], Fault] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        code, detail, path = item["type"], item["msg"], [str(part) for part in item["loc"]]
        if code == "extra_forbidden":
            path = path[:-1]
            code, detail = "unknown_field", "There are unknown fields; send only those in the documentation."
        elif code == "json_invalid":
            detail = "This is not valid JSON."
        elif code == "value_error":
            code, detail = "not_allowed", detail.removeprefix("Value error, ")
        elif code == "assertion_error":
            code, detail = "not_allowed", "This value is not allowed."
        place = "#" + "".join(f"/{part}" for part in path) if where == "body" else ".".join(path)
        faults.setdefault((place, code), Fault(where, place, code, detail))
    return list(faults.values())
