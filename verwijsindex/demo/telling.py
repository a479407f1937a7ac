# SPDX-License-Identifier: EUPL-1.2
"""From what was played: the account in its order, all its checks, and what one can go on with."""

import re
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType

from verwijsindex.demo import account, checks, followed_account
from verwijsindex.demo.cast import PLACES
from verwijsindex.demo.family import checks_of_family
from verwijsindex.demo.playing import Played


def tell(console: Console, played: Played, tick: float) -> None:
    """Print the account. `tick` is the seconds between pushes."""
    console.print()
    for part in (
        account.signals(played.register, played.outcomes),
        account.refusals(played.outcomes),
        account.matches(played.expected),
        account.told(played.totals, played.webhooks, played.mails, played.subscriber),
        *_one_match(played),
        *(account.webhook(one) for one in played.received[:1]),
        account.timing(played.timing, tick),
        account.events(played.totals.events),
        account.family(played.family),
        followed_account.followed(played.followed),
    ):
        console.print(part)
        console.print()


def _one_match(played: Played) -> Iterator[RenderableType]:
    """One match and an inbox, from both sides: a reporter's and a case supervisor's."""
    register, found = played.register, played.found
    both_sides = [
        (reader, place, match_id)
        for reader in played.subscriber.reporters
        for place in PLACES
        for match_id in found.reporters[reader].opened.keys() & found.supervisions[place.code].opened.keys()
    ]
    if not both_sides:
        return
    reader, place, match_id = max(
        both_sides, key=lambda side: len(found.reporters[side[0]].opened[side[2]]["ownCaseReferences"])
    )
    name, view = register.name_of(reader), found.reporters[reader]
    supervisor, supervision = register.supervisors[place][1].name, found.supervisions[place.code]
    yield account.sample(found, register, match_id)
    yield account.inbox(f"{name}, {played.subscriber.role.name}", view)
    yield account.match(f"{name}, reporter,", view.opened[match_id])
    yield account.supervised(f"{supervisor}, case supervisor of {place.name},", supervision.opened[match_id])


def check_all(played: Played, folder: Path) -> list[checks.Check]:
    """Everything that the account promises, checked. `folder` has the logs of all processes and the reports."""
    found, expected = played.found, played.expected
    smallest, again = played.sent_again
    first = played.outcomes[smallest.role.client_id]
    refused = sum(outcome.refused_by_index for outcome in (*played.outcomes.values(), again))
    numbers = {bsn.encode() for bsn in (*played.exports.all_bsns(), *played.exports.spare)}
    leaking = [f"{one.headers.get('webhook-id')}" for one in played.received if numbers & numbers_in(one.body)]
    leaking += ["a mail" for mail in played.mails if numbers & numbers_in(mail.raw)]
    leaking += [
        path.name
        for path in (*folder.glob("*.log"), *folder.glob("*/refused.csv"))
        if numbers & numbers_in(path.read_bytes())
    ]
    return [
        checks.check(
            "all signals were matched and all webhooks delivered in time",
            []
            if played.settled
            else ["some wait still: is this machine too busy, or does REDIS_URL name a Redis that is not there?"],
        ),
        checks.check("every good row is accepted, every faulty one refused for its own fault", _rows(played)),
        checks.check(
            "an export that is sent again makes no second signal (R9)", checks.differ(smallest.role.name, first, again)
        ),
        *checks.checks_of_readers(expected, found, played.register),
        *checks.checks_of_webhooks(played.received, found, played.subscriber.reporters),
        *checks.checks_of_ledger(expected, found, refused),
        *checks_of_family(played.family),
        *followed_account.checks_of_follow_up(played.followed, played.mails),
        checks.check("no BSN stands in a log, a report, a webhook or a mail (I5)", leaking),
    ]


def numbers_in(content: bytes) -> set[bytes]:
    """Every run of nine digits."""
    return set(re.findall(rb"(?<![0-9])[0-9]{9}(?![0-9])", content))


def _rows(played: Played) -> Iterator[str]:
    for one in played.register.institutions:
        outcome, export = played.outcomes[one.role.client_id], played.exports.exports[one.role.client_id]
        yield from checks.differ(f"{one.role.name}, accepted", len(export.accepted), outcome.accepted)
        yield from checks.differ(f"{one.role.name}, refused", len(export.refused), outcome.refused)
        found = outcome.codes_by_line()
        for line, codes in sorted(export.refused.items()):
            yield from checks.differ(f"{one.role.name}, line {line}", sorted(codes), sorted(found.get(line, ())))
