# SPDX-License-Identifier: EUPL-1.2
"""The follow-up of a match, for a reporter who is a party of it (R21, R22, R23; docs/follow-up.md).

with VerwijsindexClient(config) as client:
    client.follow_up.record_contact(reporter, match, date(2026, 11, 24))
"""

from datetime import date
from typing import Literal
from uuid import UUID

from verwijsindex.client.authorized import OBJECT, Authorized, Json, content
from verwijsindex.followup.states import Outcome

WhyNot = Literal["not_involved_enough", "no_capacity", "another_fits_better"]


class FollowUp:
    """Every method answers where it stands then, as the API's document describes it (`FollowUpOut`).

    All raise ClientError: ClientProblem for what the index refuses, with status 404 for a match that the reporter is no
    party of or that has ended, and 409 for what is not possible as it stands; the problem says what is.
    """

    def __init__(self, authorized: Authorized, index: str) -> None:
        self._authorized = authorized
        self._index = index

    def read(self, reporter: UUID, match: UUID) -> Json:
        """Where it stands: the round, its deadlines, who leads or is asked to, and what is possible."""
        headers = {"On-Behalf-Of": str(reporter)}
        return content(self._authorized.send(self._index, "GET", _path(match, "follow-up"), headers=headers), OBJECT)

    def record_contact(self, reporter: UUID, match: UUID, on: date) -> Json:
        """Write down that the parties had contact, on this day or before."""
        return self._post(reporter, match, "contact", {"contactedOn": on.isoformat()})

    def accept_lead(self, reporter: UUID, match: UUID) -> Json:
        """Lead: what the reporter was asked to, or what is open to every party."""
        return self._post(reporter, match, "lead-answer", {"answer": "accept"})

    def decline_lead(self, reporter: UUID, match: UUID, why_not: WhyNot) -> Json:
        """Do not lead; another is asked."""
        return self._post(reporter, match, "lead-answer", {"answer": "decline", "reason": why_not})

    def hand_over_lead(self, reporter: UUID, match: UUID, to: UUID) -> Json:
        """Ask another party, by its `contact` in this match, to take over the lead."""
        return self._post(reporter, match, "lead-handover", {"to": str(to)})

    def record_coordination(self, reporter: UUID, match: UUID) -> Json:
        """Say that help is coordinated."""
        return self._post(reporter, match, "coordination", None)

    def close(self, reporter: UUID, match: UUID, outcome: Outcome) -> Json:
        """Close the round. `already_together`, "we already work together on this youngster", from any state (R23)."""
        return self._post(reporter, match, "closing", {"outcome": outcome})

    def _post(self, reporter: UUID, match: UUID, act: str, body: Json | None) -> Json:
        return self._authorized.act(self._index, _path(match, act), reporter, body)


def _path(match: UUID, act: str) -> str:
    return f"/api/v1/matches/{match}/{act}"
