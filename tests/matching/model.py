# SPDX-License-Identifier: EUPL-1.2
"""The rules of matching and telling in plain Python: R8 to R10, R13 to R17, R24, R30, R34, R36, R37 and the
settled readings of docs/rules.md. Nothing here knows of tables or SQL.

A signal is placed until it ends, and live unless it is restricted. A reporter's signals on a youngster that follow each
other without a break are one standing. What is told is remembered for each two who stand, so that nobody is told of the
same one twice. `run` looks at the oldest work, as a run of the matcher does: what is told together depends on it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
UNDER_WAY = timedelta(minutes=1)
Recipient = str
"""`reporter NAME`, `municipality CODE`, `officer INSTITUTION` or `coordinator INSTITUTION`."""


def day_of(moment: datetime) -> date:
    return moment.astimezone(AMSTERDAM).date()


def years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


@dataclass(eq=False, repr=False)
class Signal:
    """What a matcher may know of a signal; `turns_23` only if it was told."""

    number: int
    youngster: int
    reporter: str
    municipality: str
    received: datetime
    removal: date
    turns_23: date | None = None
    parents: frozenset[int] = frozenset()
    shielded: bool = False
    contract: str = ""
    """The contracting municipality."""
    informing_due: date | None = None
    """Of a family whose informing is postponed, by the signal itself (R27)."""
    first_matched: date | None = None
    held_since: datetime | None = None
    ended: datetime | None = None
    reason: str | None = None
    restricted: datetime | None = None
    attached: bool = False
    archive_due: bool = False
    """It was restricted when it was attached, and has not told of the archive."""
    standing: "Standing | None" = None

    def __repr__(self) -> str:
        return f"signal {self.number}"

    @property
    def begins(self) -> datetime:
        return self.held_since or self.received

    @property
    def ends(self) -> datetime:
        removed = datetime.combine(self.removal, time(), AMSTERDAM)
        return min(self.ended, removed) if self.ended else removed


@dataclass(eq=False, repr=False)
class Standing:
    """A reporter on a youngster without a break."""

    number: int
    youngster: int
    reporter: str
    handed_over: datetime | None = None

    def __repr__(self) -> str:
        return f"{self.reporter} on {self.youngster}"


@dataclass(eq=False)
class Match:
    """An open match: of a youngster (R8), or of its family (R10)."""

    name: int
    youngster: int
    kind: str
    parties: set[Standing] = field(default_factory=set)
    supervisors: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Archived:
    """A signal in the archive."""

    signal: Signal
    ended: datetime
    destroy_on: date
    shielded: bool


@dataclass(frozen=True, order=True)
class Notice:
    """A line in an inbox: its kind, and the match (by name) or the archived signal (by number)."""

    kind: str
    about: int


class Model:
    """The whole of it.

    Args:
        institution: whose reporter somebody is.
        agreements: of each institution with a municipality, oldest first, and until when.
        no_parents: municipalities whose agreements do not let parents be sent.
    """

    def __init__(
        self,
        institution: dict[str, str],
        agreements: dict[str, dict[str, date]] | None = None,
        no_parents: frozenset[str] = frozenset(),
    ) -> None:
        self.institution, self.agreements, self.no_parents = institution, agreements or {}, no_parents
        self.last_days: dict[str, date] = {}
        """Of reporters who leave."""
        self.signals: list[Signal] = []
        self.work: list[Signal] = []
        self.moves: list[tuple[Signal, str, str | None, datetime]] = []
        self.deaths: list[tuple[int, datetime]] = []
        self.archive: list[Archived] = []
        self.destroyed: set[int] = set()
        self.matches: dict[tuple[int, str], Match] = {}
        self.last_match: dict[tuple[int, str], int] = {}
        self.about: dict[int, int] = {}
        """The youngster of each match by name."""
        self.pairs: set[frozenset[int]] = set()
        self.handed_over: set[Standing] = set()
        """Those from which a signal was handed over since the last look."""
        self.crowd = 24
        """Of more live youngsters a parent links nobody."""
        self.crowded: set[int] = set()
        """Parents of which that is so."""
        self.known: set[tuple[Recipient, Standing, Standing, str]] = set()
        """Who was told, for one who stands, of whom, in which kind of match."""
        self.supervised: dict[tuple[int, str], set[tuple[str, Standing]]] = defaultdict(set)
        """Of a youngster and a kind of match: municipality, and whom its supervisors were told of."""
        self.inboxes: dict[Recipient, list[Notice]] = defaultdict(list)
        self.matched: Callable[[set[int], set[tuple[Recipient, Notice]], date], None] | None = None
        """Brings follow-up up to date: of the youngsters looked at, and who was told just now (followup.model)."""
        self._names, self._standings = count(1), count(1)

    # What is so at a moment.

    def dead(self, signal: Signal) -> bool:
        return any(y == signal.youngster and signal.received <= told for y, told in self.deaths)

    def placed(self, signal: Signal, today: date) -> bool:
        return signal.removal > today and signal.ended is None and not self.dead(signal)

    def live(self, signal: Signal, today: date) -> bool:
        return signal.attached and not signal.restricted and self.placed(signal, today)

    def on(self, youngster: int, today: date) -> set[Standing]:
        """Who stands, live, on a youngster."""
        live = (s for s in self.signals if s.youngster == youngster and self.live(s, today))
        return {s.standing for s in live if s.standing}

    def siblings(self, youngster: int, today: date) -> set[int]:
        live = [s for s in self.signals if self.live(s, today)]
        parents = {p for s in live if s.youngster == youngster for p in s.parents} - self.crowded
        return {s.youngster for s in live if s.parents & parents} - {youngster}

    def contacts(self, youngster: int, today: date) -> set[Standing]:
        """Who stands, live, on a sibling."""
        return {one for sibling in self.siblings(youngster, today) for one in self.on(sibling, today)}

    def left(self, reporter: str, today: date) -> bool:
        return self.last_days.get(reporter, today) < today

    def agreement(self, reporter: str, residence: str, today: date) -> str | None:
        """With whom the agreement is under which the reporter signals (R1): None, if that may not be."""
        held = [one for one, until in self.agreements[self.institution[reporter]].items() if until >= today]
        if self.left(reporter, today) or not held:
            return None
        return residence if residence in held else held[0]

    def shielded(self, youngster: int, reporter: str, today: date) -> bool:
        mine = (s for s in self.signals if (s.youngster, s.reporter) == (youngster, reporter))
        return any(s.shielded and self.live(s, today) for s in mine)

    def recipient(self, standing: Standing, today: date) -> Recipient:
        if self.shielded(standing.youngster, standing.reporter, today):
            return f"officer {self.institution[standing.reporter]}"
        return f"reporter {standing.reporter}"

    # What people do.

    def place(self, signal: Signal) -> None:
        self.signals.append(signal)
        self.work.append(signal)

    def withdraw(self, signal: Signal, reason: str, now: datetime) -> None:
        signal.ended, signal.reason = now, reason
        self.work.append(signal)

    def restrict(self, signal: Signal, now: datetime | None) -> None:
        """None lifts it."""
        signal.restricted = now
        self.work.append(signal)

    def hand_over(self, signal: Signal, receiver: str, contract: str, now: datetime) -> None:
        if signal.standing:
            signal.standing.handed_over = now
            self.handed_over.add(signal.standing)
        signal.reporter, signal.contract, signal.held_since, signal.standing = receiver, contract, now, None
        if contract in self.no_parents:
            signal.parents = frozenset()
        self.work.append(signal)

    def move(self, signal: Signal, municipality: str, teller: str | None, now: datetime) -> None:
        if teller:
            signal.municipality = municipality
        self.moves.append((signal, municipality, teller, now))
        self.work.append(signal)

    def die(self, youngster: int, now: datetime) -> None:
        self.deaths.append((youngster, now))

    # What a run of the matcher makes of it.

    def run(self, now: datetime, size: int) -> None:
        today = day_of(now)
        batch, self.work = self.work[:size], self.work[size:]
        new = {s for s in batch if s in self.signals and not s.attached}
        self._attach(new)
        there = {s.youngster for s in self.signals if s.attached} | {a.signal.youngster for a in self.archive}
        dead: dict[int, datetime] = {}
        for youngster, told in self.deaths:
            if youngster in there:
                dead[youngster] = max(told, dead.get(youngster, told))
        for signal in self.signals:
            died = signal.youngster in dead and signal.received <= dead[signal.youngster]
            if signal.attached and died and signal.ended is None:
                signal.ended, signal.reason = dead[signal.youngster], "death"
        looked_at = {s.youngster for s in batch if s in self.signals} | dead.keys()
        late = {s for s in self.work if s in self.signals and not s.attached and s.youngster in looked_at}
        self._attach(late)
        new |= late
        if looked_at:
            self._look(looked_at, new, dead, now, today)
        self.deaths = [
            (y, told)
            for y, told in self.deaths
            if told >= now - UNDER_WAY or any(w.received <= told for w in self.work)
        ]

    def _attach(self, signals: set[Signal]) -> None:
        for signal in signals:
            signal.attached, signal.archive_due = True, bool(signal.restricted)

    def _look(
        self, looked_at: set[int], new: set[Signal], dead: dict[int, datetime], now: datetime, today: date
    ) -> None:
        changed = self._judge_crowds(looked_at, today)
        concerned = looked_at | changed | self._family(looked_at | changed)
        self._stand(concerned | self._family(concerned))
        moved = self._move(looked_at)
        told: set[tuple[Recipient, Notice]] = set()
        told |= self._withdrawals(looked_at, today)
        self._bring_up_to_date(concerned, today)
        of_matches = self._of_matches(concerned, today)
        told |= of_matches
        if self.matched:
            self.matched(concerned, of_matches, today)
        for youngster, teller in moved.items():
            # Who is alone on a youngster has only the match of its family: a supervisor may tell a move of that.
            kinds = ("youngster",) if teller else ("youngster", "family")
            match = next((m for kind in kinds if (m := self.matches.get((youngster, kind)))), None)
            if match:
                others = [one for one in self.on(youngster, today) if one.reporter != teller]
                told |= {(self.recipient(one, today), Notice("move", match.name)) for one in others}
        self._settle(looked_at, dead, today)
        lifted = {s for s in self.signals if s.youngster in looked_at and s.archive_due and not s.restricted}
        for signal in new | lifted:
            if self.live(signal, today) and signal in self.signals:
                told |= self._of_archive(signal, today)
        for signal in lifted:
            signal.archive_due = False
        for recipient, notice in told:
            if notice.kind != "archive" or notice not in self.inboxes[recipient]:
                self.inboxes[recipient].append(notice)

    def _stand(self, youngsters: set[int]) -> None:
        spans: dict[tuple[int, str], list[Signal]] = defaultdict(list)
        for signal in self.signals:
            if signal.attached and signal.youngster in youngsters:
                spans[signal.youngster, signal.reporter].append(signal)
        for (youngster, reporter), signals in spans.items():
            islands: list[list[Signal]] = []
            until: datetime | None = None
            for signal in sorted(signals, key=lambda s: (s.begins, s.number)):
                if until is None or signal.begins >= until:
                    islands.append([])
                islands[-1].append(signal)
                until = max(until, signal.ends) if until else signal.ends
            for island in islands:
                known = next((s.standing for s in island if s.standing), None)
                for left in sorted(self.handed_over, key=lambda one: one.handed_over or island[0].begins):
                    if (left.youngster, left.reporter) == (youngster, reporter) and left.handed_over:
                        known = known or (left if left.handed_over > island[0].begins else None)
                for signal in island:
                    if signal.standing is None:
                        known = known or Standing(next(self._standings), youngster, reporter)
                        signal.standing = known

    def _judge_crowds(self, youngsters: set[int], today: date) -> set[int]:
        """Youngsters who are siblings no more, since too many have the parent, or again."""
        named = {p for s in self.signals if s.attached and s.youngster in youngsters for p in s.parents}
        live = [s for s in self.signals if self.live(s, today)]
        crowded = {p for p in named if len({s.youngster for s in live if p in s.parents}) > self.crowd}
        changed = (crowded ^ self.crowded) & named
        self.crowded ^= changed
        return {s.youngster for s in self.signals if s.attached and s.parents & changed}

    def _move(self, youngsters: set[int]) -> dict[int, str | None]:
        """The youngsters for whom another's signal changed by a move, and who told it last."""
        latest: dict[int, tuple[Signal, str, str | None, datetime]] = {}
        for move in self.moves:
            if move[0].attached and move[0] in self.signals and move[0].youngster in youngsters:
                latest[move[0].youngster] = max(move, latest.get(move[0].youngster, move), key=lambda m: m[3])
        self.moves = [m for m in self.moves if m[0] in self.signals and m[0].youngster not in latest]
        changed: dict[int, str | None] = {}
        for youngster, (_, municipality, teller, told_at) in latest.items():
            there = [s for s in self.signals if s.attached and s.youngster == youngster and not s.ended]
            for signal in there:
                if signal.received <= told_at and signal.municipality != municipality:
                    signal.municipality = municipality
                    changed[youngster] = teller
        return changed

    def _family(self, youngsters: set[int]) -> set[int]:
        """Siblings of now and until now."""
        attached = [s for s in self.signals if s.attached]
        parents = {p for s in attached if s.youngster in youngsters for p in s.parents} - self.crowded
        now = {s.youngster for s in attached if s.parents & parents}
        return now | {one for pair in self.pairs if pair & youngsters for one in pair}

    def _withdrawals(self, youngsters: set[int], today: date) -> set[tuple[Recipient, Notice]]:
        told: set[tuple[Recipient, Notice]] = set()
        by_standing: dict[Standing, list[Signal]] = defaultdict(list)
        for signal in self.signals:
            if signal.standing:
                by_standing[signal.standing].append(signal)
        live = {one for s in self.signals if self.live(s, today) and (one := s.standing)}
        for standing, signals in by_standing.items():
            over = [s for s in signals if not s.restricted]
            if standing.youngster not in youngsters or standing in live or not over:
                continue
            last = max(over, key=lambda s: s.ends)
            if last.reason not in ("unjustified", "risk_gone"):
                continue
            if standing.handed_over and standing.handed_over > last.ends:
                continue
            if any(s.restricted and s.restricted > last.ends for s in signals):
                continue
            for to, who, contact, kind in list(self.known):
                if contact is standing:
                    self.known.remove((to, who, contact, kind))
                    others = {c for r, w, c, k in self.known if (r, w) == (to, who) and k == kind == "family"}
                    shown = self.contacts(who.youngster, today)
                    reads_it = who in live and to == self.recipient(who, today)
                    if reads_it and not self._still_there(contact, others, shown):
                        told.add((to, Notice("party_withdrew", self.last_match[who.youngster, kind])))
            for (youngster, kind), supervised in self.supervised.items():
                residences = self.residences(youngster, today)
                for municipality, contact in list(supervised):
                    if contact is standing:
                        supervised.remove((municipality, contact))
                        others = {c for m, c in supervised if m == municipality and kind == "family"}
                        shown = self.on(youngster, today) | self.contacts(youngster, today)
                        if municipality in residences and not self._still_there(contact, others, shown):
                            about = self.last_match[youngster, kind]
                            told.add((f"municipality {municipality}", Notice("party_withdrew", about)))
        return told

    @staticmethod
    def _still_there(gone: Standing, others: set[Standing], shown: set[Standing]) -> bool:
        """Whether of a family the same contact is shown still, for another sibling that was told of: it says nothing of
        how many there are."""
        return any(one.reporter == gone.reporter for one in others & shown)

    def residences(self, youngster: int, today: date) -> set[str]:
        return {s.municipality for s in self.signals if s.youngster == youngster and self.live(s, today)}

    def _should(self, youngster: int, kind: str, today: date) -> set[Standing]:
        """The parties that a match should have: none, unless two reporters make it one."""
        own = self.on(youngster, today)
        others = own if kind == "youngster" else self.contacts(youngster, today)
        return {one for one in own if any(o.reporter != one.reporter for o in others)}

    def _bring_up_to_date(self, concerned: set[int], today: date) -> None:
        self.pairs = {p for p in self.pairs if not p & concerned} | {
            frozenset((youngster, sibling))
            for youngster in concerned
            for sibling in self.siblings(youngster, today)
            if any(a.reporter != b.reporter for a in self.on(youngster, today) for b in self.on(sibling, today))
        }
        for youngster in concerned:
            for kind, fewest in (("youngster", 2), ("family", 1)):
                parties = self._should(youngster, kind, today)
                match = self.matches.get((youngster, kind))
                if match and len(match.parties & parties) < fewest:
                    match = self.matches.pop((youngster, kind)) and None
                if parties:
                    match = match or Match(next(self._names), youngster, kind)
                    self.matches[youngster, kind] = match
                    self.last_match[youngster, kind] = match.name
                    self.about[match.name] = youngster
                    match.parties = parties
                    for signal in self.signals:
                        party = signal.standing in parties and not signal.ended
                        if party and not self.shielded(youngster, signal.reporter, today):
                            signal.first_matched = signal.first_matched or today
                    match.supervisors = self.residences(youngster, today)
                residences = self.residences(youngster, today)
                kept = {(m, one) for m, one in self.supervised[youngster, kind] if m in residences}
                self.supervised[youngster, kind] = kept

    def _running(self, standing: Standing, today: date) -> bool:
        return any(s.standing is standing and self.placed(s, today) for s in self.signals)

    def _of_matches(self, concerned: set[int], today: date) -> set[tuple[Recipient, Notice]]:
        told: set[tuple[Recipient, Notice]] = set()
        known, by_match = set(self.known), {key: set(pairs) for key, pairs in self.supervised.items()}
        for key, match in self.matches.items():
            if match.youngster not in concerned:
                continue
            own = self.on(match.youngster, today)
            others = own if match.kind == "youngster" else self.contacts(match.youngster, today)
            for who in own:
                to = self.recipient(who, today)
                for other in others:
                    if other.reporter == who.reporter:
                        continue
                    if not any(
                        (r, w, k) == (to, who, match.kind) and c.reporter == other.reporter and self._running(c, today)
                        for r, w, c, k in known
                    ):
                        told.add((to, Notice("match", match.name)))
                    self.known.add((to, who, other, match.kind))
            shown = set(match.parties)
            if match.kind == "family":
                shown |= {c for c in others if any(o.reporter != c.reporter for o in own)}
            for municipality in match.supervisors:
                before = {one for m, one in by_match[key] if m == municipality}
                for one in shown:
                    begun = any(s.standing is one and s.held_since is None for s in self.signals)
                    if (begun or not before) and not any(
                        b.reporter == one.reporter and self._running(b, today) for b in before
                    ):
                        told.add((f"municipality {municipality}", Notice("match", match.name)))
                    self.supervised[key].add((municipality, one))
        return told

    def _settle(self, youngsters: set[int], dead: dict[int, datetime], today: date) -> None:
        there_were = [s for s in self.signals if s.attached and s.youngster in youngsters]
        for signal in there_were:
            if signal.ended is None and signal.removal > today:
                continue
            self.signals.remove(signal)
            self.work = [w for w in self.work if w is not signal]
            archived = self._archived(signal, there_were)
            died = signal.youngster in dead and signal.received <= dead[signal.youngster]
            if archived and archived.destroy_on > today and not died:
                self.archive.append(archived)
            else:
                self.destroyed.add(signal.number)
        for archived in list(self.archive):
            youngster = archived.signal.youngster
            if youngster in dead and archived.signal.received <= dead[youngster]:
                self.archive.remove(archived)
                self.destroyed.add(archived.signal.number)
        there = {s.standing for s in self.signals}
        self.handed_over = {s for s in self.handed_over if s in there or s.youngster not in youngsters}
        there |= self.handed_over
        self.known = {(to, a, b, k) for to, a, b, k in self.known if a in there and b in there}
        for key, pairs in self.supervised.items():
            self.supervised[key] = {(m, one) for m, one in pairs if one in there}
        self._forget_lines(youngsters)

    def _forget_lines(self, youngsters: set[int]) -> None:
        """A line goes with the last signal of its reader, live or archived, on that youngster (of an officer: of
        the institution), and with the archived signal that it is about (R16)."""
        there = [(s.youngster, s.reporter) for s in [*self.signals, *(a.signal for a in self.archive)] if s.attached]
        archived = {a.signal.number: a.signal.youngster for a in self.archive}
        for recipient, lines in self.inboxes.items():
            role, name = recipient.split()
            if role == "municipality":
                continue
            his = {y for y, r in there if name == (r if role == "reporter" else self.institution[r])}
            over = youngsters - his
            lines[:] = [
                line
                for line in lines
                if (
                    archived.get(line.about, -1) not in over and line.about not in self.destroyed
                    if line.kind == "archive"
                    else self.about[line.about] not in over
                )
            ]

    @staticmethod
    def _archived(signal: Signal, others: list[Signal]) -> Archived | None:
        """What the archive keeps of a signal that ended (R15, R16): shielded, if the party was so when it did (R36)."""
        two_years = signal.reason is None and signal.removal != signal.turns_23
        if signal.reason != "risk_gone" and not two_years:
            return None
        until = years_after(day_of(signal.ends), 5)
        shielded = any(
            o.shielded and o.begins <= signal.ends <= o.ends
            for o in others
            if (o.youngster, o.reporter) == (signal.youngster, signal.reporter)
        )
        return Archived(signal, signal.ends, min(until, signal.turns_23) if signal.turns_23 else until, shielded)

    def _of_archive(self, signal: Signal, today: date) -> set[tuple[Recipient, Notice]]:
        assert signal.standing
        return {
            (self.recipient(signal.standing, today), Notice("archive", a.signal.number))
            for a in self.archive
            if a.signal.youngster == signal.youngster
            and a.signal.reporter != signal.reporter
            and a.ended <= signal.received
            and a.destroy_on > today
            and not a.signal.restricted
        }


def alike(one: dict[Recipient, list[Notice]], other: dict[Recipient, list[Notice]]) -> bool:
    """Whether two sets of inboxes say the same, when each may name its matches in its own way."""

    def lines(inboxes: dict[Recipient, list[Notice]]) -> list[tuple[str, list[str]]]:
        by_subject: dict[tuple[str, int], list[str]] = defaultdict(list)
        for recipient, notices in inboxes.items():
            for notice in notices:
                subject = "archive" if notice.kind == "archive" else "match"
                by_subject[subject, notice.about].append(f"{notice.kind} to {recipient}")
        return sorted(
            (f"archive {about}" if subject == "archive" else subject, sorted(told))
            for (subject, about), told in by_subject.items()
        )

    return lines(one) == lines(other)


def names(standings: Iterable[Standing]) -> list[str]:
    """The reporters of these, sorted."""
    return sorted(one.reporter for one in standings)
