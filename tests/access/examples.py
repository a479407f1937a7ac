# SPDX-License-Identifier: EUPL-1.2
"""For each operation one request that is right in everything, and whose the matter in it is: the matrix's material.

A new operation needs an entry here, by its `operationId`. The matter is of the school's first reporter, in Westerveld.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from access.matrix import Caller, nothing_else
from ledger.ledgers import SIGNER
from matching import life
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, WESTERVELD, Index, pseudonym

from verwijsindex.ledger.base64 import encode
from verwijsindex.ledger.sealing import seal
from verwijsindex.ledger.tallying import tally_waiting

Json = dict[str, Any]
Owned = Callable[[Caller], bool]


@dataclass(frozen=True)
class Asked:
    """The parts of a request, besides who asks."""

    path: dict[str, object] = field(default_factory=dict)
    """What stands in the address."""
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    shows: tuple[object, ...] = ()
    """Ids in the answer to the owner, that nobody else gets to see."""
    query: str = ""
    """What stands behind the address, with its question mark."""


@dataclass(frozen=True)
class Example:
    """A request, and who owns what it is about. `make` gets the world and the reporter whom the caller names."""

    make: Callable[[Index, UUID], Asked]
    owned: Owned = lambda _: True
    refused: Callable[[Caller], str | None] = nothing_else
    """What this operation refuses for a reason of its own: the slug of the problem."""
    spends: bool = False
    """Whether it is answered otherwise when it was done before."""
    absent: str = "not-found"
    """The slug of what is answered of another's matter, and of none at all."""


def fill(index: Index) -> None:
    """The matter: a match of the school's and the clinic's first reporters, an archived signal of the latter, of which
    the former was told; and people who left. The school is the municipality's own."""
    life.end(index, index.place(0, CLINIC))
    index.match()
    index.place(0, SCHOOL, informing={"status": "postponed", "ground": "safety", "reviewDate": "2026-12-01"})
    index.place(0, CLINIC)
    index.match()
    index.place(2, SCHOOL, 2)
    seal(index.database.engine("worker"), index.clock(), SIGNER)
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql(f"UPDATE municipality SET oin = '{SCHOOL}' WHERE code = '{WESTERVELD}'")
        yesterday = "CAST('2026-11-21' AS date)"
        left = index.reporters[SCHOOL][2]
        connection.exec_driver_sql(f"UPDATE reporter SET designated_until = {yesterday} WHERE id = '{left}'")
        municipality, institution = ("municipality_code", WESTERVELD), ("oin", SCHOOL)
        for table, (of, owner) in {
            "case_supervisor": municipality,
            "coordinator": institution,
            "named_officer": institution,
            "rights_desk_officer": municipality,
            "privacy_officer": institution,
        }.items():
            connection.exec_driver_sql(
                f"INSERT INTO {table} (id, {of}, name, telephone, email, last_day)"
                f" VALUES ('{LEFT}', '{owner}', 'Who left', '0612345678', 'left@example.org', {yesterday})"
            )


LEFT = UUID("11111111-1111-4111-8111-111111111111")
"""The id of everybody who left."""


def _reporter(caller: Caller) -> bool:
    return (caller.role, caller.institution, caller.names) == ("machine", "own", "own")


def _supervisor(caller: Caller) -> bool:
    return (caller.role, caller.municipality) == ("case_supervisor", "own")


def _coordinator(caller: Caller) -> bool:
    return (caller.role, caller.institution) == ("coordinator", "own")


def _orphan(index: Index) -> UUID:
    """A signal of the reporter of the school who left."""
    orphaned = "SELECT id FROM signal WHERE reporter_id = :reporter"
    return UUID(str(index.database.scalar(orphaned, reporter=index.reporters[SCHOOL][2])))


def _signal(index: Index) -> UUID:
    """That of `fill`, whoever holds it by now; the matrix places others beside it."""
    return UUID(str(index.database.scalar("SELECT id FROM signal WHERE informing_status = 'postponed'")))


def _act_on_signal(body: Callable[[Index], object], owned: Owned) -> Example:
    """An act on the signal; the answer names nobody."""
    return Example(
        lambda index, _: Asked({"signalId": _signal(index)}, body(index), _key()),
        owned,
        spends=True,
        absent="signal-not-found",
    )


def _decide(*, spends: bool) -> Example:
    """A decision of the rights desk on the signal."""
    return Example(
        lambda index, _: Asked({"signalId": _signal(index)}, headers=_key()),
        lambda caller: (caller.role, caller.municipality) == ("rights_desk", "own"),
        spends=spends,
        absent="signal-not-found",
    )


def _own_or_coordinated(caller: Caller) -> bool:
    return _reporter(caller) or _coordinator(caller)


def _registration(index: Index) -> str:
    """The event of the signal's registration, in base64."""
    body = "SELECT body FROM event WHERE kind = 'signal.registered' AND signal_id = :signal"
    return encode(bytes(index.database.scalar(body, signal=_signal(index))))


def _sign_off(index: Index, _: UUID) -> Asked:
    """Of the signal's registration, which is in each scope's sample, and open again each time."""
    registered = str(
        index.database.scalar(
            "SELECT id FROM event WHERE kind = 'signal.registered' AND signal_id = :id", id=_signal(index)
        )
    )
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sample")
        for oin, code in ((SCHOOL, None), (POLICE, None), (None, WESTERVELD), (None, DORDRECHT), (None, None)):
            made = sa.text(
                "INSERT INTO sample VALUES (gen_random_uuid(), date '2026-10-01', :oin, :code, 1, 1, ARRAY[:event])"
            )
            connection.execute(made, {"oin": oin, "code": code, "event": UUID(registered)})
    body = {"signOffs": [{"eventId": registered, "finding": "as_expected"}]}
    return Asked({"month": "2026-10"}, body, _key())


def _report(index: Index, _: UUID) -> Asked:
    """Of a month that a checkpoint covers, once all before it is counted."""
    tally_waiting(index.database.engine("worker"))
    return Asked(query="?from=2026-10-01&until=2026-10-31")


def _size(index: Index) -> object:
    return index.database.scalar("SELECT max(size) FROM checkpoint")


def _match(index: Index) -> UUID:
    return UUID(str(index.database.scalar("SELECT id FROM match")))


def _reads(caller: Caller) -> bool:
    return _reporter(caller) or _supervisor(caller)


def _act_on_match(body: Callable[[Index], object], state: str = "notified", lead: str = "proposed") -> Example:
    """What a party does in the follow-up of the match, which is put back each time; its lead is the school's."""

    def make(index: Index, _: UUID) -> Asked:
        school = index.reporters[SCHOOL][0]
        due = "NULL" if lead == "accepted" else "date '2026-12-31'"
        with index.database.superuser.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE round SET state = '{state}', ended_at = NULL, outcome = NULL; DELETE FROM lead;"
                " INSERT INTO lead (id, match_id, reporter_id, reason, proposed_at, state, answer_due_on)"
                f" SELECT gen_random_uuid(), id, '{school}', 'first_there', opened_at, '{lead}', {due}"
                " FROM match"
            )
        return Asked({"matchId": _match(index)}, body(index), _key())

    return Example(make, _reporter, absent="match-not-found")


def _figures(index: Index, _: UUID) -> Asked:
    """Of a quarter in which nothing was counted."""
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql("INSERT INTO figure_quarter VALUES ('2026-01-01', now()) ON CONFLICT DO NOTHING")
    return Asked(query="?quarter=2026-Q1")


def _clinics_handle(index: Index) -> str:
    handle = (
        "SELECT DISTINCT s.handle FROM match m, shown_in(m.id, m.youngster_id, :today) s"
        " WHERE m.id = :match AND s.reporter_id = :reporter"
    )
    reporter = index.reporters[CLINIC][0]
    return str(index.database.scalar(handle, match=_match(index), reporter=reporter, today=index.clock().date()))


def _mute(index: Index) -> UUID:
    """That the school's first reporter said to work together with the clinic's first already."""
    said = (
        "INSERT INTO mute (id, youngster_id, reporter_id, other_id, standing_id, by_officer, muted_at)"
        " SELECT gen_random_uuid(), youngster_id, reporter_id, :other, id, false, :now FROM standing"
        " WHERE reporter_id = :reporter ON CONFLICT DO NOTHING"
    )
    values = {"reporter": index.reporters[SCHOOL][0], "other": index.reporters[CLINIC][0]}
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(said), values | {"now": index.clock()})
    return UUID(str(index.database.scalar("SELECT id FROM mute WHERE reporter_id = :reporter", **values)))


def _notice(index: Index) -> UUID:
    """That of the match in the inbox of the school's first reporter."""
    told = "SELECT id FROM notice WHERE kind = 'match' AND reporter_id = :reporter"
    return UUID(str(index.database.scalar(told, reporter=index.reporters[SCHOOL][0])))


def _archived(index: Index) -> UUID:
    return UUID(str(index.database.scalar("SELECT id FROM archived_signal")))


def _client(caller: Caller) -> bool:
    return (caller.role, caller.institution, caller.client) == ("machine", "own", "own")


def _subscription(index: Index) -> UUID:
    """That of the school's client, made when it is first asked for."""
    found = index.database.rows("SELECT id FROM subscription")
    if found:
        return UUID(str(found[0][0]))
    made = index.http.post(_SUBSCRIPTIONS, json=_ADDRESS, headers=index.machine(SCHOOL) | _key())
    assert made.json
    return UUID(made.json["id"])


def _dead_letter(index: Index) -> UUID:
    """A delivery of the school's client that is dead, made when it is first asked for."""
    subscription = _subscription(index)
    dead = "SELECT id FROM delivery WHERE due_at = 'infinity'"
    if not index.database.rows(dead):
        with index.database.superuser.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO delivery (id, notice_id, client_id, due_at, dead_at, attempts) SELECT gen_random_uuid(),"
                f" '{_notice(index)}', client_id, 'infinity', created_at, 8 FROM subscription"
                f" WHERE id = '{subscription}'"
            )
    return UUID(str(index.database.scalar(dead)))


def _of_subscription(body: object = None, *, shown: bool = True, spends: bool = False) -> Example:
    def make(index: Index, _: UUID) -> Asked:
        subscription = _subscription(index)
        return Asked({"subscriptionId": subscription}, body, _key(), (subscription,) if shown else ())

    return Example(make, _client, spends=spends)


def _subscriber(caller: Caller) -> str | None:
    return "institution-not-registered" if caller.institution == "unregistered" else None


_SUBSCRIPTIONS = "/api/v1/webhook-subscriptions"
_ADDRESS = {"address": "https://receiver.example/hooks"}


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def _municipality(caller: Caller) -> str | None:
    return None if caller.institution == "own" else "not-a-municipality"


def _refused(index: Index) -> UUID:
    """A mail to the school's first reporter that the mail server refused, made when it is first asked for."""
    found = index.database.rows("SELECT id FROM mail")
    if found:
        return UUID(str(found[0][0]))
    reporter, mail = index.reporters[SCHOOL][0], uuid4()
    with index.database.superuser.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO mail(id, reporter_id, recipient, person_id, digest, made_at, due_at, refused_at, last_outcome)"
            f" VALUES ('{mail}', '{reporter}', 'reporter', '{reporter}', false, now(), now(), now(), '550')"
        )
    return mail


def _auditor(caller: Caller) -> bool:
    """The institution's own, or that of the municipality whose it is, or the operator's."""
    of_own = {"oin": caller.institution, "municipality": caller.municipality, "none": "own"}
    return caller.role == "privacy_officer" and of_own[caller.audits] == "own"


def _alert(index: Index, state: str = "open") -> UUID:
    """One of each state, about a reporter of the school, and as if of Westerveld too; made when it is first asked
    for. Another officer assessed it."""
    found = index.database.rows("SELECT id FROM alert WHERE state = :state", state=state)
    if found:
        return UUID(str(found[0][0]))
    alert, code, officer = uuid4(), "explained" if state == "assessed" else None, uuid4()
    values = {
        "id": alert,
        "who": str(index.reporters[SCHOOL][0]),
        "oin": SCHOOL,
        "municipality": WESTERVELD,
        "now": index.clock(),
        "state": state,
        "code": code,
        "officer": officer if code else None,
        "assessed_at": index.clock() if code else None,
    }
    insert = (
        "INSERT INTO alert (id, kind, who, acting, oin, municipality_code, day, raised_at, counted, state, code,"
        " assessed_by, assessed_at) VALUES (:id, 'unjustified_after_read', :who, 'reporter', :oin, :municipality,"
        " current_date, :now, 10, :state, :code, :officer, :assessed_at)"
    )
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(insert), values)
    return alert


EXAMPLES: dict[str, Example] = {
    "restrictSignal": _decide(spends=False),
    "liftRestriction": _decide(spends=False),
    "destroySignal": _decide(spends=True),
    "tellDeath": Example(
        lambda _, __: Asked(body={"pseudonym": {"keyVersion": 1, "value": pseudonym(9).to_text()}}, headers=_key()),
        refused=_municipality,
    ),
    "getNewestCheckpoint": Example(lambda _, __: Asked()),
    "getConsistencyProof": Example(lambda _, __: Asked(query="?from=1&to=2")),
    "searchLedger": Example(
        lambda index, _: Asked(
            body={"purpose": "incident", "signalId": str(_signal(index))}, shows=(_registration(index),)
        ),
        _auditor,
    ),
    "listAlerts": Example(lambda index, _: Asked(shows=(_alert(index),)), _auditor),
    "getAlert": Example(lambda index, _: Asked({"alertId": _alert(index)}, shows=(_alert(index),)), _auditor),
    "assessAlert": Example(
        lambda index, _: Asked({"alertId": _alert(index)}, {"code": "explained"}, _key()), _auditor, spends=True
    ),
    "confirmAlert": Example(
        lambda index, _: Asked({"alertId": _alert(index, "assessed")}, {"decision": "close"}, _key()),
        _auditor,
        spends=True,
    ),
    "getSample": Example(lambda _, __: Asked({"month": "2026-10"})),
    "signOffSample": Example(
        _sign_off, refused=lambda caller: None if _auditor(caller) else "sign-off-not-possible", spends=True
    ),
    "getLedgerReport": Example(_report),
    "listOwnLedgerEvents": Example(
        lambda index, _: Asked(query=f"?signalId={_signal(index)}&size={_size(index)}", shows=(_registration(index),)),
        lambda caller: (caller.role, caller.institution) == ("machine", "own"),
    ),
    "getKeyVersions": Example(lambda _, __: Asked()),
    "registerSignal": Example(
        lambda index, reporter: Asked(body=index.signal(1, reporter=str(reporter)), headers=_key())
    ),
    "registerSignalBatch": Example(
        lambda index, reporter: Asked(
            body={"signals": [{"idempotencyKey": str(uuid4()), "signal": index.signal(1, reporter=str(reporter))}]}
        )
    ),
    "listSignals": Example(lambda index, _: Asked(shows=(_signal(index),)), _own_or_coordinated),
    "getSignal": Example(
        lambda index, _: Asked({"signalId": _signal(index)}, shows=(_signal(index),)), _own_or_coordinated
    ),
    "withdrawSignal": _act_on_signal(lambda _: {"reason": "risk_gone"}, _own_or_coordinated),
    "recordInforming": _act_on_signal(
        lambda _: {"informing": {"status": "postponed", "ground": "safety", "reviewDate": "2026-12-22"}},
        _own_or_coordinated,
    ),
    "tellMoveOfSignal": _act_on_signal(lambda _: {"residenceMunicipality": DORDRECHT}, _own_or_coordinated),
    "handOverSignal": _act_on_signal(lambda index: {"to": str(index.reporters[SCHOOL][1])}, _coordinator),
    "listOrphanedSignals": Example(lambda index, _: Asked(shows=(_orphan(index),)), _coordinator),
    "listMatches": Example(lambda index, _: Asked(shows=(_match(index),)), _reads),
    "getMatch": Example(
        lambda index, _: Asked({"matchId": _match(index)}, shows=(_match(index),)),
        _reads,
    ),
    "tellMoveOfMatch": Example(
        lambda index, _: Asked({"matchId": _match(index)}, {"residenceMunicipality": DORDRECHT}, _key()),
        _supervisor,
        spends=True,
    ),
    "getFollowUp": Example(lambda index, _: Asked({"matchId": _match(index)}), _reads, absent="match-not-found"),
    "listFollowUps": Example(lambda index, _: Asked(shows=(_match(index),)), _supervisor),
    "getFollowUpFigures": Example(_figures, lambda caller: caller.role == "case_supervisor"),
    "recordContact": _act_on_match(lambda _: {"contactedOn": "2026-11-22"}),
    "recordCoordination": _act_on_match(lambda _: None, "lead_agreed", "accepted"),
    "closeFollowUp": _act_on_match(lambda _: {"outcome": "already_together"}),
    "answerLead": _act_on_match(lambda _: {"answer": "accept"}),
    "handOverLead": _act_on_match(lambda index: {"to": _clinics_handle(index)}, lead="accepted"),
    "listMutes": Example(lambda index, _: Asked(shows=(_mute(index),)), _reporter),
    "undoMute": Example(lambda index, _: Asked({"muteId": _mute(index)}), _reporter, spends=True),
    "listNotices": Example(lambda index, _: Asked(shows=(_match(index),)), _reads),
    "getNotice": Example(lambda index, _: Asked({"noticeId": _notice(index)}, shows=(_notice(index),)), _reporter),
    "getArchivedSignal": Example(
        lambda index, _: Asked({"archivedSignalId": _archived(index)}, shows=(_archived(index),)), _reporter
    ),
    "getMailPreference": Example(lambda _, __: Asked()),
    "chooseMailPreference": Example(lambda _, __: Asked(body={"mail": "digest", "digestAt": "16:30"})),
    "getMailPreferenceOfReporter": Example(
        lambda index, _: Asked({"reporterId": index.reporters[SCHOOL][0]}), _coordinator
    ),
    "chooseMailPreferenceOfReporter": Example(
        lambda index, _: Asked({"reporterId": index.reporters[SCHOOL][0]}, {"mail": "at_once"}), _coordinator
    ),
    "listRefusedMails": Example(lambda index, _: Asked(shows=(_refused(index),)), _coordinator),
    "listReporters": Example(lambda index, _: Asked(shows=(index.reporters[SCHOOL][0],)), _coordinator),
    "getReporter": Example(
        lambda index, _: Asked({"reporterId": index.reporters[SCHOOL][0]}, shows=(index.reporters[SCHOOL][0],)),
        _coordinator,
    ),
    "createWebhookSubscription": Example(
        lambda _, __: Asked(body=_ADDRESS, headers=_key()), refused=_subscriber, spends=True
    ),
    "listWebhookSubscriptions": Example(lambda index, _: Asked(shows=(_subscription(index),)), _client),
    "getWebhookSubscription": _of_subscription(),
    "changeWebhookSubscription": _of_subscription({"state": "paused"}),
    "deleteWebhookSubscription": _of_subscription(shown=False, spends=True),
    "challengeWebhookSubscription": _of_subscription(),
    "rotateWebhookSecret": _of_subscription(),
    "listWebhookAttempts": _of_subscription(shown=False),
    "replayWebhooks": _of_subscription({"since": "2026-11-21T10:00:00Z"}, shown=False),
    "listDeadLetters": Example(lambda index, _: Asked(shows=(_dead_letter(index),)), _coordinator),
    "replayDeadLetters": Example(lambda _, __: Asked(body={"all": True}, headers=_key()), _coordinator),
    "listCoordinators": Example(lambda index, _: Asked(shows=(index.coordinators[SCHOOL],)), _coordinator),
}
