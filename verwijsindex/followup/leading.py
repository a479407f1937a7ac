# SPDX-License-Identifier: EUPL-1.2
"""Who is proposed to lead (R22): by the municipality's rule, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from verwijsindex.registry.models import LEADING_DOMAINS

Reason = Literal[
    "leads_already",
    "asked_already",
    "first_domain",
    "first_there",
    "only_candidate",
    "handed_over",
    "volunteered",
    "next_is_sought",
    "nobody_to_propose",
]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who is shown in a match, as far as the rule looks at them.

    Args:
        since: from when on this one stands there.
        elsewhere: leads, or was asked to, in another match of the same youngster or family.
        place: whom the match shows there; who stand behind one named officer are one (R36). Nothing: the reporter.
    """

    reporter_id: UUID
    domain: str
    since: datetime
    elsewhere: Literal["leads_already", "asked_already"] | None = None
    place: UUID | str | None = None


def propose(candidates: Sequence[Candidate], order: Sequence[str] = LEADING_DOMAINS) -> tuple[UUID | None, Reason]:
    """Whom the rule proposes of those who were not asked yet, and the reason that is shown with it. Nobody when all are
    of domains that are not in `order`: then the proposal is open to every party.

    Args:
        order: domains, first the one that is to lead.
    """
    able = [one for one in candidates if one.elsewhere or one.domain in order]
    if not able:
        return None, "nobody_to_propose"
    first, *others = sorted(able, key=lambda one: _rank(one, order))
    if first.elsewhere:
        return first.reporter_id, first.elsewhere
    others = [one for one in others if first.place is None or one.place != first.place]
    if not others:
        return first.reporter_id, "only_candidate"
    return first.reporter_id, "first_there" if others[0].domain == first.domain else "first_domain"


_ELSEWHERE = ("leads_already", "asked_already", None)


def _rank(one: Candidate, order: Sequence[str]) -> tuple[int, int, datetime, UUID]:
    place = order.index(one.domain) if one.domain in order else len(order)
    return _ELSEWHERE.index(one.elsewhere), place, one.since, one.reporter_id
