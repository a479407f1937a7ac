# SPDX-License-Identifier: EUPL-1.2
"""To which network addresses webhooks may go: to those that anybody on the internet can reach, and no others.

A client says where it wants to be told, so its address could be one of our own network: a database, a cloud's metadata.
Every address of a name is judged after the look-up, and the connection is made to the very address that was judged
(`posting`), so that a name that says something else at a second look gains nothing. The port is free: before a byte of
ours is sent, the receiver has shown a certificate for its name.

Special addresses are those of the IANA registries (RFC 6890 and what came after), also inside an IPv6 address that
stands for an IPv4 address (RFC 4291 2.5.5.2, RFC 6052, RFC 3056).
"""

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
LOOK_UP = 2.0  # seconds that a request waits for a name
_AT_ONCE = threading.Semaphore(4)  # requests that wait for one

# Besides what `ipaddress` knows, since that differs from one version of Python to the next.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = (
    IPv4Network("100.64.0.0/10"),  # shared by providers (RFC 6598)
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv6Network("2001::/23"),  # Teredo among them
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
)


class NotAllowedError(Exception):
    """Webhooks may go to none of the addresses of this host. Names nothing."""


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host, none if its name is not known. The system's look-up has no deadline, so it is done in a
    thread that may be left. Raises TimeoutError."""
    found: SimpleQueue[list[str]] = SimpleQueue()

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            entries = []
        found.put([str(entry[4][0]) for entry in entries])

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        return found.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None


@dataclass(frozen=True, slots=True)
class Destinations:
    """Public addresses, and those of some ranges besides.

    Args:
        ranges: networks that are no public ones, to which webhooks go all the same.
        resolve: how a name is looked up.
    """

    ranges: Sequence[Network] = ()
    resolve: Callable[[str, int, float], list[str]] = resolve

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """Those of a host, a name or an address, to which webhooks may go; none for a name that is not known.

        Raises NotAllowedError when there are addresses and none of them is allowed, TimeoutError after `seconds`.
        """
        literal = _literal(host)
        found = [literal] if literal else self.resolve(host, port, seconds)
        kept = [address for address in found if self.allow(address)]
        if found and not kept:
            raise NotAllowedError
        return kept

    def allow(self, address: str) -> bool:
        """Whether webhooks may go to this address, in text."""
        ip = ip_address(address)
        meant = _inside(ip) or ip
        return _public(meant) or any(one in network for one in (ip, meant) for network in self.ranges)

    def refuse(self, url: str) -> bool:
        """Whether it can be told now that nothing may be posted to this URL. A name that is not known, or not looked up
        in time, is not refused: whoever posts there judges it again."""
        host = urlsplit(url).hostname or ""
        literal = _literal(host)
        if literal:
            return not self.allow(literal)
        if not _AT_ONCE.acquire(blocking=False):  # so that slow names hold up no others' requests
            return False
        try:
            self.addresses(host, 443, LOOK_UP)
        except NotAllowedError:
            return True
        except TimeoutError:
            return False
        finally:
            _AT_ONCE.release()
        return False


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return None


def _inside(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _public(ip: IPv4Address | IPv6Address) -> bool:
    if any(ip in network for network in _SPECIAL) or ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    return isinstance(ip, IPv4Address) or ip in _GLOBAL_UNICAST
