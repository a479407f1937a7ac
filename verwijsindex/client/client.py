# SPDX-License-Identifier: EUPL-1.2
"""The client of an institution: sends signals, and reads what is its reporters' to read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from threading import Event
from types import TracebackType
from typing import BinaryIO
from uuid import UUID

import httpx

from verwijsindex.client.acts import Acts
from verwijsindex.client.authorized import OBJECT, Authorized, Json, content
from verwijsindex.client.channel import PATIENCE, Channel, Clock, Tell, Wait, utc_now
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.deaths import Deaths
from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import UnreachableError
from verwijsindex.client.follow_up import FollowUp
from verwijsindex.client.idempotency import IdempotencyKeys
from verwijsindex.client.mail import Mail
from verwijsindex.client.outcome import Outcome
from verwijsindex.client.posting import BATCH, Poster
from verwijsindex.client.pseudonymise import Pseudonymiser
from verwijsindex.client.subscriptions import Subscriptions
from verwijsindex.client.tokens import AccessTokens
from verwijsindex.client.watching import Watch, read_keys
from verwijsindex.pseudonyms.bsn import Bsn


class VerwijsindexClient:
    """Talks to issuer, pseudonym service and index. Use it as a context manager; many threads may share it.

    Args:
        config: where the services are and who we are.
        transport: in the place of the network, for tests.
        clock: gives the present moment, in UTC.
        wait: how a thread waits between two attempts.
        patience: seconds that one request is waited for when a service does not answer or asks for patience.
        tell: hears, in one line, of pauses that somebody may notice; called by any thread.

    Raises:
        ConfigError: a key file cannot be used.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = utc_now,
        wait: Wait = Event.wait,
        patience: float = PATIENCE,
        tell: Tell = lambda _: None,
    ) -> None:
        own_key, signers = config.own_key(), config.signer_keys()
        self.index, self.client_id, self.clock = config.index, config.client_id, clock
        self._channel = Channel(
            transport=transport, clock=clock, wait=wait, patience=patience, tell=tell, trust=config.trust()
        )
        self._authorized = Authorized(self._channel, AccessTokens(config, own_key, self._channel))
        self.subscriptions = Subscriptions(self._authorized, config.index)
        """The client's own webhook subscription."""
        self.acts = Acts(self._authorized, config.index)
        """What is done with a signal that is placed."""
        self.ledger = (
            Watch(self._channel, config.index, read_keys(config.ledger_key), config.checkpoints)
            if config.ledger_key
            else None
        )
        """Looks after the ledger, at the end of the `with` block too; None where no key is configured."""
        self._tell = tell
        self.follow_up = FollowUp(self._authorized, config.index)
        """What is done with a match."""
        self.mail = Mail(self._authorized, config.index)
        """When mail is wanted, and of whom it waits."""
        self._keys = IdempotencyKeys(own_key)
        pseudonymiser = Pseudonymiser(config, signers, self._authorized)
        self._poster = Poster(config.index, self._authorized, pseudonymiser, self._keys)
        self._deaths = Deaths(config.index, self._authorized, pseudonymiser)

    def __enter__(self) -> "VerwijsindexClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises LedgerChangedError when all went well but the ledger is not what it was (`Watch.look`)."""
        try:
            if error is None and self.ledger:
                self.ledger.look()
        except UnreachableError as unreachable:  # what was to be done is done; the next use looks again
            self._tell(f"the ledger was not looked at: {unreachable}")
        finally:
            self._channel.http.close()

    def submit(self, signals: Iterable[SignalDraft]) -> Iterator[Outcome]:
        """Sends signals and tells of each what became of it, in their order.

        Reads ahead by some batches of BATCH, so that any number of signals fits in memory; the first outcome
        comes when BATCH signals are read, or all. Signals of a reporter at a limit of a day are told as `Limited`,
        and those of others go on. A repeat of the same signal within seven days gets its first
        answer and is not a second one, so after an error the same signals may be sent again as a whole.

        Raises:
            ClientError: what stands in the way of all signals: no answer, no token, no pseudonyms that can be
                trusted. The outcomes that were known by then are told first.
        """
        remaining = iter(signals)
        batches = iter(lambda: list(islice(remaining, BATCH)), [])
        for outcomes in self.submit_batches(batches):
            yield from outcomes

    def submit_batches(self, batches: Iterable[Sequence[SignalDraft]]) -> Iterator[list[Outcome]]:
        """The same for who makes the batches: one request for each, of at most BATCH signals (none is a batch
        too), and the outcomes of each. Raises ClientError; the last list may then be shorter than its batch."""
        return self._poster.send(batches)

    def key_of(self, signal: SignalDraft) -> str:
        """The signal's idempotency key, which tells its BSN to nobody without this client's private key."""
        return self._keys.of(signal)

    def fingerprint(self, file: BinaryIO) -> str:
        """Tells this file from any other, and to nobody else what is in it (`IdempotencyKeys.of_file`)."""
        return self._keys.of_file(file)

    def signals(self, reporter: UUID, *, overdue: bool = False) -> Iterator[Json]:
        """The reporter's own signals, as the API's document describes them; if said only those whose family should have
        been informed by now (R27). Raises ClientError."""
        return self._pages("/api/v1/signals", reporter, {"informing": "overdue"} if overdue else {})

    def signal(self, reporter: UUID, signal_id: UUID) -> Json:
        """One of them. Raises ClientError; ClientProblem with status 404 where it is not the reporter's."""
        return self._read(f"/api/v1/signals/{signal_id}", reporter)

    def notices(self, reporter: UUID) -> Iterator[Json]:
        """The reporter's inbox. Raises ClientError."""
        return self._pages("/api/v1/notices", reporter)

    def notice(self, reporter: UUID, notice_id: UUID) -> Json:
        """One notice of the inbox; one of kind party_withdrew says in `ask` whom to ask (R37). Raises ClientError;
        ClientProblem with status 404 where it is not in the reporter's inbox."""
        return self._read(f"/api/v1/notices/{notice_id}", reporter)

    def matches(self, reporter: UUID) -> Iterator[Json]:
        """The open matches that the reporter is a party of. Raises ClientError."""
        return self._pages("/api/v1/matches", reporter)

    def match(self, reporter: UUID, match_id: UUID) -> Json:
        """One match: whom to call (R12). Raises ClientError; ClientProblem with status 404 where it is not the
        reporter's."""
        return self._read(f"/api/v1/matches/{match_id}", reporter)

    def archived_signal(self, reporter: UUID, archived_id: UUID) -> Json:
        """Whom to ask about a youngster who was signalled before (R17), by the id in an archive notice. Raises
        ClientError; ClientProblem with status 404 where it was not told to the reporter, or one of the two is gone."""
        return self._read(f"/api/v1/archived-signals/{archived_id}", reporter)

    def tell_death(self, bsn: Bsn) -> datetime:
        """Tells, as a municipality's client, that this person died (R14); when it was received. The answer is the same
        whether or not anything was known. Raises ClientError (`Deaths.tell`)."""
        return self._deaths.tell(bsn)

    def _pages(self, path: str, reporter: UUID, which: Mapping[str, str] | None = None) -> Iterator[Json]:
        return self._authorized.pages(self.index, path, which or {}, {"On-Behalf-Of": str(reporter)})

    def _read(self, path: str, reporter: UUID) -> Json:
        headers = {"On-Behalf-Of": str(reporter)}
        return content(self._authorized.send(self.index, "GET", path, headers=headers), OBJECT)
