# SPDX-License-Identifier: EUPL-1.2
"""Intake within the limits on signals and deaths (R37): what is over them is not placed; signals are told in the ledger
by number.

A signal costs when it is placed, and when it is refused because the caller may not (403); that costs the country
nothing, since else a few clients with sixty batches of nonsense would stop everyone until midnight. What is wrong in
itself (400, 422) and the repeat of an accepted request cost nothing; a repeat gets its first answer at any time. While
a request is under way it counts, also if it will turn out to be a repeat.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime

from sqlalchemy import Connection

from verwijsindex.access.caller import Caller
from verwijsindex.ledger import events
from verwijsindex.limits.service import Demand, Limiter, NationalLimits, Reached
from verwijsindex.limits.tally import Tally
from verwijsindex.problems import Problem
from verwijsindex.pseudonyms.factors import KeyMissingError
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals import deaths, service
from verwijsindex.signals.schemas import RegisteredSignal, Submission

# Who names another institution's reporter, or nobody's, makes no counter for it. CASE, since AND promises no order.
_OWN = """
CASE WHEN a.name <> 'signals/reporter' THEN true ELSE EXISTS (
    SELECT FROM reporter r
    WHERE r.oin = split_part(a.subject, '/', 1) AND r.id = CAST(split_part(a.subject, '/', 2) AS uuid)) END
"""


class SignalLimits:
    """The limits of one process on signals in a day, for each reporter, each institution and the country."""

    def __init__(self, *, reporter: int, institution: int, country: int) -> None:
        self._limits = NationalLimits.on("signals", reporter=reporter, institution=institution, country=country)
        self._limiter = Limiter(only=_OWN)
        self._tally: Tally[tuple[events.Actor, str]] = Tally()

    def register(
        self,
        connection: Connection,
        keys: IndexKeys,
        caller: Caller,
        submissions: Sequence[Submission],
        now: datetime,
    ) -> list[RegisteredSignal | Problem]:
        """As `service.register`, and 429 for each submission that is over a limit. In the order of the submissions as
        many are within them as there is room for."""
        bills = self._bills(caller, submissions)
        reached = self._limiter.take(lambda: nullcontext(connection), bills, now)
        within = [i for i, limit in enumerate(reached) if limit is None]
        over = {i: submission for i, submission in enumerate(submissions) if reached[i]}
        try:
            answers = service.register(connection, keys, caller, [submissions[i] for i in within], now)
        except KeyMissingError:  # nothing was placed, and senders come again until the key is there
            for i in within:
                self._limiter.give_back(bills[i], now)
            raise
        outcomes = dict(zip(within, answers, strict=True))
        for i in within:
            self._limiter.give_back(self._unspent(bills[i], submissions[i], outcomes[i]), now)
        outcomes |= service.first_answers(connection, keys, caller, over)
        refused = {i: limit for i, limit in enumerate(reached) if limit and i not in outcomes}
        self._tell(connection, caller, [(limit, submissions[i]) for i, limit in refused.items()], now)
        outcomes |= {i: limit.problem() for i, limit in refused.items()}
        return [outcomes[i] for i in range(len(submissions))]

    def tell_death(
        self, connection: Connection, keys: IndexKeys, caller: Caller, told: deaths.Told, now: datetime
    ) -> datetime:
        """As `deaths.tell`: when it was first received. A death costs the institution and the country what a signal
        costs: who got hold of a municipality's key destroys a bounded number of signals in a day.

        Raises:
            Problem: those of `deaths.tell`, and 429 over a limit.
        """
        bill = [Demand(self._limits.institution, caller.oin or ""), Demand(self._limits.country, "all")]
        [reached] = self._limiter.take(lambda: nullcontext(connection), [bill], now)
        if reached:
            first = deaths.first_told(connection, keys, caller, told)
            if first is None:
                raise reached.problem()
            return first
        try:
            first = deaths.tell(connection, keys, caller, told, now)
        except Problem as problem:
            self._limiter.give_back(bill[1:] if problem.type.status == 403 else bill, now)
            raise
        if first:
            self._limiter.give_back(bill, now)
        return first or now

    def _bills(self, caller: Caller, submissions: Sequence[Submission]) -> list[list[Demand]]:
        """What each costs: the same for all of one reporter, and nothing for what is too late."""
        reporters = {submission.signal.reporter for submission in submissions}
        each = {reporter: self._limits.demands(caller.oin or "", {reporter: 1}) for reporter in reporters}
        nothing: list[Demand] = []
        return [nothing if one.clock_faults else each[one.signal.reporter] for one in submissions]

    def _unspent(
        self, bill: Sequence[Demand], submission: Submission, outcome: RegisteredSignal | Problem
    ) -> Sequence[Demand]:
        if isinstance(outcome, Problem):
            is_refused = outcome.type.status == 403
            return [demand for demand in bill if not is_refused or demand.limit is self._limits.country]
        return bill if outcome.id != submission.signal_id else []  # an earlier one's: a repeat

    def _tell(
        self, connection: Connection, caller: Caller, refused: Sequence[tuple[Reached, Submission]], now: datetime
    ) -> None:
        """Their number, in the ledger (I4): one event a minute of each client and limit, so that an attack does not
        make the ledger its bottleneck."""
        counted = Counter((self._actor(caller, limit, one), limit.limit.name) for limit, one in refused)
        told = self._tally.due(counted, now) if counted else {}
        events.append(
            connection,
            [
                events.Event(events.LIMIT_REACHED, now, actor, "refused", says={"limit": name, "count": count})
                for (actor, name), count in told.items()
            ],
        )

    def _actor(self, caller: Caller, reached: Reached, submission: Submission) -> events.Actor:
        of_reporter = reached.limit is self._limits.reporter
        reporter = submission.signal.reporter if of_reporter else None
        return events.Actor(role=caller.role, client_id=caller.client_id, oin=caller.oin, on_behalf_of=reporter)
