# SPDX-License-Identifier: EUPL-1.2
"""Events: canonical bytes, allow-listed fields, nonces (R25, RFC 8785)."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, uuid4

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from support import CLINIC, SCHOOL, Index

from verwijsindex.ledger import events
from verwijsindex.ledger.events import Actor, Event

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
MACHINE = Actor("machine", client_id="client-ü", oin=SCHOOL, on_behalf_of=uuid4())


@pytest.mark.parametrize("kind", events.KINDS.values(), ids=lambda kind: kind.name)
def test_an_event_says_its_listed_fields_and_no_other(kind: events.EventKind) -> None:
    full: dict[str, str | int] = dict.fromkeys(kind.fields, "x")
    body = json.loads(Event(kind, AT, MACHINE, says=full).canonical_bytes())
    assert kind.fields <= body.keys()
    with pytest.raises(ValueError, match="may not say pseudonym") as raised:
        Event(kind, AT, MACHINE, says=full | {"pseudonym": "secret-value"})
    assert "secret-value" not in str(raised.value)


def test_no_field_of_a_kind_hides_who_when_or_outcome() -> None:
    """What an event says stands beside these in one JSON object."""
    own = {"id", "at", "kind", "outcome", "actor", "reporter", "municipality"}
    assert not [kind.name for kind in events.KINDS.values() if kind.fields & own]


def test_bytes_are_canonical_whatever_the_zone_of_the_clock() -> None:
    event = Event(events.MATCH_READ, AT.astimezone(timezone(timedelta(hours=1))), MACHINE, says={"matchId": "a"})
    written = event.canonical_bytes()
    assert rfc8785.dumps(json.loads(written)) == written
    assert json.loads(written)["at"] == "2026-11-22T10:00:00.000000Z"
    assert json.loads(written)["actor"] == {
        "role": "machine",
        "clientId": "client-ü",
        "institution": SCHOOL,
        "onBehalfOf": str(MACHINE.on_behalf_of),
    }


@given(says=st.dictionaries(st.just("problem"), st.text()), client=st.text(), at=st.datetimes(timezones=st.just(UTC)))
def test_bytes_are_those_of_rfc_8785_whatever_a_text_holds(
    says: dict[str, str | int], client: str, at: datetime
) -> None:
    """Seen failing with json's default, which writes other characters than ASCII as escapes."""
    event = Event(events.SIGNAL_REFUSED, at, Actor("machine", client_id=client), says=says)
    written = event.canonical_bytes()
    assert written == rfc8785.dumps(json.loads(written))


def test_ids_of_events_stand_in_the_order_of_time() -> None:
    """RFC 9562, section 5.7."""
    ids = [Event(events.MATCH_READ, AT, MACHINE).id]
    time.sleep(0.002)
    ids.append(Event(events.MATCH_READ, AT, MACHINE).id)
    assert ids == sorted(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}


def test_every_event_in_the_ledger_is_canonical_and_has_its_own_nonce(index: Index) -> None:
    """Events of the register, intake, a refusal, the matcher and reads; the columns agree with the bytes."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.post(index.signal(oin=CLINIC), SCHOOL)
    index.match()
    index.get("/notices", index.reader())
    index.get(f"/signals/{uuid4()}", index.reader())
    columns = "id, kind, outcome, signal_id, match_id, client_id, body, nonce"
    with index.database.superuser.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM event").all()
    assert {row.kind for row in rows} >= {
        "registry.changed",
        "signal.registered",
        "signal.refused",
        "match.opened",
        "party.joined",
        "notice.placed",
        "notices.listed",
        "access.refused",
    }
    for row in rows:
        body = json.loads(row.body)
        assert rfc8785.dumps(body) == row.body
        assert (body["id"], body["kind"], body["outcome"]) == (str(row.id), row.kind, row.outcome)
        assert body.get("signalId") == (str(row.signal_id) if row.signal_id else None)
        assert body.get("matchId") == (str(row.match_id) if row.match_id else None)
        assert body["actor"].get("clientId") == row.client_id
        assert len(row.nonce) == 16
    assert len({row.nonce for row in rows}) == len(rows)
