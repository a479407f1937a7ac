# SPDX-License-Identifier: EUPL-1.2
"""Follow-up in plain Python: R21, R22 and docs/decisions/0026, beside `matching.model`, whose matches it follows.

Rounds, their states, deadlines and steps are told in advance. So is what people do with a lead. Whom the matcher
proposes depends in a family on the order of ids; there the model says whether the rule allows it, and takes it over.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from matching.model import Match, Model, Notice, Recipient, Standing

Act = Literal["record_contact", "coordinate", "close", "close_at_once"]
NEVER = ("education", "police_and_justice")
ORDER = ("youth_care", "youth_health_care", "health_care", "social_support", "work_and_income")
ANSWER_WITHIN, BETWEEN_STEPS = 3, 2
TOLD = ("parties", "coordinators", "case_supervisors")


def _easter(year: int) -> date:
    """By the rule of Butcher."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def works(day: date) -> bool:
    """Whether it is a working day: by the Algemene termijnenwet, article 3."""
    king = date(day.year, 4, 27)
    king -= timedelta(days=king.weekday() == 6)
    easter = _easter(day.year)
    moving = {easter + timedelta(days=days) for days in (-2, 1, 39, 50)}
    fixed = {(1, 1), (5, 5), (12, 25), (12, 26), (king.month, king.day)}
    return day.weekday() < 5 and day not in moving and (day.month, day.day) not in fixed


def after(day: date, number: int) -> date:
    """So many working days later."""
    while number:
        day += timedelta(days=1)
        number -= works(day)
    return day


@dataclass
class Deadline:
    """The last day in time, and how many steps after it were done."""

    due: date
    done: int = 0

    def step(self, today: date) -> str | None:
        """Who is to be told next, if it is time for that."""
        if self.done == len(TOLD) or after(self.due, 1 + BETWEEN_STEPS * self.done) > today:
            return None
        return TOLD[self.done]


@dataclass
class Round:
    """As people see it."""

    contact: Deadline
    coordination: Deadline
    state: str = "notified"
    contacted_on: date | None = None
    coordinated: bool = False
    outcome: str | None = None
    number: int = 1

    @property
    def runs(self) -> bool:
        return self.state not in ("closed", "lapsed", "renewed")

    @property
    def contacted(self) -> bool:
        return self.state not in ("notified", "seen")


@dataclass
class Led:
    """Who leads a match, or is asked to (nobody: it is open to all), and who else was asked before."""

    reporter: str | None = None
    accepted: bool = False
    proposed_on: date = date.min
    answer_by: date | None = None
    asked: set[str] = field(default_factory=set)
    ids: set[UUID] = field(default_factory=set)
    """Of the rows that were seen."""
    untold: bool = False
    """Who led asked another, who was not told yet."""

    def leave(self, there: set[str]) -> None:
        """Only these may come back."""
        self.asked &= there
        if (self.reporter or "") not in there:
            self.nobody()

    def begin_anew(self, told: set[str]) -> None:
        """Who is told of somebody begins anew; who leads goes on."""
        self.asked -= told - ({self.reporter} if self.accepted else set())
        if not self.accepted and (self.reporter in told or self.reporter is None):
            self.nobody()

    def nobody(self) -> None:
        """It is open to all, or will be."""
        self.reporter, self.accepted, self.answer_by = None, False, None


class FollowUp:
    """Beside a model of matching.

    Args:
        domains: of each institution.
        within: working days for contact and for coordination, of each municipality that has its own.
        in_person: institutions that are one person, without a coordinator.
    """

    def __init__(
        self,
        model: Model,
        domains: Mapping[str, str],
        within: Mapping[str, tuple[int, int]] | None = None,
        in_person: frozenset[str] = frozenset(),
    ) -> None:
        self.model, self.domains, self.within, self.in_person = model, domains, within or {}, in_person
        self.rounds: dict[int, list[Round]] = {}
        """Of each match by name."""
        self.leads: dict[int, Led] = {}
        self.told_now: set[tuple[Recipient, int]] = set()
        """Whom the last run told of which match."""
        self.looked_at: set[int] = set()
        """At which youngsters it looked."""
        self.over: dict[tuple[int, str], int] = {}
        """Of a youngster and a kind, the match that ended last."""
        self.kinds: dict[int, str] = {}
        self.waiting: dict[int, Led] = {}
        """Who led matches that ended, and was asked: as long as they may come back (R30)."""
        self.together: set[tuple[str, str]] = set()
        """Who said of whom that they work together already (R23)."""
        self.new: dict[tuple[Recipient, int], set[tuple[str, str]]] = defaultdict(set)
        """Of whom the last run told for the first time: who to which match, of which reporter for which."""
        self._known: set[tuple[Recipient, Standing, Standing, str]] = set()
        model.matched = self.matched

    def open(self) -> dict[int, Match]:
        return {match.name: match for match in self.model.matches.values()}

    # What the matcher makes of it.

    def matched(self, concerned: set[int], told: set[tuple[Recipient, Notice]], today: date) -> None:
        """After matches were brought up to date."""
        opened = self.open()
        self.told_now |= {(to, notice.about) for to, notice in told}
        self.looked_at |= concerned
        for to, who, other, kind in self.model.known - self._known:
            if match := self.model.matches.get((who.youngster, kind)):
                self.new[to, match.name].add((who.reporter, other.reporter))
        self._known = set(self.model.known)
        for name in self.rounds.keys() - opened.keys() - self.waiting.keys():
            last = self.rounds[name][-1]
            last.state = "lapsed" if last.runs else last.state
            self.over[self.model.about[name], self.kinds[name]] = name
            self.waiting[name] = self.leads.pop(name, Led())
        for name, led in self.waiting.items():
            if (youngster := self.model.about[name]) in concerned:
                signals = [s for s in self.model.signals if s.youngster == youngster and self.model.placed(s, today)]
                led.leave({s.reporter for s in signals})
        newly = {notice.about for to, notice in told if not to.startswith("municipality ")}
        for name, match in opened.items():
            if match.youngster in concerned and (name not in self.rounds or name in newly):
                reporters = {
                    to.split()[1] for to, notice in told if notice.about == name and to.startswith("reporter ")
                }
                self._begin(name, match, reporters, name in newly, today)

    def _begin(self, name: int, match: Match, told: set[str], newly: bool, today: date) -> None:
        first = name not in self.rounds
        rounds = self.rounds.setdefault(name, [])
        self.kinds[name] = match.kind
        own = [self.within.get(code, (5, 10)) for code in match.supervisors]
        contact, coordination = (Deadline(after(today, min(days[n] for days in own))) for n in (0, 1))
        if rounds and (last := rounds[-1]).runs:
            if not last.contacted and last.contact.done < len(TOLD):
                contact = Deadline(last.contact.due, last.contact.done)
            if last.state != "coordinated" and last.coordination.done < len(TOLD):
                coordination = Deadline(last.coordination.due, last.coordination.done)
            last.state = "renewed"
        rounds.append(Round(contact, coordination, number=rounds[-1].number + 1 if rounds else 1))
        before = self.over.get((match.youngster, match.kind)) if first else None
        if before is not None:
            led = self.waiting[before]
            self.waiting[before], self.leads[name] = Led(), led
            led.begin_anew(told)
            led.answer_by = after(today, ANSWER_WITHIN) if led.answer_by else None
            if not newly:
                self._go_on(rounds[0], self.rounds[before][-1])

    @staticmethod
    def _go_on(back: Round, ended: Round) -> None:
        """The match came back, and nobody is told (R30): what was done is done."""
        back.number, back.contacted_on, back.coordinated = ended.number, ended.contacted_on, ended.coordinated
        if ended.state == "closed":
            back.state, back.outcome = "closed", ended.outcome
        elif ended.coordinated:
            back.state = "coordinated"
        elif ended.contacted_on:
            back.state = "contacted"

    def shown(self, match: Match, today: date) -> set[Standing]:
        """Whom a match shows."""
        own = self.model.on(match.youngster, today)
        return own if match.kind == "youngster" else own | self.model.contacts(match.youngster, today)

    def beside(self, match: Match, today: date) -> set[int]:
        """The other matches of the youngster, and of a family those of the siblings."""
        siblings = self.model.siblings(match.youngster, today) if match.kind == "family" else set()
        return {
            name
            for name, other in self.open().items()
            if other is not match
            and (other.youngster == match.youngster or (other.kind == "family" and other.youngster in siblings))
        }

    def stays(self, led: Led, shown: set[str], today: date) -> bool:
        """Whether who leads or is asked still may be."""
        if led.reporter is None or led.reporter not in shown:
            return False
        last_day = self.model.last_days.get(led.reporter)
        return last_day is None or last_day >= today or led.proposed_on > last_day

    def adopt(
        self,
        found: Mapping[int, tuple[UUID, str | None, str, str]],
        today: date,
        quiet: Set[tuple[Recipient, int]] = frozenset(),
    ) -> None:
        """Take over who leads each open match after a run (id, reporter, state and reason), if the rule allows it, and
        tell who is asked: but who is told of that match itself just then, and not quietly, reads it there."""
        opened = self.open()
        assert found.keys() == opened.keys(), "an open match without one lead or proposal (R22), or an ended one with"
        before = {name: Led(**vars(led)) for name, led in self.leads.items()}
        told: set[tuple[Recipient, int]] = set()
        for name, (id_, reporter, state, reason) in found.items():
            match, led = opened[name], self.leads.setdefault(name, Led())
            is_now = (reporter, state) == (led.reporter, "accepted" if led.accepted else "proposed")
            if match.youngster not in self.looked_at:
                assert is_now, "it changed, and nobody looked"
                continue
            shown = self.shown(match, today)
            names = {one.reporter for one in shown}
            led.asked &= names
            if self.stays(led, names, today):
                assert is_now, "it does not stay"
                if led.untold and not led.accepted:
                    told |= self._to_tell(match, shown, reporter, today)
                led.untold = False
                continue
            if led.accepted and self.rounds[name][-1].state == "lead_agreed":
                self.rounds[name][-1].state = "contacted"
            if id_ not in led.ids:
                places = self._places(match, today)
                self._places_asked = {places[one] for one in led.asked}
                self._allowed(match, shown - {one for one in shown if one.reporter in led.asked}, found[name], before)
                if reason not in ("leads_already", "asked_already"):
                    told |= self._to_tell(match, shown, reporter, today)
            led.ids.add(id_)
            led.reporter, led.accepted, led.proposed_on = reporter, state == "accepted", today
            led.answer_by = after(today, ANSWER_WITHIN) if reporter and state == "proposed" else None
            if reporter:
                led.asked.add(reporter)
            if led.accepted and self.rounds[name][-1].state == "contacted":
                self.rounds[name][-1].state = "lead_agreed"
        told -= self.told_now - quiet
        self.told_now, self.looked_at = set(), set()
        for to, about in told:
            self.model.inboxes[to].append(Notice("lead", about))

    def _allowed(
        self, match: Match, left: set[Standing], found: tuple[UUID, str | None, str, str], before: Mapping[int, Led]
    ) -> None:
        """The rule of the municipality: who leads already, who is asked already, by domain, and who was there first."""
        _, reporter, state, reason = found
        today = self.today
        able = {one for one in left if not self.model.left(one.reporter, today)}
        places = self._places(match, today)
        able = {one for one in able if places[one.reporter] not in self._places_asked}
        rank = {one: self._rank(one, today) for one in able if self._domain(one) not in NEVER}
        beside = self._known_beside(match, today)
        leading = {self.leads[name].reporter for name in beside if name in self.leads and self.leads[name].accepted}
        kept = {
            led.reporter
            for name, led in before.items()
            if name in beside and led.accepted and led.reporter in leading and led.reporter
        }
        assert (state == "accepted") == (reason == "leads_already")
        if kept & {one.reporter for one in able}:
            assert reason == "leads_already", "one leads for all who are shown to each other"
        if reason in ("leads_already", "asked_already"):
            assert beside, reason
            assert reporter in {one.reporter for one in able}
        elif not rank:
            assert (reporter, reason) == (None, "nobody_to_propose")
        else:
            first, *others = sorted(rank, key=lambda one: rank[one])
            others = [one for one in others if places[one.reporter] != places[first.reporter]]
            assert reporter == first.reporter, "not who comes first"
            same = others and self._domain(others[0]) == self._domain(first)
            assert reason == ("first_there" if same else "first_domain" if others else "only_candidate")

    today: date = date.min
    """Of the run that is looked at."""

    def _domain(self, one: Standing) -> str:
        return self.domains[self.model.institution[one.reporter]]

    def _known_beside(self, match: Match, today: date) -> set[int]:
        """Of the others those that show nobody whom this one does not: the rest would tell of another sibling (R10)."""
        shown = {one.reporter for one in self.shown(match, today)}
        return {
            name
            for name in self.beside(match, today)
            if (other := self.open()[name]).youngster == match.youngster
            or (other.youngster in self.looked_at and {one.reporter for one in self.shown(other, today)} <= shown)
        }

    _places_asked: Set[str] = frozenset()

    def _places(self, match: Match, today: date) -> dict[str, str]:
        """Whom the match shows for each: behind one named officer all are one (R36)."""
        found: dict[str, str] = {}
        shown = self.shown(match, today)
        for one in sorted(shown, key=lambda one: (one.youngster != match.youngster, self._since(one, today))):
            to = self.model.recipient(one, today)
            found.setdefault(one.reporter, to if to.startswith("officer ") else one.reporter)
        return found

    def _rank(self, one: Standing, today: date) -> tuple[int, datetime]:
        return ORDER.index(self._domain(one)), self._since(one, today)

    def _to_tell(
        self, match: Match, shown: set[Standing], reporter: str | None, today: date
    ) -> set[tuple[Recipient, int]]:
        """Who is asked; in which match of the own youngster that is read, if this one is of another's."""
        if reporter is None:
            own = {one for one in shown if one.youngster == match.youngster}
            return {(self.model.recipient(one, today), match.name) for one in own}
        standing = {one for one in shown if one.reporter == reporter}
        own = {one for one in standing if one.youngster == match.youngster}
        if own:
            return {(self.model.recipient(one, today), match.name) for one in own}
        first = min(standing, key=lambda one: self._since(one, today))
        name = self.model.matches[first.youngster, "family"].name
        return {(self.model.recipient(first, today), name)}

    def _since(self, one: Standing, today: date) -> datetime:
        return min(s.received for s in self.model.signals if s.standing is one and self.model.live(s, today))

    # What people do.

    def counts_in(self, name: int, today: date) -> list[int]:
        """The matches in which an act counts: in a family those of the siblings."""
        match = self.open()[name]
        if match.kind == "youngster":
            return [name]
        siblings = self.model.siblings(match.youngster, today)
        others = [n for n, o in self.open().items() if o.kind == "family" and o.youngster in siblings]
        return [name, *others]

    def see(self, name: int) -> None:
        """A party reads it."""
        last = self.rounds[name][-1]
        last.state = "seen" if last.state == "notified" else last.state

    def move(self, name: int, act: Act, today: date, contacted_on: date | None = None, outcome: str = "") -> bool:
        """Whether it is possible; then it is done."""
        if not self._possible(self.rounds[name][-1], act):
            return False
        for one in self.counts_in(name, today):
            last = self.rounds[one][-1]
            if not self._possible(last, act):
                continue
            if act == "record_contact":
                led = self.leads.get(one)
                last.state = "lead_agreed" if led and led.accepted else "contacted"
                last.contacted_on = contacted_on
            elif act == "coordinate":
                last.state, last.coordinated = "coordinated", True
            else:
                last.state, last.outcome = "closed", outcome
        return True

    @staticmethod
    def _possible(last: Round, act: Act) -> bool:
        if act == "record_contact":
            return last.state in ("notified", "seen")
        if act == "coordinate":
            return last.state == "lead_agreed"
        if act == "close":
            return last.state in ("contacted", "lead_agreed", "coordinated")
        return last.runs

    def answer(self, name: int, reporter: str, answer: str, today: date) -> bool:
        """Accept or decline what is proposed; accept what is open. Whether that is possible."""
        names = [one for one in self.counts_in(name, today) if one in self.leads]
        mine = [one for one in names if self.leads[one].reporter == reporter and not self.leads[one].accepted]
        if answer == "accept" and not mine and self.leads[name].reporter is None:
            mine = [one for one in names if self.leads[one].reporter is None]
            for one in mine:
                self.leads[one].proposed_on = today
        for one in mine:
            if answer == "accept":
                self._agree(one, reporter)
            else:
                self._open(one, today)
        if answer == "decline" and mine:
            self._look_again(name, today)
        return bool(mine)

    def hand_over(self, name: int, giver: str, receiver: str, today: date) -> bool:
        """Ask another of those who are shown in it. Whether that is possible."""
        names = [one for one in self.counts_in(name, today) if one in self.leads]
        mine = [one for one in names if self.leads[one].reporter == giver and self.leads[one].accepted]
        for one in mine:
            if self.rounds[one][-1].state == "lead_agreed":
                self.rounds[one][-1].state = "contacted"
            self._open(one, today)
            if receiver in {s.reporter for s in self.shown(self.open()[one], today)}:
                led = self.leads[one]
                led.reporter, led.answer_by, led.untold = receiver, after(today, ANSWER_WITHIN), True
                led.asked.add(receiver)
        if mine:
            self._look_again(name, today)
        return bool(mine)

    def _agree(self, name: int, reporter: str) -> None:
        led = self.leads[name]
        led.reporter, led.accepted, led.answer_by = reporter, True, None
        led.asked.add(reporter)
        last = self.rounds[name][-1]
        last.state = "lead_agreed" if last.state == "contacted" else last.state

    def _open(self, name: int, today: date) -> None:
        led = self.leads[name]
        led.reporter, led.accepted, led.answer_by, led.proposed_on = None, False, None, today
        led.untold = False

    def mute(self, name: int, reporter: str, today: date) -> None:
        """The reporter says of all who are shown that they work together already."""
        others = {one.reporter for one in self.shown(self.open()[name], today)} - {reporter}
        self.together |= {(reporter, other) for other in others}

    def check_quiet(self, quiet: set[tuple[Recipient, int]]) -> None:
        """What was told quietly in the last run tells of nobody but those of whom the reader said so."""
        for one in quiet:
            assert self.new[one] <= self.together, "somebody new waits for a digest (R23)"
        self.new.clear()

    # What the days bring.

    def tick(self, today: date) -> list[tuple[int, str]]:
        """Steps that are done, each with its match; what they tell stands in the inboxes."""
        steps: list[tuple[int, str]] = []
        told: set[tuple[Recipient, Notice]] = set()
        opened = self.open()
        for name, rounds in self.rounds.items():
            last = rounds[-1]
            waits = [last.contact] * (not last.contacted) + [last.coordination] * (last.state != "coordinated")
            for deadline in waits if last.runs else ():
                while step := deadline.step(today):
                    deadline.done += 1
                    steps.append((name, step))
                    told |= self._of_step(opened[name], step, today)
        for to, notice in told:
            self.model.inboxes[to].append(notice)
        for name, led in self.leads.items():
            late = bool(led.answer_by and led.answer_by < today)
            if late:
                self._open(name, today)
            if late or (led.reporter and not self.stays(led, {led.reporter}, today)):
                self._look_again(name, today)
        return steps

    def _look_again(self, name: int, today: date) -> None:
        youngster = self.open()[name].youngster
        live = [s for s in self.model.signals if s.youngster == youngster and self.model.live(s, today)]
        self.model.work += live[:1]

    def _of_step(self, match: Match, step: str, today: date) -> set[tuple[Recipient, Notice]]:
        there = match.parties & self.model.on(match.youngster, today)
        if step == "parties":
            return {(self.model.recipient(one, today), Notice("reminder", match.name)) for one in there}
        if step == "coordinators":
            recipients = {(one, self.model.recipient(one, today)) for one in there}
            officers = {to for _, to in recipients if to.startswith("officer ")}
            others = {self.model.institution[one.reporter] for one, to in recipients if to not in officers}
            told = officers | {f"coordinator {one}" for one in others - self.in_person}
            return {(to, Notice("escalation", match.name)) for to in told}
        return {(f"municipality {one}", Notice("escalation", match.name)) for one in match.supervisors}
