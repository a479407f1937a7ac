# SPDX-License-Identifier: EUPL-1.2
"""The demo's checks see every promise that is broken, and a broken promise is exit status 1."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from verwijsindex.client import Event
from verwijsindex.demo import __main__ as program
from verwijsindex.demo import checks
from verwijsindex.demo.cast import PLACES, ROLES, STEIN, Person
from verwijsindex.demo.expectation import Expectation, Sent
from verwijsindex.demo.findings import Findings, View
from verwijsindex.demo.receiver import Received
from verwijsindex.demo.registering import CONTACT_POINTS, Institution, Register

ANNA, BRAM, CHAIMA = UUID(int=1), UUID(int=2), UUID(int=3)
MATCH, OTHER = str(UUID(int=10)), str(UUID(int=11))
NAMES = {ANNA: "Anna Voorbeeld", BRAM: "Bram Verzonnen", CHAIMA: "Chaima Bedacht"}
SIGNALS = [
    Sent(ANNA, "one", STEIN, "A-1"),
    Sent(ANNA, "one", STEIN, "A-2"),
    Sent(BRAM, "one", STEIN, None),
    Sent(CHAIMA, "another", STEIN, "C-1"),
]


def notice(match: str = MATCH) -> dict[str, Any]:
    """A line of an inbox."""
    return {"id": str(uuid4()), "match": match}


def match(*others: UUID, references: tuple[str, ...] = ()) -> dict[str, Any]:
    """A match as the API shows it."""
    return {
        "parties": [{"name": NAMES[other]} for other in others],
        "ownCaseReferences": list(references),
        "contactPoints": [
            {"municipality": STEIN, "kind": kind, "telephone": line} for kind, (_, line, _) in CONTACT_POINTS.items()
        ],
        "inDangerNow": [{"telephone": line} for line in ("112", "0800-2000", CONTACT_POINTS["crisis_line"][1])],
    }


def signals(*references: str) -> list[dict[str, Any]]:
    """Own signals as the API lists them."""
    return [{"caseReference": reference} if reference else {} for reference in references]


def found() -> Findings:
    """What there is when all promises are kept."""
    reporters = {
        ANNA: View(signals("A-1", "A-2"), [notice()], [MATCH], {MATCH: match(BRAM, references=("A-1", "A-2"))}),
        BRAM: View(signals(""), [notice()], [MATCH], {MATCH: match(ANNA)}),
        CHAIMA: View(signals("C-1"), [], [], {}),
    }
    supervisions = {place.code: View([], [], [], {}) for place in PLACES}
    supervisions[STEIN] = View([], [notice()], [MATCH], {MATCH: match(ANNA, BRAM)})
    kinds = {"signal.registered": 4, "match.opened": 1, "party.joined": 2, "notice.placed": 3, "match.read": 3}
    return Findings(reporters, supervisions, Counter({(kind, "success"): count for kind, count in kinds.items()}))


def webhook(subject: UUID, **changes: Any) -> Received:
    """A webhook whose signature was the index's."""
    event = Event(
        specversion="1.0", id=str(uuid4()), source="urn:x", type="t", subject=subject, time=datetime.now(UTC), data={}
    )
    return replace(Received({}, b"{}", datetime.now(UTC), event), **changes)


def register() -> Register:
    """One institution with three reporters."""
    people = {one: Person(name, "000-555 0001", "a@post.example") for one, name in NAMES.items()}
    return Register((Institution(ROLES[0], {}, people, Path("client.toml")),), {})


def broken(findings: Findings, received: list[Received] | None = None) -> set[str]:
    """The first words of every promise that is not kept."""
    made = [
        *checks.checks_of_readers(Expectation(SIGNALS), findings, register()),
        *checks.checks_of_ledger(Expectation(SIGNALS), findings, 0),
        *checks.checks_of_webhooks([webhook(ANNA)] if received is None else received, findings, [ANNA]),
    ]
    return {" ".join(one.promise.split()[:3]) for one in made if not one.kept}


def test_what_is_true_is_kept() -> None:
    assert broken(found()) == set()


def change(reporter: UUID, **changes: Any) -> Callable[[Findings], None]:
    """The view of a reporter is otherwise."""

    def apply(findings: Findings) -> None:
        findings.reporters[reporter] = replace(findings.reporters[reporter], **changes)

    return apply


def supervision(**changes: Any) -> Callable[[Findings], None]:
    """The view of the supervision of Stein is otherwise."""

    def apply(findings: Findings) -> None:
        findings.supervisions[STEIN] = replace(findings.supervisions[STEIN], **changes)

    return apply


BROKEN: dict[str, tuple[Callable[[Findings], None], str]] = {
    "a signal is missing": (change(CHAIMA, signals=[]), "each reporter lists"),
    "another's reference is listed": (change(BRAM, signals=signals("A-1")), "each reporter lists"),
    "a match too many": (change(CHAIMA, matches=[OTHER], notices=[notice(OTHER)]), "matches, parties and"),
    "a party does not see its match": (change(BRAM, matches=[], notices=[]), "matches, parties and"),
    "the supervisor is left out": (supervision(matches=[], notices=[], opened={}), "matches, parties and"),
    "told twice": (change(ANNA, notices=[notice(), notice()]), "each recipient was"),
    "not told": (change(BRAM, notices=[]), "each recipient was"),
    "told of another's match": (change(CHAIMA, notices=[notice()]), "each recipient was"),
    "another's reference is shown": (
        change(BRAM, opened={MATCH: match(ANNA, references=("A-1",))}),
        "opened, a match",
    ),
    "a stranger is shown": (change(BRAM, opened={MATCH: match(ANNA, CHAIMA)}), "opened, a match"),
    "a supervisor sees a reference": (
        supervision(opened={MATCH: match(ANNA, BRAM, references=("A-1",))}),
        "opened, a match",
    ),
    "no national number": (change(ANNA, opened={MATCH: match(BRAM) | {"inDangerNow": []}}), "and with them"),
    "no contact points": (change(ANNA, opened={MATCH: match(BRAM) | {"contactPoints": []}}), "and with them"),
    "an event is missing": (lambda findings: findings.events.subtract([("match.opened", "success")]), "the ledger has"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_promise_is_seen(how: str) -> None:
    findings = found()
    apply, promise = BROKEN[how]
    apply(findings)
    assert promise in broken(findings)


@pytest.mark.parametrize(
    ("received", "promise"),
    [
        ([], "the subscriber got"),
        ([webhook(ANNA), webhook(ANNA)], "the subscriber got"),
        ([webhook(BRAM)], "the subscriber got"),
        ([webhook(ANNA), webhook(ANNA, event=None)], "every webhook's signature"),
        ([webhook(ANNA), webhook(ANNA, body=b"larger")], "all webhooks are"),
    ],
)
def test_a_broken_webhook_is_seen(received: list[Received], promise: str) -> None:
    assert promise in broken(found(), received)


def test_a_repeated_webhook_is_one() -> None:
    """At least once is what is promised (I3): a repeat has the same id and changes nothing."""
    once = webhook(ANNA)
    assert broken(found(), [once, once]) == set()


@pytest.mark.parametrize(("differences", "status"), [((), 0), (("it differs",), 1)])
def test_the_exit_status_tells(
    differences: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def started(_: Console, __: Mapping[str, str]) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(folder=Path())

    monkeypatch.setattr("verwijsindex.demo.playing.started", started)
    monkeypatch.setattr("verwijsindex.demo.playing.play", lambda *_: None)
    monkeypatch.setattr("verwijsindex.demo.telling.tell", lambda *_: None)
    monkeypatch.setattr("verwijsindex.demo.telling.check_all", lambda *_: [checks.Check("it holds", differences)])
    monkeypatch.setattr("verwijsindex.demo.auditing.audit", lambda *_: [])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        program.main(once=True, rows=100)
    assert ended.value.code == status
    assert ("✗ it holds" in capsys.readouterr().out) == bool(differences)
