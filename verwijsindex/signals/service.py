# SPDX-License-Identifier: EUPL-1.2
"""Registering signals: intake is one statement that only inserts (docs/decisions/0009; I1, I4, I7)."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.access.caller import Caller
from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.problems import CATALOGUE, IDEMPOTENCY_KEY_REUSED, INVALID_INPUT, Fault, Problem
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeyMissingError, IndexKeys
from verwijsindex.signals.dates import amsterdam_date
from verwijsindex.signals.known_requests import AS_SENT, KNOWING, first_requests, is_repeat, known_by
from verwijsindex.signals.schemas import Informed, RegisteredSignal, SignalIn, Submission

_COLUMNS: dict[str, str] = {
    "signal_id": "uuid",
    "keys": "text[]",
    "in_time": "boolean",
    "body_fingerprint": "bytea",
    "pseudonym_fingerprint": "bytea",
    "pseudonym_version": "int",
    "reporter_id": "uuid",
    "made_at": "timestamptz",
    "removal_date": "date",
    "sealed_pseudonym": "bytea",
    "residence": "char(4)",
    "informing_status": "text",
    "informed_on": "date",
    "informed_to": "text",
    "postponed_ground": "text",
    "review_date": "date",
    "turns23_on_sealed": "bytea",
    "case_reference_sealed": "bytea",
    "parents_sealed": "bytea[]",
    "shielded": "boolean",
    "event_id": "uuid",
    "event_body": "bytea",
    "event_nonce": "bytea",
}

# One statement, so one snapshot and one transaction: who may (R1), the idempotency record, the signal, its work and
# its event. Why it is right when two run at once: the insert of the idempotency record waits for another
# transaction that holds the same key, and then does nothing; everything after it hangs on the records it returned.
# Records are inserted in the order of their keys, so that two batches cannot deadlock; of one key the first is taken.
# What another transaction committed while this one waited is not in this snapshot: `first_answers` reads it later,
# and only for what was not placed, so that a signal costs one round trip.
# A request is claimed by the fingerprint of its key under one version of the index key: the one that the database says
# in this very statement. It says another only while no such statement runs (`turning`), so that two never claim under
# two; what was claimed under another version, or by the key as sent, was committed before, and is seen here (`known`).
# PostgreSQL does not know how many rows come in, and keeps the plan it once made: LATERAL with LIMIT 1 looks each up by
# its key whatever it guesses, where a plain join read all of a table that had been small when the plan was made.
# What is the same for all rows (the caller's category and agreements, what the event repeats) is read or written once.
# Without what only people need it is short enough for psycopg to remember how it is sent (4,096 characters).
_STATEMENT = f"""
WITH input AS (
    SELECT i.*, knowing, keys[array_position(CAST(:held AS int[]), knowing)] AS key
    FROM json_to_recordset(CAST(:submissions AS json))
        AS i (ordinal int, {", ".join(map(" ".join, _COLUMNS.items()))}),
        {KNOWING} v
), agreements AS MATERIALIZED (
    SELECT a.id, a.municipality_code, a.valid_from, a.may_send_parents, m.legal_ground
    FROM agreement a JOIN municipality m ON m.code = a.municipality_code
    WHERE a.oin = :oin AND :today BETWEEN a.valid_from AND a.valid_until
), judged AS (
    SELECT input.*, a.id AS agreement_id, a.legal_ground, k.key IS NOT NULL AS known, CASE
        WHEN r.oin IS NULL THEN 'reporter-not-designated'
        WHEN NOT designated THEN 'category-not-designated'
        WHEN a.id IS NULL THEN 'no-valid-agreement'
        WHEN a.legal_ground = 'off' THEN 'legal-ground-off'
        WHEN parents_sealed IS NOT NULL AND NOT may_send_parents THEN 'parents-not-allowed'
        WHEN shielded AND NOT has_officer THEN 'no-named-officer'
        WHEN m.code IS NULL THEN 'invalid-input' END AS refused
    FROM input
    LEFT JOIN LATERAL (
        SELECT r.oin FROM reporter r
        WHERE r.id = input.reporter_id AND r.oin = :oin AND r.designated_from <= :today
          AND (r.designated_until IS NULL OR r.designated_until >= :today) LIMIT 1
    ) r ON true
    LEFT JOIN LATERAL (
        SELECT id, legal_ground, may_send_parents FROM agreements
        ORDER BY municipality_code = input.residence DESC, valid_from, id LIMIT 1
    ) a ON true
    LEFT JOIN LATERAL (SELECT m.code FROM municipality m WHERE m.code = input.residence LIMIT 1) m ON true
    LEFT JOIN LATERAL (
        SELECT k.key FROM idempotency_record k WHERE k.client_id = :client_id AND k.key = ANY(input.keys) LIMIT 1
    ) k ON true,
    LATERAL (
        SELECT coalesce((SELECT c.designated FROM institution o JOIN category c ON c.code = o.category_code
            WHERE o.oin = :oin), false) AS designated,
            EXISTS (SELECT FROM named_officer o WHERE o.oin = :oin AND o.last_day IS NULL) AS has_officer
    ) c
), claimed AS (
    INSERT INTO idempotency_record
        (client_id, key, key_version, body_fingerprint, pseudonym_fingerprint, pseudonym_version, signal_id,
         received_at)
    SELECT :client_id, key, :key_version, body_fingerprint, pseudonym_fingerprint, pseudonym_version,
           signal_id, :now
    FROM judged
    WHERE in_time AND refused IS NULL AND key IS NOT NULL AND NOT known
    ORDER BY key, ordinal
    ON CONFLICT (client_id, key) DO NOTHING
    RETURNING signal_id
), placed AS (
    SELECT judged.* FROM judged JOIN claimed USING (signal_id)
), signals AS (
    INSERT INTO signal
        (id, reporter_id, oin, agreement_id, legal_ground, client_id, made_at, received_at, removal_date, key_version,
         sealed_pseudonym, residence_municipality, informing_status, informed_on, informed_to, postponed_ground,
         review_date, turns23_on_sealed, case_reference_sealed, parents_sealed, shielded)
    SELECT signal_id, reporter_id, :oin, agreement_id, legal_ground, :client_id, made_at, :now, removal_date,
           :key_version, sealed_pseudonym, residence, informing_status, informed_on, informed_to, postponed_ground,
           review_date, turns23_on_sealed, case_reference_sealed, parents_sealed, shielded
    FROM placed
), works AS (
    INSERT INTO work (signal_id) SELECT signal_id FROM placed ORDER BY ordinal
), told AS (
    INSERT INTO event (id, at, kind, outcome, signal_id, reporter_id, oin, client_id, body, nonce)
    SELECT event_id, :now, '{events.SIGNAL_REGISTERED.name}', 'success', signal_id, reporter_id, :oin, :client_id,
           event_body, event_nonce
    FROM placed
)
SELECT claimed.signal_id IS NOT NULL AS placed, knowing, coalesce(refused, 'unavailable') AS refused
FROM judged LEFT JOIN claimed USING (signal_id)
ORDER BY judged.ordinal
"""  # noqa: S608 (names of columns from the tables above)
_REGISTER = text(re.sub(r"\s*([(),])\s*", r"\1", " ".join(_STATEMENT.split())))


def register(
    connection: Connection, keys: IndexKeys, caller: Caller, submissions: Sequence[Submission], now: datetime
) -> list[RegisteredSignal | Problem]:
    """Accept or refuse each submission by itself, in order; one round trip when all goes well.

    Args:
        connection: of the intake role, in autocommit: the statement is the transaction (I1).
        now: the moment of receipt.

    Returns:
        For each the answer of a 201 (of a repeat: the first answer), or the problem: 400 for what only the clock or
        the register shows to be wrong, 403 for who may not (R1), 422 for a key that was used for other content.
    """
    if not submissions:
        return []
    outcomes = _place(connection, keys, caller, submissions, now)
    refusals = [
        _refusal(caller, submission.signal, outcome, now)
        for submission, outcome in zip(submissions, outcomes, strict=True)
        if isinstance(outcome, Problem) and outcome.type.status == 403
    ]
    events.append(connection, refusals)
    return outcomes


def _place(
    connection: Connection,
    keys: IndexKeys,
    caller: Caller,
    submissions: Sequence[Submission],
    now: datetime,
) -> list[RegisteredSignal | Problem]:
    key = keys.current
    rows = [
        {"ordinal": n, "keys": known_by(keys, caller, submission.key)} | _row(caller, submission, key, now)
        for n, submission in enumerate(submissions)
    ]
    held = [AS_SENT, *keys]
    values = {
        "submissions": as_json(rows),
        "oin": caller.oin,
        "client_id": caller.client_id,
        "now": now,
        "today": amsterdam_date(now),
        "key_version": key.version,
        "held": held,
    }
    outcomes: dict[int, RegisteredSignal | Problem] = {}
    placed: dict[str, int] = {}
    for i, (submission, row) in enumerate(zip(submissions, connection.execute(_REGISTER, values).all(), strict=True)):
        if row.knowing not in held:
            raise IndexKeyMissingError(row.knowing)
        if row.placed:
            outcomes[i] = RegisteredSignal(id=submission.signal_id, received_at=now)
            placed[submission.key] = i
        else:
            outcomes[i] = _problem(submission, row.refused)
    # A repeat gets its first answer, also when it is too late by now or may no more; but what a later item of this
    # very batch placed is no first answer.
    refused = [i for i, outcome in outcomes.items() if isinstance(outcome, Problem)]
    repeats = {i: submissions[i] for i in refused if placed.get(submissions[i].key, -1) < i}
    outcomes |= first_answers(connection, keys, caller, repeats)
    return [outcomes[i] for i in range(len(submissions))]


def _problem(submission: Submission, slug: str) -> Problem:
    if submission.clock_faults:
        return Problem(INVALID_INPUT, errors=submission.clock_faults)
    if slug == INVALID_INPUT.slug:
        detail = "This municipality does not take part; check the CBS code."
        return Problem(INVALID_INPUT, errors=[Fault("body", "#/residenceMunicipality", "unknown", detail)])
    return Problem(CATALOGUE[slug])


def _row(caller: Caller, submission: Submission, key: IndexKey, now: datetime) -> dict[str, Any]:
    prints = _fingerprints(caller.client_id, submission, key)
    event = events.Event(
        kind=events.SIGNAL_REGISTERED,
        at=now,
        actor=_actor(caller, submission.signal.reporter),
        says={"signalId": str(submission.signal_id)},
    )
    signal, context = submission.signal, submission.signal_id.bytes
    parents = sorted(key.seal_pseudonym("parent", one.value) for one in signal.parents if not submission.clock_faults)
    informing = signal.informing
    informed = informing if isinstance(informing, Informed) else None
    postponed = None if isinstance(informing, Informed) else informing
    return {
        "signal_id": submission.signal_id,
        "in_time": not submission.clock_faults,
        "body_fingerprint": prints[0],
        "pseudonym_fingerprint": prints[1],
        "pseudonym_version": signal.pseudonym.key_version,
        "reporter_id": signal.reporter,
        "made_at": signal.made_at,
        "removal_date": signal.removal_date,
        # Of a version that is not accepted there may be nothing left that turns it; and nothing is placed of it.
        "sealed_pseudonym": None
        if submission.clock_faults
        else key.seal_pseudonym("youngster", signal.pseudonym.value),
        "residence": signal.residence_municipality,
        "informing_status": informing.status,
        "informed_on": informed.on if informed else None,
        "informed_to": informed.to if informed else None,
        "postponed_ground": postponed.ground if postponed else None,
        "review_date": postponed.review_date if postponed else None,
        "turns23_on_sealed": key.seal("turns-23-on", context, signal.turns23_on.isoformat().encode())
        if signal.turns23_on
        else None,
        "case_reference_sealed": key.seal("case-reference", context, signal.case_reference.encode())
        if signal.case_reference
        else None,
        "parents_sealed": parents or None,
        "shielded": signal.shielded,
        "event_id": event.id,
        "event_body": event.canonical_bytes(),
        "event_nonce": events.new_nonce(),
    }


def _fingerprints(client_id: str, submission: Submission, key: IndexKey) -> tuple[bytes, bytes]:
    """Of body and pseudonyms. Bound to the one record they stand in, so that no two records can be compared: equal
    fingerprints of two clients would tell that they signalled the same youngster (I7). Of a signal that says nothing
    that 0.2.0 did not know they are what 0.2.0 made of it, so that its repeat is known."""
    record = f"{client_id}\0{submission.key}\0".encode()
    body = submission.signal.model_dump_json(by_alias=True, exclude={"pseudonym", "parents"}).encode()
    parents = b"".join(sorted(one.value.value for one in submission.signal.parents))
    return (
        key.fingerprint("body", record + body),
        key.fingerprint("pseudonyms", record + submission.signal.pseudonym.value.value + parents),
    )


def first_answers(
    connection: Connection, keys: IndexKeys, caller: Caller, submissions: Mapping[int, Submission]
) -> dict[int, RegisteredSignal | Problem]:
    """Of those whose key was used before: the first answer, or 422 for other content."""
    if not submissions:
        return {}
    sent = {i: submission.key for i, submission in submissions.items()}
    firsts = first_requests(connection, keys, caller, sent)
    return {i: _first_answer(keys, caller.client_id, first, submissions[i]) for i, first in firsts.items()}


def _first_answer(
    keys: IndexKeys, client_id: str, first: Row[Any], submission: Submission
) -> RegisteredSignal | Problem:
    fingerprints = partial(_fingerprints, client_id, submission)
    if not is_repeat(first, keys, fingerprints, submission.signal.pseudonym.key_version):
        return Problem(IDEMPOTENCY_KEY_REUSED)
    return RegisteredSignal(id=first.signal_id, received_at=first.received_at)


def _actor(caller: Caller, reporter: UUID) -> events.Actor:
    return events.Actor(role=caller.role, client_id=caller.client_id, oin=caller.oin, on_behalf_of=reporter)


def _refusal(caller: Caller, signal: SignalIn, problem: Problem, now: datetime) -> events.Event:
    return events.Event(
        kind=events.SIGNAL_REFUSED,
        at=now,
        actor=_actor(caller, signal.reporter),
        outcome="refused",
        says={"problem": problem.type.slug},
    )
