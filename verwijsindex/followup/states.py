# SPDX-License-Identifier: EUPL-1.2
"""The state machine of a round: all of it, and nowhere else (R21; docs/decisions/0026).

A match is open or ended by its signals alone; a round stands beside it and goes by what people do.
"""

from collections.abc import Mapping
from typing import Literal, get_args

State = Literal["notified", "seen", "contacted", "lead_agreed", "coordinated", "closed", "lapsed", "renewed"]
STATES: tuple[State, ...] = get_args(State)
Act = Literal[
    "see", "record_contact", "agree_lead", "lose_lead", "coordinate", "close", "close_at_once", "renew", "lapse"
]
Outcome = Literal["joint_plan", "no_joint_plan_needed", "passed_on", "already_together"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_ALWAYS: Mapping[Act, State] = {"close_at_once": "closed", "renew": "renewed", "lapse": "lapsed"}
MACHINE: Mapping[State, Mapping[Act, State]] = {
    "notified": {"see": "seen", "record_contact": "contacted", **_ALWAYS},
    "seen": {"record_contact": "contacted", **_ALWAYS},
    "contacted": {"agree_lead": "lead_agreed", "close": "closed", **_ALWAYS},
    "lead_agreed": {"lose_lead": "contacted", "coordinate": "coordinated", "close": "closed", **_ALWAYS},
    "coordinated": {"close": "closed", **_ALWAYS},
    "closed": {},
    "lapsed": {},
    "renewed": {},
}
"""What each act makes of each state; what is not here is not possible. `close_at_once` is "we already work together on
this youngster" (R23)."""

ENDED: frozenset[State] = frozenset(state for state, acts in MACHINE.items() if not acts)
"""Nothing happens to a round that is closed, lapsed or renewed."""

CONTACTED: frozenset[State] = frozenset({"contacted", "lead_agreed", "coordinated", "closed"})
COORDINATED: frozenset[State] = frozenset({"coordinated", "closed"})

PartyAct = Literal["record_contact", "coordinate", "close", "close_at_once"]
PEOPLES: tuple[PartyAct, ...] = get_args(PartyAct)
"""The acts that parties do; the others follow from reading, from the lead and from the match."""


def moves(act: Act) -> dict[State, State]:
    """What `act` makes of each state in which it is possible."""
    return {state: acts[act] for state, acts in MACHINE.items() if act in acts}


def after(state: State, act: Act) -> State | None:
    """The state that `act` makes of `state`; None where it is not possible."""
    return MACHINE[state].get(act)


def drawing() -> str:
    """The machine as a Mermaid state diagram, for docs/follow-up.md: what always may happen is drawn once."""
    lines = ["stateDiagram-v2", "    [*] --> notified"]
    for state, acts in MACHINE.items():
        for act, then in acts.items():
            if act not in _ALWAYS:
                lines.append(f"    {state} --> {then}: {act}")
    running = ", ".join(state for state in MACHINE if state not in ENDED)
    always = ", ".join(f"{act} ({then})" for act, then in _ALWAYS.items())
    lines += [f"    note right of notified: from {running}: {always}"]
    lines += [f"    {state} --> [*]" for state in MACHINE if state in ENDED]
    return "\n".join(lines) + "\n"
