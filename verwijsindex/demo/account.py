# SPDX-License-Identifier: EUPL-1.2
"""The readable account of what happened. It holds no BSN: nothing that is given to it does."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text, TextType

from verwijsindex.client import tables
from verwijsindex.demo.cast import PLACES
from verwijsindex.demo.checks import SHOWN, Check
from verwijsindex.demo.expectation import Expectation
from verwijsindex.demo.family import Family, steps
from verwijsindex.demo.findings import Findings, Totals, View
from verwijsindex.demo.mailbox import Mail
from verwijsindex.demo.receiver import Received
from verwijsindex.demo.registering import Institution, Register
from verwijsindex.demo.sending import Outcome
from verwijsindex.demo.timing import Timing

WIDTH = 100
FAULTS = 10
"""Kinds of faults that are told with what to do about them."""


def table(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    """A table in the account's style; the columns of `right` hold numbers."""
    made = Table(title=title, title_justify="default", title_style="bold", header_style="")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def signals(register: Register, outcomes: dict[str, Outcome]) -> Table:
    """Accepted and refused, by institution."""
    made = table(
        "Signals (meldingen)",
        *("institution", "domain", "reporters", "accepted", "refused"),
        right=("reporters", "accepted", "refused"),
    )
    for one in register.institutions:
        outcome = outcomes[one.role.client_id]
        made.add_row(one.role.name, one.role.domain, *map(str, (len(one.reporters), outcome.accepted, outcome.refused)))
    made.add_section()
    total = (sum(getattr(outcome, name) for outcome in outcomes.values()) for name in ("accepted", "refused"))
    made.add_row("all", "", str(sum(len(one.reporters) for one in register.institutions)), *map(str, total))
    return made


def refusals(outcomes: dict[str, Outcome]) -> Table:
    """Why rows were refused: the most frequent faults with what to do, and how often the others occurred."""
    faults = [fault for outcome in outcomes.values() for fault in outcome.faults]
    counted = Counter(fault["code"] for fault in faults).most_common()
    first = {fault["code"]: fault for fault in reversed(faults)}
    made = table("Rows refused, and what their sender is told", "rows", "fault", "what to do", right=("rows",))
    for code, count in counted[:FAULTS]:
        made.add_row(str(count), code, Text(first[code]["advice"]))
    if counted[FAULTS:]:
        made.caption = "and " + ", ".join(f"{count} {code}" for code, count in counted[FAULTS:])
        made.caption_justify = "default"
    return made


def matches(expected: Expectation) -> Table:
    """How many matches of how many reporters."""
    made = table("Matches", "reporters in it", "matches", right=("reporters in it", "matches"))
    for size, count in sorted(Counter(len(match.reporters) for match in expected.matches).items()):
        made.add_row(str(size), str(count))
    made.add_section()
    made.add_row("all", str(len(expected.matches)))
    return made


def told(totals: Totals, webhooks: int, mails: Sequence[Mail], subscriber: Institution) -> Table:
    """How many were told in all of the demo, the days after too, and how else they heard of it."""
    made = table("Who was told, days after too", "recipients", "how many", "by", "times", right=("how many", "times"))
    for whose, (inboxes, notices) in totals.told.items():
        made.add_row(whose, str(inboxes), "inbox", str(notices))
    made.add_row(f"{subscriber.role.name}'s system", "1", "webhook", str(webhooks))
    made.add_row("persons", str(len({mail.to for mail in mails})), "mail", str(len(mails)))
    made.caption = (
        "The mails went to a mail server of the demo itself, which keeps them until it stops: nobody was mailed."
    )
    made.caption_justify = "default"
    return made


def sample(found: Findings, register: Register, match_id: str) -> RenderableType:
    """Everybody who was told of one match."""
    told = [
        {"told": register.name_of(reporter), "as": f"reporter, {register.institution_of(reporter).role.name}", **notice}
        for reporter, view in found.reporters.items()
        for notice in view.notices
    ] + [
        {"told": register.supervisors[place][1].name, "as": f"case supervisor, {place.name}", **notice}
        for place in PLACES
        for notice in found.supervisions[place.code].notices
    ]
    columns = {"told": "told", "as": "as", "placedAt": "placed at"}
    return tables.table(f"For example match {match_id}", columns, [line for line in told if line["match"] == match_id])


def webhook(one: Received) -> RenderableType:
    """A webhook as it came in."""
    headers = [Text(f"{name}: {value}", overflow="fold") for name, value in one.headers.items()]
    checked = "the signature is verified" if one.event else "NOT the index's signature"
    return Panel(
        Group(*headers, Text(""), Text(one.body.decode(), overflow="fold")),
        title=f"One webhook as received; {checked}",
        title_align="left",
    )


def inbox(name: str, view: View) -> RenderableType:
    """The newest lines of an inbox."""
    return tables.table(f"Inbox of {name}: newest of {len(view.notices)}", tables.NOTICES, view.notices[:5])


def match(whose: str, shown: dict[str, Any]) -> RenderableType:
    """A match as one of its parties sees it."""
    return Panel(tables.match_view(shown), title=f"A match as {whose} sees it: whom to call", title_align="left")


def supervised(whose: str, shown: dict[str, Any]) -> RenderableType:
    """The parties of a match as its case supervisor sees them."""
    return tables.table(f"The same match as {whose} sees it", tables.CONTACTS, tables.to_call(shown["parties"]))


def timing(measured: Timing, tick: float) -> Table:
    """From signal to notice."""
    made = table(
        f"From signal to notice, {len(measured.inbox)} quiet signals",
        "",
        "median",
        "longest",
        right=("median", "longest"),
    )
    for name, times in (
        ("the notice is in the other reporter's inbox", measured.inbox),
        (f"its webhook has arrived (pushes wait for a tick: {tick:g} s here, 60 s by default)", measured.webhook),
    ):
        made.add_row(name, *(f"{seconds * 1000:.0f} ms" for seconds in (median(times), max(times))) if times else "")
    return made


def events(counted: Counter[tuple[str, str]]) -> Table:
    """The ledger's events by kind."""
    made = table("The ledger (logboek), days after too", "event", "outcome", "times", right=("times",))
    for (kind, outcome), count in sorted(counted.items()):
        made.add_row(kind, outcome, str(count))
    return made


def family(played: Family) -> RenderableType:
    """What came after the day: who was told of what, a family match, and an archived signal."""
    made = table("A family, a withdrawal and the archive", "what happens", "is told", "of what")
    for step in steps(played):
        made.add_row(*step)
    contacts = {name: heading for name, heading in tables.CONTACTS.items() if name != "email"}
    shown = tables.table(f"The match as {played.of_sister} saw it", contacts, tables.to_call(played.match["parties"]))
    return Group(
        made,
        Text(""),
        shown,
        Text(""),
        Panel(
            tables.archived_view(played.archived),
            title=f"The archived signal as {played.later} sees it",
            title_align="left",
        ),
    )


def checked(checks: Sequence[Check]) -> RenderableType:
    """The promises with a tick, or with what differs."""
    lines = [Text("Checked against a plain count of what was sent", style="bold")]
    for check in checks:
        lines.append(
            Text(f"  ✓ {check.promise}" if check.kept else f"  ✗ {check.promise}", "green" if check.kept else "red")
        )
        lines += [Text(f"      {difference}") for difference in check.differences[:SHOWN]]
        more = len(check.differences) - SHOWN
        lines += [Text(f"      and {more} more")] if more > 0 else []
    return Group(*lines)


class _Console(Console):
    """One that cuts off no heading: where the rule is too short for it, it stands above."""

    def rule(self, title: TextType = "", **options: Any) -> None:
        if Text.assemble(title).cell_len > self.width - 4:
            self.print(title)
            title = ""
        super().rule(title, **options)


def console() -> Console:
    """Of at most WIDTH columns, and of that many where the output is no terminal."""
    plain = Console(highlight=False)
    return _Console(highlight=False, width=min(WIDTH, plain.width) if plain.is_terminal else WIDTH)
