# SPDX-License-Identifier: EUPL-1.2
"""The days after: a match whose parties call each other, one where nobody does, and two who work together already
(R21, R22, R23).

The demo's clock is put ahead, morning by morning; what then happens is done by the very processes that ran all along.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from rich.console import Console

from verwijsindex.demo.cast import DORDRECHT, PLACES, STEIN
from verwijsindex.demo.clock import DemoClock
from verwijsindex.demo.days import Days, Step
from verwijsindex.demo.family import Someone, someone
from verwijsindex.demo.readers import Json, Persons, Post, Reader, reader_of
from verwijsindex.demo.registering import Register
from verwijsindex.embedded.stack import Stack
from verwijsindex.followup.working_days import working_days_after

BSNS = 3
CALLED, LEFT, KNOWN = "first", "second", "third"
"""The matches: whose parties call each other, where nobody does, and whose parties work together already."""
_LEFT = ("roc", "kredietbank")


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of it.

    Args:
        asked: where the first match stood when its lead was proposed, to who was asked.
        led: and when its parties had contact, to who leads.
        closed: and at the end.
        due: until which day the second could be called in time.
        missed: what the supervisor's list of missed deadlines says of the second at the end; one of how many.
    """

    readers: dict[str, Reader]
    steps: list[Step]
    asked: Json
    led: Json
    closed: Json
    due: date
    missed: Json
    listed: int


def play_follow_up(
    console: Console, stack: Stack, register: Register, clock: DemoClock, post: Post, spare: Sequence[str]
) -> Followed:
    """Play it with three BSNs that nobody has signalled."""
    one_of = {one.role.client_id: one for one in register.institutions}
    persons = Persons(stack, clock)
    with ExitStack() as clients:
        people = {
            name: someone(clients, one_of[name], 0, clock)
            for name in ("waterlelie", "ggd", "roc", "kredietbank", "thuisbasis", "politie")
        }
        readers = {name: reader_of(one_of[name], one.reporter, one.client) for name, one in people.items()}
        readers |= {f"coordinator of {name}": persons.coordinator(one_of[name]) for name in _LEFT}
        readers |= {place.name: persons.supervisor(place, *register.supervisors[place]) for place in PLACES}
        post.since()
        days = Days(console, stack, clock, post, readers)
        asked, led = _first_day(days, people, spare)
        due = date.fromisoformat(_follow_up(people["roc"], days, LEFT)["contactDueOn"])
        days.move_to(days.today + timedelta(days=1))
        days.digest("The next morning the digest comes", KNOWN)
        closed = _later(days, people, due)
        supervised = persons.missed(PLACES[1], register.supervisors[PLACES[1]][0])
        missed = {days.matches.get(one["id"]): one for one in supervised}.get(LEFT, {})
        return Followed(dict(readers), days.steps, asked, led, closed, due, missed, len(supervised))


def _first_day(days: Days, people: dict[str, Someone], spare: Sequence[str]) -> tuple[Json, Json]:
    """Three matches: in the first they agree who leads and call each other; in the third they work together already,
    and one of them goes and comes back."""
    care, health, home, police = (people[name] for name in ("waterlelie", "ggd", "thuisbasis", "politie"))
    signals = {}
    for about, pair, bsn, residence in (
        (CALLED, ("waterlelie", "ggd"), spare[0], DORDRECHT),
        (LEFT, _LEFT, spare[1], DORDRECHT),
        (KNOWN, ("thuisbasis", "politie"), spare[2], STEIN),
    ):
        before = people[pair[0]].inbox()
        for name in pair:
            signals[name] = people[name].signal(bsn, residence=residence)
        days.matches[_newest(people[pair[0]], before)] = about
    days.step("Three youngsters with two signals each", "match", *people)
    care.client.match(care.reporter, _match(days, CALLED))
    asked = _follow_up(care, days, CALLED)
    care.client.follow_up.decline_lead(care.reporter, _match(days, CALLED), "no_capacity")
    days.step(f"{care.institution}, asked to lead the first, declines", "lead", "ggd")
    health.client.follow_up.accept_lead(health.reporter, _match(days, CALLED))
    care.client.follow_up.record_contact(care.reporter, _match(days, CALLED), days.today)
    led = _follow_up(health, days, CALLED)
    days.step(f"{health.institution} accepts, and they call each other: nobody is told", "")
    for one in (home, police):
        one.client.follow_up.close(one.reporter, _match(days, KNOWN), "already_together")
    home.client.acts.withdraw(home.reporter, signals["thuisbasis"], "risk_gone")
    days.step('Both of the third say "we already work together"; then one withdraws', "party_withdrew", "politie")
    before = police.inbox()
    home.signal(spare[2], residence=STEIN)
    again = _newest(police, before)
    days.matches[again] = KNOWN
    days.step("and is concerned anew: another match of these two", "match", "thuisbasis", "politie")
    police.client.follow_up.close(police.reporter, UUID(again), "already_together")
    return asked, led


def _later(days: Days, people: dict[str, Someone], due: date) -> Json:
    """Nobody calls in the second, and each is told in turn; in the first help is coordinated, and it is closed."""
    health = people["ggd"]
    days.move_to(working_days_after(due, 1))
    health.client.follow_up.record_coordination(health.reporter, _match(days, CALLED))
    in_time = f"{due.day} {due:%B}, the last day in time"
    days.step(f"Help is coordinated in the first; nobody called in the second by {in_time}", "reminder", *_LEFT)
    days.move_to(working_days_after(due, 3))
    closed = health.client.follow_up.close(health.reporter, _match(days, CALLED), "joint_plan")
    coordinators = (f"coordinator of {one}" for one in _LEFT)
    days.step("The first is closed: a joint plan. Still nobody called in the second", "escalation", *coordinators)
    days.move_to(working_days_after(due, 5))
    days.step("nor by now", "escalation", PLACES[1].name)
    return closed


def _newest(who: Someone, before: set[str]) -> str:
    """The match that this one was told of since."""
    return next(str(one["match"]) for one in who.told("match", before) if one["kind"] == "match")


def _match(days: Days, about: str) -> UUID:
    return next(UUID(match) for match, name in days.matches.items() if name == about)


def _follow_up(who: Someone, days: Days, about: str) -> Json:
    return who.client.follow_up.read(who.reporter, _match(days, about))
