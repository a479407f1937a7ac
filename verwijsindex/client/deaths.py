# SPDX-License-Identifier: EUPL-1.2
"""Telling deaths, for a municipality (R14): blinded like any signal, and never a word back on what was known."""

from datetime import datetime
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from verwijsindex.client.authorized import Authorized, content
from verwijsindex.client.errors import ClientProblem
from verwijsindex.client.pseudonymise import Pseudonymiser, concerns_key_version
from verwijsindex.pseudonyms.bsn import Bsn

PATH = "/api/v1/deaths"
NOBODY = UUID(int=0)
"""In the place of a reporter, of whom a municipality has none: the pseudonym service counts by it (R37)."""


class _Received(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    received_at: AwareDatetime = Field(alias="receivedAt")


_RECEIVED = TypeAdapter(_Received)


class Deaths:
    """Tells deaths as one municipality's client. May be used by many threads."""

    def __init__(self, index: str, authorized: Authorized, pseudonymiser: Pseudonymiser) -> None:
        self._index = index
        self._authorized = authorized
        self._pseudonymiser = pseudonymiser

    def tell(self, bsn: Bsn) -> datetime:
        """Tells that this person died; when the index received it.

        Each call is a telling of its own, which ends what there is at that moment; only its own tries are repeats.

        Raises:
            ClientError: PseudonymError, UnreachableError, TokenError; ClientProblem, for one of a client that is of no
                municipality (`not-a-municipality`).
        """
        key = str(uuid4())
        try:
            return self._tell(bsn, key)
        except ClientProblem as problem:
            if not concerns_key_version(problem):
                raise
            return self._tell(bsn, key)

    def _tell(self, bsn: Bsn, key: str) -> datetime:
        made = self._pseudonymiser.of([("youngster", bsn, NOBODY)])
        response = self._authorized.send(
            self._index,
            "POST",
            PATH,
            headers={"Idempotency-Key": key},
            json={"pseudonym": {"keyVersion": made.key_version, "value": made.values[0].to_text()}},
        )
        try:
            return content(response, _RECEIVED, {202}).received_at
        except ClientProblem as problem:
            if concerns_key_version(problem):
                self._pseudonymiser.forget_version(made.key_version)
            raise
