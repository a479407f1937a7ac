# SPDX-License-Identifier: EUPL-1.2
"""Webhooks arrive at least once, with one id, and tell nothing; no receiver stands in the way of another (I3, R12)."""

import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from notices.posting import Post, now
from standardwebhooks import Webhook, WebhookVerificationError
from support import CLINIC, SCHOOL
from system.receiver import Behaviour, Handler, Receiver, answering, dripping, hanging

from verwijsindex.notices import outcomes, schedule
from verwijsindex.notices.outcomes import LEASE


def test_a_receiver_can_verify_it_with_nothing_but_standard_webhooks(post: Post) -> None:
    receiver = post.receiver(SCHOOL)
    post.tell()
    assert post.deliver() == 1
    [got] = receiver.received
    event = Webhook(post.secrets[SCHOOL]).verify(got.body, got.headers)
    [row] = post.rows(SCHOOL)
    assert event["id"] == got.headers["webhook-id"] == str(row.id)
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert (row.attempts, row.last_outcome, row.leased_until) == (1, "ok", None)
    assert row.delivered_at
    other = "whsec_" + "A" * 43 + "="
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(got.body, got.headers)
    assert post.deliver() == 0
    assert len(receiver.received) == 1


def test_all_bodies_are_of_one_length_and_tell_only_whose_inbox_it_is(post: Post) -> None:
    """R12, R33: what differs is the id, the recipient's id and the time; nothing says what was told, or of whom."""
    receiver = post.receiver(SCHOOL)
    post.tell(matches=5)
    post.deliver()
    assert len({len(got.body) for got in receiver.received}) == 1
    reporter = str(post.index.reporters[SCHOOL][0])
    for got in receiver.received:
        event = json.loads(got.body)
        assert event.pop("id") == got.headers["webhook-id"]
        assert datetime.fromisoformat(event.pop("time"))
        assert event == {
            "specversion": "1.0",
            "source": "urn:nld:oin:00000009999999999000:systeem:verwijsindex",
            "type": "nl.verwijsindex.inbox-changed",
            "subject": reporter,
            "datacontenttype": "application/json",
            "data": {"inbox": "https://index.example/api/v1/notices"},
        }
        ours = set(got.headers) - {"host", "content-length"}
        assert ours == {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"}


def test_each_try_has_the_same_id_and_is_signed_anew(post: Post) -> None:
    receiver = post.receiver(SCHOOL, answering(500, 200))
    post.tell()
    before = now()
    assert post.deliver() == 1
    [row] = post.rows(SCHOOL)
    assert (row.attempts, row.last_outcome, row.delivered_at) == (1, "status 500", None)
    assert before + timedelta(seconds=4) <= row.due_at <= now() + timedelta(seconds=6)
    assert post.deliver() == 0  # not yet
    post.due()
    assert post.deliver() == 1
    assert len(set(receiver.ids)) == 1
    for got in receiver.received:
        Webhook(post.secrets[SCHOOL]).verify(got.body, got.headers)
    [row] = post.rows(SCHOOL)
    assert (row.attempts, row.last_outcome) == (2, "ok")


@pytest.mark.parametrize("behaviour", [hanging, dripping])
def test_a_slow_receiver_stops_no_other(post: Post, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the quick one's are delivered before the first try of the slow one ends, though the slow one was first.
    Without the deadline of a try, with a timeout for each read only, the run with the dripping one had not ended
    after 100 seconds; and results were once written back only with the slowest one's."""
    later = timedelta(hours=1)
    monkeypatch.setattr(schedule, "pause", lambda _: later)  # tells when a failed try was written back
    slow, quick = post.receiver(SCHOOL, behaviour), post.receiver(CLINIC)
    post.tell(matches=12)
    first = "UPDATE delivery SET due_at = due_at - interval '1 hour' WHERE client_id = :client"
    post.change(first, client=f"client-{SCHOOL}")
    assert post.deliver(timeout=3.0) == 12 + 1
    assert len(quick.received) == 12
    assert all(row.last_outcome == "ok" for row in post.rows(CLINIC))
    [tried] = [row for row in post.rows(SCHOOL) if row.attempts]
    assert tried.last_outcome == "ReadTimeout"
    slow_ended = tried.due_at - later
    assert max(row.delivered_at for row in post.rows(CLINIC)) < slow_ended
    assert len(slow.received) == 1
    assert post.subscription(SCHOOL).rests_until > slow_ended


def test_a_redirect_is_not_followed(post: Post) -> None:
    elsewhere = post.stack.enter_context(Receiver())
    receiver = post.receiver(SCHOOL, answering(307, location=elsewhere.address))
    post.tell()
    post.deliver()
    assert len(receiver.received) == 1
    assert elsewhere.received == []
    assert post.rows(SCHOOL)[0].last_outcome == "status 307"


def test_an_endless_answer_is_not_read(post: Post) -> None:
    sent = 0

    def endless(handler: Handler, _: int) -> None:
        nonlocal sent
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        try:
            while not handler.receiver.over.is_set():
                sent += handler.wfile.write(b"x" * 65536)
        except OSError:
            return

    post.receiver(SCHOOL, endless)
    post.tell()
    assert post.deliver() == 1
    assert post.rows(SCHOOL)[0].last_outcome == "ok"
    time.sleep(0.3)
    assert sent < 50_000_000  # what fits in the buffers of two sockets


def test_endless_headers_are_no_answer(post: Post) -> None:
    def endless(handler: Handler, _: int) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not handler.receiver.over.is_set():
                handler.wfile.write(b"x-more: " + b"y" * 4000 + b"\r\n")
        except OSError:
            return

    post.receiver(SCHOOL, endless)
    post.tell()
    post.deliver()
    assert post.rows(SCHOOL)[0].last_outcome == "RemoteProtocolError"


def test_interim_answers_without_end_are_no_answer(post: Post) -> None:
    """Seen failing, with a thread that computed until the deadline of the try, without a bound on bytes."""

    def endless(handler: Handler, _: int) -> None:
        handler.close_connection = True
        try:
            while not handler.receiver.over.is_set():
                handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
        except OSError:
            return

    post.receiver(SCHOOL, endless)
    post.tell()
    post.deliver()
    assert post.rows(SCHOOL)[0].last_outcome == "ReadError"


def test_plain_http_is_refused_and_waits(post: Post) -> None:
    receiver = post.receiver(SCHOOL)
    post.tell()
    assert post.deliver(allow_plain_http=False) == 1
    assert receiver.received == []
    [row] = post.rows(SCHOOL)
    assert (row.last_outcome, row.delivered_at) == ("plain http", None)


def test_a_certificate_of_nobody_we_know_is_refused(post: Post, tmp_path: Path) -> None:
    receiver = post.receiver(SCHOOL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    https = receiver.address.replace("http:", "https:")
    post.change("UPDATE subscription SET address = :address, confirmed_address = :address", address=https)
    post.tell()
    post.deliver(allow_plain_http=False)
    assert receiver.received == []
    assert post.rows(SCHOOL)[0].last_outcome == "ConnectError"


def test_what_a_killed_worker_had_claimed_is_delivered_after_its_lease(post: Post) -> None:
    """I3: with the same id; and the first worker, should it live after all, writes back nothing any more. Seen failing
    (never delivered) when a lease did not run out."""
    receiver = post.receiver(SCHOOL)
    post.tell()
    claimed_at = now()
    with post.index.database.engine("worker").begin() as connection:
        [claimed] = outcomes.claim(connection, {f"client-{SCHOOL}": 1}, claimed_at)
    assert post.deliver() == 0
    [row] = post.rows(SCHOOL)
    assert row.leased_until == claimed_at + LEASE
    post.change("UPDATE delivery SET leased_until = :now", now=now())
    assert post.deliver() == 1
    assert receiver.ids == [str(claimed.id)]
    with post.index.database.engine("worker").begin() as connection:
        outcomes.write_back(connection, [outcomes.Result(claimed, now(), "status 500", 7)], now())
    [row] = post.rows(SCHOOL)
    assert (row.attempts, row.last_outcome) == (2, "ok")


def test_two_workers_share_what_is_due(post: Post) -> None:
    receiver = post.receiver(SCHOOL)
    post.tell(matches=40)
    with ThreadPoolExecutor(2) as workers:
        for worker in [workers.submit(post.deliver) for _ in range(2)]:
            worker.result()
    assert len(receiver.ids) == len(set(receiver.ids)) == 40


def test_one_whose_secret_cannot_be_opened_stops_no_other(post: Post) -> None:
    post.receiver(SCHOOL)
    quick = post.receiver(CLINIC)
    post.change("UPDATE subscription SET key_version = 9 WHERE oin = :oin", oin=SCHOOL)
    post.tell()
    assert post.deliver() == 2
    assert post.rows(SCHOOL)[0].last_outcome == "IndexKeyMissingError"
    assert len(quick.received) == 1


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(uuid4().int >> 1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "self-signed.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_connection_is_let_go_also_while_somebody_hangs(post: Post) -> None:
    """Each that is kept is an open file: with one receiver that always hangs, those of all others stayed for ever. Seen
    failing (it was there until the other's try ended) when only a turn that left nothing on the way let go."""
    post.receiver(CLINIC, hanging)

    def closing(handler: Handler, number: int) -> None:
        answering(204)(handler, number)
        handler.close_connection = True

    post.receiver(SCHOOL, closing)
    post.tell()
    deliverer = post.deliverer(timeout=4.0)
    assert deliverer.turn(seconds=0.5)
    while deliverer._poster._unused:
        assert deliverer.turn(seconds=0.1)
    deliverer.finish()
