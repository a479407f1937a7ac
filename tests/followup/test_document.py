# SPDX-License-Identifier: EUPL-1.2
"""docs/follow-up.md draws, counts and shows what the code does. WRITE_DOCS=1 writes its made parts anew."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from documents import keep
from followup.test_clock import _tick
from support import CLINIC, POLICE, SCHOOL, STEIN, WESTERVELD, Index

from verwijsindex.followup.deadlines import STEPS, Clock
from verwijsindex.followup.leading import REASONS
from verwijsindex.followup.schemas import LeadAnswerIn
from verwijsindex.followup.states import OUTCOMES, STATES, drawing
from verwijsindex.followup.working_days import is_working_day, working_days_after
from verwijsindex.ledger.events import KINDS
from verwijsindex.notices.models import NOTICE_KINDS

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "follow-up.md"
_DECLINES = {"answer": "decline", "reason": "no_capacity"}
FRIDAY = datetime(2026, 12, 18, 10, tzinfo=UTC)


def _keep(name: str, made: str) -> None:
    keep(DOCUMENT, name, made, "tests/followup/test_document.py")


def test_the_machine_is_drawn_from_the_code() -> None:
    _keep("the machine", f"```mermaid\n{drawing()}```\n")


def test_the_calendar_is_counted_by_the_code() -> None:
    began = FRIDAY.date()
    days: dict[date, list[str]] = {began: ["the round begins"]}
    for name, within in (("contact", 5), ("coordination", 10)):
        due_on = working_days_after(began, within)
        days.setdefault(due_on, []).append(f"last day in time for {name}")
        for done, step in enumerate(STEPS):
            on = Clock(due_on, done).next_on
            assert on
            days.setdefault(on, []).append(f"{name} missed: the {step.replace('_', ' ')} are told")
    last = max(days)
    rows = ["| Day | Working day | |", "|---|---|---|"]
    for number in range((last - began).days + 1):
        day = began + timedelta(days=number)
        if day in days or (day.weekday() < 5 and not is_working_day(day)):
            count = sum(is_working_day(began + timedelta(days=n)) for n in range(1, number + 1))
            worked = str(count) if is_working_day(day) else "none"
            rows.append(
                f"| {day:%A} {day.day} {day:%B %Y} | {worked} | {'; '.join(days.get(day, ['a public holiday']))} |"
            )
    _keep("the calendar", "\n".join(rows) + "\n")


def _column(heading: str) -> set[str]:
    """The codes in the first column of the table under this heading."""
    _, _, rest = DOCUMENT.read_text().partition(f"| {heading} |")
    return set(re.findall(r"^\| `([a-z_.]+)` \|", rest.split("\n\n")[0], re.M))


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("State", STATES),
        ("Outcome", OUTCOMES),
        ("Step", STEPS),
        ("Reason", REASONS),
        ("Kind", NOTICE_KINDS),
        ("Reason to decline", get_args(get_args(LeadAnswerIn.model_fields["reason"].annotation)[0])),
    ],
)
def test_every_code_is_in_the_document_and_no_other(heading: str, codes: tuple[str, ...]) -> None:
    assert _column(heading) == set(codes)


def test_every_event_of_follow_up_is_in_the_document_with_its_fields() -> None:
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.*?) \|", DOCUMENT.read_text(), re.M)
    ours = ("round.", "lead.", "follow_up.", "follow_ups.", "pairs.", "mutes.", "mute.")
    wanted = {name: kind.fields for name, kind in KINDS.items() if name.startswith(ours)}
    assert {name: frozenset(re.findall(r"`(\w+)`", fields)) for name, fields in rows} == wanted


def test_the_examples_are_answers(index: Index) -> None:
    """Every kind of notice, to every kind of recipient that gets it in this story."""
    seen = _Seen(index)
    index.clock.now = FRIDAY
    signal = index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    lines = list(seen.new("Friday 18 December: a school and a clinic signal the same youngster"))
    index.clock.move(minutes=1)
    index.place(0, CLINIC, 1)
    index.match()
    lines += seen.new("A second of the clinic signals it too: another round")
    [match] = index.get("/matches", index.reader(CLINIC)).json["items"]
    follow_up = index.get(f"/matches/{match['id']}/follow-up", index.reader(CLINIC)).json
    lines += ["And where it stands, to the clinic's first reporter, who is asked (`GET /matches/{id}/follow-up`):", ""]
    lines += [_block(follow_up)]
    assert index.act(f"/matches/{match['id']}/lead-answer", _DECLINES, index.reader(CLINIC)).status_code == 201
    index.match()
    lines += seen.new("Who is asked declines the lead")
    for said, days in (("Tuesday 29 December", 11), ("Thursday 31 December", 2), ("Tuesday 5 January", 5)):
        index.clock.move(days=days)
        assert _tick(index).steps == 1
        index.match()
        lines += seen.new(f"{said}: nobody recorded a contact")
    assert index.act(f"/signals/{signal}/move", {"residenceMunicipality": STEIN}, index.reader(SCHOOL)).json
    index.match()
    lines += seen.new("The school tells that the youngster moved to Stein")
    assert index.act(f"/signals/{signal}/withdrawal", {"reason": "risk_gone"}, index.reader(SCHOOL)).json
    index.match()
    lines += seen.new("The school withdraws: the risk is gone")
    index.place(0, POLICE)
    index.match()
    lines += seen.new("The police signal the youngster")
    assert seen.kinds == set(NOTICE_KINDS)
    _keep("the examples", _with_made_up_ids("\n".join(lines)) + "\n")


def _block(shown: dict[str, Any]) -> str:
    return f"```json\n{json.dumps(shown, indent=1, ensure_ascii=False)}\n```\n"


def _with_made_up_ids(text: str) -> str:
    """Ids in the order in which they come, so that the document is the same at each run."""
    made: dict[str, str] = {}
    return re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        lambda found: made.setdefault(found[0], str(UUID(int=len(made) + 1, version=4))),
        text,
    )


class _Seen:
    """What each inbox had already."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._ids: set[str] = set()
        self.kinds: set[str] = set()
        self._inboxes: dict[str, Callable[[], dict[str, str]]] = {
            "the school's reporter": lambda: index.reader(SCHOOL),
            "the clinic's first reporter": lambda: index.reader(CLINIC),
            "the clinic's second reporter": lambda: index.reader(CLINIC, 1),
            "the police's reporter": lambda: index.reader(POLICE),
            "the school's coordinators": lambda: index.coordinator(SCHOOL),
            "the clinic's coordinators": lambda: index.coordinator(CLINIC),
            "the supervision of Westerveld": lambda: index.supervisor(WESTERVELD),
            "the supervision of Stein": lambda: index.supervisor(STEIN),
        }

    def new(self, what: str) -> Iterator[str]:
        """What happened, who was told, and of each kind that was not shown before an example."""
        told: dict[str, list[str]] = {}
        shown = []
        for who, headers in self._inboxes.items():
            notices = self._index.get("/notices", headers()).json["items"]
            for one in reversed(notices):
                if one["id"] in self._ids:
                    continue
                self._ids.add(one["id"])
                told.setdefault(one["kind"], []).append(who)
                if one["kind"] not in self.kinds:
                    self.kinds.add(one["kind"])
                    shown.append(
                        self._index.get(f"/notices/{one['id']}", headers()).json
                        if one["kind"] == "party_withdrew"
                        else one
                    )
        yield f"**{what}**"
        yield ""
        yield from (f"- `{kind}` to {', '.join(whom)}" for kind, whom in told.items())
        yield ""
        yield from map(_block, shown)
