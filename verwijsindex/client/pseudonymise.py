# SPDX-License-Identifier: EUPL-1.2
"""From BSNs to pseudonyms: blind, have evaluated, verify, unblind (RFC 9497; R7). Fails closed.

Which public key must be proved for is in a signed list that the index and the pseudonym service both serve.
With another key for this sender alone the service could mark it; with the two lists, a pinned signer and
the proof it cannot, unless the signer helps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Lock
from uuid import UUID

import httpx
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from verwijsindex.client.authorized import Authorized
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.errors import ClientProblem, PseudonymError
from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, KeyVersion, read_key_list
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.pseudonyms.voprf import MAX_BATCH, PointError, ProofError, blind, unblind, verify, voprf_input

LIST_KEPT = timedelta(minutes=10)
Asked = tuple[Kind, Bsn, UUID]
"""A youngster or parent, and the reporter for whom the pseudonym is made: the service counts by it (R37)."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """What BSNs became, in their order, and by which version of the key."""

    key_version: int
    values: tuple[Pseudonym, ...]


class _Evaluated(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True, strict=True)

    key_version: int
    evaluated_elements: list[str] = Field(max_length=MAX_BATCH)
    proof: str


class _Listed(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True, strict=True)

    key_list: str


class Pseudonymiser:
    """Makes pseudonyms of youngsters and parents. May be used by many threads."""

    def __init__(self, config: ClientConfig, signers: Sequence[OKPKey], authorized: Authorized) -> None:
        self._config = config
        self._signers = signers
        self._authorized = authorized
        self._channel = authorized.channel
        self._lock = Lock()
        self._known: tuple[KeyList, datetime] | None = None
        self._latest_used = 0
        self._newest = datetime.min.replace(tzinfo=UTC)

    def of(self, people: Sequence[Asked], stop: Event | None = None) -> Pseudonyms:
        """The pseudonym of each, from 1 to MAX_BATCH of them: one request, blinded and proved as one batch.

        Raises:
            PseudonymError: the lists of key versions differ, are not signed by a pinned key or name no
                version for now; or the evaluation is not proved for that version's public key.
            ClientProblem: the service refused. UnreachableError, TokenError: as they say.
        """
        key = self._current_key(stop)
        try:
            return self._evaluate(key, people, stop)
        except ClientProblem as problem:
            if not concerns_key_version(problem):
                raise
            self.forget_version(key.version)
            return self._evaluate(self._current_key(stop), people, stop)

    def forget_version(self, version: int) -> None:
        """Fetch the list anew the next time, when it is this version that it would have us use."""
        with self._lock:
            if self._known and self._latest_used == version:
                self._known = None

    def _evaluate(self, key: KeyVersion, people: Sequence[Asked], stop: Event | None) -> Pseudonyms:
        blinded = blind([voprf_input(kind, bsn) for kind, bsn, _ in people])
        response = self._authorized.send(
            self._config.pseudonyms,
            "POST",
            "/api/v1/evaluations",
            json={
                "keyVersion": key.version,
                "blindedElements": [encode_base64url(element) for element in blinded.elements],
                "reporters": [str(reporter) for _, _, reporter in people],
            },
            stop=stop,
        )
        if response.status_code != 200:
            raise ClientProblem.of(response)
        try:
            answer = _Evaluated.model_validate_json(response.content)
            elements = [decode_base64url(text) for text in answer.evaluated_elements]
            verify(key.public_key, blinded.elements, elements, decode_base64url(answer.proof))
        except (ValidationError, ProofError, PointError, ValueError):
            raise PseudonymError(
                f"the answer of {self._config.pseudonyms} is not proved for the public key of version"
                f" {key.version}: nothing was sent with it; tell the operators of both services"
            ) from None
        values = tuple(Pseudonym(value, key.version) for value in unblind(elements, blinded.blinds))
        return Pseudonyms(key.version, values)

    def _current_key(self, stop: Event | None) -> KeyVersion:
        with self._lock:
            now = self._channel.clock()
            if self._known is None or now >= self._known[1]:
                self._known = self._fetch_list(stop), now + LIST_KEPT
            try:
                key = self._known[0].current(now)
            except KeyListError as error:
                self._known = None
                raise PseudonymError(f"{error}; check the clock of this machine") from None
            self._latest_used = key.version
            return key

    def _fetch_list(self, stop: Event | None) -> KeyList:
        of_index, of_service = (
            self._read_list(address, stop) for address in (self._config.index, self._config.pseudonyms)
        )
        if of_index != of_service:
            raise PseudonymError(
                "index and pseudonym service do not serve the same list of key versions; if one of them was"
                " just given a new one this passes, else tell both operators"
            )
        if of_index.issued_at < self._newest:
            raise PseudonymError("the list of key versions is older than one seen before; tell both operators")
        self._newest = of_index.issued_at
        return of_index

    def _read_list(self, address: str, stop: Event | None) -> KeyList:
        response: httpx.Response = self._channel.send("GET", f"{address}/api/v1/key-versions", stop=stop)
        if response.status_code != 200:
            raise ClientProblem.of(response)
        try:
            listed = _Listed.model_validate_json(response.content)
            return read_key_list(listed.key_list, *self._signers)
        except ValidationError:
            raise PseudonymError(f"{address} serves no list of key versions: check the address") from None
        except KeyListError as error:
            raise PseudonymError(
                f"{address}: {error}; is key_list_signer the file that the operator gave you?"
            ) from None


def concerns_key_version(problem: ClientProblem) -> bool:
    """Whether a refusal is for a version of the key that is not accepted (any more)."""
    return problem.status == 400 and any(f.place.endswith("/keyVersion") for f in problem.errors)
