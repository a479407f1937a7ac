# SPDX-License-Identifier: EUPL-1.2
"""The forms of docs/protocol.md, sections 4.4, 6 and 7, against which a sender's requests are held.

What is wrong is told by the member's name and never with a value (I5).
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from verwijsindex.pseudonyms.voprf import MAX_BATCH
from verwijsindex.signals.informing import AgeGroup, InformedTo
from verwijsindex.written import Written, fault_told

_Day = Annotated[date, Field(strict=False)]
_Uuid = Annotated[str, Written(r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", "a UUID")]
_Element = Annotated[str, Written(r"^[A-Za-z0-9_-]{43}$", "43 characters of base64url")]
_CaseReference = Annotated[str, Written(r"^[A-Za-z0-9-]{1,36}$", "1 to 36 letters, digits and hyphens")]
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_LIFE = 300  # seconds
_SCOPES = {"signals:write", "signals:read", "pseudonyms:evaluate"}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, hide_input_in_errors=True)


class _Pseudonym(_Form):
    key_version: int = Field(ge=1)
    value: _Element


class _Informed(_Form):
    status: Literal["informed"]
    on: _Day
    to: InformedTo
    age_group: AgeGroup | None = None


class _Postponed(_Form):
    status: Literal["postponed"]
    ground: Literal["safety", "investigation", "unreachable"]
    review_date: _Day


class Signal(_Form):
    """Section 7."""

    reporter: _Uuid
    pseudonym: _Pseudonym
    residence_municipality: Annotated[str, Written(r"^[0-9]{4}$", "the CBS code of four digits")]
    made_at: Annotated[
        str,
        Written(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$", "a moment in UTC as 2026-11-24T10:00:00Z"),
    ]
    turns_23_on: _Day | None = Field(default=None, alias="turns23On")
    removal_date: _Day
    reasonable_suspicion: Literal[True]
    informing: _Informed | _Postponed
    case_reference: _CaseReference | None = None
    parents: list[_Pseudonym] = Field(default_factory=list, max_length=2)
    shielded: bool = False


class Evaluation(_Form):
    """Section 4.4."""

    key_version: int = Field(ge=1)
    blinded_elements: list[_Element] = Field(min_length=1, max_length=MAX_BATCH)
    reporters: list[_Uuid]

    @model_validator(mode="after")
    def _one_for_each(self) -> "Evaluation":
        if len(self.reporters) != len(self.blinded_elements):
            raise ValueError("reporters: as many as elements")
        return self


def faults(form: type[BaseModel], content: object) -> str:
    """What is wrong with a body, member by member; empty where nothing is."""
    try:
        form.model_validate(content)
    except ValidationError as error:
        known = {field.alias for field in form.model_fields.values()}
        wrong = []
        for item in error.errors(include_input=False, include_url=False, include_context=False):
            names = [str(part) for part in item["loc"] if not isinstance(part, str) or not part.startswith("_")]
            name = names[0] if names and names[0] in known else "a member"
            # After a comma pydantic tells of the value.
            ours = item["type"] in ("value_error", "string_pattern_mismatch")
            wrong.append(f"{name}: {fault_told(item) if ours else item['msg'].split(',')[0]}")
        return "; ".join(dict.fromkeys(wrong))
    return ""


def token_faults(body: bytes, headers: Mapping[str, str], key: OKPKey, issuer: str, now: float) -> tuple[str, str]:
    """What is wrong with a request for a token (section 6), and the assertion's `jti`."""
    form = parse_qs(body.decode("latin-1"))
    wrong = []
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        wrong.append("it is no form (Content-Type)")
    if form.get("grant_type") != ["client_credentials"]:
        wrong.append("grant_type")
    if form.get("client_assertion_type") != [_ASSERTION_TYPE]:
        wrong.append("client_assertion_type")
    resource = form.get("resource", [])
    if len(resource) != 1 or resource[0].endswith("/"):
        wrong.append("resource: one, exactly the address, without / at its end")
    if not set(" ".join(form.get("scope", [])).split()) <= _SCOPES:
        wrong.append("scope")
    try:
        token = jwt.decode(form["client_assertion"][0], key, ["Ed25519"])
    except (KeyError, JoseError, ValueError):
        return "; ".join([*wrong, "client_assertion: no JWT with alg Ed25519, signed by the given key"]), ""
    return "; ".join([*wrong, *_claim_faults(token.claims, issuer, now)]), str(token.claims.get("jti", ""))


def _claim_faults(claims: Mapping[str, Any], issuer: str, now: float) -> list[str]:
    wrong = []
    if not claims.get("iss") or claims.get("iss") != claims.get("sub"):
        wrong.append("iss and sub: both the client id")
    if claims.get("aud") not in {issuer, f"{issuer}/token"}:
        wrong.append("aud: the issuer's address, one text")
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        wrong.append("jti")
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or abs(issued - now) > 30:
        wrong.append("iat: now, in whole seconds")
    if type(expires) is not int or not now - 30 < expires <= now + _LONGEST_LIFE + 30:
        wrong.append("exp: at most 300 seconds from now")
    return wrong
