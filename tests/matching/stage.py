# SPDX-License-Identifier: EUPL-1.2
"""Where the play of `matching.machine` is played: who acts there, through which door, and what is then in the database.

`IndexStage` is the index in this process, with a clock that moves; `system.stage` is the whole system.
"""

from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from matching.views import Reader
from support import ADMINISTRATOR, CLINIC, DORDRECHT, NOW, POLICE, SCHOOL, STEIN, WESTERVELD, Index, People, pseudonym

from verwijsindex.followup.clock import tick
from verwijsindex.matching import families
from verwijsindex.matching.service import LOCK_TRIED, match_waiting
from verwijsindex.registry import schemas
from verwijsindex.registry import service as registry

GP, TOWN = "00000004444444444000", "00000001701000000000"
OINS = {"school": SCHOOL, "clinic": CLINIC, "police": POLICE, "gp": GP}
INSTITUTION = {"school-0": "school", "school-1": "school", "clinic": "clinic", "police": "police", "gp": "gp"}
DOMAINS = {"school": "education", "clinic": "health_care", "police": "police_and_justice", "gp": "health_care"}
PLACES = {WESTERVELD: "Westerveld", DORDRECHT: "Dordrecht", STEIN: "Stein"}
AGREEMENTS = {
    "school": (WESTERVELD, DORDRECHT),
    "clinic": (WESTERVELD,),
    "police": (WESTERVELD,),
    "gp": (STEIN, DORDRECHT),
}
"""Oldest first."""
NO_PARENTS = DORDRECHT
"""With whom no agreement lets parents be sent."""
FOREVER = date(2100, 1, 1)


class Stage(Protocol):
    """What a play needs. Names of reporters and institutions are those of INSTITUTION."""

    reporters: dict[str, UUID]
    crowds: tuple[int, ...]
    """Of how many youngsters a parent may be in a play."""

    def begin(self, crowd: int) -> None:
        """Everything as in the beginning; with one of `crowds`."""

    def run(self, size: int) -> None:
        """One run of the matcher."""

    def clock(self) -> int:
        """What the day brings to follow-up; how many steps after missed deadlines."""

    def wait(self, **by: float) -> None:
        """Time goes by: a timedelta's arguments."""

    def now(self) -> datetime:
        """The stage's time."""

    def tick(self) -> None:
        """A moment goes by."""

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any]:
        """Ask the index; status and JSON of its answer."""

    def headers(self, who: Reader) -> dict[str, str]:
        """Those of somebody who acts or reads. A reporter does so by the institution's machine."""

    def machine(self, oin: str) -> dict[str, str]:
        """Those of a machine of an institution, or of a municipality's own OIN."""

    def pseudonym(self, number: int) -> dict[str, Any]:
        """That of a youngster or parent, as it is sent."""

    def rows(self, statement: str, **values: Any) -> list[sa.Row[Any]]:
        """What is really there."""

    def leave(self, reporter: str, last_day: date | None) -> None:
        """A reporter's last day; None to be designated again."""

    def end_agreement(self, institution: str, municipality: str, until: date) -> None:
        """An agreement's last day."""


class IndexStage:
    """The index in this process."""

    crowds: tuple[int, ...] = (24, 24, 2)

    def __init__(self, index: Index) -> None:
        self.index = index
        with index.database.engine("registrar").begin() as connection:
            self.reporters = fill(connection, index.clock(), index.reporters)

    def begin(self, crowd: int) -> None:
        """Everything as in the beginning. Whoever plays puts `families.CROWD` back."""
        families.CROWD = crowd
        self.index.database.forget_signals()
        self.index.clock.now = NOW
        self.change("UPDATE reporter SET designated_until = NULL")
        self.change("UPDATE agreement SET valid_until = :until", until=FOREVER)

    def now(self) -> datetime:
        return self.index.clock()

    def wait(self, **by: float) -> None:
        self.index.clock.move(**by)

    def tick(self) -> None:
        self.index.clock.move(seconds=1)

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any]:
        answer = self.index.app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=headers)
        return answer.status_code, answer.json if answer.data else None

    def headers(self, who: Reader) -> dict[str, str]:
        return headers(self.index, self.reporters, who)

    def machine(self, oin: str) -> dict[str, str]:
        return self.index.machine(oin)

    def pseudonym(self, number: int) -> dict[str, Any]:
        return {"keyVersion": 1, "value": pseudonym(number).to_text()}

    def rows(self, statement: str, **values: Any) -> list[sa.Row[Any]]:
        return self.index.database.rows(statement, **values)

    def change(self, statement: str, **values: Any) -> None:
        with self.index.database.superuser.begin() as connection:
            connection.execute(sa.text(statement), values)

    def run(self, size: int) -> None:
        """One run of the matcher."""
        keys = self.index.app.extensions["index_keys"]
        match_waiting(self.index.database.engine("worker"), self.now(), self.now(), keys=keys, size=size)

    def clock(self) -> int:
        return tick(self.index.database.engine("worker"), self.now(), self.now(), lock=LOCK_TRIED).steps

    def leave(self, reporter: str, last_day: date | None) -> None:
        if last_day is None:
            self.change("UPDATE reporter SET designated_until = NULL WHERE id = :id", id=self.reporters[reporter])
            return
        with self.index.database.engine("registrar").begin() as connection:
            registry.end_designation(connection, ADMINISTRATOR, self.now(), self.reporters[reporter], last_day)

    def end_agreement(self, institution: str, municipality: str, until: date) -> None:
        self.change(
            "UPDATE agreement SET valid_until = :until WHERE oin = :oin AND municipality_code = :municipality",
            until=until,
            oin=OINS[institution],
            municipality=municipality,
        )


def headers(people: People, reporters: dict[str, UUID], who: Reader) -> dict[str, str]:
    """Those of somebody of a play."""
    if who.role == "reporter":
        return people.machine(OINS[INSTITUTION[who.of]]) | {"On-Behalf-Of": str(reporters[who.of])}
    mint = getattr(people, who.role)
    found: dict[str, str] = mint(OINS.get(who.of, who.of))
    return found


def fill(connection: sa.Connection, now: datetime, known: dict[str, list[UUID]]) -> dict[str, UUID]:
    """Add to the register of `support.Index` what a play needs besides; the reporters by name."""
    today = now.date()

    def add(entry: schemas.Entry) -> Any:
        return registry.add(connection, ADMINISTRATOR, now, entry)

    registry.set_oin(connection, ADMINISTRATOR, now, schemas.MunicipalityOin(code=WESTERVELD, oin=TOWN))
    add(schemas.InstitutionEntry(oin=GP, name="Huisarts Bos", category_code="general_practitioner"))
    for institution, municipality in (("gp", STEIN), ("gp", DORDRECHT), ("school", DORDRECHT)):
        add(
            schemas.AgreementEntry(
                oin=OINS[institution], municipality_code=municipality, valid_from=today, valid_until=FOREVER
            )
        )
    # All since long; of several agreements that are as old as each other one would count by chance.
    connection.execute(
        sa.text(
            "UPDATE agreement SET may_send_parents = municipality_code <> :none,"
            " valid_from = make_date(CASE municipality_code WHEN :newer THEN 2021 ELSE 2020 END, 1, 1)"
        ),
        {"none": NO_PARENTS, "newer": DORDRECHT},
    )
    person = schemas.ReporterEntry(
        oin=GP,
        name="Huisarts Bos",
        position="huisarts",
        telephone="0612345678",
        email="someone@example.org",
        designated_from=today,
    )
    gp = add(person).id
    connection.execute(sa.text("UPDATE reporter SET designated_from = CAST('2020-01-01' AS date)"))
    return {
        "school-0": known[SCHOOL][0],
        "school-1": known[SCHOOL][1],
        "clinic": known[CLINIC][0],
        "police": known[POLICE][0],
        "gp": gp,
    }
