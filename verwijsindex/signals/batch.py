# SPDX-License-Identifier: EUPL-1.2
"""Many signals in one request (R4): what comes in, each item read by itself, and what goes out.

What is wrong with an item is found as if it had come alone, and changes nothing for the others; only the envelope can
be wrong as a whole.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast

from pydantic import Field, GetCoreSchemaHandler, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from verwijsindex.parsing import Outgoing, ParseContext, Strict, faults_of
from verwijsindex.problems import CONTENT_TOO_LARGE, INVALID_INPUT, Problem, ProblemModel
from verwijsindex.repeating import KeyText
from verwijsindex.signals.schemas import RegisteredSignal, SignalIn, Submission

MAX_BATCH = 1000
MAX_BATCH_BYTES = 2 * 1024 * 1024
# A fault takes six bytes at least (`"a":1,`): an item with more would have been too large for a request of its own.
# Listing them costs more than finding them.
_MOST_FAULTS = 16 * 1024 // 6


class BatchItemIn(Strict):
    """A signal with its own idempotency key."""

    idempotency_key: KeyText
    signal: SignalIn


def _read(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Submission | Problem:
    context = cast(ParseContext, info.context)
    others, context.clock_faults = context.clock_faults, []
    try:
        item: BatchItemIn = handler(value)
        return Submission(item.idempotency_key, item.signal, context.clock_faults)
    except ValidationError as error:
        if error.error_count() > _MOST_FAULTS:
            return Problem(CONTENT_TOO_LARGE)
        faults = faults_of(error, "body", SignalIn, below="signal")
        return Problem(INVALID_INPUT, errors=faults + context.clock_faults)
    finally:
        context.clock_faults = others


class _ByItself:
    """Makes of each item what it is alone: a submission, or the problem that it would have been answered with."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(_read, handler.generate_schema(BatchItemIn))


class BatchIn(Strict):
    """Up to 1,000 signals, each with its own idempotency key."""

    signals: list[Annotated[Submission | Problem, _ByItself]] = Field(min_length=1, max_length=MAX_BATCH)


class PlacedItem(Outgoing):
    """A signal that was placed, now or when this item was first sent."""

    status: Literal[201] = 201
    signal: RegisteredSignal


class RefusedItem(Outgoing):
    """A signal that was refused, and why: what it would have been answered if it had come alone."""

    status: int = Field(ge=400, le=499)
    problem: ProblemModel


class BatchOut(Outgoing):
    """What came of each signal, in the order in which they were sent."""

    items: list[PlacedItem | RefusedItem]

    @classmethod
    def of(cls, outcomes: Iterable[RegisteredSignal | Problem]) -> "BatchOut":
        """The answer that tells these outcomes."""
        return cls(
            items=[
                RefusedItem(status=one.type.status, problem=ProblemModel.model_validate(one.as_json()))
                if isinstance(one, Problem)
                else PlacedItem(signal=one)
                for one in outcomes
            ]
        )
