# SPDX-License-Identifier: EUPL-1.2
"""The catalogue of the ledger: every kind of event, what it says, and which fields it may hold (R25).

A kind's fields are an allow-list: what is not listed cannot be written, so that no call can leak a value (I5). The
list in docs/ledger.md is made from this file; which operation writes which kinds is in tests/ledger/promises.py.
"""

from dataclasses import dataclass
from typing import Literal

Sort = Literal["act", "read", "refusal", "system"]
"""What somebody did, saw, or was refused; `system` is what came of it by itself: the matcher, the clock, upkeep."""


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event. `when` completes "it is written when ..."; `fields` are what it may say besides who, when,
    outcome and whom it concerns."""

    name: str
    sort: Sort
    when: str
    fields: frozenset[str] = frozenset()


def _kind(name: str, sort: Sort, when: str, *fields: str) -> EventKind:
    return EventKind(name, sort, when, frozenset(fields))


# Signals. `reporterId`: of a coordinator's act the reporter on whose behalf it is; of a handover the receiver; of a
# decision of the rights desk, and of what is ended again after a restore, whose signal it is.
SIGNAL_REGISTERED = _kind("signal.registered", "act", "a signal was placed", "signalId")
SIGNAL_REFUSED = _kind(
    "signal.refused", "refusal", "a signal was refused because reporter, institution or agreement may not", "problem"
)
LIMIT_REACHED = _kind(
    *("limit.reached", "refusal"),
    "signals were refused over a limit: how many, told once a minute at most of each client and limit",
    *("limit", "count"),
)
DEATH_TOLD = _kind("death.told", "act", "a municipality told that a youngster died, known here or not")
SIGNAL_RESTRICTED = _kind(
    "signal.restricted", "act", "a rights desk hid a signal during an objection", "signalId", "reporterId"
)
SIGNAL_RESTRICTION_LIFTED = _kind(
    "signal.restriction_lifted", "act", "a rights desk lifted that again", "signalId", "reporterId"
)
SIGNAL_ENDED = _kind(
    *("signal.ended", "act"),
    "a rights desk ended a signal on an upheld request, or a restore ended again what had been withdrawn",
    *("signalId", "reporterId", "reason"),
)
SIGNALS_LISTED = _kind("signals.listed", "read", "the own signals, or those of the institution, were listed", "count")
SIGNAL_READ = _kind("signal.read", "read", "one signal was read", "signalId")
ARCHIVED_SIGNAL_READ = _kind(
    "archived_signal.read", "read", "an archived signal of another on the same youngster was read", "signalId"
)
SIGNAL_WITHDRAWN = _kind(
    "signal.withdrawn", "act", "a reporter, or the coordinator, withdrew a signal", "signalId", "reason", "reporterId"
)
INFORMING_RECORDED = _kind(
    *("signal.informing_recorded", "act", "it was recorded that the family was informed, or that it was postponed"),
    *("signalId", "status", "reporterId"),
)
SIGNAL_HANDED_OVER = _kind(
    "signal.handed_over", "act", "a coordinator handed a signal to a colleague", "signalId", "reporterId"
)
SIGNAL_MOVED = _kind("signal.moved", "act", "a reporter told where the youngster lives now", "signalId", "reporterId")
ORPHANED_SIGNALS_LISTED = _kind(
    "orphaned_signals.listed", "read", "signals without a reporter or an agreement were listed", "count"
)
SIGNAL_ARCHIVED = _kind("signal.archived", "system", "a signal that ended went to the archive", "signalId")
SIGNAL_DESTROYED = _kind("signal.destroyed", "system", "a signal was destroyed", "signalId")

# Matches. `reporter` stands beside these where one party is concerned.
MATCH_OPENED = _kind("match.opened", "system", "the signals of two reporters met", "matchId")
MATCH_ENDED = _kind("match.ended", "system", "fewer than two reporters were left", "matchId")
PARTY_JOINED = _kind("party.joined", "system", "a reporter became a party", "matchId", "signalId")
PARTY_LEFT = _kind("party.left", "system", "a reporter was a party no more", "matchId")
FAMILY_MATCH_OPENED = _kind("family_match.opened", "system", "signals on two of one family met", "matchId")
FAMILY_MATCH_ENDED = _kind("family_match.ended", "system", "they did so no more", "matchId")
MATCHES_LISTED = _kind("matches.listed", "read", "the matches of the scope were listed", "count")
MATCH_READ = _kind("match.read", "read", "a match was read, with the contact data in it", "matchId")
MATCH_MOVED = _kind("match.moved", "act", "a case supervisor told where the youngster of a match lives now", "matchId")
NOTICE_PLACED = _kind(
    *("notice.placed", "system"),
    "somebody was told: a reporter, a municipality's supervision, or an institution's officers or coordinators",
    *("matchId", "signalId", "noticeId", "officersOf", "coordinatorsOf"),
)
NOTICES_LISTED = _kind("notices.listed", "read", "an inbox was listed", "count")
NOTICE_READ = _kind("notice.read", "read", "one notice was read", "noticeId")

# Follow-up.
ROUND_BEGAN = _kind("round.began", "system", "a round of follow-up began", "matchId")
ROUND_RENEWED = _kind("round.renewed", "system", "a new party began the round anew", "matchId")
ROUND_LAPSED = _kind("round.lapsed", "system", "a round ended with its match", "matchId")
ROUND_MOVED = _kind(
    "round.moved", "act", "a party recorded contact or coordination, or closed the follow-up", "matchId", "act"
)
FOLLOW_UP_READ = _kind("follow_up.read", "read", "the follow-up of a match was read", "matchId")
FOLLOW_UPS_LISTED = _kind("follow_ups.listed", "read", "a case supervisor listed follow-ups", "count")
LEAD_PROPOSED = _kind("lead.proposed", "system", "a party was proposed for the lead", "matchId")
LEAD_ANSWERED = _kind(
    "lead.answered", "act", "a party accepted, declined, took or handed over the lead", "matchId", "act", "reason"
)
LEAD_UNANSWERED = _kind("lead.unanswered", "system", "a proposal was not answered in time", "matchId")
LEAD_ENDED = _kind("lead.ended", "system", "who led is a party no more", "matchId")
STEP_DONE = _kind(
    "follow_up.step_done", "system", "a deadline passed, and the next ones were reminded", "matchId", "told"
)
PAIRS_MUTED = _kind("pairs.muted", "act", "a party said to work together already", "matchId", "count")
MUTES_LISTED = _kind("mutes.listed", "read", "a reporter listed what it had said so", "count")
MUTE_UNDONE = _kind("mute.undone", "act", "a reporter took that back", "matchId")
FIGURES_PUBLISHED = _kind("figures.published", "system", "the figures of a quarter were counted", "quarter")
FIGURES_READ = _kind("figures.read", "read", "a case supervisor read the figures of a quarter", "quarter")

# Register and mail.
REPORTERS_LISTED = _kind("reporters.listed", "read", "a coordinator listed the institution's reporters", "count")
REPORTER_READ = _kind("reporter.read", "read", "a coordinator read one reporter", "reporterId")
COORDINATORS_LISTED = _kind(
    "coordinators.listed", "read", "a coordinator listed the institution's coordinators", "count"
)
REGISTRY_CHANGED = _kind(
    "registry.changed", "act", "an administrator changed the register", "record", "recordId", "change"
)
CONTACT_DATA_REMOVED = _kind(
    "contact_data.removed", "system", "contact data of who left was destroyed", "record", "recordId"
)
MAIL_PREFERENCE_READ = _kind(
    *("mail_preference.read", "read", "it was read when mail is sent", "officersOf", "coordinatorsOf")
)
MAIL_PREFERENCE_CHANGED = _kind(
    *("mail_preference.changed", "act", "when mail is sent was chosen, by a person or by the link in a mail"),
    *("mail", "digestAt", "officersOf", "coordinatorsOf"),
)
REFUSED_MAILS_LISTED = _kind(
    "refused_mails.listed", "read", "a coordinator listed who does not get their mail", "count"
)

# Webhooks.
SUBSCRIPTION_CHANGED = _kind(
    *("subscription.changed", "act"),
    "a client changed its subscription, or deliveries showed that it works, or is gone",
    *("change", "subscriptionId", "subscriber", "subscribingInstitution", "count"),
)
SUBSCRIPTIONS_LISTED = _kind("subscriptions.listed", "read", "a client listed its subscriptions", "count")
SUBSCRIPTION_READ = _kind(
    "subscription.read", "read", "a client read its subscription, or was told its secret again", "subscriptionId"
)
ATTEMPTS_LISTED = _kind(
    "attempts.listed", "read", "a client listed what became of its webhooks", "subscriptionId", "count"
)
DEAD_LETTERS_LISTED = _kind("dead_letters.listed", "read", "a coordinator listed webhooks that did not come", "count")
DEAD_LETTERS_REPLAYED = _kind("dead_letters.replayed", "act", "a coordinator had them sent again", "count")

# Refusals, keys and the ledger itself.
ACCESS_REFUSED = _kind(
    *("access.refused", "refusal", "a known caller was answered 403, 404 or 429", "problem", "operation"),
    *("signalId", "archivedSignalId", "matchId", "noticeId", "reporterId", "subscriptionId", "muteId", "alertId"),
)
INDEX_KEY_CHANGED = _kind(
    *("index_key.changed", "act", "a version of the index key was activated, dropped or destroyed"),
    *("change", "version", "pseudonymVersion"),
)
PSEUDONYM_KEY_CHANGED = _kind(
    "pseudonym_key.changed", "act", "a version of the pseudonym key is no more, nor what turns it", "change", "version"
)
OWN_EVENTS_READ = _kind(
    *("own_events.read", "read", "an institution's client read its own events of a signal, with proofs"),
    *("signalId", "count"),
)
LEDGER_EXPORTED = _kind("ledger.exported", "read", "the operator exported the ledger", "part")
EVENTS_DROPPED = _kind("events.dropped", "system", "events older than five years were destroyed", "count")

# The privacy officer's desk.
LEDGER_SEARCHED = _kind(
    *("ledger.searched", "read", "a privacy officer searched the ledger: for what, what was asked, how much was found"),
    *("purpose", "personId", "institution", "signalId", "matchId", "from", "until", "kinds", "havingOutcome", "count"),
    "eventIds",
)
ALERT_RAISED = _kind(
    *(
        "alert.raised",
        "system",
        "what somebody did was far from the own past, or an unjustified signal's match was read",
    ),
    *("alertId", "alertKind", "count"),
)
SAMPLE_READ = _kind("sample.read", "read", "a privacy officer read the monthly sample", "month", "count")
SAMPLE_SIGNED_OFF = _kind(
    *("sample.signed_off", "act", "a privacy officer said of an access in it whether it is as expected"),
    *("month", "sampledEvent", "finding"),
)
LEDGER_REPORTED = _kind(
    "ledger.reported", "read", "a privacy officer had a report made of a period", "from", "until", "form"
)

ALERTS_LISTED = _kind("alerts.listed", "read", "a privacy officer listed alerts", "count")
ALERT_READ = _kind("alert.read", "read", "a privacy officer read an alert", "alertId")
ALERT_ASSESSED = _kind("alert.assessed", "act", "a privacy officer said what an alert was", "alertId", "code")
ALERT_CONFIRMED = _kind(
    "alert.confirmed", "act", "a second privacy officer closed an alert, or opened it again", "alertId", "decision"
)

KINDS: dict[str, EventKind] = {k.name: k for k in list(vars().values()) if isinstance(k, EventKind)}
"""All of them, by name."""

_NOT_SAMPLED = {
    FIGURES_READ,
    MAIL_PREFERENCE_READ,
    SUBSCRIPTIONS_LISTED,
    SUBSCRIPTION_READ,
    ATTEMPTS_LISTED,
    DEAD_LETTERS_LISTED,
    LEDGER_REPORTED,
}
ACCESSES = frozenset(kind.name for kind in KINDS.values() if kind.sort == "read" and kind not in _NOT_SAMPLED)
"""The kinds of which the monthly sample is taken: somebody saw something of a youngster, of a colleague or of who
looked. What only shows how a machine is connected, when mail comes or what the figures are is left out."""
