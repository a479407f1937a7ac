# SPDX-License-Identifier: EUPL-1.2
"""How long it takes from a signal to the notice of it, measured when it is quiet, as both sides see it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from verwijsindex.client import Accepted, Bsn, ClientConfig, Informed, SignalDraft, VerwijsindexClient
from verwijsindex.demo.expectation import Sent
from verwijsindex.demo.receiver import Received, Receiver
from verwijsindex.demo.registering import Institution
from verwijsindex.settings import utc_now
from verwijsindex.signals.dates import amsterdam_date

PATIENCE = 20.0  # seconds


@dataclass(slots=True)
class Timing:
    """Seconds from just before the second reporter's signal was posted until the first one's inbox showed the match,
    and until the webhook about it had arrived; and the signals that were sent for it."""

    inbox: list[float] = field(default_factory=list)
    webhook: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


def measure(told: Institution, other: Institution, receiver: Receiver, spare: Sequence[str], residence: str) -> Timing:
    """One quiet signal for each BSN of `spare`, which nobody has signalled yet.

    Args:
        told: whose client has the webhook; its reporters signal first, in turn, and are told.
        other: whose first reporter then signals the same youngster.
    """
    timing = Timing()
    seen = len(receiver.received())
    began: dict[UUID, list[datetime]] = {}
    with ExitStack() as clients:
        first, second = (
            clients.enter_context(VerwijsindexClient(ClientConfig.load(one.config))) for one in (told, other)
        )
        for number, bsn in enumerate(spare):
            reporter = list(told.reporters)[number % len(told.reporters)]
            timing.sent.append(_signal(first, reporter, bsn, residence, f"quiet-{number + 1}a"))
            before = {notice["id"] for notice in first.notices(reporter)}
            began.setdefault(reporter, []).append(utc_now())
            started = time.monotonic()
            timing.sent.append(_signal(second, next(iter(other.reporters)), bsn, residence, f"quiet-{number + 1}b"))
            while {notice["id"] for notice in first.notices(reporter)} <= before and _patience(started):
                time.sleep(0.005)
            timing.inbox.append(time.monotonic() - started)
    started = time.monotonic()
    while len(receiver.received()) < seen + len(spare) and _patience(started):
        time.sleep(0.02)
    timing.webhook = list(_webhook_times(began, receiver.received()[seen:]))
    return timing


def _signal(client: VerwijsindexClient, reporter: UUID, bsn: str, residence: str, reference: str) -> Sent:
    now = utc_now()
    draft = SignalDraft(
        reporter=reporter,
        bsn=Bsn.parse(bsn),
        birth_date=date(now.year - 11, 3, 14),
        residence_municipality=residence,
        made_at=now - timedelta(minutes=1),
        reasonable_suspicion=True,
        informing=Informed(amsterdam_date(now - timedelta(days=1)), "both"),
        case_reference=reference,
    )
    for outcome in client.submit([draft]):
        if not isinstance(outcome, Accepted):
            raise outcome.problem
    return Sent(reporter, bsn, residence, reference)


def _webhook_times(began: dict[UUID, list[datetime]], received: list[Received]) -> Iterator[float]:
    """A reporter's webhooks belong to its signals in their order: they leave in it, a tick apart or together."""
    for reporter, moments in began.items():
        arrived = [one.arrived_at for one in received if one.event and one.event.subject == reporter]
        for start, end in zip(moments, arrived, strict=False):
            yield (end - start).total_seconds()


def _patience(started: float) -> bool:
    return time.monotonic() - started < PATIENCE
