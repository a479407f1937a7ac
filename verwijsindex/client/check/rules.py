# SPDX-License-Identifier: EUPL-1.2
"""The rules of docs/protocol.md that `verwijsindex client check` judges: S1.. of senders, V1.. of receivers.

A number never changes its meaning; a rule that falls away keeps it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold."""

    id: str
    holds: str
    section: str
    """Of docs/protocol.md, where it is said how."""
    advice: str
    """What to do when it does not hold."""


SENDER = (
    Rule("S1", "what is no BSN is not sent", "3", "Do the 11-test before anything else, and tell the user."),
    Rule("S2", "eight digits are padded to nine", "3", "Put one zero in front before hashing."),
    Rule("S3", "every blind is fresh", "4.3", "Take a new random scalar for each element of each request."),
    Rule("S4", "N is that of the youngster", "4", "Compare hashing, blinding and unblinding with the test vectors."),
    Rule("S5", "an evaluation without its proof is not used", "4.5", "Check the proof; use nothing when it fails."),
    Rule("S6", "the proof is checked for the listed key", "4.5", "Take the public key from the signed list alone."),
    Rule("S7", "the list's signature is checked", "5", "Verify it with the pinned key before you read it."),
    Rule(
        "S8", "both lists are fetched and compared", "5", "Get the list from index and service; stop when they differ."
    ),
    Rule("S9", "the highest version accepted now is used", "5", "Leave out what is not accepted yet, or not any more."),
    Rule("S10", "tokens are asked for in the right form", "6", "Compare the assertion and the form, member by member."),
    Rule(
        "S11", "a token is used for its service, and again", "6", "Ask once for each service; keep it until it expires."
    ),
    Rule("S12", "each signal has an idempotency key of its own", "7", "A random UUID for each, kept with the signal."),
    Rule(
        "S13", "no answer, or 503: the same request again", "7", "Send it again with the same key and the same content."
    ),
    Rule("S14", "Retry-After is honoured", "7", "Wait as many seconds as it says before you try again."),
    Rule("S15", "a refused signal is not repeated", "7", "Show 400, 403 and 422 to a person; they do not pass."),
    Rule(
        "S16", "removal date and 23rd birthday are right", "7", "Compute both in Europe/Amsterdam, as the vectors show."
    ),
    Rule("S17", "who is 23 is not sent", "7", "Do not send when the 23rd birthday is on or before the day of madeAt."),
    Rule("S18", "the body has its form and no other member", "7", "Send the members of the table, and nothing else."),
    Rule(
        "S19",
        "no BSN and no birth date leaves",
        "1",
        "Look for them in addresses, headers and bodies: none may be there.",
    ),
    Rule("S20", "N stands in its place only", "4.6", "Keep it out of addresses, headers, keys and other members."),
    Rule(
        "S21", "parents are sent as parents", "4.1", "Hash them with `verwijsindex/1/parent/`, and send theirs alone."
    ),
    Rule("S22", "what is shielded is sent so, or not at all", "7", 'Send "shielded": true with it, or let it be.'),
)

RECEIVER = (
    Rule("V1", "a signed event is answered 2xx", "8", "Answer 204 as soon as the signature is checked."),
    Rule("V2", "another secret's signature is refused", "8", "Answer 400 and do nothing."),
    Rule("V3", "a changed body is refused", "8", "Compute the signature over the bytes as they came."),
    Rule("V4", "an old or future timestamp is refused", "8", "Answer 400 when it is more than five minutes away."),
    Rule(
        "V5", "missing or broken headers are refused", "8", "Answer 400 without webhook-id, -timestamp or -signature."
    ),
    Rule("V6", "only signatures of version v1 count", "8", "Pass over parts with another prefix than `v1,`."),
    Rule("V7", "one of several signatures is enough", "8", "Split the header at spaces; one that fits will do."),
    Rule("V8", "a repeat is answered 2xx", "8", "Drop it by its webhook-id, and say that all is well."),
    Rule("V9", "members and types you do not know are passed over", "8", "Answer 2xx and leave alone what is unknown."),
    Rule("V10", "an event of 16 KiB is taken", "8", "Read bodies up to 16 KiB at least."),
    Rule("V11", "a flood of bytes does no harm", "8", "Stop reading at a bound; go on serving others."),
    Rule(
        "V12",
        "a challenge is answered, a forged one is not",
        "8",
        'Answer {"challenge": ...} once the signature is checked.',
    ),
    Rule("V13", "every answer comes in time", "8", "Answer first and work afterwards: within 15 seconds."),
    Rule("V14", "the connection is kept open", "8", "Not needed, but it spares both sides a TLS handshake each time."),
)
