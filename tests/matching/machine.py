# SPDX-License-Identifier: EUPL-1.2
"""A play: people act by the API on a few youngsters, and a plain model is told the same (matching/model.py, views.py).

What is true is compared whenever no work is waiting; what somebody sees, at any moment.
"""

import itertools
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from followup.beside import Beside
from followup.model import FollowUp
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from matching import truth, views
from matching.model import Model, Notice, Signal, alike, day_of, years_after
from matching.stage import AGREEMENTS, DOMAINS, FOREVER, INSTITUTION, NO_PARENTS, OINS, PLACES, TOWN, Stage
from matching.views import Contact, Reader, Seen

NOTICES = """
SELECT n.kind, m.id AS match, n.archived_signal_id, n.reporter_id, n.municipality_code, n.officer_oin,
       n.coordinator_oin
FROM notice n LEFT JOIN match m ON m.id = n.match_id
"""
YOUNGSTERS, PARENTS = st.integers(0, 2), st.frozensets(st.integers(10, 12), max_size=2)
OF_OIN = {oin: name for name, oin in OINS.items()}
NAMES = {"Het Kompas": "school", "De Linde": "clinic", "Noord": "police"}
PEOPLE = (
    *(Reader("reporter", name) for name in INSTITUTION),
    *(Reader("coordinator", name) for name in NAMES.values()),
    *(Reader("officer", name) for name in NAMES.values()),
    *(Reader("supervisor", code) for code in PLACES),
)
BOTH = st.sampled_from(["reporter", "coordinator"])


class Life(RuleBasedStateMachine):
    """The index and the model side by side."""

    stage: Stage

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        crowd = data.draw(st.sampled_from(self.stage.crowds), "crowd")
        self.stage.begin(crowd)
        agreements = {one: dict.fromkeys(held, FOREVER) for one, held in AGREEMENTS.items()}
        self.model = Model(dict(INSTITUTION), agreements, frozenset({NO_PARENTS}))
        self.model.crowd = crowd
        self.ids: dict[int, UUID] = {}
        self.numbers = itertools.count(1)
        self.by_id = {id_: name for name, id_ in self.stage.reporters.items()}
        self.known = {**{f"Coördinator {n}": f"coordinator {i}" for n, i in NAMES.items()}}
        self.known |= {f"Functionaris {n}": f"officer {i}" for n, i in NAMES.items()}
        self.known |= {f"Toegangsteam {n}": f"team {code}" for code, n in PLACES.items()}
        names = self.stage.rows("SELECT id, name FROM reporter WHERE id = ANY(:ids)", ids=list(self.by_id))
        self.known |= {row.name: self.by_id[row.id] for row in names}
        self.follow_up = FollowUp(self.model, DOMAINS, in_person=views.IN_PERSON)
        self.beside = Beside(self.follow_up, self.stage.rows, self.by_id, OF_OIN, self._youngsters)

    def _youngsters(self) -> dict[UUID, int]:
        numbers = {id_: number for number, id_ in self.ids.items()}
        of = {s.number: s.youngster for s in self.model.signals}
        rows = self.stage.rows("SELECT id, youngster_id FROM signal WHERE youngster_id IS NOT NULL")
        return {row.youngster_id: of[numbers[row.id]] for row in rows}

    @property
    def today(self) -> date:
        return day_of(self.stage.now())

    @property
    def placed(self) -> list[Signal]:
        return [s for s in self.model.signals if self.model.placed(s, self.today)]

    def draw(self, data: st.DataObject) -> Signal:
        """One of those that are placed."""
        placed = {s.number: s for s in self.placed}
        return placed[data.draw(st.sampled_from(sorted(placed)), "signal")]

    def act(self, path: str, who: Reader, body: Any = None, expected: int = 201) -> Any:
        """Do it, and be answered as expected."""
        headers = self.stage.headers(who) | {"Idempotency-Key": str(uuid4())}
        status, answer = self.stage.ask("POST", path, headers, body)
        assert status == expected, answer
        return answer

    def acting(self, signal: Signal, by: str) -> Reader | None:
        """Who acts on a signal; None if that one may not."""
        institution = INSTITUTION[signal.reporter]
        if by == "coordinator":
            return Reader("coordinator", institution) if institution not in views.IN_PERSON else None
        return None if self.model.left(signal.reporter, self.today) else Reader("reporter", signal.reporter)

    def path(self, signal: Signal, act: str) -> str:
        return f"/signals/{self.ids[signal.number]}/{act}"

    @rule(
        youngster=YOUNGSTERS,
        reporter=st.sampled_from(sorted(INSTITUTION)),
        municipality=st.sampled_from(sorted(PLACES)),
        days=st.sampled_from([None, 3, 9, 900, 2000]),
        parents=PARENTS,
        shielded=st.sampled_from([False, False, True]),
        review=st.sampled_from([None, 5, 60]),
    )
    def signal(
        self,
        youngster: int,
        reporter: str,
        municipality: str,
        days: int | None,
        parents: frozenset[int],
        shielded: bool,
        review: int | None,
    ) -> None:
        self.stage.tick()
        today, made_at = self.today, self.stage.now().replace(microsecond=0)
        turns_23 = today + timedelta(days=days) if days else None
        removal = min(years_after(today, 2), turns_23 or years_after(today, 2))
        due = today + timedelta(days=review) if review else None
        informing = {"status": "informed", "on": today.isoformat(), "to": "both"}
        if due:
            informing = {"status": "postponed", "ground": "safety", "reviewDate": due.isoformat()}
        body = {
            "reporter": str(self.stage.reporters[reporter]),
            "pseudonym": self.stage.pseudonym(youngster),
            "parents": [self.stage.pseudonym(parent) for parent in sorted(parents)],
            "residenceMunicipality": municipality,
            "madeAt": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "removalDate": removal.isoformat(),
            "reasonableSuspicion": True,
            "informing": informing,
            "shielded": shielded,
        }
        if turns_23:
            body["turns23On"] = turns_23.isoformat()
        contract = self.model.agreement(reporter, municipality, today)
        allowed = contract and not (shielded and INSTITUTION[reporter] in views.IN_PERSON)
        allowed = allowed and not (parents and contract == NO_PARENTS)
        machine = self.stage.machine(OINS[INSTITUTION[reporter]]) | {"Idempotency-Key": str(uuid4())}
        status, answer = self.stage.ask("POST", "/signals", machine, body)
        assert status == (201 if allowed else 403), answer
        if contract and allowed:
            number = next(self.numbers)
            self.ids[number] = UUID(answer["id"])
            received = datetime.fromisoformat(answer["receivedAt"])
            signal = Signal(number, youngster, reporter, municipality, received, removal, turns_23, parents, shielded)
            signal.contract = contract
            signal.informing_due = min(due, views.a_month_after(today)) if due else None
            self.model.place(signal)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), by=BOTH, reason=st.sampled_from(["risk_gone", "risk_gone", "unjustified"]))
    def withdraw(self, data: st.DataObject, by: str, reason: str) -> None:
        self.stage.tick()
        signal = self.draw(data)
        if who := self.acting(signal, by):
            answer = self.act(self.path(signal, "withdrawal"), who, {"reason": reason})
            self.model.withdraw(signal, reason, datetime.fromisoformat(answer["endedAt"]))

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def restrict_or_lift(self, data: st.DataObject) -> None:
        self.stage.tick()
        signal = self.draw(data)
        restrict = not signal.restricted
        status, answer = self.stage.ask(
            "POST" if restrict else "DELETE",
            self.path(signal, "restriction"),
            self.stage.headers(Reader("desk", signal.contract)),
        )
        assert status == 200, answer
        self.model.restrict(signal, self.stage.now() if restrict else None)

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def uphold(self, data: st.DataObject) -> None:
        self.stage.tick()
        signal = self.draw(data)
        answer = self.act(self.path(signal, "destruction"), Reader("desk", signal.contract))
        self.model.withdraw(signal, "upheld_request", datetime.fromisoformat(answer["endedAt"]))

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        self.stage.tick()
        signal = self.draw(data)
        institution = INSTITUTION[signal.reporter]
        colleagues = [one for one, its in INSTITUTION.items() if its == institution and one != signal.reporter]
        if colleagues:
            [receiver] = colleagues
            contract = self.model.agreement(receiver, signal.municipality, self.today)
            body = {"to": str(self.stage.reporters[receiver])}
            coordinator = Reader("coordinator", institution)
            answer = self.act(self.path(signal, "handover"), coordinator, body, 201 if contract else 403)
            if contract:
                self.model.hand_over(signal, receiver, contract, datetime.fromisoformat(answer["handedOverAt"]))

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), to=st.sampled_from(sorted(PLACES)), by=BOTH)
    def move(self, data: st.DataObject, to: str, by: str) -> None:
        self.stage.tick()
        signal = self.draw(data)
        if who := self.acting(signal, by):
            answer = self.act(self.path(signal, "move"), who, {"residenceMunicipality": to})
            self.model.move(signal, to, signal.reporter, datetime.fromisoformat(answer["toldAt"]))

    @rule(data=st.data(), supervisor=st.sampled_from(sorted(PLACES)), to=st.sampled_from(sorted(PLACES)))
    def move_by_supervisor(self, data: st.DataObject, supervisor: str, to: str) -> None:
        who = Reader("supervisor", supervisor)
        _, listed = self.stage.ask("GET", "/matches", self.stage.headers(who))
        if listed["items"]:
            self.stage.tick()
            match = data.draw(st.sampled_from(listed["items"]), "match")
            answer = self.act(f"/matches/{match['id']}/move", who, {"residenceMunicipality": to})
            [row] = self.stage.rows("SELECT signal_id FROM move ORDER BY told_at DESC LIMIT 1")
            signals = {self.ids[s.number]: s for s in self.model.signals}
            self.model.move(signals[row.signal_id], to, None, datetime.fromisoformat(answer["toldAt"]))

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), by=BOTH)
    def inform(self, data: st.DataObject, by: str) -> None:
        signal = self.draw(data)
        body = {"informing": {"status": "informed", "on": self.today.isoformat(), "ageGroup": "12_to_15"}}
        if who := self.acting(signal, by):
            self.act(self.path(signal, "informing"), who, body, 201 if signal.informing_due else 409)
            signal.informing_due = None

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), act=st.sampled_from(["withdrawal", "move"]))
    def too_late(self, data: st.DataObject, act: str) -> None:
        """What ended is not there any more, for whoever acts (R13)."""
        number = data.draw(st.sampled_from(sorted(self.ids)), "signal")
        holder = next((s.reporter for s in self.placed if s.number == number), None)
        by = data.draw(st.sampled_from(sorted(INSTITUTION)), "by")
        if holder != by and not self.model.left(by, self.today):
            body = {"reason": "risk_gone"} if act == "withdrawal" else {"residenceMunicipality": "1701"}
            self.act(f"/signals/{self.ids[number]}/{act}", Reader("reporter", by), body, 404)

    @precondition(lambda self: len(self.placed) > 3)
    @rule(youngster=YOUNGSTERS)
    def die(self, youngster: int) -> None:
        self.stage.tick()
        told = {"pseudonym": self.stage.pseudonym(youngster)}
        machine = self.stage.machine(TOWN) | {"Idempotency-Key": str(uuid4())}
        status, answer = self.stage.ask("POST", "/deaths", machine, told)
        assert status == 202, answer
        self.model.die(youngster, datetime.fromisoformat(answer["receivedAt"]))

    @rule(reporter=st.sampled_from(sorted(INSTITUTION)))
    def leave_or_return(self, reporter: str) -> None:
        """The last day was yesterday, or one is designated again."""
        last_day = None if reporter in self.model.last_days else self.today - timedelta(days=1)
        self.stage.leave(reporter, last_day)
        if last_day:
            self.model.last_days[reporter] = last_day
        else:
            del self.model.last_days[reporter]

    @rule(institution=st.sampled_from(sorted(AGREEMENTS)), data=st.data())
    def end_or_renew_agreement(self, institution: str, data: st.DataObject) -> None:
        municipality = data.draw(st.sampled_from(AGREEMENTS[institution]), "with")
        held = self.model.agreements[institution]
        held[municipality] = FOREVER if held[municipality] < self.today else self.today - timedelta(days=1)
        self.stage.end_agreement(institution, municipality, held[municipality])

    @rule(size=st.sampled_from([500, 1, 2]))
    def run(self, size: int) -> None:
        self.stage.run(size)
        self.model.run(self.stage.now(), size)
        self.beside.after_a_run(self.today)

    @rule(days=st.sampled_from([0, 1, 5, 9]))
    def clock(self, days: int) -> None:
        """The day's clock of follow-up (R21), after some days; once more does nothing."""
        self.run(500)
        self.stage.wait(days=days)
        steps = self.follow_up.tick(self.today)
        assert self.stage.clock() == len(steps)
        assert self.stage.clock() == 0
        self.run(500)

    @rule(
        data=st.data(),
        who=st.sampled_from(sorted(INSTITUTION)),
        act=st.sampled_from(
            ["contact", "coordination", "closing", "together", "accept", "accept", "decline", "hand over"]
        ),
    )
    def follow(self, data: st.DataObject, who: str, act: str) -> None:
        """A party does something in a match that it sees: done, or refused and nothing changed (R21, R22)."""
        self.run(500)
        if self.model.left(who, self.today):
            return
        headers = self.stage.headers(Reader("reporter", who))
        _, listed = self.stage.ask("GET", "/matches?limit=200", headers)
        if not listed["items"]:
            return
        self.stage.tick()
        match = UUID(data.draw(st.sampled_from(sorted(one["id"] for one in listed["items"])), "match"))
        name, model, today = self.beside.known[match], self.follow_up, self.today
        path, body, done = act, None, False
        if act == "contact":
            body, done = {"contactedOn": today.isoformat()}, model.move(name, "record_contact", today, today)
        elif act == "coordination":
            done = model.move(name, "coordinate", today)
        elif act == "closing":
            body, done = {"outcome": "joint_plan"}, model.move(name, "close", today, outcome="joint_plan")
        elif act == "together":
            if not model.rounds[name][-1].runs:
                return
            path, body = "closing", {"outcome": "already_together"}
            done = model.move(name, "close_at_once", today, outcome="already_together")
            model.mute(name, who, today)
        elif act == "hand over":
            _, read = self.stage.ask("GET", f"/matches/{match}", headers)
            model.see(name)
            named = {self.known[one["name"]]: one["contact"] for one in read["parties"] if one["shownAs"] == "reporter"}
            if not named:
                return
            to = data.draw(st.sampled_from(sorted(named)), "to")
            path, body = "lead-handover", {"to": named[to]}
            done = model.hand_over(name, who, to, today)
        else:
            path, body, done = "lead-answer", {"answer": act}, model.answer(name, who, act, today)
        headers |= {"Idempotency-Key": str(uuid4())}
        status, answer = self.stage.ask("POST", f"/matches/{match}/{path}", headers, body)
        assert status == (201 if done else 409), answer
        self.run(500)
        self.beside.compare()

    @rule(by=st.sampled_from([{"days": 4}, {"days": 1}, {"seconds": 90}, {"days": 731}, {"days": 1900}]))
    def wait(self, by: dict[str, float]) -> None:
        self.stage.wait(**by)

    @rule(who=st.sampled_from(PEOPLE))
    def look(self, who: Reader) -> None:
        """What somebody sees at this moment, whatever work is waiting (I6)."""
        headers = self.stage.headers(who)
        if who.role == "reporter" and self.model.left(who.of, self.today):
            assert self.stage.ask("GET", "/matches", headers)[0] == 403
            return
        assert self._matches(headers, sees=who.role != "supervisor") == views.matches(self.model, who, self.today)
        _, lines = self.stage.ask("GET", "/notices?limit=200", headers)
        assert Counter(line["kind"] for line in lines["items"]) == views.inbox(self.model, who, self.today)
        if who.role != "supervisor":
            expected = views.archived(self.model, who, self.today)
            for one in self.model.archive:
                status, answer = self.stage.ask("GET", f"/archived-signals/{self.ids[one.signal.number]}", headers)
                found = self._contact(answer) if status == 200 else None
                assert found == expected.get(one.signal.number)
        if who.role in ("reporter", "coordinator"):
            self._own_lists(who, headers)

    def _own_lists(self, who: Reader, headers: dict[str, str]) -> None:
        numbers = {str(id_): number for number, id_ in self.ids.items()}

        def listed(path: str) -> dict[int, Any]:
            status, answer = self.stage.ask("GET", path, headers)
            assert status == 200, answer
            return {numbers[one["id"]]: one for one in answer["items"]}

        placed, own = views.signals(self.model, who, self.today), listed("/signals?limit=200")
        assert {n: (one["residenceMunicipality"], self.by_id[UUID(one["reporter"])]) for n, one in own.items()} == {
            s.number: (s.municipality, s.reporter) for s in placed
        }
        overdue = listed("/signals?limit=200&informing=overdue")
        assert set(overdue) == {s.number for s in placed if views.is_overdue(s, self.today)}
        if who.role == "coordinator":
            orphans = {s.number: causes for s in placed if (causes := views.orphaned(self.model, s, self.today))}
            found = listed("/orphaned-signals?limit=200")
            assert {number: set(one["causes"]) for number, one in found.items()} == orphans

    def _matches(self, headers: dict[str, str], *, sees: bool) -> list[Seen]:
        _, listed = self.stage.ask("GET", "/matches?limit=200", headers)
        numbers = {str(id_): number for number, id_ in self.ids.items()}
        seen = []
        for line in listed["items"]:
            status, match = self.stage.ask("GET", f"/matches/{line['id']}", headers)
            assert (status, match["kind"]) == (200, line["kind"])
            if sees:
                self.follow_up.see(self.beside.known[UUID(line["id"])])
            own = tuple(sorted(numbers[one["id"]] for one in match["ownSignals"]))
            places = tuple(sorted({point["municipality"] for point in match["contactPoints"]}))
            contacts = tuple(sorted(self._contact(party) for party in match["parties"]))
            seen.append(Seen(match["kind"], contacts, own, places))
        return sorted(seen)

    def _contact(self, party: dict[str, Any]) -> Contact:
        return Contact(
            party.get("concerns", ""),
            party["shownAs"],
            NAMES.get(party.get("institution", ""), ""),
            self.known[party["name"]] if "name" in party else "",
            tuple(sorted(self.known[one["name"]] for one in party["standIns"])),
        )

    @rule()
    def compare(self) -> None:
        """When no work is waiting: what was told, matches with parties and supervisors, the archive, every view."""
        while self.model.work:
            self.run(500)
        self.run(500)
        rows = self.stage.rows
        assert rows("SELECT FROM work") == []
        assert {row.id for row in rows("SELECT id FROM signal")} == {self.ids[s.number] for s in self.model.signals}
        numbers = {signal: number for number, signal in self.ids.items()}
        archived = rows("SELECT id, destroy_on, ended_at FROM archived_signal")
        assert sorted((numbers[row.id], row.destroy_on, row.ended_at) for row in archived) == sorted(
            (a.signal.number, a.destroy_on, a.ended) for a in self.model.archive
        )
        assert {numbers[row.signal_id] for row in rows("SELECT signal_id FROM tombstone")} == self.model.destroyed
        self._compare_matches()
        told: dict[str, list[Notice]] = defaultdict(list)
        names: dict[Any, int] = {}
        for row in rows(NOTICES):
            about = (
                numbers[row.archived_signal_id] if row.kind == "archive" else names.setdefault(row.match, len(names))
            )
            told[self._recipient(row)].append(Notice(row.kind, about))
        assert alike(told, self.model.inboxes), (dict(told), dict(self.model.inboxes))
        self.beside.compare()
        self._nothing_is_left()

    def _compare_matches(self) -> None:
        found: dict[Any, tuple[str, set[str], set[str]]] = {}
        for row in self.stage.rows(
            "SELECT m.id, m.kind, p.reporter_id FROM match m JOIN party p ON p.match_id = m.id"
            " WHERE m.ended_at IS NULL AND p.left_at IS NULL"
        ):
            found.setdefault(row.id, (row.kind, set(), set()))[1].add(self.by_id[row.reporter_id])
        for row in self.stage.rows(
            "SELECT m.id, m.kind, v.municipality_code FROM match m JOIN supervision v ON v.match_id = m.id"
            " WHERE v.left_at IS NULL"
        ):
            found[row.id][2].add(row.municipality_code)
        expected = [
            (m.kind, sorted(one.reporter for one in m.parties), sorted(m.supervisors))
            for m in self.model.matches.values()
        ]
        assert sorted((kind, sorted(p), sorted(v)) for kind, p, v in found.values()) == sorted(expected)
        [pairs] = self.stage.rows("SELECT count(*) AS n FROM family_match WHERE ended_at IS NULL")
        assert pairs.n == len(self.model.pairs)

    def _nothing_is_left(self) -> None:
        """No row that stands for nothing (R10, R15)."""
        [left] = self.stage.rows(truth.LEFT_OVER)
        assert set(left._mapping.values()) == {0}, left

    def _recipient(self, row: Any) -> str:
        if row.reporter_id:
            return f"reporter {self.by_id[row.reporter_id]}"
        if row.municipality_code:
            return f"municipality {row.municipality_code}"
        role = "officer" if row.officer_oin else "coordinator"
        return f"{role} {OF_OIN[row.officer_oin or row.coordinator_oin]}"

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.compare()
            for who in PEOPLE:
                self.look(who)
