# SPDX-License-Identifier: EUPL-1.2
"""The play: start, register, send, wait until nothing waits, and read what everybody can read."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from verwijsindex.access.caller import SCOPES
from verwijsindex.demo.cast import DORDRECHT, PLACES
from verwijsindex.demo.clock import DemoClock
from verwijsindex.demo.expectation import Expectation, Sent
from verwijsindex.demo.exports import Expected, ExportPlan, write_exports
from verwijsindex.demo.family import Family, play_family
from verwijsindex.demo.findings import Findings, Totals, count_all, nothing_waits, read_all
from verwijsindex.demo.followed import Followed, play_follow_up
from verwijsindex.demo.mailbox import Mail
from verwijsindex.demo.readers import Post
from verwijsindex.demo.receiver import Received
from verwijsindex.demo.registering import Institution, Register, fill_register, register_clients, subscribe
from verwijsindex.demo.sending import Outcome, send_all
from verwijsindex.demo.timing import Timing, measure
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.commands import MINTED_FOR
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import read_signing_key
from verwijsindex.settings import utc_now

SEED = 1701
QUIET_SIGNALS = 12
PATIENCE = 60.0  # seconds, for the last match and the last webhook


@dataclass(frozen=True, slots=True)
class Played:
    """What was played: who took part, what was sent, what a plain count expects of it, and what was found."""

    register: Register
    exports: Expected
    outcomes: dict[str, Outcome]
    sent_again: tuple[Institution, Outcome]
    timing: Timing
    settled: bool
    expected: Expectation
    found: Findings
    totals: Totals
    subscriber: Institution
    received: list[Received]
    family: Family
    followed: Followed
    mails: list[Mail]
    webhooks: int


@contextmanager
def started(console: Console, settings: Mapping[str, str]) -> Iterator[Stack]:
    """All processes, started while the console tells which."""
    began = time.monotonic()
    names: list[str] = []
    with ExitStack() as undo:
        with console.status("starting") as status:

            def say(name: str) -> None:
                names.append(name)
                status.update(f"starting {name}")

            stack = undo.enter_context(Stack(say=say, settings=settings))
        stack.environment["VERWIJSINDEX_BASE_URL"] = stack.issuer  # for `issuer mint`
        console.print(f"Started in {time.monotonic() - began:.0f} s: {', '.join(names)}.\n")
        yield stack


def play(console: Console, stack: Stack, clock: DemoClock, post: Post, rows: int) -> Played:
    """Play the day of all institutions, and days after it. `rows` is how many their exports have together.

    Raises:
        ClientError: a service does not answer, or refuses everything.
    """
    now, receiver = clock(), post.receiver
    register = fill_register(stack, now)
    register_clients(stack, register, now, lambda text: console.print(text, markup=False))
    subscriber, other, *_ = register.institutions
    subscribe(subscriber, receiver)
    plans = [
        ExportPlan(one.role.client_id, tuple(one.reporters), one.role.municipalities) for one in register.institutions
    ]
    folder = stack.folder / "exports"
    folder.mkdir()
    exports = write_exports(folder, plans, SEED, now, rows)
    spare = exports.spare
    everyone = [(one, exports.exports[one.role.client_id].path) for one in register.institutions]
    outcomes = _send(console, everyone, sum(export.rows for export in exports.exports.values()))
    smallest = min(everyone, key=lambda pair: exports.exports[pair[0].role.client_id].rows)
    again = send_all([smallest], lambda: None, threading.Event())[smallest[0].role.client_id]
    settled = _settle(console, stack)
    timing = Timing()
    if settled:
        timing = measure(subscriber, other, receiver, spare[:QUIET_SIGNALS], DORDRECHT)
        settled = _settle(console, stack)
    found, received = read_all(stack, register, _tokens(console, stack, register)), receiver.received()
    family = play_family(register, spare[QUIET_SIGNALS:])
    followed = play_follow_up(console, stack, register, clock, post, spare[QUIET_SIGNALS + 3 :])
    return Played(
        register=register,
        exports=exports,
        outcomes=outcomes,
        sent_again=(smallest[0], again),
        timing=timing,
        settled=settled,
        expected=Expectation([*_accepted(exports), *timing.sent]),
        found=found,
        totals=count_all(stack),
        subscriber=subscriber,
        received=received,
        family=family,
        followed=followed,
        mails=post.mailbox.mails(),
        webhooks=len(receiver.received()),
    )


def _accepted(exports: Expected) -> Iterator[Sent]:
    for export in exports.exports.values():
        for row in export.accepted:
            yield Sent(row.reporter, row.bsn, row.residence, row.case_reference)


def _send(console: Console, everyone: list[tuple[Institution, Path]], rows: int) -> dict[str, Outcome]:
    """Send all exports with one progress bar, or with a line now and then where there is no terminal."""
    began = time.monotonic()
    stop = threading.Event()
    with ExitStack() as undo:
        undo.callback(stop.set)
        if console.is_terminal:
            columns = (TextColumn("signals"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
            bar = undo.enter_context(Progress(*columns, console=console))
            task = bar.add_task("", total=rows)
            step: Callable[[], None] = lambda: bar.advance(task)  # noqa: E731
        else:
            step = _plain_progress(console, rows)
        outcomes = send_all(everyone, step, stop)
    seconds = time.monotonic() - began
    console.print(f"{len(everyone)} institutions sent {rows} rows in {seconds:.0f} s, {rows / seconds:.0f} a second.")
    return outcomes


def _plain_progress(console: Console, rows: int) -> Callable[[], None]:
    lock = threading.Lock()
    done = 0

    def step() -> None:
        nonlocal done
        with lock:
            done += 1
            if done % max(1, rows // 4) == 0:
                console.print(f"{done} of {rows} rows")

    return step


def _settle(console: Console, stack: Stack) -> bool:
    """Wait until everything is matched and every webhook has been delivered; whether that came to pass."""
    give_up_at = time.monotonic() + PATIENCE
    with console.status("waiting for the last match and the last webhook"):
        while not nothing_waits(stack, utc_now()):
            stack.check()
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.1)
    return True


def _tokens(console: Console, stack: Stack, register: Register) -> dict[str, str]:
    """A token for each case supervisor, the first by the command that makes one."""
    place, *others = PLACES
    person = register.supervisors[place][0]
    console.print(f"$ verwijsindex issuer mint --role case_supervisor --municipality {place.code} --person ...")
    arguments = ("--role", "case_supervisor", "--municipality", place.code, "--person", str(person))
    tokens = {place.code: stack.run("issuer", "mint", *arguments).strip()}
    signer = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
    terms = Terms(stack.index, SCOPES["case_supervisor"], timedelta(minutes=10))
    for place in others:
        person = register.supervisors[place][0]
        tokens[place.code] = signer.person_token("case_supervisor", person, place.code, MINTED_FOR, terms, utc_now())
    return tokens
