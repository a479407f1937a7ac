# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong besides a row: each error says what to do, and none holds a value of a signal (I5)."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from verwijsindex.pseudonyms.bsn import hides_bsn

_ACTS = 10
"""More than follow-up has: so many of an answer's `possible` are told at most."""


class ClientError(Exception):
    """Anything that this package raises while it talks; its text says what to do."""


class ConfigError(ClientError):
    """The configuration or a key file cannot be used."""


class UnreachableError(ClientError):
    """A service did not answer, or asked for patience longer than we have. Repeat the same later: nothing
    is sent twice, since a repeat has the same idempotency key."""

    def __init__(self, text: str, *, problem: "ClientProblem | None" = None, again_at: datetime | None = None) -> None:
        super().__init__(text)
        self.problem = problem
        """What it said, where it answered: a limit, for instance."""
        self.again_at = again_at
        """When the same can succeed, where it said so."""


class TokenError(ClientError):
    """The issuer gave no token."""


class PseudonymError(ClientError):
    """No pseudonym could be made: a list or an evaluation is not what the pinned key vouches for. Nothing was
    sent to the index."""


@dataclass(frozen=True, slots=True)
class ProblemFault:
    """One fault in what was sent, as the index names it."""

    place: str
    """A JSON pointer into the body, or the name of a header or parameter."""
    code: str
    detail: str


class ClientProblem(ClientError):  # noqa: N818 (RFC 9457's word)
    """A refusal by a service (problem+json, RFC 9457)."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: tuple[ProblemFault, ...] = (),
        limit: str = "",
        possible: tuple[str, ...] | None = None,
    ) -> None:
        faults = "".join(f"; {fault.place}: {fault.detail}" for fault in errors)
        acts = "" if possible is None else f"; possible now: {', '.join(possible) or 'nothing'}"
        super().__init__(f"{detail} ({kind}, HTTP {status}){faults}{acts}")
        self.status = status
        self.type = kind
        """Such as `urn:problem-type:verwijsindex:no-valid-agreement`; `about:blank` where there was none."""
        self.detail = detail
        self.errors = errors
        self.limit = limit
        """Whose limit was reached, `reporter` or `institution`; empty where it was none, or not said."""
        self.possible = possible
        """What can be done with the follow-up instead (R21); None where the refusal does not say."""

    @property
    def slug(self) -> str:
        """The last part of the type."""
        return self.type.rpartition(":")[2]

    @property
    def is_ours(self) -> bool:
        """Whether a service of the Verwijsindex says so, and not a proxy in between."""
        return self.type.startswith("urn:problem-type:verwijsindex:")

    @classmethod
    def of(cls, response: httpx.Response) -> "ClientProblem":
        """The problem in an answer; of an answer that is none (a proxy's page) only the status."""
        try:
            body: Any = response.json()
        except ValueError:
            body = None
        return cls.of_body(response.status_code, body)

    @classmethod
    def of_body(cls, status: int, body: Any) -> "ClientProblem":
        """The problem in a body that was read as JSON, such as an item of a batch."""
        if not isinstance(body, dict) or not isinstance(body.get("type"), str):
            detail = "The answer is not this API's: check the address, or what stands in between."
            return cls(status, "about:blank", detail)
        errors = body.get("errors")
        faults = [_fault(item) for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
        limit = body["limit"] if body.get("limit") in ("reporter", "institution") else ""
        acts = body.get("possible")
        possible = tuple(_words(act) for act in acts[:_ACTS]) if isinstance(acts, list) else None
        return cls(status, _words(body["type"]), _words(body.get("detail", "")), tuple(faults), limit, possible)


def _fault(item: dict[str, Any]) -> ProblemFault:
    location = item.get("location")
    place = (location.get("pointer") or location.get("name")) if isinstance(location, dict) else ""
    return ProblemFault(_words(place), _words(item.get("code", "")), _words(item.get("detail", "")))


def _words(value: object) -> str:
    """A text of a service for our log and report: bounded, of one line, and never with what may be a BSN."""
    text = re.sub(r"\s+", " ", str(value))[:500]
    text = "".join(character for character in text if character.isprintable())
    return "(left out: it holds a number that can be a BSN)" if hides_bsn(text) else text
