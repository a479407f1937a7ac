# SPDX-License-Identifier: EUPL-1.2
"""A year of people: they signal, read, call each other, lead or will not, and leave; some never read anything. All by
the API, beside the plain model (followup.model)."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from followup.beside import Beside
from followup.model import FollowUp, works
from matching.model import Model, Signal, day_of, years_after
from support import ADMINISTRATOR, DORDRECHT, STEIN, WESTERVELD, Index, pseudonym

from verwijsindex.followup.clock import Ticked, tick
from verwijsindex.matching.service import LOCK_TRIED, match_waiting
from verwijsindex.notices.mail_form import Form
from verwijsindex.notices.mail_server import Handed
from verwijsindex.notices.mailer import Mailer
from verwijsindex.registry import schemas
from verwijsindex.registry import service as registry

CATEGORIES = (
    "primary_education", "mental_health_care", "police", "youth_care_provider", "veilig_thuis",
    "youth_health_care", "social_support_provider", "vocational_education", "addiction_care", "municipal_credit_bank",
)  # fmt: skip
PLACES = (WESTERVELD, DORDRECHT, STEIN)
WITHIN = {DORDRECHT: (3, 8), STEIN: (8, 15)}
_STEPS = (
    "SELECT CAST(convert_from(body, 'UTF8') AS json) ->> 'matchId' AS match,"
    " CAST(convert_from(body, 'UTF8') AS json) ->> 'told' AS step, at FROM event"
    " WHERE kind = 'follow_up.step_done'"
)
# Of each notice that is mailed at once: a mail to its reader that was made at the next tick. For who left it is the
# coordinator, who gets one mail for all that is told to whom it stands for.
_DELAYED = """
SELECT n.id, n.kind, n.placed_at FROM notice n JOIN reporter r ON r.id = n.reporter_id WHERE NOT n.quiet
AND NOT EXISTS (SELECT FROM mail_preference p WHERE p.reporter_id = n.reporter_id AND p.digest)
AND NOT EXISTS (SELECT FROM mail m WHERE m.sent_at IS NOT NULL
    AND m.made_at BETWEEN n.placed_at AND n.placed_at + interval '1 minute'
    AND CASE WHEN r.designated_until < CAST(n.placed_at AT TIME ZONE 'Europe/Amsterdam' AS date)
        THEN m.person_id IN (SELECT c.id FROM coordinator c WHERE c.oin = r.oin)
        ELSE m.reporter_id = n.reporter_id AND m.recipient = 'reporter' END)
"""


class Post:
    """A mail server that takes everything, and knows how many mails an address got."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()

    def hand_over(self, message: EmailMessage, address: str) -> Handed:
        self.got[address] += 1
        return Handed("taken")

    def close(self) -> None:
        pass


@dataclass
class Person:
    """A reporter: how soon this one reads (the chance of each working day), and what this one says about a lead."""

    name: str
    id: UUID
    oin: str
    reads: float
    leads: float
    seen: set[UUID] = field(default_factory=set)


class Year:
    """The index in this process, its people, and the model.

    Args:
        youngsters: how many are signalled in the year, by about 2.5 reporters each.
        quiet: whether what people said to work on together (R23) is kept; without, to compare the mails.
    """

    def __init__(
        self, index: Index, seed: int, youngsters: int, institutions: int, reporters: int, *, quiet: bool = True
    ) -> None:
        self.index, self.chance, self.quiet = index, random.Random(seed), quiet  # noqa: S311 (repeatable)
        self.people: list[Person] = []
        self.oins: dict[str, str] = {}
        self.post = Post()
        self._register(institutions, reporters)
        self.of = {person.name: person for person in self.people}
        agreements = {name: dict.fromkeys(PLACES, date(2100, 1, 1)) for name in self.oins.values()}
        self.model = Model({p.name: self.oins[p.oin] for p in self.people}, agreements)
        self.follow_up = FollowUp(self.model, self.domains, WITHIN)
        self.ids: dict[UUID, Signal] = {}
        self.numbers: dict[UUID, int] = {}
        self._attached: set[int] = set()
        self.beside = Beside(
            self.follow_up, index.database.rows, {p.id: p.name for p in self.people}, self.oins, self._youngsters
        )
        self.steps: Counter[tuple[int, str, date]] = Counter()
        self.acts: Counter[str] = Counter()
        self.mailer = Mailer(
            index.database.engine("worker"),
            self.post,  # type: ignore[arg-type]
            Form(index.app.extensions["index_keys"], "https://index.test", "https://index.test", "x@example.org"),
            index.clock,
        )
        self.plan = self._signals(youngsters)

    def _register(self, institutions: int, reporters: int) -> None:
        database, today = self.index.database, self.index.clock().date()
        self.domains: dict[str, str] = {}
        domain = {row.code: row.domain for row in database.rows("SELECT code, domain FROM category")}
        with database.engine("registrar").begin() as connection:

            def add(entry: schemas.Entry) -> Any:
                return registry.add(connection, ADMINISTRATOR, self.index.clock(), entry)

            for n in range(institutions):
                oin, category = f"{n + 1000:020}", CATEGORIES[n % len(CATEGORIES)]
                self.oins[oin] = f"institution-{n}"
                self.domains[f"institution-{n}"] = domain[category]
                add(schemas.InstitutionEntry(oin=oin, name=f"Instelling {n}", category_code=category))
                for code in PLACES:
                    add(
                        schemas.AgreementEntry(
                            oin=oin,
                            municipality_code=code,
                            valid_from=today,
                            valid_until=date(2100, 1, 1),
                            may_send_parents=True,
                        )
                    )
                of = {"telephone": "0612345678", "oin": oin}
                add(schemas.CoordinatorEntry(name=f"C{n}", email=f"coordinator-{n}@example.org", **of))
                add(schemas.NamedOfficerEntry(name=f"F{n}", email=f"officer-{n}@example.org", **of))
                for r in range(reporters):
                    name = f"reporter-{n}-{r}"
                    entry = schemas.ReporterEntry(
                        name=name, email=f"{name}@example.org", position="x", designated_from=today, **of
                    )
                    reads = self.chance.choice([0.5, 0.25, 0.1, 0.03, 0.01])
                    leads = self.chance.choice([0.9, 0.6, 0.2])
                    self.people.append(Person(name, add(entry).id, oin, reads, leads))
        with database.superuser.begin() as connection:
            for code, (contact, coordination) in WITHIN.items():
                connection.execute(
                    sa.text(
                        "UPDATE municipality SET contact_within_days = :contact,"
                        " coordination_within_days = :coordination WHERE code = :code"
                    ),
                    {"code": code, "contact": contact, "coordination": coordination},
                )
            for person in self.people:
                if self.chance.random() < 0.15:
                    connection.execute(
                        sa.text(
                            "INSERT INTO mail_preference (id, reporter_id, digest, digest_at, chosen_at)"
                            " VALUES (gen_random_uuid(), :id, true, '07:00', :now)"
                        ),
                        {"id": person.id, "now": self.index.clock()},
                    )

    def _signals(self, youngsters: int) -> dict[int, list[tuple[int, Person, str, tuple[int, ...], bool]]]:
        """Of each day, who signals whom: one to four on a youngster, and one sixth of them have siblings."""
        plan: dict[int, list[tuple[int, Person, str, tuple[int, ...], bool]]] = {}
        for youngster in range(youngsters):
            first, family = self.chance.randrange(300), youngster // 3
            a, b = 5000 + family, 6000 + family
            parents = ((a,), (a, b), (b,))[youngster % 3] if family % 12 == 0 else (a, b) if family % 12 == 6 else ()
            place = self.chance.choice(PLACES)
            team = self.chance.sample(self.people, self.chance.choice([1, 2, 2, 2, 3, 3, 4]))
            for n, person in enumerate(team):
                day = first + (self.chance.randrange(60) if n else 0)
                shielded = self.chance.random() < 0.03
                where = place if self.chance.random() < 0.95 else self.chance.choice(PLACES)
                plan.setdefault(day, []).append((youngster, person, where, parents, shielded))
        return plan

    @property
    def today(self) -> date:
        return day_of(self.index.clock())

    def _youngsters(self) -> dict[UUID, int]:
        missing = [id_ for id_, signal in self.ids.items() if signal.attached and signal.number not in self._attached]
        if missing:
            for row in self.index.database.rows(
                "SELECT id, youngster_id FROM signal WHERE id = ANY(:ids) AND youngster_id IS NOT NULL", ids=missing
            ):
                self.numbers[row.youngster_id] = self.ids[row.id].youngster
            self._attached |= {self.ids[id_].number for id_ in missing}
        return self.numbers

    def figures(self) -> dict[str, float]:
        """What came of it: of how many matches contact was recorded, and the mails for each reporter."""
        rounds = self.follow_up.rounds.values()
        met = sum(any(one.contacted_on or one.outcome for one in of) for of in rounds)
        mails = sorted(self.post.got[f"{person.name}@example.org"] for person in self.people)
        return {
            "matches": len(rounds),
            "rounds": sum(map(len, rounds)),
            "followed up, %": round(100 * met / len(rounds), 1),
            "steps after a missed deadline": sum(self.steps.values()),
            "acts": sum(self.acts.values()),
            "notices": self.index.database.scalar("SELECT count(*) FROM notice WHERE reporter_id IS NOT NULL"),
            "of them quiet": self.index.database.scalar("SELECT count(*) FROM notice WHERE quiet"),
            "mails to a reporter: mean": round(sum(mails) / len(mails), 1),
            "mails to a reporter: nine of ten at most": mails[len(mails) * 9 // 10],
            "mails to a reporter: most": mails[-1],
        }

    # A day.

    def day(self, number: int) -> None:
        """Morning, what people do, and the clock, if it is up."""
        self._leave()
        self.number = number
        for one in self.plan.get(number, ()):
            self.signal(*one)
        self.run()
        if works(self.today):
            for person in self.people:
                if not self.model.left(person.name, self.today) and self.chance.random() < person.reads:
                    self.read(person)
            self.run()
        self._withdraw()
        self.run()
        if self.chance.random() < 0.8:
            self.tick()
        self.mail()
        self.beside.compare()

    def tick(self) -> None:
        """The clock, by one process or by two at once, and once more."""
        expected = self.follow_up.tick(self.today)
        pool, now = self.index.database.engine("worker"), self.index.clock()

        def one(_: int) -> int:
            done, more = 0, True
            while more:
                ticked = tick(
                    pool, now, now + timedelta(minutes=1), lock=LOCK_TRIED, size=self.chance.choice([500, 25])
                )
                done, more = done + ticked.steps, ticked.more
            return done

        if self.chance.random() < 0.3:
            with ThreadPoolExecutor(2) as two:
                done = sum(two.map(one, range(2)))
        else:
            done = one(0)
        assert done == len(expected), (done, expected)
        for match, step in expected:
            self.steps[match, step, self.today] += 1
        self.run()
        assert one(0) == 0, "a step came twice"
        self.run()
        assert tick(pool, now, now, lock=LOCK_TRIED) == Ticked(0, 0, 0, 0, more=False), "it never comes to rest"

    def run(self) -> None:
        """The matcher, until no work is waiting; and a minute later the mail goes."""
        keys, pool = self.index.app.extensions["index_keys"], self.index.database.engine("worker")
        now = self.index.clock()
        waiting = [self.ids[row.signal_id] for row in self.index.database.rows("SELECT signal_id FROM work")]
        assert {s.youngster for s in self.model.work} <= {s.youngster for s in waiting}, "nobody would look there"
        if waiting:
            self.model.work = waiting  # the clock may have asked in two parts, and at more than it had to
            while match_waiting(pool, now, now + timedelta(minutes=1), keys=keys, size=10**6).more:
                pass
            self.model.run(now, 10**6)
            self.beside.after_a_run(self.today)
            self.mail()

    def mail(self) -> None:
        """What is due at the next tick."""
        self.index.clock.move(minutes=1)
        self.mailer.send_due()

    # What people do.

    def signal(self, youngster: int, person: Person, place: str, parents: tuple[int, ...], shielded: bool) -> None:
        if self.model.left(person.name, self.today):
            return
        self.index.clock.move(seconds=1)
        removal = years_after(self.today, 2)
        body = self.index.signal(youngster) | {
            "reporter": str(person.id),
            "residenceMunicipality": place,
            "shielded": shielded,
            "parents": [{"keyVersion": 1, "value": pseudonym(p, "parent").to_text()} for p in parents],
        }
        answer = self.index.post(body, person.oin)
        assert answer.status_code == 201, answer.text
        received = datetime.fromisoformat(answer.json["receivedAt"])
        number = len(self.ids) + 1
        signal = Signal(number, youngster, person.name, place, received, removal, None, frozenset(parents), shielded)
        self.ids[UUID(answer.json["id"])] = signal
        self.model.place(signal)

    def _leave(self) -> None:
        """Somebody leaves, or is there again."""
        if self.chance.random() < 0.02:
            person = self.chance.choice(self.people)
            last = None if person.name in self.model.last_days else self.today - timedelta(days=1)
            with self.index.database.superuser.begin() as connection:
                connection.execute(
                    sa.text(
                        "UPDATE reporter SET designated_from = least(designated_from, :last),"
                        " designated_until = :last WHERE id = :id"
                    ),
                    {"id": person.id, "last": last},
                )
            if last:
                self.model.last_days[person.name] = last
            else:
                del self.model.last_days[person.name]

    def _withdraw(self) -> None:
        for id_, signal in list(self.ids.items()):
            if self.chance.random() < 0.0015 and self.model.placed(signal, self.today):
                self.index.clock.move(seconds=1)
                person = self.of[signal.reporter]
                if self.model.left(person.name, self.today) or signal not in self.model.signals:
                    continue
                headers = self.index.machine(person.oin) | {"On-Behalf-Of": str(person.id)}
                answer = self.index.act(f"/signals/{id_}/withdrawal", {"reason": "risk_gone"}, headers)
                assert answer.status_code == 201, answer.text
                self.model.withdraw(signal, "risk_gone", datetime.fromisoformat(answer.json["endedAt"]))
                if self.chance.random() < 0.6:  # it was not gone
                    again = (
                        signal.youngster,
                        person,
                        signal.municipality,
                        tuple(sorted(signal.parents)),
                        signal.shielded,
                    )
                    self.plan.setdefault(self.number + 1 + self.chance.randrange(30), []).append(again)

    def read(self, person: Person) -> None:
        """Look at all that is there, and do something about a match or two."""
        headers = self.index.machine(person.oin) | {"On-Behalf-Of": str(person.id)}
        for match in self._mine(person):
            if self.chance.random() < 0.5:
                continue
            name = self.beside.known[match]
            last = self.follow_up.rounds[name][-1]
            led = self.follow_up.leads[name]
            asked = led.reporter == person.name and not led.accepted
            if last.state == "closed" and not asked:
                continue
            self.index.clock.move(seconds=1)
            if last.state == "notified" or self.chance.random() < 0.1:
                answer = self.index.get(f"/matches/{match}", headers)
                assert answer.status_code == 200, answer.text
                self.follow_up.see(name)
            self.do(person, match, name, headers)

    def _mine(self, person: Person) -> list[UUID]:
        """The open matches that this person reads; a shielded party's are the named officer's."""
        mine = []
        opened = self.follow_up.open()
        for match, name in sorted(self.beside.known.items(), key=lambda one: one[1]):
            if name not in opened:
                continue
            one = opened[name]
            if any(party.reporter == person.name for party in one.parties) and not self.model.shielded(
                one.youngster, person.name, self.today
            ):
                shown = self.follow_up.shown(one, self.today)
                if {s.reporter for s in shown} - {person.name}:
                    mine.append(match)
        return mine

    def do(self, person: Person, match: UUID, name: int, headers: dict[str, str]) -> None:
        """Answer who asks, call the others, go on; or do what cannot be done now."""
        follow_up, today, chance = self.follow_up, self.today, self.chance
        last, led = follow_up.rounds[name][-1], follow_up.leads[name]
        what = chance.choices(["as it should be", "already_together", "anything", "nothing"], [60, 9, 6, 25])[0]
        if what == "already_together":
            if not last.runs:
                return None
            done = follow_up.move(name, "close_at_once", today, outcome=what)
            follow_up.mute(name, person.name, today)
            self.act(match, "closing", {"outcome": what}, headers, done)
            if not self.quiet:
                with self.index.database.superuser.begin() as connection:
                    connection.execute(sa.text("DELETE FROM mute"))
            return None
        if what == "anything":
            act = chance.choice(["coordination", "closing", "lead-handover", "contact", "lead-answer"])
        elif (led.reporter == person.name and not led.accepted) or (
            led.reporter is None and chance.random() < person.leads / 2
        ):
            act = "lead-answer"
        elif led.reporter == person.name and led.accepted and chance.random() < 0.05:
            act = "lead-handover"
        elif last.state in ("notified", "seen"):
            act = "contact"
        else:
            act = "coordination" if last.state == "lead_agreed" else "closing"
        if what == "nothing":
            return None
        if act == "contact":
            on = max(self.beside.opened[name], today - timedelta(days=chance.randrange(3)))
            done = follow_up.move(name, "record_contact", today, contacted_on=on)
            return self.act(match, act, {"contactedOn": on.isoformat()}, headers, done)
        if act == "coordination":
            return self.act(match, act, None, headers, follow_up.move(name, "coordinate", today))
        if act == "closing":
            outcome = chance.choice(["joint_plan", "no_joint_plan_needed", "passed_on"])
            done = follow_up.move(name, "close", today, outcome=outcome)
            return self.act(match, act, {"outcome": outcome}, headers, done)
        if act == "lead-answer":
            says = "accept" if chance.random() < person.leads else "decline"
            body = {"answer": says} | ({"reason": "no_capacity"} if says == "decline" else {})
            return self.act(match, act, body, headers, follow_up.answer(name, person.name, says, today))
        parties = self.index.get(f"/matches/{match}", headers).json["parties"]
        follow_up.see(name)
        shown = [party for party in parties if party["shownAs"] == "reporter"]
        if not shown:
            return None
        to = chance.choice(sorted(shown, key=lambda party: str(party["name"])))
        done = follow_up.hand_over(name, person.name, to["name"], today)
        return self.act(match, act, {"to": to["contact"]}, headers, done)

    def act(self, match: UUID, act: str, body: Any, headers: dict[str, str], possible: bool) -> None:
        answer = self.index.act(f"/matches/{match}/{act}", body, headers)
        assert answer.status_code == (201 if possible else 409), (act, body, answer.text)
        self.acts[f"{act} {answer.status_code}"] += 1
