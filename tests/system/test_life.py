# SPDX-License-Identifier: EUPL-1.2
"""The play of the whole life of a signal through HTTP and real workers, beside the plain model (I2, I3, I6)."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from matching.machine import Life
from matching.stage import FOREVER, OINS, fill, headers
from matching.views import Reader
from support import OF_SIGNALS, People
from system.world import SETTINGS, System, until

from verwijsindex.embedded.stack import Stack

pytestmark = pytest.mark.system
PLAYS, STEPS = (25, 60) if os.environ.get("TEST_LONG") else (1, 16)
# What a run that is still to come, or under way, would change.
_WAITING = """
SELECT EXISTS (SELECT FROM work) OR EXISTS (SELECT FROM move) OR EXISTS (
    SELECT FROM death d JOIN youngster y ON y.key = d.key
    WHERE EXISTS (SELECT FROM signal s WHERE s.youngster_id = y.id AND s.received_at <= d.told_at)
       OR EXISTS (SELECT FROM archived_signal a WHERE a.youngster_id = y.id AND a.received_at <= d.told_at))
    OR EXISTS (SELECT FROM lead l JOIN match m ON m.id = l.match_id AND m.ended_at IS NULL
        JOIN reporter r ON r.id = l.reporter_id WHERE l.state IN ('proposed', 'accepted')
        AND (l.proposed_at AT TIME ZONE 'Europe/Amsterdam')::date <= r.designated_until
        AND r.designated_until < (clock_timestamp() AT TIME ZONE 'Europe/Amsterdam')::date) AS waiting
"""


class SystemStage:
    """The whole system: its clock is the world's, and its matcher runs when it is rung for."""

    crowds: tuple[int, ...] = (24,)

    def __init__(self, system: System) -> None:
        self.system = system
        self.people = People(system.signer, system.stack.index, self.now)
        with system._registrar.begin() as connection:
            self.people.fill(connection)
        with system.superuser.begin() as connection:  # who has been there since long, which no service writes
            self.reporters = fill(connection, self.now(), self.people.reporters)
        system.youngsters(20)

    def begin(self, crowd: int) -> None:
        self.run(500)
        self.system.change(
            "SET session_replication_role = replica;"
            f" TRUNCATE {OF_SIGNALS} CASCADE;"
            " SET session_replication_role = origin"
        )
        self.system.change("UPDATE reporter SET designated_until = NULL")
        self.system.change("UPDATE agreement SET valid_until = :until", until=FOREVER)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> None:
        pass

    def wait(self, **by: float) -> None:
        raise NotImplementedError

    def run(self, size: int) -> None:
        """Until the workers have nothing to do."""
        until(lambda: not self.system.rows(_WAITING)[0].waiting, 60)

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any]:
        answer = self.system.http.request(method, f"/api/v1{path}", json=body, headers=headers)
        return answer.status_code, answer.json() if answer.content else None

    def headers(self, who: Reader) -> dict[str, str]:
        return headers(self.people, self.reporters, who)

    def machine(self, oin: str) -> dict[str, str]:
        return self.people.machine(oin)

    def pseudonym(self, number: int) -> dict[str, Any]:
        return {"keyVersion": 1, "value": self.system.pseudonym(number).to_text()}

    def clock(self) -> int:
        """The workers' own comes with each sweep."""
        return 0

    def rows(self, statement: str, **values: Any) -> list[sa.Row[Any]]:
        return self.system.rows(statement, **values)

    def leave(self, reporter: str, last_day: date | None) -> None:
        self.system.change(
            "UPDATE reporter SET designated_until = CAST(:day AS date) WHERE id = :id",
            day=last_day,
            id=self.reporters[reporter],
        )

    def end_agreement(self, institution: str, municipality: str, until: date) -> None:
        self.system.change(
            "UPDATE agreement SET valid_until = :until WHERE oin = :oin AND municipality_code = :municipality",
            until=until,
            oin=OINS[institution],
            municipality=municipality,
        )


class SystemLife(Life):
    """A play in which the workers have done everything before the next step: only then it is known what is told
    together. The clock cannot be moved."""

    wait = None  # type: ignore[assignment]
    clock = None  # type: ignore[assignment]

    @invariant()
    def settled(self) -> None:
        if hasattr(self, "model"):
            self.follow_up.tick(self.today)  # as the workers' own: of a reporter who left
            self.run(500)


@pytest.fixture
def stage() -> Iterator[SystemStage]:
    with Stack(settings=SETTINGS, durable=False) as stack:
        system = System(stack, fill=False)
        yield SystemStage(system)
        system.close()


@pytest.mark.timeout(7200)
def test_what_is_told_and_seen_is_what_the_model_says(stage: SystemStage) -> None:
    """Sixteen steps; with TEST_LONG 25 plays of sixty. A failure is played again as matching/test_model.py says."""
    SystemLife.stage = stage
    run_state_machine_as_test(
        SystemLife,
        settings=settings(
            max_examples=PLAYS,
            stateful_step_count=STEPS,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
