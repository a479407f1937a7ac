# SPDX-License-Identifier: EUPL-1.2
"""What each reader sees at a moment, in plain Python: R10, R12, R17, R19, R20, R27, R30, R34, R36 and "Reading" of the
settled readings. Beside `matching.model`, whose signals, parties and notices it looks at.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from matching.model import Match, Model, Signal

IN_PERSON = frozenset({"gp"})
"""Institutions that are one person with an own agreement (R2)."""


@dataclass(frozen=True, order=True)
class Reader:
    """A reporter by name; a coordinator or a named officer by institution; a supervisor or a rights desk by
    municipality."""

    role: Literal["reporter", "coordinator", "officer", "supervisor", "desk"]
    of: str


@dataclass(frozen=True, order=True)
class Contact:
    """Whom to call: a reporter, or in whose place `stand_ins` are; of which institution, if not in person."""

    concerns: str
    shown_as: str
    institution: str
    reporter: str
    stand_ins: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Seen:
    """A match as it is read."""

    kind: str
    contacts: tuple[Contact, ...]
    own_signals: tuple[int, ...]
    residences: tuple[str, ...]


def a_month_after(day: date) -> date:
    """The same day of the next month, or its last."""
    first_after_next = (day.replace(day=1) + timedelta(days=62)).replace(day=1)
    last = first_after_next - timedelta(days=1)
    return last.replace(day=min(day.day, last.day))


def stands_for(model: Model, reader: Reader, today: date) -> set[str]:
    """The reporters for whom somebody reads matches."""
    if reader.role == "reporter":
        return set() if model.left(reader.of, today) else {reader.of}
    colleagues = {name for name, its in model.institution.items() if its == reader.of}
    if reader.role == "coordinator":
        return {name for name in colleagues if model.left(name, today)}
    return {s.reporter for s in model.signals if s.shielded and s.reporter in colleagues and model.live(s, today)}


def _live(model: Model, youngster: int, today: date) -> list[Signal]:
    return [s for s in model.signals if s.youngster == youngster and model.live(s, today)]


def _elsewhere(model: Model, youngster: int, today: date) -> list[Signal]:
    return [s for sibling in model.siblings(youngster, today) for s in _live(model, sibling, today)]


def _contact(model: Model, signals: list[Signal], concerns: str, shielded: bool, today: date) -> Contact:
    reporter = signals[0].reporter
    institution = model.institution[reporter]
    teams = tuple(sorted({f"team {s.contract}" for s in signals}))
    if shielded:
        return Contact(concerns, "named_officer", institution, "", (f"officer {institution}",))
    if institution in IN_PERSON:
        left = model.left(reporter, today)
        return Contact(concerns, "access_team" if left else "reporter", "", "" if left else reporter, teams)
    if model.left(reporter, today):
        return Contact(concerns, "coordinator", institution, "", (f"coordinator {institution}",))
    return Contact(concerns, "reporter", institution, reporter, ())


def _contacts(model: Model, match: Match, seats: set[str] | None, today: date) -> tuple[Contact, ...]:
    """Of a supervisor (no seats) all; else all others; each once, or once who stands in for several of them."""
    cards: dict[Contact, tuple[set[str], list[Signal]]] = {}
    for place, signals in (
        ("same_youngster", _live(model, match.youngster, today)),
        ("different_youngster", _elsewhere(model, match.youngster, today)),
    ):
        for signal in signals:
            if seats is None or seats - {signal.reporter}:
                shielded = model.shielded(signal.youngster, signal.reporter, today)
                shown = _contact(model, [signal], "", shielded, today)
                whose = replace(shown, institution=model.institution[signal.reporter], stand_ins=())
                places, of = cards.setdefault(whose, (set(), []))
                places.add(place)
                of.append(signal)
    contacts = []
    for whose, (places, of) in cards.items():
        here, away = "same_youngster" in places, "different_youngster" in places
        if here if match.kind == "youngster" else (away or seats is None):
            concerns = "both" if here and away else min(places)
            if seats is None:
                concerns = "same_youngster" if match.kind == "youngster" else ""
            contacts.append(_contact(model, _his(model, match, of), concerns, whose.shown_as == "named_officer", today))
    return tuple(sorted(contacts))


def _his(model: Model, match: Match, signals: list[Signal]) -> list[Signal]:
    """A contact's signals on the match's own youngster, or one under the oldest agreement of those on siblings: whose
    access team stands in tells nothing of them (R10)."""
    oldest = min(signals, key=lambda s: [*model.agreements.get(model.institution[s.reporter], ())].index(s.contract))
    return [s for s in signals if s.youngster == match.youngster] or [oldest]


def matches(model: Model, reader: Reader, today: date) -> list[Seen]:
    """The open matches that a reader sees: parties are those of the last run, what is shown of them is of now."""
    seen: list[Seen] = []
    readers = set() if reader.role == "supervisor" else stands_for(model, reader, today)
    for match in model.matches.values():
        own, elsewhere = _live(model, match.youngster, today), _elsewhere(model, match.youngster, today)
        others = {s.reporter for s in (own if match.kind == "youngster" else elsewhere)}
        residences = model.residences(match.youngster, today)
        if reader.role == "supervisor":
            who = {s.reporter for s in own}
            is_match = any(a != b for a in who for b in others)
            if reader.of in residences & match.supervisors and is_match:
                contacts = _contacts(model, match, None, today)
                seen.append(Seen(match.kind, contacts, (), tuple(sorted(residences))))
            continue
        seats = {
            s.reporter
            for s in own
            if s.reporter in readers & {party.reporter for party in match.parties}
            and model.shielded(match.youngster, s.reporter, today) == (reader.role == "officer")
        }
        if any(a != b for a in seats for b in others):
            numbers = tuple(sorted(s.number for s in own if s.reporter in seats))
            seen.append(Seen(match.kind, _contacts(model, match, seats, today), numbers, tuple(sorted(residences))))
    return sorted(seen)


def inbox(model: Model, reader: Reader, today: date) -> Counter[str]:
    """How many lines of each kind are in it."""
    recipients = [f"{'municipality' if reader.role == 'supervisor' else reader.role} {reader.of}"]
    if reader.role in ("reporter", "coordinator"):
        recipients = [f"reporter {name}" for name in stands_for(model, reader, today)]
    if reader.role == "coordinator":
        recipients.append(f"coordinator {reader.of}")
    return Counter(notice.kind for one in recipients for notice in model.inboxes[one])


def archived(model: Model, reader: Reader, today: date) -> dict[int, Contact]:
    """The archived signals of which a reader is shown who made them."""
    found: dict[int, Contact] = {}
    readers = set() if reader.role == "supervisor" else stands_for(model, reader, today)
    for one in model.archive:
        if one.destroy_on <= today or model.dead(one.signal):
            continue
        placed = [s for s in model.signals if s.attached and s.shielded and model.placed(s, today)]
        earlier = (one.signal.youngster, one.signal.reporter)
        is_now = any((s.youngster, s.reporter) == earlier for s in placed)
        for signal in _live(model, one.signal.youngster, today):
            shielded = model.shielded(signal.youngster, signal.reporter, today)
            inboxes = [f"reporter {signal.reporter}"]
            inboxes += [f"officer {model.institution[signal.reporter]}"] if shielded else []
            told = any(n.kind == "archive" and n.about == one.signal.number for i in inboxes for n in model.inboxes[i])
            if signal.reporter in readers and shielded == (reader.role == "officer") and told:
                found[one.signal.number] = _contact(model, [one.signal], "", one.shielded or is_now, today)
    return found


def signals(model: Model, reader: Reader, today: date) -> list[Signal]:
    """A reporter's own list, or that of a coordinator: all that are placed."""

    def own(signal: Signal) -> bool:
        if reader.role == "reporter":
            return signal.reporter == reader.of and not model.left(reader.of, today)
        return reader.role == "coordinator" and model.institution[signal.reporter] == reader.of

    return [s for s in model.signals if own(s) and model.placed(s, today)]


def is_overdue(signal: Signal, today: date) -> bool:
    """Whether the family should have been informed (R27)."""
    if signal.informing_due is None:
        return False
    matched = None if signal.shielded else signal.first_matched
    return min(signal.informing_due, matched or signal.informing_due) <= today


def orphaned(model: Model, signal: Signal, today: date) -> set[str]:
    """Why a signal waits for a coordinator (R34)."""
    held = model.agreements[model.institution[signal.reporter]]
    causes = {"reporter_left"} if model.left(signal.reporter, today) else set()
    return causes | ({"agreement_ended"} if held[signal.contract] < today else set())
