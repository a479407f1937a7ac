# SPDX-License-Identifier: EUPL-1.2
"""What is done with placed signals under fire: withdrawn, restricted, handed over, moved, deaths that are told, and
what parties do in their matches.

Each is sent until it has its answer, with the same idempotency key, whatever becomes of the services meanwhile.
"""

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from support import ADMINISTRATOR, DORDRECHT, STEIN, WESTERVELD
from system.fire.load import Load
from system.world import INSTITUTIONS, Reporter, System

from verwijsindex.access.caller import SCOPES, PersonRole
from verwijsindex.issuer.signing import Terms
from verwijsindex.registry import schemas
from verwijsindex.registry import service as registry
from verwijsindex.signals.dates import amsterdam_date

TOWN = "00000001701000000000"


FOLLOWING: tuple[tuple[str, Any], ...] = (
    ("contact", None),
    ("lead-answer", {"answer": "accept"}),
    ("lead-answer", {"answer": "accept"}),
    ("lead-answer", {"answer": "decline", "reason": "no_capacity"}),
    ("coordination", None),
    ("closing", {"outcome": "joint_plan"}),
)


class Actors:
    """A coordinator of each institution, a rights desk and a municipality, and what they did.

    `ended`: how often each signal was answered to have ended. `withdrawn`: how many of those were withdrawals.
    `followed`: how many acts of follow-up were answered 201, of each kind.
    """

    def __init__(self, system: System, load: Load, reporters: list[Reporter], seed: int) -> None:
        self.system, self.load, self.reporters = system, load, reporters
        self._chance = random.Random(f"{seed} acts")  # noqa: S311 (repeatable)
        self.ended: Counter[UUID] = Counter()
        self.withdrawn = 0
        self.followed: Counter[str] = Counter()
        now, person = datetime.now(UTC), {"name": "X", "telephone": "0612345678", "email": "x@example.org"}
        with system._registrar.begin() as connection:
            registry.set_oin(connection, ADMINISTRATOR, now, schemas.MunicipalityOin(code=WESTERVELD, oin=TOWN))
            self._people: dict[str, UUID] = {
                oin: registry.add(connection, ADMINISTRATOR, now, schemas.CoordinatorEntry(oin=oin, **person)).id
                for oin in INSTITUTIONS
            }
            desk = schemas.RightsDeskOfficerEntry(municipality_code=WESTERVELD, **person)
            self._people[WESTERVELD] = registry.add(connection, ADMINISTRATOR, now, desk).id

    def __call__(self) -> None:
        """One act of somebody, if there is anything to act on."""
        chance = self._chance
        placed = [one for number, one in self.load.placed.copy().items() if number >= 0]
        if not placed:
            return
        signal = chance.choice(placed[-60:])
        oin = next(one.oin for one in self.reporters if one.id == signal.reporter)
        what = chance.choices(
            ["withdrawal", "restriction", "handover", "move", "death", "follow-up"], [8, 4, 4, 3, 1, 20]
        )[0]
        path, coordinator = f"/signals/{signal.id}/{what}", self._person("coordinator", oin)
        if what == "follow-up":
            self._follow(signal.reporter, oin)
        elif what == "withdrawal":
            body = {"reason": chance.choice(["risk_gone", "unjustified"])}
            status = self._until_answered("POST", path, coordinator, body, {201, 404})
            self.ended[signal.id] += status == 201
            self.withdrawn += status == 201
        elif what == "restriction":
            desk = self._person("rights_desk", WESTERVELD)
            self._until_answered(chance.choice(["POST", "DELETE"]), path, desk, None, {200, 404})
        elif what == "handover":
            to = chance.choice([one for one in self.reporters if one.oin == oin])
            self._until_answered("POST", path, coordinator, {"to": str(to.id)}, {201, 400, 404})
        elif what == "move":
            body = {"residenceMunicipality": chance.choice([WESTERVELD, DORDRECHT, STEIN])}
            self._until_answered("POST", path, coordinator, body, {201, 404})
        else:
            dead = {"pseudonym": {"keyVersion": 1, "value": self.system.pseudonym(signal.youngster).to_text()}}
            self._until_answered("POST", "/deaths", self.system.headers(TOWN), dead, {202})

    def _follow(self, reporter: UUID, oin: str) -> None:
        """A party does something in one of its matches (R21, R22); what is answered 201 is counted."""
        headers = self.system.headers(oin) | {"On-Behalf-Of": str(reporter)}
        try:
            listed = self.system.http.get("/api/v1/matches?limit=20", headers=headers)
        except httpx.TransportError:
            return
        if listed.status_code != 200 or not listed.json()["items"]:
            return
        match = self._chance.choice(listed.json()["items"])["id"]
        act, body = self._chance.choice(FOLLOWING)
        body = {"contactedOn": amsterdam_date(datetime.now(UTC)).isoformat()} if act == "contact" else body
        status = self._until_answered("POST", f"/matches/{match}/{act}", headers, body, {201, 404, 409})
        self.followed[act] += status == 201

    def _person(self, role: PersonRole, of: str) -> dict[str, str]:
        terms = Terms(self.system.stack.index, SCOPES[role], timedelta(minutes=55))
        token = self.system.signer.person_token(role, self._people[of], of, "console", terms, datetime.now(UTC))
        return {"Authorization": f"Bearer {token}"}

    def _until_answered(self, method: str, path: str, headers: dict[str, str], body: Any, right: set[int]) -> int:
        keyed = headers | {"Idempotency-Key": str(uuid4())}
        while True:
            try:
                answer = self.system.http.request(method, f"/api/v1{path}", json=body, headers=keyed)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            self.load.statuses[f"act {answer.status_code}"] += 1
            if answer.status_code != 503:
                if answer.status_code not in right:
                    self.load.trouble.append(f"{method} of an act: {answer.status_code}")
                return answer.status_code
            time.sleep(0.2)
