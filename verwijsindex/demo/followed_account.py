# SPDX-License-Identifier: EUPL-1.2
"""What the account tells of the days after, and what it promises of them (R21, R22, R23)."""

import re
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from verwijsindex.client import tables
from verwijsindex.demo.account import table
from verwijsindex.demo.checks import Check, check, differ
from verwijsindex.demo.days import DIGEST, Step, Told
from verwijsindex.demo.followed import CALLED, Followed
from verwijsindex.demo.mailbox import Mail


def followed(found: Followed) -> RenderableType:
    """The days, with every notice and how else it came; where the first match stood; the supervisor's list."""
    missed = f"Among {found.listed} that missed a deadline, as the case supervisor lists them"
    columns = {"id": "match", "state": "state", "contactDueOn": "contact due on", "missed": "missed", "lead": "lead"}
    asked, closed = (
        Panel(tables.follow_up_view(shown), title=title, title_align="left")
        for title, shown in (
            (f"The first match as {found.readers['waterlelie'].name}, sees it: asked to lead", found.asked),
            (f"and as {found.readers['ggd'].name}, sees it at the end", found.closed),
        )
    )
    return Group(_days(found.steps), Text(""), asked, closed, Text(""), tables.table(missed, columns, [found.missed]))


def _days(steps: Sequence[Step]) -> Table:
    made = table(
        "Follow-up: notices and deliveries of three matches",
        *("day", "match", "notice", "in the inbox of", "webhook", "mail"),
        right=("webhook", "mail"),
    )
    for step in steps:
        made.add_row(f"{step.day.day} {step.day:%b}", "", "", Text(step.what, "bold"))
        for told in step.told:
            mails = "waits" if waits(told) else str(told.mails or "")
            made.add_row("", told.about, told.kind, told.to.name, str(told.webhooks or ""), mails)
        made.add_section()
    made.caption = (
        "Webhooks and mails are all that came to that reader in the step: one that is told of other matches too, as a"
        " case supervisor is of each missed deadline, can get a mail at more than one tick."
    )
    made.caption_justify = "default"
    return made


def waits(told: Told) -> bool:
    """Whether its mail is left to a digest: none came with it."""
    return told.kind == "match" and told.mails == 0


def checks_of_follow_up(found: Followed, mails: Sequence[Mail]) -> list[Check]:
    """That the days went as the rules say."""
    return [
        check(
            "a lead is proposed with its reason; who declines is followed by another, who accepts (R22)", _led(found)
        ),
        check("contact is recorded, help coordinated, and the round closed with its outcome (R21)", _closed(found)),
        check(
            "where nobody calls: parties, coordinators, case supervisor, once each, in turn (R21)", _escalated(found)
        ),
        check("two who work together already are mailed of each other by digest alone (R23)", _quiet(found)),
        check("whoever is told is mailed, and the subscriber's machine hears of it too (I3)", _delivered(found)),
        check("all mails are of one form, and name nobody (R12, R33)", _one_form(found, mails)),
    ]


def _led(found: Followed) -> Iterator[str]:
    yield from differ("asked first", ("proposed", True, "first_domain"), _lead(found.asked))
    asked_then = [(told.kind, told.to.name) for told in _of(found, CALLED, "lead")]
    yield from differ("asked then", [("lead", found.readers["ggd"].name)], asked_then)
    yield from differ("lead in the end", ("accepted", True), _lead(found.led)[:2])


def _lead(shown: dict[str, dict[str, object]]) -> tuple[object, ...]:
    return tuple(shown["lead"].get(name) for name in ("state", "you", "reason"))


def _closed(found: Followed) -> Iterator[str]:
    yield from differ("state after contact", "lead_agreed", found.led["state"])
    yield from differ("day of contact", found.steps[0].day.isoformat(), found.led.get("contactedOn"))
    yield from differ("at the end", ("closed", "joint_plan"), (found.closed["state"], found.closed.get("outcome")))
    yield from differ("reminded", [], [*_of(found, CALLED, "reminder"), *_of(found, CALLED, "escalation")])


def _escalated(found: Followed) -> Iterator[str]:
    """The play goes to the days on which a step is due: on each comes its own, and nothing besides."""
    told = [
        sorted((one.kind, one.to.name) for one in step.told if one.kind in ("reminder", "escalation"))
        for step in found.steps
    ]
    wanted = [
        sorted((kind, found.readers[who].name) for who in whom)
        for kind, whom in (
            ("reminder", ("roc", "kredietbank")),
            ("escalation", ("coordinator of roc", "coordinator of kredietbank")),
            ("escalation", ("Dordrecht",)),
        )
    ]
    yield from differ("told, day by day", wanted, told[-len(wanted) :])
    yield from differ("told before the deadline", [], [one for step in told[: -len(wanted)] for one in step])
    yield from differ("on the list of missed deadlines", "contact", found.missed.get("missed"))


def _quiet(found: Followed) -> Iterator[str]:
    stayed = found.readers["politie"].name
    waiting = [one.to.name for step in found.steps for one in step.told if waits(one)]
    yield from differ("in the inbox, and in no mail yet", [stayed], waiting)
    digests = [(one.to.name, one.mails) for step in found.steps for one in step.told if one.kind == DIGEST]
    yield from differ("the digest of the next morning", [(stayed, 1)], digests)


def _delivered(found: Followed) -> Iterator[str]:
    for step in found.steps:
        for one in step.told:
            if not one.mails and not waits(one):
                yield f"no mail to {one.to.name} of {one.kind} on {step.day}"
            if one.to == found.readers["waterlelie"] and not one.webhooks:
                yield f"no webhook to {one.to.name} of {one.kind} on {step.day}"


def _one_form(found: Followed, mails: Sequence[Mail]) -> Iterator[str]:
    texts = {re.sub(r"mail-choices/\S+", "mail-choices/", mail.text) for mail in mails}
    yield from differ("texts of a mail at once or of a digest", True, 1 <= len(texts) <= 2)
    names = {reader.person.name for reader in found.readers.values()}
    yield from differ("names in mails", [], [name for name in sorted(names) if any(name in text for text in texts)])


def _of(found: Followed, about: str, kind: str) -> Iterator[Told]:
    return (one for step in found.steps for one in step.told if one.about == about and one.kind == kind)
