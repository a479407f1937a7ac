# SPDX-License-Identifier: EUPL-1.2
"""What the account promises, checked against plain expectation. A check that is not true says what differs, without
any BSN (I5)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from verwijsindex.demo.expectation import Expectation
from verwijsindex.demo.findings import Findings, Json
from verwijsindex.demo.receiver import Received
from verwijsindex.demo.registering import CONTACT_POINTS, Register

NATIONAL_NUMBERS = {"112", "0800-2000"}
SHOWN = 5
"""Differences that a failed check shows."""


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, and all that differs from it: nothing where it is kept."""

    promise: str
    differences: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it is true."""
        return not self.differences


def check(promise: str, differences: Iterable[str]) -> Check:
    """A promise, checked."""
    return Check(promise, tuple(differences))


def differ(what: str, expected: object, found: object) -> Iterator[str]:
    """One difference, if the two are not equal."""
    if expected != found:
        yield f"{what}: expected {expected}, found {found}"


def checks_of_readers(expected: Expectation, found: Findings, register: Register) -> list[Check]:
    """That every reporter and every supervisor reads what R8, R9, R12 and R19 say, and no more."""
    groups = listed_groups(found)
    return [
        check("each reporter lists exactly its own live signals", _own_signals(expected, found, register)),
        check(
            "matches, parties and supervisors are exactly those of the plain count (R8, R9, R19)",
            _groups(expected, groups),
        ),
        check("each recipient was told once of each change of a match, and nobody else (R8, I3)", _told(found, groups)),
        check(
            "opened, a match shows the other parties, and no case reference but the reader's own (R12)",
            _opened(expected, found, groups, register),
        ),
        check(
            "and with them the contact points of the residence, 112 and Veilig Thuis (R12)",
            _numbers(found, groups),
        ),
    ]


def checks_of_ledger(expected: Expectation, found: Findings, refused_by_index: int) -> list[Check]:
    """That the ledger tells as many acts as there were (I4)."""
    views = (*found.reporters.values(), *found.supervisions.values())
    counts = {
        ("signal.registered", "success"): expected.signals,
        ("signal.refused", "refused"): refused_by_index,
        ("match.opened", "success"): len(expected.matches),
        ("party.joined", "success"): expected.parties,
        ("notice.placed", "success"): sum(len(view.notices) for view in views),
        ("match.read", "success"): sum(len(view.opened) for view in views),
    }
    wrong = [line for kind, count in counts.items() for line in differ(kind[0], count, found.events[kind])]
    return [check("the ledger has one event for each signal, refusal, match, party, notice and match read (I4)", wrong)]


def checks_of_webhooks(received: list[Received], found: Findings, subscribed: Iterable[UUID]) -> list[Check]:
    """That the subscriber got a webhook for each notice of its reporters, signed, and with nothing in it."""
    distinct = {one.event.id: one for one in received if one.event}.values()
    got = Counter(one.event.subject for one in distinct if one.event)
    wanted = Counter({reporter: len(found.reporters[reporter].notices) for reporter in subscribed})
    return [
        check(
            "every webhook's signature is the index's",
            differ("not verified", 0, sum(not one.event for one in received)),
        ),
        check("the subscriber got one webhook for each notice of its reporters (I3)", differ("webhooks", +wanted, got)),
        check("all webhooks are of one size and one type (R33)", _one_form(received)),
    ]


def _own_signals(expected: Expectation, found: Findings, register: Register) -> Iterator[str]:
    for reporter, view in found.reporters.items():
        references = sorted(signal.get("caseReference") or "" for signal in view.signals)
        if references != sorted(expected.references[reporter]):
            yield f"{register.name_of(reporter)} lists {len(references)} signals, or another's reference among them"


@dataclass(frozen=True, slots=True)
class Listed:
    """Who has a match in the own list."""

    reporters: frozenset[UUID]
    municipalities: frozenset[str]


def listed_groups(found: Findings) -> dict[str, Listed]:
    """Every match that anybody lists."""
    reporters, municipalities = defaultdict(set), defaultdict(set)
    for reporter, view in found.reporters.items():
        for match_id in view.matches:
            reporters[match_id].add(reporter)
    for code, view in found.supervisions.items():
        for match_id in view.matches:
            municipalities[match_id].add(code)
    return {
        match_id: Listed(frozenset(reporters[match_id]), frozenset(municipalities[match_id]))
        for match_id in reporters.keys() | municipalities.keys()
    }


def _groups(expected: Expectation, groups: dict[str, Listed]) -> Iterator[str]:
    wanted = Counter(Listed(match.reporters, match.residences) for match in expected.matches)
    got = Counter(groups.values())
    if wanted != got:
        yield f"{(wanted - got).total()} matches are missing, {(got - wanted).total()} are too many"


def _told(found: Findings, groups: dict[str, Listed]) -> Iterator[str]:
    """A recipient has one notice of each match at least, and one for each party after the first at most: parties who
    come between two runs of the matcher share one."""
    for view in (*found.reporters.values(), *found.supervisions.values()):
        yield from differ("notices with one id", 0, len(view.notices) - len({line["id"] for line in view.notices}))
        told = Counter(line["match"] for line in view.notices)
        yield from differ("notices of matches that are not the recipient's", 0, len(told.keys() - set(view.matches)))
        for match_id in view.matches:
            most = len(groups[match_id].reporters) - 1
            if not 1 <= told[match_id] <= most:
                yield f"match {match_id} was told {told[match_id]} times to one recipient, expected 1 to {most}"


def _opened(expected: Expectation, found: Findings, groups: dict[str, Listed], register: Register) -> Iterator[str]:
    possible = {
        (match.reporters, match.references[reader], reader) for match in expected.matches for reader in match.reporters
    }
    for reader, view in found.reporters.items():
        for match_id, match in view.opened.items():
            listed = groups[match_id].reporters
            if _names(match) != sorted(register.name_of(reporter) for reporter in listed - {reader}):
                yield f"match {match_id} shows other parties than it has"
            if (listed, frozenset(match["ownCaseReferences"]), reader) not in possible:
                yield f"match {match_id} shows a reference that is not its reader's own"
    for view in found.supervisions.values():
        for match_id, match in view.opened.items():
            if _names(match) != sorted(register.name_of(reporter) for reporter in groups[match_id].reporters):
                yield f"match {match_id} shows a supervisor other parties than it has"
            yield from differ(f"references in match {match_id}", [], match["ownCaseReferences"])


def _numbers(found: Findings, groups: dict[str, Listed]) -> Iterator[str]:
    for view in (*found.reporters.values(), *found.supervisions.values()):
        for match_id, match in view.opened.items():
            numbers = {number["telephone"] for number in match["inDangerNow"]}
            lines = {point["telephone"] for point in match["contactPoints"] if point["kind"] == "crisis_line"}
            yield from differ(f"numbers to call in danger of match {match_id}", NATIONAL_NUMBERS | lines, numbers)
            points = Counter(point["municipality"] for point in match["contactPoints"])
            wanted = Counter(dict.fromkeys(groups[match_id].municipalities, len(CONTACT_POINTS)))
            yield from differ(f"contact points of match {match_id}", wanted, points)


def _names(match: Json) -> list[str]:
    return sorted(party["name"] for party in match["parties"])


def _one_form(received: list[Received]) -> Iterator[str]:
    yield from differ("sizes", 1, len({len(one.body) for one in received}))
    yield from differ("types", 1, len({one.event.type for one in received if one.event}))
