# SPDX-License-Identifier: EUPL-1.2
"""After the day: a brother and a sister, a withdrawal, and somebody who is concerned later (R10, R13, R17, R37)."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from verwijsindex.client import Accepted, Bsn, ClientConfig, Informed, SignalDraft, VerwijsindexClient
from verwijsindex.client.errors import ClientProblem
from verwijsindex.demo.cast import DORDRECHT
from verwijsindex.demo.checks import Check, check, differ
from verwijsindex.demo.registering import Institution, Register
from verwijsindex.settings import Clock, utc_now
from verwijsindex.signals.dates import amsterdam_date

PATIENCE = 20.0  # seconds
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Someone:
    """A reporter in the story, with a client of the own institution."""

    reporter: UUID
    name: str
    institution: str
    client: VerwijsindexClient

    def signal(self, bsn: str, *parents: str, residence: str = DORDRECHT) -> UUID:
        """A signal that must be accepted; its id."""
        now = self.client.clock()
        draft = SignalDraft(
            reporter=self.reporter,
            bsn=Bsn.parse(bsn),
            parents=tuple(map(Bsn.parse, parents)),
            birth_date=date(now.year - 9, 5, 4),
            residence_municipality=residence,
            made_at=now - timedelta(minutes=1),
            reasonable_suspicion=True,
            informing=Informed(amsterdam_date(now - timedelta(days=1)), "both"),
        )
        [outcome] = self.client.submit([draft])
        if not isinstance(outcome, Accepted):
            raise outcome.problem
        return outcome.id

    def told(self, kind: str, before: set[str]) -> list[Json]:
        """The new notices once one of this kind is among them, or when patience ends."""
        began = time.monotonic()
        while True:
            new = [one for one in self.client.notices(self.reporter) if one["id"] not in before]
            if any(one["kind"] == kind for one in new) or time.monotonic() - began > PATIENCE:
                return new
            time.sleep(0.05)

    def inbox(self) -> set[str]:
        """The ids of the notices there are."""
        return {one["id"] for one in self.client.notices(self.reporter)}


@dataclass(frozen=True, slots=True)
class Family:
    """What came of it: who is who, what each was told, and what they read."""

    of_brother: str
    of_sister: str
    later: str
    match: Json
    withdrawal: list[Json]
    ask: list[Json]
    match_after: int
    archive: list[Json]
    archived: Json
    told_besides: int
    """Notices that the brother's first reporter got of the later one: none."""


def play_family(register: Register, spare: Sequence[str]) -> Family:
    """Play it with three BSNs that nobody has signalled: a brother, a sister, and a parent of both."""
    brother, sister, parent = spare[:3]
    care, health, other = register.institutions[0], register.institutions[1], register.institutions[2]
    with ExitStack() as clients:
        first, second, later = (someone(clients, one, n) for one, n in ((care, -1), (health, -1), (other, -1)))
        before = second.inbox()
        signal = first.signal(brother, parent)
        second.signal(sister, parent)
        [told] = [one for one in second.told("match", before) if one["kind"] == "match"]
        match = second.client.match(second.reporter, UUID(told["match"]))
        first.told("match", set())
        before, of_first = second.inbox(), first.inbox()
        first.client.acts.withdraw(first.reporter, signal, "risk_gone")
        withdrawal = second.told("party_withdrew", before)
        ask = [
            who for one in withdrawal for who in second.client.notice(second.reporter, UUID(one["id"])).get("ask", [])
        ]
        match_after = _status(second, UUID(told["match"]))
        before = later.inbox()
        later.signal(brother)
        archive = later.told("archive", before)
        archived = later.client.archived_signal(later.reporter, UUID(archive[0]["archivedSignal"])) if archive else {}
        return Family(
            of_brother=f"{first.name}, {first.institution}",
            of_sister=f"{second.name}, {second.institution}",
            later=f"{later.name}, {later.institution}",
            match=match,
            withdrawal=withdrawal,
            ask=ask,
            match_after=match_after,
            archive=archive,
            archived=archived,
            told_besides=len(first.inbox() - of_first),
        )


def checks_of_family(family: Family) -> list[Check]:
    """That the story went as the rules say."""
    concerns = [party["concerns"] for party in family.match["parties"]]
    institution = family.of_brother.partition(", ")[2]
    asked = [(who["shownAs"], who.get("institution")) for who in family.ask]
    return [
        check(
            "a sister's reporter sees the brother's, as of a different youngster, and no sibling (R10)",
            [
                *differ("kind", "family", family.match["kind"]),
                *differ("contacts", ["different_youngster"], concerns),
                *differ("whom to call", family.of_brother.split(",")[0], family.match["parties"][0].get("name")),
            ],
        ),
        check(
            "who was told of a party is told once that it withdrew and whom to ask; the match is gone (R37)",
            [
                *differ("notices", ["party_withdrew"], [one["kind"] for one in family.withdrawal]),
                *differ("whom to ask", [("coordinator", institution)], asked),
                *differ("the match, read again", 404, family.match_after),
            ],
        ),
        check(
            "who is concerned later is told once of the archived signal, and nobody else is (R17)",
            [
                *differ("notices", ["archive"], [one["kind"] for one in family.archive]),
                *differ("whom to ask", family.of_brother.split(",")[0], family.archived.get("name")),
                *differ("notices of the earlier reporter", 0, family.told_besides),
            ],
        ),
    ]


def steps(family: Family) -> Iterator[tuple[str, str, str]]:
    """What happened, who was told, and of what: lines of the account."""
    yield f"{family.of_brother} signals a boy", "nobody", ""
    yield f"{family.of_sister} signals his sister", "both", "a match: of a different youngster"
    yield f"{family.of_brother} withdraws: the risk is gone", family.of_sister, "a party withdrew; ask its coordinator"
    yield f"{family.later} signals the boy", family.later, "an archived signal: whom to ask about before"


def someone(clients: ExitStack, institution: Institution, n: int, clock: Clock = utc_now) -> Someone:
    """The n-th reporter of an institution, with a client until `clients` end."""
    client = clients.enter_context(VerwijsindexClient(ClientConfig.load(institution.config), clock=clock))
    reporter = list(institution.reporters)[n]
    return Someone(reporter, institution.reporters[reporter].name, institution.role.name, client)


def _status(reader: Someone, match: UUID) -> int:
    try:
        reader.client.match(reader.reporter, match)
    except ClientProblem as problem:
        return problem.status
    return 200
