# SPDX-License-Identifier: EUPL-1.2
"""A year of ordinary behaviour, as events: what nobody should be called about (R37).

The numbers are estimates of ours from DOMAIN's load (five signals a reporter and year, most of them a few, some at
desks that do little else): families of one child to seven, part-timers, holidays and what waits after them, the weeks
after the summer, newcomers, a colleague's absence that is taken over with all that colleague's open matches, links to
matches that have ended, a team that signals before it was registered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from support import WESTERVELD

from verwijsindex.ledger import events
from verwijsindex.ledger.events import Actor, Event

FIRST_DAY, DAYS = date(2026, 1, 5), 364
_AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_CHILDREN = {1: 550, 2: 280, 3: 110, 4: 40, 5: 15, 6: 4, 7: 1}
_SUMMER = (date(2026, 7, 13), date(2026, 8, 23))


@dataclass
class Person:
    """Somebody with a working week, holidays, and matches to read."""

    actor: Actor
    random: Random
    families_a_week: float
    works_on: frozenset[int]
    begins: int
    away: set[int]
    school: bool
    open: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def works(self, day: int) -> bool:
        """Whether they are there on the day of that number."""
        return day >= self.begins and day % 7 in self.works_on and day not in self.away


def _id(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _person(random: Random, n: int) -> Person:
    actor = Actor("machine", f"client-{n // 12}", f"{n // 12:020}", on_behalf_of=UUID(_id(random)))
    busy = random.random()
    rate = 2.0 if busy > 0.99 else 0.4 if busy > 0.94 else random.lognormvariate(-3.5, 0.8)
    week = range(5) if random.random() < 0.4 else random.sample(range(5), random.choice((2, 3, 4)))
    school = random.random() < 0.4
    away: set[int] = set()
    for weeks, first, last in ((3, 27, 31), (1, 6, 8), (1, 41, 44), (1, 50, 51)):
        begin = 7 * random.randint(first, last)
        away |= set(range(begin, begin + 7 * weeks))
    if school:
        away |= set(range((_SUMMER[0] - FIRST_DAY).days, (_SUMMER[1] - FIRST_DAY).days + 1))
    begins = random.randrange(DAYS) if random.random() < 0.2 else 0
    return Person(actor, random, rate, frozenset(week), begins, away, school)


def _official(random: Random, n: int) -> Person:
    """A supervisor: the average municipality has seven new matches on a working day, for three of them."""
    actor = Actor("case_supervisor", "console", municipality=WESTERVELD, person=_id(random))
    rate = random.choice((3, 10, 25))
    begins = random.randrange(DAYS) if n % 5 == 0 else 0
    return Person(actor, random, rate, frozenset(range(5)), begins, _person(random, n).away, school=False)


def ordinary(seed: int, reporters: int, officials: int) -> Iterator[tuple[date, list[Event]]]:
    """Day by day what these people do in a year."""
    random = Random(seed)  # noqa: S311 (invented behaviour)
    people = [_person(random, n) for n in range(reporters)]
    supervisors = [_official(random, n) for n in range(officials)]
    ill = {random.randrange(reporters): random.randrange(DAYS) for _ in range(reporters // 10)}
    teams = {random.randrange(DAYS): n for n in range(reporters // 100)}
    for n, since in ill.items():
        people[n].away |= set(range(since, since + 28))
    for day in range(DAYS):
        happened: list[Event] = []
        at = datetime.combine(FIRST_DAY + timedelta(days=day), time(9), _AMSTERDAM)
        for n, since in ill.items():
            if day == since:  # a colleague of the institution takes over
                colleague = people[n + 1 if n % 12 < 11 and n + 1 < reporters else n - 1]
                happened += _told(colleague, people[n].open, at)
                colleague.families_a_week += people[n].families_a_week
        for person in people:
            if person.works(day):
                happened += _signals(person, day, at)
            happened += _reads(person, at, here=person.works(day))
        for person in supervisors:
            there = 1 if person.works(day) else 0.3 if person.begins <= day else 0  # colleagues do the rest
            person.unread += [_id(random) for _ in range(_poisson(random, there * person.families_a_week / 7))]
            happened += _reads(person, at, here=person.works(day))
        if day in teams:  # eight new colleagues signal before anybody registered them
            client = people[teams[day] * 12].actor
            unknown = [Actor("machine", client.client_id, client.oin, on_behalf_of=UUID(_id(random))) for _ in range(8)]
            problem: dict[str, str | int] = {"problem": "reporter-not-designated"}
            happened += [Event(events.SIGNAL_REFUSED, at, actor, "refused", problem) for actor in unknown]
        yield at.date(), happened


def _signals(person: Person, day: int, at: datetime) -> list[Event]:
    random, made = person.random, []
    date_ = FIRST_DAY + timedelta(days=day)
    peak = 3 if person.school and _SUMMER[1] < date_ < date(2026, 10, 1) else 1
    for _ in range(_poisson(random, peak * person.families_a_week / len(person.works_on))):
        [children] = random.choices(list(_CHILDREN), list(_CHILDREN.values()))
        for _ in range(children):
            made.append(Event(events.SIGNAL_REGISTERED, at, person.actor, says={"signalId": _id(random)}))
            if random.random() < 0.7:  # a match, at once or later
                made += _told(person, [_id(random)], at)
    return made


def _reads(person: Person, at: datetime, *, here: bool) -> list[Event]:
    """All that waits is read on the next working day, and now and then what is open; a few have ended meanwhile."""
    random = person.random
    made = _told(person, [match for match in person.open if random.random() < 0.004], at)  # of a new party
    if not here:
        return made
    looked = person.unread + [match for match in person.open if random.random() < 0.01]
    for match in looked:
        if random.random() < 0.03:
            says: dict[str, str | int] = {"problem": "not-found", "operation": "matches.get_match", "matchId": match}
            made.append(Event(events.ACCESS_REFUSED, at, person.actor, "refused", says))
        else:
            made.append(Event(events.MATCH_READ, at, person.actor, says={"matchId": match}))
            person.open.append(match)
    person.open = [match for match in dict.fromkeys(person.open) if random.random() > 0.004]
    person.unread.clear()
    return made


def _told(person: Person, matches: list[str], at: datetime) -> list[Event]:
    """Notices, and what waits by them; of an official's the whole municipality's is the notice."""
    person.unread += matches
    told = person.actor.on_behalf_of
    return [
        Event(events.NOTICE_PLACED, at, events.MATCHER, says={"matchId": match}, recipient_reporter=told)
        for match in matches
    ]


def _poisson(random: Random, mean: float) -> int:
    count, left = 0, random.expovariate(1)
    while left < mean:
        count, left = count + 1, left + random.expovariate(1)
    return count
