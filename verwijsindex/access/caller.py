# SPDX-License-Identifier: EUPL-1.2
"""The caller of a request, as the claims of a verified access token name it (R19, R20, I8)."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from verwijsindex.problems import NOT_ALLOWED, Problem

Role = Literal["machine", "case_supervisor", "coordinator"]

SIGNALS_WRITE = "signals:write"
"""A machine places signals of its institution's reporters."""
SIGNALS_READ = "signals:read"
"""A machine reads, for one of them, the own signals, inbox and matches."""
SUPERVISION_READ = "supervision:read"
"""A case supervisor reads the inbox and the matches of the own municipality (R19)."""
INSTITUTION_READ = "institution:read"
"""A coordinator reads the live signals and the contact data of the own institution (R20)."""
SUBSCRIPTIONS_MANAGE = "subscriptions:manage"
"""A machine manages its own webhook subscription, and sees what became of its deliveries."""
PSEUDONYMS_EVALUATE = "pseudonyms:evaluate"
"""A machine has blinded elements evaluated by the pseudonym service (R7)."""

SCOPES: dict[Role, frozenset[str]] = {
    "machine": frozenset({SIGNALS_WRITE, SIGNALS_READ, SUBSCRIPTIONS_MANAGE, PSEUDONYMS_EVALUATE}),
    "case_supervisor": frozenset({SUPERVISION_READ}),
    "coordinator": frozenset({INSTITUTION_READ}),
}
"""The scopes that a token of each role can hold. No two roles share one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: a machine or the coordinator of an institution, or the case supervisor of a municipality."""

    client_id: str
    issuer: str
    token_id: str
    role: Role
    scopes: frozenset[str]
    oin: str | None = None
    """Twenty digits; of a machine or a coordinator."""
    person_id: UUID | None = None
    """Of a person only."""
    municipality: str | None = None
    """Four digits (CBS); of a case supervisor only."""

    def require(self, scope: str, *roles: Role) -> None:
        """Raises Problem(NOT_ALLOWED) unless the token holds `scope` and its role is one of `roles`."""
        if scope not in self.scopes or self.role not in roles:
            raise Problem(NOT_ALLOWED)
