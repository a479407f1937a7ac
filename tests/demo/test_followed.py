# SPDX-License-Identifier: EUPL-1.2
"""The demo's days after: its checks see every promise that is broken; its clock is that of other processes too."""

import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from smtplib import SMTP
from uuid import UUID

import pytest

from verwijsindex.demo.cast import Person
from verwijsindex.demo.clock import DemoClock
from verwijsindex.demo.days import DIGEST, Step, Told
from verwijsindex.demo.followed import CALLED, KNOWN, LEFT, Followed
from verwijsindex.demo.followed_account import checks_of_follow_up
from verwijsindex.demo.mailbox import Mail, Mailbox
from verwijsindex.demo.readers import Reader

FIRST, LATER = date(2026, 11, 22), date(2026, 11, 30)
READERS = {
    name: Reader(Person(name.title(), "000-555 0001", f"{name}@vb.example"), "x", list, UUID(int=number))
    for number, name in enumerate(
        ("waterlelie", "ggd", "roc", "kredietbank", "politie", "coordinator of roc", "coordinator of kredietbank")
    )
}
SUPERVISOR = Reader(Person("S. Voorbeeld", "000-555 0002", "s@vb.example"), "case supervisor of Dordrecht", list)
MAIL = b"From: verwijsindex@index.example\r\nContent-Type: text/plain\r\n\r\nIets nieuws: https://x/mail-choices/"


def told(about: str, kind: str, to: str, mails: int = 1, webhooks: int = 0) -> Told:
    """A notice."""
    return Told(about, kind, READERS.get(to, SUPERVISOR), webhooks, mails)


def found() -> Followed:
    """What there is when all promises are kept."""
    coordinators = (told(LEFT, "escalation", f"coordinator of {one}") for one in ("roc", "kredietbank"))
    return Followed(
        readers=READERS | {"Dordrecht": SUPERVISOR},
        steps=[
            Step(FIRST, "a match", (told(CALLED, "match", "waterlelie", webhooks=1), told(CALLED, "match", "ggd"))),
            Step(FIRST, "declines", (told(CALLED, "lead", "ggd"),)),
            Step(FIRST, "again", (told(KNOWN, "match", "politie", mails=0),)),
            Step(LATER, "the next morning", (told(KNOWN, DIGEST, "politie"),)),
            Step(LATER, "parties", (told(LEFT, "reminder", "roc"), told(LEFT, "reminder", "kredietbank"))),
            Step(LATER, "coordinators", tuple(coordinators)),
            Step(LATER, "supervisor", (told(LEFT, "escalation", "Dordrecht"),)),
        ],
        asked={"lead": {"state": "proposed", "you": True, "reason": "first_domain"}},
        led={"lead": {"state": "accepted", "you": True}, "state": "lead_agreed", "contactedOn": FIRST.isoformat()},
        closed={"state": "closed", "outcome": "joint_plan"},
        due=date(2026, 11, 27),
        missed={"missed": "contact"},
        listed=4,
    )


def mails() -> list[Mail]:
    """Two of one form."""
    return [Mail("a@vb.example", MAIL + token) for token in (b"one", b"two")]


def broken(what: Followed, came: list[Mail] | None = None) -> list[str]:
    """The last words of every promise that is not kept."""
    made = checks_of_follow_up(what, mails() if came is None else came)
    return [one.promise.split()[-1] for one in made if not one.kept]


def with_step(number: int, *lines: Told) -> Callable[[Followed], Followed]:
    """The step has these lines."""

    def change(what: Followed) -> Followed:
        steps = [*what.steps]
        steps[number] = replace(steps[number], told=lines)
        return replace(what, steps=steps)

    return change


def test_what_is_true_is_kept() -> None:
    assert broken(found()) == []


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (lambda f: replace(f, asked={"lead": {"state": "proposed", "you": False}}), "(R22)"),
        (lambda f: replace(f, led=f.led | {"lead": {"state": "proposed", "you": True}}), "(R22)"),
        (with_step(1), "(R22)"),
        (lambda f: replace(f, led=f.led | {"contactedOn": None}), "(R21)"),
        (lambda f: replace(f, closed={"state": "closed", "outcome": "passed_on"}), "(R21)"),
        (with_step(4, told(LEFT, "reminder", "roc")), "(R21)"),
        (with_step(4, *[told(LEFT, "reminder", one) for one in ("roc", "roc", "kredietbank")]), "(R21)"),
        (with_step(5), "(R21)"),
        (with_step(1, told(CALLED, "lead", "ggd"), told(LEFT, "reminder", "roc")), "(R21)"),
        (lambda f: replace(f, missed={}), "(R21)"),
        (with_step(2, told(KNOWN, "match", "politie")), "(R23)"),
        (with_step(3), "(R23)"),
        (with_step(6, told(LEFT, "escalation", "Dordrecht", mails=0)), "(I3)"),
        (with_step(0, told(CALLED, "match", "waterlelie"), told(CALLED, "match", "ggd")), "(I3)"),
    ],
)
def test_a_broken_promise_is_seen(change: Callable[[Followed], Followed], promise: str) -> None:
    assert broken(change(deepcopy(found()))) == [promise]


def test_a_mail_that_says_anything_is_seen() -> None:
    forms = [Mail("a@vb.example", MAIL + end) for end in (b"one", b"two\r\nEen", b"two\r\nTwee")]
    assert broken(found(), forms) == ["R33)"]
    assert broken(found(), [Mail("a@vb.example", MAIL + b"\r\nVan Waterlelie")]) == ["R33)"]


@pytest.mark.parametrize(
    "module",
    [
        "verwijsindex.settings import utc_now as clock",
        "verwijsindex.client import VerwijsindexClient as Client; clock = Client.__init__.__kwdefaults__['clock']",
    ],
)
def test_processes_go_by_the_demos_clock(module: str, tmp_path: Path) -> None:
    """Also one that runs already: it is put ahead by as much at once."""
    clock = DemoClock(tmp_path / "ahead")
    read = "input(); print(clock().isoformat(), flush=True)"
    script = f"from {module}; {read}; {read}"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | clock.settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout

        def shown() -> datetime:
            assert process.stdin
            assert process.stdout
            print(file=process.stdin, flush=True)
            return datetime.fromisoformat(process.stdout.readline().strip())

        assert abs(shown() - datetime.now(UTC)) < timedelta(minutes=1)
        ahead = (datetime.now(UTC) + timedelta(days=9)).date()
        clock.move_to(ahead)
        assert shown().date() == clock().date() == ahead


def test_the_mailbox_keeps_what_it_gets() -> None:
    with Mailbox() as mailbox:
        with SMTP("127.0.0.1", int(mailbox.settings["VERWIJSINDEX_MAIL_PORT"])) as smtp:
            smtp.sendmail("from@vb.example", ["to@vb.example"], MAIL)
        assert [(mail.to, mail.text.split(":")[0]) for mail in mailbox.mails()] == [("to@vb.example", "Iets nieuws")]
