# SPDX-License-Identifier: EUPL-1.2
"""Webhooks go to public addresses only, whatever a client says and whatever its name server says later."""

import json
import socket
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, cast
from uuid import uuid4

import pytest
from notices.posting import LOOPBACK, Post
from signals.evidence import slug
from support import CLINIC, SCHOOL, Answer, Index

from verwijsindex.notices import destinations
from verwijsindex.notices.destinations import Destinations

PRIVATE = (  # as text in lines: they are not meant to be bound to
    "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1"
    " 172.31.255.255 192.0.0.1 192.0.0.9 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7"
    " 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"
    " :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:10.0.0.1"
    " 64:ff9b::127.0.0.1 64:ff9b::a00:1 64:ff9b:1::1 100::1 2001::1 2001:10::1 2001:db8::1 2002:7f00:1::1"
    " 2002:a00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 fe80::1%1 fec0::1 ff02::1 ff0e::1"
)
PUBLIC = (
    "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 223.255.255.254"
    " 2a00:1450:400e::1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"
)


def test_what_is_public_is_allowed_and_nothing_else() -> None:
    assert [address for address in PRIVATE.split() if Destinations().allow(address)] == []
    assert [address for address in PUBLIC.split() if not Destinations().allow(address)] == []


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"], ["10.2.0.1", "127.0.0.1", "fd00::1"]),
        ("fd00:7::/32", ["fd00:7::1"], ["fd00:8::1", "fe80::1", "10.1.2.3"]),
    ],
)
def test_a_setting_allows_a_range(network: str, inside: list[str], outside: list[str]) -> None:
    some = Destinations([ip_network(network)])
    assert all(map(some.allow, [*inside, *PUBLIC.split()]))
    assert not any(map(some.allow, outside))


def test_what_is_not_allowed_is_left_out_of_a_names_addresses() -> None:
    def resolve(_: str, __: int, ___: float) -> list[str]:
        return ["10.0.0.1", "8.8.8.8", "fe80::1", "2606:4700::1111"]

    assert Destinations(resolve=resolve).addresses("a.example", 443, 1) == ["8.8.8.8", "2606:4700::1111"]
    assert Destinations(resolve=lambda *_: []).addresses("b.example", 443, 1) == []


class Names:
    """What the name server says, instead of the real one; and to which addresses connections are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: dict[str, list[list[str]]] = {}
        self.connected: list[str] = []
        look_up, connect = socket.getaddrinfo, socket.create_connection

        def looked_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
            answers = self.says.get(host)
            if answers is None:
                return look_up(host, port, *rest, **more)
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [entry for address in found for entry in look_up(address, port, *rest, **more)]

        def connected(address: tuple[str, int], *rest: Any, **more: Any) -> Any:
            self.connected.append(address[0])
            return connect(address, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        monkeypatch.setattr(socket, "create_connection", connected)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def test_a_name_that_says_something_else_at_the_second_look_gains_nothing(
    post: Post, names: Names, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rebinding: public when it is confirmed, our own network when it is delivered to. 127.0.0.2 stands for a public
    address and 127.0.0.1, where the receiver really listens, for one of ours. Seen failing (the receiver got it) when
    every address of the look-up was connected to, and (a second look-up was connected to) when the name was."""
    public = Destinations([IPv4Network("127.0.0.2/32")])
    receiver = post.receiver(SCHOOL)
    moved = receiver.address.replace("127.0.0.1", "rebinds.test")
    post.change("UPDATE subscription SET address = :address, confirmed_address = :address", address=moved)
    names.says["rebinds.test"] = [["127.0.0.2"], ["127.0.0.1", "127.0.0.1"]]
    post.tell()
    assert post.deliver(destinations=public) == 1  # nothing listens at 127.0.0.2 but what is on all addresses
    assert post.rows(SCHOOL)[0].last_outcome == "ConnectError"
    post.due()
    names.connected.clear()
    assert post.deliver(destinations=public) == 1
    [row] = post.rows(SCHOOL)
    assert (row.last_outcome, row.delivered_at, row.attempts) == ("address not allowed", None, 2)
    assert (receiver.received, names.connected) == ([], [])
    told = capfd.readouterr().err
    assert "delivery.not_taken" in told
    assert "rebinds.test" not in told
    names.says["rebinds.test"] = [["10.0.0.1", "127.0.0.1"], ["10.0.0.1"]]  # of one look-up the allowed one is used
    post.due()
    assert post.deliver() == 1
    assert (len(receiver.received), names.connected) == (1, ["127.0.0.1"])


@pytest.mark.parametrize("address", ["https://127.1/", "https://[::1]/", "https://0x7f000001/", "https://2130706433/"])
def test_an_address_is_an_address_however_it_is_written(post: Post, address: str) -> None:
    post.receiver(SCHOOL)
    post.change("UPDATE subscription SET address = :address, confirmed_address = :address", address=address)
    post.tell()
    post.deliver(destinations=Destinations())
    assert post.rows(SCHOOL)[0].last_outcome == "address not allowed"


def _create(index: Index, address: str, oin: str = SCHOOL) -> Answer:
    keyed = index.machine(oin) | {"Idempotency-Key": str(uuid4())}
    return cast(Answer, index.http.post("/api/v1/webhook-subscriptions", json={"address": address}, headers=keyed))


def _move(index: Index, subscription: str, address: str) -> Answer:
    path = f"/api/v1/webhook-subscriptions/{subscription}"
    return cast(Answer, index.http.patch(path, json={"address": address}, headers=index.machine()))


REFUSED = ["https://10.0.0.1/", "https://[fd00::1]:8443/x", "https://[::ffff:127.0.0.1]/", "https://inside.test/hook"]


def test_a_subscription_to_a_private_address_is_refused_and_changes_nothing(index: Index, names: Names) -> None:
    """A problem of its own. A name that is not known, or that has one public address, is not refused here."""
    names.says |= {"inside.test": [["10.0.0.1", "fd00::1"]], "half.test": [["10.0.0.1", "8.8.8.8"]]}
    for address in REFUSED:
        answer = _create(index, address)
        assert (answer.status_code, slug(answer)) == (400, "address-not-allowed")
        assert address not in answer.text
    assert index.database.scalar("SELECT count(*) FROM subscription") == 0
    assert index.database.scalar("SELECT count(*) FROM subscription_request") == 0
    made = _create(index, "https://half.test/")
    assert made.status_code == 201
    assert _create(index, "https://unknown.invalid/", CLINIC).status_code == 201
    before = index.database.rows("SELECT * FROM subscription ORDER BY id")
    for address in REFUSED:
        changed = _move(index, made.json["id"], address)
        assert (changed.status_code, slug(changed)) == (400, "address-not-allowed")
    assert index.database.rows("SELECT * FROM subscription ORDER BY id") == before
    told = [json.loads(bytes(row[0])) for row in index.database.rows("SELECT body FROM event")]
    assert [one["kind"] for one in told].count("subscription.changed") == 2
    index.app.extensions["webhook_destinations"] = Destinations([IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8")])
    assert _move(index, made.json["id"], REFUSED[0]).status_code == 200


def test_names_that_are_slow_hold_up_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> list[str]:
        raise TimeoutError

    assert not Destinations(resolve=slow).refuse("https://slow.test/")
    private = Destinations(resolve=lambda *_: ["10.0.0.1"])
    assert private.refuse("https://inside.test/")
    monkeypatch.setattr(destinations, "_AT_ONCE", type("None", (), {"acquire": lambda *_, **__: False})())
    assert not private.refuse("https://inside.test/")
    assert private.refuse("https://10.0.0.1/")
    assert not LOOPBACK.refuse("https://127.0.0.1:8443/")
