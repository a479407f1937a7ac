# SPDX-License-Identifier: EUPL-1.2
"""Days and moments on a command line; what is not written so is told by an example."""

from datetime import UTC, date, datetime

import typer


def day(text: str) -> date:
    """A day as it is written on a command line. Raises BadParameter."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        raise typer.BadParameter("write a day that exists as YYYY-MM-DD, such as 2026-11-24") from None


def moment(text: str) -> datetime:
    """A moment in UTC, likewise. Raises BadParameter."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter("write a moment in UTC as 2026-11-24T10:00:00Z") from None
