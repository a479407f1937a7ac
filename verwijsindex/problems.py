# SPDX-License-Identifier: EUPL-1.2
"""Every error of every API as problem+json (RFC 9457), without an echo of the input (I5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flask import Flask, Response, json
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException

from verwijsindex.logs import UNFORESEEN, log

MEDIA_TYPE = "application/problem+json"
_URN = "urn:problem-type:verwijsindex:"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of refusal: its slug ends the problem's `type`, its detail says what to do next."""

    slug: str
    status: int
    title: str
    detail: str

    @property
    def uri(self) -> str:
        """The `type` member of RFC 9457."""
        return _URN + self.slug


INVALID_INPUT = ProblemType(
    "invalid-input",
    400,
    "The input is invalid",
    "Mend every fault listed in errors and send the request again.",
)
UNKNOWN_MUNICIPALITY = ProblemType(
    "unknown-municipality",
    400,
    "This municipality does not take part",
    "Check the CBS code; a youngster who moved to where nobody takes part keeps the last residence that does.",
)
ADDRESS_NOT_ALLOWED = ProblemType(
    "address-not-allowed",
    400,
    "Webhooks do not go to this address",
    "Name a host with a public address; for a receiver in a private network ask the operator to allow its range.",
)
DIGEST_TIME_NOT_EVERY_DAY = ProblemType(
    "digest-time-not-every-day",
    400,
    "This time is not there on the day the clocks change",
    "Choose a time of the digest before 02:00, or from 03:00 on.",
)
CONTACT_IN_THE_FUTURE = ProblemType(
    "contact-in-the-future",
    400,
    "This day of contact is still to come",
    "Record the contact once it was there, with its day in the Netherlands.",
)
CONTACT_BEFORE_MATCH = ProblemType(
    "contact-before-match",
    400,
    "This day of contact is before the match",
    "Record the first contact since the match; if you worked together before, close with already_together.",
)
SEARCH_TOO_WIDE = ProblemType(
    "search-too-wide",
    400,
    "This search takes too long",
    "Name a period, or a shorter one, in from and until; or a person, a signal or a match.",
)
NOT_AUTHENTICATED = ProblemType(
    "not-authenticated",
    401,
    "No valid access token",
    "Send a valid access token of a trusted issuer for this audience in the Authorization header.",
)
SECOND_FACTOR_MISSING = ProblemType(
    "second-factor-missing",
    401,
    "Signed in with one factor",
    "Sign in anew with two factors: this role needs a token that says so, by mfa in amr or by an acr that means it.",
)
NOT_ALLOWED = ProblemType(
    "not-allowed",
    403,
    "Your token does not allow this",
    "Use a token with this operation's scope and role; a person must be in the register, and sends no On-Behalf-Of.",
)
REPORTER_NOT_DESIGNATED = ProblemType(
    "reporter-not-designated",
    403,
    "The reporter is not designated by your institution",
    "Check the reporter's id, or ask the index's administrator to designate this reporter.",
)
CATEGORY_NOT_DESIGNATED = ProblemType(
    "category-not-designated",
    403,
    "The institution's category is not designated",
    "Institutions of this category may not signal (Jeugdwet 7.1.1.2).",
)
NO_VALID_AGREEMENT = ProblemType(
    "no-valid-agreement",
    403,
    "The institution has no agreement that is valid today",
    "Ask the municipality for an agreement, or have its end date looked at.",
)
LEGAL_GROUND_OFF = ProblemType(
    "legal-ground-off",
    403,
    "The contracting municipality takes no new signals",
    "This municipality has turned its legal ground off; ask its administrator.",
)
RECEIVER_MAY_NOT_SIGNAL = ProblemType(
    "receiver-may-not-signal",
    403,
    "This reporter may not signal, so cannot be given a signal",
    "Hand it to a reporter of your institution who may signal today.",
)
PARENTS_NOT_ALLOWED = ProblemType(
    "parents-not-allowed",
    403,
    "Your agreement does not say that you may send parents",
    "Send the signal without parents, or have the agreement changed with the municipality.",
)
NO_NAMED_OFFICER = ProblemType(
    "no-named-officer",
    403,
    "Your institution has no named officer",
    "A shielded signal needs a named officer without a last day to get its notices: have one added to the register.",
)
INSTITUTION_NOT_REGISTERED = ProblemType(
    "institution-not-registered",
    403,
    "Your institution is not in the register",
    "Ask the index's administrator to add your institution, and send the request again.",
)
NOT_A_MUNICIPALITY = ProblemType(
    "not-a-municipality",
    403,
    "Your client is of no municipality that takes part",
    "Only a municipality tells a death; ask the index's administrator to register your municipality's OIN.",
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "Not found",
    "It has closed or ended, is not yours, or never was: read the inbox or the list again, or check the address.",
)
SIGNAL_NOT_FOUND = ProblemType(
    "signal-not-found",
    404,
    "There is no such signal for you to act on",
    "Check the id: it has ended, it is another's, or it never was.",
)
MATCH_NOT_FOUND = ProblemType(
    "match-not-found",
    404,
    "There is no such match for you to follow up",
    "Check the id: it has ended, you are no party to it, or it never was.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed", 405, "Method not allowed", "Use one of the methods in the Allow header."
)
NOT_ACCEPTABLE = ProblemType(
    "not-acceptable",
    406,
    "Not acceptable",
    "This API answers in JSON (a report of the ledger in PDF too): accept application/json.",
)
SUBSCRIPTION_EXISTS = ProblemType(
    "subscription-exists",
    409,
    "This client has a subscription already",
    "List webhook-subscriptions; change its address, or delete it before you make another.",
)
ALREADY_INFORMED = ProblemType(
    "already-informed",
    409,
    "The family has been informed already",
    "There is nothing left to record: informing only goes forward.",
)
NOT_POSSIBLE_NOW = ProblemType(
    "not-possible-now",
    409,
    "This is not possible in the present state of the follow-up",
    "Do one of what possible names.",
)
ROUND_ENDED = ProblemType(
    "round-ended",
    409,
    "This round of follow-up has ended",
    "There is nothing left to record: another round begins when somebody comes into the match.",
)
LEAD_ACCEPTED_ALREADY = ProblemType(
    "lead-accepted-already",
    409,
    "You lead this match already",
    "There is nothing left to accept: record what you do, or hand the lead over.",
)
LEAD_NOT_YOURS = ProblemType(
    "lead-not-yours",
    409,
    "The lead is not yours to accept, decline or hand over",
    "Read the follow-up: it says who leads, or who is asked to.",
)
CONTACT_NOT_IN_MATCH = ProblemType(
    "contact-not-in-match",
    409,
    "This match shows no such contact",
    "Read the match again, and send the contact of one of its parties.",
)
HANDOVER_TO_YOURSELF = ProblemType(
    "handover-to-yourself",
    409,
    "The lead is yours already",
    "Send the contact of another party, as the match shows it.",
)
ALERT_NOT_POSSIBLE_NOW = ProblemType(
    "alert-not-possible-now",
    409,
    "This is not possible in the present state of the alert",
    "Do one of what possible names: an open alert is assessed, an assessed one is confirmed by another officer.",
)
SECOND_OFFICER_NEEDED = ProblemType(
    "second-officer-needed",
    409,
    "You assessed this alert yourself, or it is about you",
    "Have another privacy officer whose scope covers it do that: of your institution, or the operator's.",
)
SIGN_OFF_NOT_POSSIBLE = ProblemType(
    "sign-off-not-possible",
    409,
    "Not all of these accesses are yours to sign off",
    "Nothing was signed off. Read the sample again, leave out what errors names, and send the others.",
)
CONTENT_TOO_LARGE = ProblemType(
    "content-too-large",
    413,
    "The request is too large",
    "Send less in one request; the documentation says how much.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type", 415, "Unsupported media type", "Send JSON with Content-Type: application/json."
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    422,
    "This idempotency key was used for another request",
    "Use a new key for something new; repeat the very same request to get its first answer.",
)
LIMIT_REACHED = ProblemType(
    "limit-reached",
    429,
    "A limit was reached",
    "Send the same request again after the seconds in Retry-After.",
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    500,
    "Something went wrong here",
    "Send the same request again later, with the same key.",
)
UNAVAILABLE = ProblemType(
    "unavailable", 503, "Not available now", "Send the same request again later, with the same key."
)

CATALOGUE: dict[str, ProblemType] = {p.slug: p for p in list(vars().values()) if isinstance(p, ProblemType)}
# Of one status the first is the general one.
_BY_STATUS = {p.status: p for p in reversed(CATALOGUE.values()) if p.status not in {403, 409, 422}}

Where = Literal["body", "query", "header", "path"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the input: where, which (a code a program can read) and what to do. Never the value."""

    where: Where
    place: str
    code: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """The form of the NL API Design Rules (/core/error-handling)."""
        key = "pointer" if self.where == "body" else "name"
        return {"in": self.where, "location": {key: self.place}, "code": self.code, "detail": self.detail}


class ProblemAnswer(Response):
    """The answer that is a problem, and its slug, for the log and the metrics."""

    slug: str


class Problem(Exception):  # noqa: N818 (RFC 9457's word)
    """Raised anywhere in a request; becomes the answer.

    Args:
        type: which kind of refusal.
        errors: all faults of the input, for INVALID_INPUT.
        headers: more headers of the answer (`WWW-Authenticate`, `Retry-After`).
        detail: what to do next, where the type's own is too general.
        limit: whose limit was reached, where the caller may know.
        possible: what can be done now instead, where the type is about a state.
    """

    def __init__(
        self,
        type: ProblemType,  # noqa: A002 (RFC 9457's word)
        *,
        errors: Sequence[Fault] = (),
        headers: dict[str, str] | None = None,
        detail: str | None = None,
        limit: str = "",
        possible: Sequence[str] | None = None,
    ) -> None:
        super().__init__(type.slug)
        self.type = type
        self.errors = tuple(errors)
        self.headers = headers or {}
        self.detail = detail or type.detail
        self.limit = limit
        self.possible = possible

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {
            "type": self.type.uri,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
        }
        if self.type is LIMIT_REACHED and "Retry-After" in self.headers:
            # Here too, since an item of a batch has no header of its own.
            body["retryAfter"] = int(self.headers["Retry-After"])
        if self.limit:
            body["limit"] = self.limit
        if self.possible is not None:
            body["possible"] = list(self.possible)
        if self.errors:
            body["errors"] = [fault.as_json() for fault in self.errors]
        return body

    def response(self) -> Response:
        """The answer itself."""
        answer = ProblemAnswer(
            json.dumps(self.as_json()), status=self.type.status, headers=self.headers, content_type=MEDIA_TYPE
        )
        answer.slug = self.type.slug
        return answer


class FaultLocation(BaseModel):
    """Where a fault is: a JSON pointer into the body, or the name of a parameter."""

    pointer: str | None = None
    name: str | None = None


class FaultModel(BaseModel):
    """One fault of the input, as it stands in a problem's errors."""

    in_: Where = Field(alias="in")
    location: FaultLocation
    code: str
    detail: str


class ProblemModel(BaseModel):
    """A refusal (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Which kind of refusal; the kinds are in the documentation.")
    title: str
    status: int
    detail: str = Field(description="What to do next.")
    retry_after: int | None = Field(
        default=None, alias="retryAfter", description="Of a limit that was reached: seconds until it can succeed."
    )
    limit: str | None = Field(
        default=None,
        description="Whose limit was reached: `reporter` stands in the way of that reporter alone, `institution` of all"
        " of yours. Left out where it is neither's.",
    )
    possible: list[str] | None = Field(
        default=None, description="Of what is not possible in the state of a follow-up: what is."
    )
    errors: list[FaultModel] | None = Field(default=None, description="All faults of the input at once.")


def register_problem_handlers(app: Flask) -> None:
    """Every error that leaves `app` is problem+json; what is not foreseen is a 500 that tells nothing."""

    @app.errorhandler(Problem)
    def on_problem(problem: Problem) -> Response:
        return problem.response()

    @app.errorhandler(HTTPException)
    def on_http_exception(error: HTTPException) -> Response:
        status = error.code or 500
        kind = _BY_STATUS.get(status) or (INTERNAL_ERROR if status >= 500 else INVALID_INPUT)
        headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Retry-After")}
        if isinstance(error.response, Response):  # werkzeug's redirects and our own answers pass unchanged
            return error.response
        return Problem(kind, headers=headers).response()

    @app.errorhandler(Exception)
    def on_unforeseen(error: Exception) -> Response:
        log(UNFORESEEN, error=error)
        return Problem(INTERNAL_ERROR).response()
