# SPDX-License-Identifier: EUPL-1.2
"""Which events each operation of the API writes: what docs/ledger.md promises, and test_promises.py holds it to (R25).

A new operation needs an entry here, by its `operationId`, as it needs an example in tests/access/examples.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from access.matrix import OPEN


@dataclass(frozen=True)
class Promise:
    """What comes into the ledger when an operation's example is done, and when somebody may not."""

    done: tuple[str, ...]
    """The kinds, one event of each."""
    besides: str = ""
    """What else there can be, and when: for who reads the document."""
    refused: tuple[str, ...] = ("access.refused",)
    repeated: tuple[str, ...] = ()
    """What a repeat of the request with its idempotency key writes: it does nothing, but may show something again."""


NOTHING = Promise((), "open to all: who asks is not known, and nothing of anybody is shown", ())
_SIGNALS = ("access.refused", "signal.refused", "limit.reached")
_LEAD = Promise(("lead.answered",))
_PREFERENCE = Promise(("mail_preference.changed",))
_SUBSCRIPTION = Promise(("subscription.changed",))

PROMISES: dict[str, Promise] = {
    "registerSignal": Promise(("signal.registered",), refused=_SIGNALS),
    "registerSignalBatch": Promise(
        ("signal.registered",), "one for each signal that is placed or refused", refused=_SIGNALS
    ),
    "listSignals": Promise(("signals.listed",)),
    "getSignal": Promise(("signal.read",)),
    "withdrawSignal": Promise(("signal.withdrawn",)),
    "recordInforming": Promise(("signal.informing_recorded",)),
    "tellMoveOfSignal": Promise(("signal.moved",)),
    "handOverSignal": Promise(("signal.handed_over",)),
    "listOrphanedSignals": Promise(("orphaned_signals.listed",)),
    "getArchivedSignal": Promise(("archived_signal.read",)),
    "restrictSignal": Promise(("signal.restricted",)),
    "liftRestriction": Promise(("signal.restriction_lifted",)),
    "destroySignal": Promise(("signal.ended",)),
    "tellDeath": Promise(("death.told",)),
    "listMatches": Promise(("matches.listed",)),
    "getMatch": Promise(("match.read",), "that a party saw it moves the round: the read is its event"),
    "tellMoveOfMatch": Promise(("match.moved",)),
    "getFollowUp": Promise(("follow_up.read",)),
    "listFollowUps": Promise(("follow_ups.listed",)),
    "getFollowUpFigures": Promise(("figures.read",)),
    "recordContact": Promise(("round.moved",)),
    "recordCoordination": Promise(("round.moved",)),
    "closeFollowUp": Promise(
        ("round.moved", "pairs.muted"), "`pairs.muted` with the outcome `already_together`, of who was not said so yet"
    ),
    "answerLead": _LEAD,
    "handOverLead": _LEAD,
    "listMutes": Promise(("mutes.listed",)),
    "undoMute": Promise(("mute.undone",)),
    "listNotices": Promise(("notices.listed",)),
    "getNotice": Promise(("notice.read",)),
    "getMailPreference": Promise(("mail_preference.read",)),
    "chooseMailPreference": _PREFERENCE,
    "getMailPreferenceOfReporter": Promise(("mail_preference.read",)),
    "chooseMailPreferenceOfReporter": _PREFERENCE,
    "listRefusedMails": Promise(("refused_mails.listed",)),
    "listReporters": Promise(("reporters.listed",)),
    "getReporter": Promise(("reporter.read",)),
    "listCoordinators": Promise(("coordinators.listed",)),
    "createWebhookSubscription": Promise(("subscription.changed",), repeated=("subscription.read",)),
    "listWebhookSubscriptions": Promise(("subscriptions.listed",)),
    "getWebhookSubscription": Promise(("subscription.read",)),
    "changeWebhookSubscription": _SUBSCRIPTION,
    "deleteWebhookSubscription": _SUBSCRIPTION,
    "challengeWebhookSubscription": _SUBSCRIPTION,
    "rotateWebhookSecret": Promise(("subscription.changed",), repeated=("subscription.read",)),
    "listWebhookAttempts": Promise(("attempts.listed",)),
    "replayWebhooks": _SUBSCRIPTION,
    "listDeadLetters": Promise(("dead_letters.listed",)),
    "replayDeadLetters": Promise(("dead_letters.replayed",)),
    "listOwnLedgerEvents": Promise(("own_events.read",)),
    "searchLedger": Promise(("ledger.searched",)),
    "listAlerts": Promise(("alerts.listed",)),
    "getAlert": Promise(("alert.read",)),
    "assessAlert": Promise(("alert.assessed",)),
    "confirmAlert": Promise(("alert.confirmed",)),
    "getSample": Promise(("sample.read",)),
    "signOffSample": Promise(("sample.signed_off",), "one for each access"),
    "getLedgerReport": Promise(("ledger.reported",)),
} | dict.fromkeys(OPEN, NOTHING)


def table(operations: Iterable[str]) -> str:
    """The promises in Markdown, for the operations of the index's document."""
    lines = ["| Operation | Done | Refused | Besides |", "|---|---|---|---|"]
    for operation in sorted(operations):
        promise = PROMISES[operation]
        besides = [promise.besides, f"repeated: {_named(promise.repeated)}" if promise.repeated else ""]
        cells = (_named(promise.done), _named(promise.refused), "; ".join(filter(None, besides)))
        lines.append(f"| `{operation}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _named(kinds: Iterable[str]) -> str:
    return ", ".join(f"`{kind}`" for kind in kinds) or "none"
