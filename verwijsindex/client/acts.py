# SPDX-License-Identifier: EUPL-1.2
"""What is done with a signal that is placed, for its reporter (R13, R24, R27).

with VerwijsindexClient(config) as client:
    client.acts.withdraw(reporter, signal, "risk_gone")
"""

from datetime import date
from typing import Literal
from uuid import UUID

from verwijsindex.client.authorized import Authorized, Json
from verwijsindex.signals.informing import AgeGroup

Reason = Literal["unjustified", "risk_gone"]
Ground = Literal["safety", "investigation", "unreachable"]


class Acts:
    """Every method raises ClientError: ClientProblem for what the index refuses, above all `signal-not-found` (404) for
    a signal that is another's, has ended or never was."""

    def __init__(self, authorized: Authorized, index: str) -> None:
        self._authorized = authorized
        self._index = index

    def withdraw(self, reporter: UUID, signal: UUID, reason: Reason) -> Json:
        """End a signal, at once and for good: `unjustified` destroys it, `risk_gone` archives it."""
        return self._post(reporter, signal, "withdrawal", {"reason": reason})

    def record_informed(self, reporter: UUID, signal: UUID, on: date, age_group: AgeGroup) -> Json:
        """Write down that the family was informed. Under 12 that is the representative, from 16 the youngster, between
        them both; the group is stated for this act and not kept."""
        return self._informing(reporter, signal, {"status": "informed", "on": on.isoformat(), "ageGroup": age_group})

    def record_postponed(self, reporter: UUID, signal: UUID, ground: Ground, review_date: date) -> Json:
        """Write down that informing the family is postponed, or postponed anew."""
        postponed = {"status": "postponed", "ground": ground, "reviewDate": review_date.isoformat()}
        return self._informing(reporter, signal, postponed)

    def tell_move(self, reporter: UUID, signal: UUID, municipality: str) -> Json:
        """Tell in which municipality (CBS code) the youngster lives now; it counts for all signals of the youngster."""
        return self._post(reporter, signal, "move", {"residenceMunicipality": municipality})

    def _informing(self, reporter: UUID, signal: UUID, informing: Json) -> Json:
        return self._post(reporter, signal, "informing", {"informing": informing})

    def _post(self, reporter: UUID, signal: UUID, act: str, body: Json) -> Json:
        return self._authorized.act(self._index, f"/api/v1/signals/{signal}/{act}", reporter, body)
