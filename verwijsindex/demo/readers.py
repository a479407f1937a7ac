# SPDX-License-Identifier: EUPL-1.2
"""Whoever has an inbox in the demo, and what comes to each beside it: webhooks and mails that really arrived."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from verwijsindex.access.caller import SCOPES, PersonRole
from verwijsindex.client import VerwijsindexClient
from verwijsindex.demo.cast import Person, Place
from verwijsindex.demo.findings import pages
from verwijsindex.demo.mailbox import Mailbox
from verwijsindex.demo.receiver import Receiver
from verwijsindex.demo.registering import Institution
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.commands import MINTED_FOR
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import read_signing_key
from verwijsindex.settings import Clock

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with an inbox; `reporter` is the id of a reporter, whose institution can hear of it by webhook."""

    person: Person
    role: str
    read: Callable[[], Iterable[Json]]
    reporter: UUID | None = None

    @property
    def name(self) -> str:
        """With the role."""
        return f"{self.person.name}, {self.role}"


def reader_of(institution: Institution, one: UUID, client: VerwijsindexClient) -> Reader:
    """A reporter, who reads by the client of the own institution."""
    return Reader(institution.reporters[one], institution.role.name, lambda: client.notices(one), one)


class Persons:
    """Reads and acts with a token of one's own, as a person does."""

    def __init__(self, stack: Stack, clock: Clock) -> None:
        self._index = f"{stack.index}/api/v1"
        self._signer = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
        self._audience, self._clock = stack.index, clock

    def coordinator(self, institution: Institution) -> Reader:
        """Of an institution."""
        [(one, person)] = institution.coordinators.items()
        role = f"coordinator of {institution.role.name}"
        return Reader(person, role, lambda: self._every("/notices", "coordinator", one, institution.role.oin))

    def supervisor(self, place: Place, one: UUID, person: Person) -> Reader:
        """Of a municipality."""
        role = f"case supervisor of {place.name}"
        return Reader(person, role, lambda: self._every("/notices", "case_supervisor", one, place.code))

    def missed(self, place: Place, supervisor: UUID) -> list[Json]:
        """The matches of a municipality of which a deadline is over, as its supervisor lists them."""
        return list(self._every("/follow-ups", "case_supervisor", supervisor, place.code, deadline="missed"))

    def _every(self, path: str, role: PersonRole, person: UUID, of: str, **which: str) -> Iterator[Json]:
        terms = Terms(self._audience, SCOPES[role], timedelta(minutes=10))
        token = self._signer.person_token(role, person, of, MINTED_FOR, terms, self._clock())
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=self._index, headers=headers, timeout=30) as http:
            yield from pages(http, path, **which)


@dataclass
class Post:
    """What came beside the inboxes since it was looked at last."""

    receiver: Receiver
    mailbox: Mailbox
    _webhooks: int = field(default=0)
    _mails: int = field(default=0)

    def since(self) -> tuple[list[UUID], list[str]]:
        """Of each new webhook the reporter whose inbox it was about, of each new mail its address."""
        webhooks, mails = self.receiver.received()[self._webhooks :], self.mailbox.mails()[self._mails :]
        self._webhooks += len(webhooks)
        self._mails += len(mails)
        return [one.event.subject for one in webhooks if one.event], [one.to for one in mails]
