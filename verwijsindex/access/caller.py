# SPDX-License-Identifier: EUPL-1.2
"""The caller of a request, as the claims of a verified access token name it (R19, R20, R25, R30, R36, I8)."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from verwijsindex.problems import NOT_ALLOWED, Problem

Role = Literal["machine", "case_supervisor", "coordinator", "named_officer", "rights_desk", "privacy_officer"]

SIGNALS_WRITE = "signals:write"
"""A machine places signals of its institution's reporters, and acts on them for one of these."""
SIGNALS_READ = "signals:read"
"""A machine reads, for one of them, the own signals, inbox and matches."""
SUPERVISION_READ = "supervision:read"
"""A case supervisor reads the inbox and the matches of the own municipality (R19)."""
SUPERVISION_WRITE = "supervision:write"
"""A case supervisor acts on a match of the own municipality: tells a move (R24)."""
INSTITUTION_READ = "institution:read"
"""A coordinator reads the live signals and the contact data of the own institution (R20)."""
INSTITUTION_WRITE = "institution:write"
"""A coordinator acts on the signals of the own institution's reporters, on their behalf (R13, R34)."""
SUBSCRIPTIONS_MANAGE = "subscriptions:manage"
"""A machine manages its own webhook subscription, and sees what became of its deliveries."""
PSEUDONYMS_EVALUATE = "pseudonyms:evaluate"
"""A machine has blinded elements evaluated by the pseudonym service (R7)."""
BURSTS_READ = "bursts:read"
"""A machine of the index's operator hears of bursts of pseudonyms from the pseudonym service (R37)."""
DEATHS_WRITE = "deaths:write"
"""A machine of a municipality tells a death (R14)."""
SHIELDED_READ = "shielded:read"
"""A named officer reads the inbox and the matches of the own institution's shielded signals (R36)."""
SHIELDED_WRITE = "shielded:write"
"""A named officer acts in the follow-up of those matches (R36)."""
RIGHTS_DECIDE = "rights:decide"
"""An officer of the rights desk restricts and destroys signals that the own municipality contracted (R15, R30)."""
LEDGER_AUDIT = "ledger:audit"
"""A privacy officer audits the ledger within the own scope: an institution, a municipality, or the whole (R25, R28)."""

SCOPES: dict[Role, frozenset[str]] = {
    "machine": frozenset(
        {SIGNALS_WRITE, SIGNALS_READ, SUBSCRIPTIONS_MANAGE, PSEUDONYMS_EVALUATE, DEATHS_WRITE, BURSTS_READ}
    ),
    "case_supervisor": frozenset({SUPERVISION_READ, SUPERVISION_WRITE}),
    "coordinator": frozenset({INSTITUTION_READ, INSTITUTION_WRITE}),
    "named_officer": frozenset({SHIELDED_READ, SHIELDED_WRITE}),
    "rights_desk": frozenset({RIGHTS_DECIDE}),
    "privacy_officer": frozenset({LEDGER_AUDIT}),
}
"""The scopes that a token of each role can hold. No two roles share one."""

USUAL: frozenset[str] = SCOPES["machine"] - {DEATHS_WRITE, BURSTS_READ}
"""Those of a machine for which none are named: a municipality's case system, too, tells no death by accident."""

PersonRole = Literal["case_supervisor", "coordinator", "named_officer", "rights_desk", "privacy_officer"]
PERSON_OF: dict[PersonRole, Literal["oin", "municipality", "either or none"]] = {
    "case_supervisor": "municipality",
    "coordinator": "oin",
    "named_officer": "oin",
    "rights_desk": "municipality",
    "privacy_officer": "either or none",
}
"""For each role of a person the claim that says of which institution or municipality; without one: the operator's."""
TWO_FACTORS: frozenset[Role] = frozenset({"privacy_officer"})
"""The roles whose tokens are believed only of who signed in with two factors."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: a machine or a person of an institution, or a person of a municipality or of the operator."""

    client_id: str
    issuer: str
    token_id: str
    role: Role
    scopes: frozenset[str]
    oin: str | None = None
    """Twenty digits; of a machine, a coordinator, a named officer or an institution's privacy officer."""
    person_id: UUID | None = None
    """Of a person only."""
    municipality: str | None = None
    """Four digits (CBS); of a case supervisor, an officer of the rights desk or a municipality's privacy officer."""

    def require(self, *scopes: str) -> None:
        """Raises Problem(NOT_ALLOWED) unless the token holds one of these scopes, and that is one of its role's."""
        if not self.scopes & SCOPES[self.role] & set(scopes):
            raise Problem(NOT_ALLOWED)
