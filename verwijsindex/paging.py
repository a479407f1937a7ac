# SPDX-License-Identifier: EUPL-1.2
"""Cursor paging: a page, and an opaque cursor to the next. A cursor opens nothing: each page is read in scope."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from verwijsindex.parsing import Strict

T = TypeVar("T")
Position = tuple[datetime, UUID]


def _read(value: object) -> Position:
    try:
        moment, identifier = json.loads(base64.urlsafe_b64decode(str(value).encode("ascii")))
        at = datetime.fromisoformat(moment)
        position = at, UUID(identifier)
        if at.utcoffset() != timedelta(0):
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError("send a nextCursor exactly as it came") from None
    return position


Cursor = Annotated[Position, BeforeValidator(_read), WithJsonSchema({"type": "string", "maxLength": 200})]


class _Bounded(Strict):
    limit: int = Field(default=50, ge=1, le=200, description="How many items at most.")


class Page(_Bounded):
    """Which page of a list in order of time: how many at most, and from where."""

    cursor: Cursor | None = Field(default=None, description="nextCursor of the page before.")

    def parameters(self) -> dict[str, Any]:
        """For a statement: `limit` is one more than asked, so that `cut` sees whether there is a next page."""
        at, identifier = self.cursor or (None, None)
        return {"limit": self.limit + 1, "cursor_at": at, "cursor_id": identifier}

    def cut(self, rows: Sequence[T], position: str) -> tuple[list[T], str | None]:
        """The page's rows, and the cursor to the next page if there is one.

        Args:
            rows: at most limit + 1, each with `id` and a moment named `position`.
        """
        if len(rows) <= self.limit:
            return list(rows), None
        last: Any = rows[self.limit - 1]
        text = json.dumps([getattr(last, position).isoformat(), str(last.id)])
        return list(rows[: self.limit]), base64.urlsafe_b64encode(text.encode()).decode()


class PageById(_Bounded):
    """Which page of a list whose rows have no moment: in order of their random ids, so that a cursor holds no name."""

    cursor: UUID | None = Field(default=None, description="nextCursor of the page before.")

    def parameters(self) -> dict[str, Any]:
        """For a statement: `limit` is one more than asked, as in `Page`."""
        return {"limit": self.limit + 1, "after": self.cursor}

    def cut(self, rows: Sequence[T]) -> tuple[list[T], str | None]:
        """The page's rows, and the cursor to the next page if there is one. `rows`: limit + 1 at most, with `id`."""
        if len(rows) <= self.limit:
            return list(rows), None
        last: Any = rows[self.limit - 1]
        return list(rows[: self.limit]), str(last.id)
