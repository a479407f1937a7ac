# SPDX-License-Identifier: EUPL-1.2
"""What became of a signal that was sent."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import ClientProblem


@dataclass(frozen=True, slots=True)
class Accepted:
    """A signal that the index holds from now on (I1)."""

    draft: SignalDraft
    id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """A signal that the index does not take, and why; nothing of it is stored."""

    draft: SignalDraft
    problem: ClientProblem


@dataclass(frozen=True, slots=True)
class Limited:
    """A signal that waits, since its reporter is at a limit of a day (R37); nothing of it is stored. Send it again
    after `until`."""

    draft: SignalDraft
    problem: ClientProblem
    until: datetime


Outcome = Accepted | Refused | Limited
