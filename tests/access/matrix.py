# SPDX-License-Identifier: EUPL-1.2
"""Who may do what: every operation of an OpenAPI document, every caller, and the answer that must come (R19, R20, I8).

What is expected is derived, not listed: which role may from the scopes in the operation's `security`, for whom from
its parameters, whose the matter is from the operation's example (tests/access/examples.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from verwijsindex.access.caller import SCOPES, Role

Json = dict[str, Any]
OPEN = {"getKeyVersions", "listKeyVersions", "createToken", "getKeys", "getMetadata", "getRevocations"}
OPEN |= {"getNewestCheckpoint", "getConsistencyProof"}
"""Operations for all, on purpose: how to get a token, and what one checks keys, tokens and the ledger with."""


@dataclass(frozen=True)
class Operation:
    """One operation of a document."""

    id: str
    method: str
    path: str
    says: Json
    schemas: Json

    @property
    def scopes(self) -> list[str] | None:
        """The scopes of which one opens it; none at all for an open one; None when nothing is declared."""
        if "security" not in self.says:
            return None
        return [scope for need in self.says["security"] for scope in need["oauth2"]]

    @property
    def success(self) -> int:
        """The status of its one good answer."""
        [status] = [int(status) for status in self.says["responses"] if status.startswith("2")]
        return status

    @property
    def is_for_a_reporter(self) -> bool:
        """Whether a caller reads for one whom On-Behalf-Of names."""
        return any(one["name"] == "On-Behalf-Of" for one in self.says.get("parameters", []))

    @property
    def names_a_reporter(self) -> bool:
        """Whether a request says for which reporter it is: in the header, or in its body as a signal does."""
        return self.is_for_a_reporter or self._has_reporter(self.says.get("requestBody", {}), set())

    def _has_reporter(self, schema: Any, seen: set[str]) -> bool:
        if isinstance(schema, list):
            return any(self._has_reporter(one, seen) for one in schema)
        if not isinstance(schema, dict):
            return False
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            return self._has_reporter(self.schemas[name], seen | {name})
        return "reporter" in schema.get("properties", {}) or self._has_reporter(list(schema.values()), seen)

    @property
    def is_about_one(self) -> bool:
        """Whether its address names the matter."""
        return "{" in self.path


def operations(document: Json) -> Iterator[Operation]:
    """Every operation of a document."""
    for path, item in document["paths"].items():
        for method, says in item.items():
            yield Operation(says["operationId"], method, path, says, document["components"]["schemas"])


@dataclass(frozen=True)
class Caller:
    """Someone who asks. `own` is the institution, municipality, client or reporter that the matter is of."""

    name: str
    role: Role | None = None
    """None: the service does not believe the token."""
    holds: Literal["all", "all but the operation's", "other roles'"] = "all"
    """Which scopes are in the token; `all` are those of the role."""
    institution: Literal["own", "another", "unregistered"] = "own"
    municipality: Literal["own", "another"] = "own"
    client: Literal["own", "another"] = "own"
    names: Literal["own", "colleague", "another's", "unknown", "left", None] = None
    """The reporter for whom is asked; `another's` works at the other institution."""
    audits: Literal["oin", "municipality", "none"] = "oin"
    """Of a privacy officer: which claim says of whom; none of the operator's."""
    factors: int = 2
    """Of a privacy officer: with how many the person signed in."""
    in_register: bool = True
    """Of a person: whether the register has this one today, where the token says."""

    @property
    def names_one_of_theirs(self) -> bool:
        """Whether the reporter is designated by the caller's institution today; where a body must name one, the own."""
        names = self.names or "own"
        return (self.institution, names) in {("own", "own"), ("own", "colleague"), ("another", "another's")}


def _machines() -> list[Caller]:
    one = Caller("for its reporter", "machine", names="own")
    return [
        one,
        replace(one, name="another client of the institution, same reporter", client="another"),
        replace(one, name="for a colleague, whose it is not", names="colleague"),
        replace(one, name="of another institution, for its own reporter", institution="another", names="another's"),
        replace(one, name="for nobody", names=None),
        replace(one, name="for a reporter whom nobody knows", names="unknown"),
        replace(one, name="for a reporter of another institution", names="another's"),
        replace(one, name="of another institution, for this reporter", institution="another"),
        replace(one, name="of an institution that nobody knows", institution="unregistered"),
        replace(one, name="for a reporter who left", names="left"),
        replace(one, name="without the scope", holds="all but the operation's"),
        replace(one, name="with the scopes of persons", holds="other roles'"),
    ]


def _of_municipality(role: Role) -> list[Caller]:
    one = Caller("of the municipality", role)
    return [
        one,
        replace(one, name="of another municipality", municipality="another"),
        replace(one, name="of another by the register, of this by the token", in_register=False),
        replace(one, name="who left", in_register=False),
        replace(one, name="naming a reporter", names="own"),
        replace(one, name="without the scope", holds="all but the operation's"),
        replace(one, name="with the scopes of others", holds="other roles'"),
    ]


def _of_institution(role: Role) -> list[Caller]:
    one = Caller("of the institution", role)
    return [
        one,
        replace(one, name="of another institution", institution="another"),
        replace(one, name="of another by the register, of this by the token", in_register=False),
        replace(one, name="who left", in_register=False),
        replace(one, name="naming a reporter", names="own"),
        replace(one, name="without the scope", holds="all but the operation's"),
        replace(one, name="with the scopes of others", holds="other roles'"),
    ]


def _privacy_officers() -> list[Caller]:
    """Of an institution as any other person of one; besides, those of a municipality and of the operator."""
    one = Caller("of the institution", "privacy_officer")
    return [
        *_of_institution("privacy_officer"),
        replace(one, name="of the municipality", audits="municipality"),
        replace(one, name="of the operator", audits="none"),
        replace(
            one,
            name="of an institution by the register, of the operator by the token",
            audits="none",
            in_register=False,
        ),
        replace(one, name="with one factor", factors=1),
    ]


NOBODY = [
    Caller(name)
    for name in (
        *("no token", "what is no token", "a forged token", "a token for another service"),
        *("a token of another issuer", "an expired token", "a token not valid yet", "a token with another role"),
        "a token of a revoked client",
    )
]
CALLERS: dict[str, list[Caller]] = {
    "nobody": NOBODY,
    "machine": _machines(),
    "case supervisor": _of_municipality("case_supervisor"),
    "coordinator": _of_institution("coordinator"),
    "named officer": _of_institution("named_officer"),
    "rights desk": _of_municipality("rights_desk"),
    "privacy officer": _privacy_officers(),
}


def scopes_of(caller: Caller, operation: Operation) -> frozenset[str]:
    """The scopes in the caller's token; there is always one that means nothing."""
    held = SCOPES[caller.role or "machine"]
    if caller.holds == "all but the operation's":
        held -= set(operation.scopes or [])
    elif caller.holds == "other roles'":
        held = frozenset().union(*(scopes for role, scopes in SCOPES.items() if role != caller.role))
    return held | {"nothing"}


SERVED = "served"
"""The expected answer of who may; every other is the slug of a problem."""


def nothing_else(_: Caller) -> str | None:
    """Of an operation that refuses nobody for a reason of its own."""
    return None


def expected(
    operation: Operation,
    caller: Caller,
    owned: Callable[[Caller], bool],
    refused: Callable[[Caller], str | None] = nothing_else,
    absent: str = "not-found",
) -> str:
    """What must come of it: SERVED, or the slug of a problem. `refused`: what only this operation refuses; `absent`:
    what it answers of another's matter."""
    if operation.scopes == [] or operation.id in OPEN:
        return SERVED
    if caller.role is None:
        return "not-authenticated"
    if caller.factors < 2:
        return "second-factor-missing"
    held = scopes_of(caller, operation) & SCOPES[caller.role]
    if not held & set(operation.scopes or []):
        return "not-allowed"
    if caller.role != "machine":
        if caller.names or not caller.in_register:
            return "not-allowed"
    elif operation.is_for_a_reporter and caller.names is None:
        return "invalid-input"
    elif operation.names_a_reporter and not caller.names_one_of_theirs:
        return "reporter-not-designated"
    if operation.is_about_one and not owned(caller):
        return absent
    return refused(caller) or SERVED


def table(of: str, cells: dict[str, list[str]]) -> str:
    """A part of the matrix in Markdown: callers of one kind, and a column for the operations that answer alike.

    Args:
        cells: for each operation, what each of these callers gets.
    """
    columns: dict[tuple[str, ...], list[str]] = {}
    for name, column in cells.items():
        columns.setdefault(tuple(column), []).append(f"`{name}`")
    lines = [f"| {of.capitalize()} | " + " | ".join("<br>".join(names) for names in columns.values()) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for n, caller in enumerate(CALLERS[of]):
        lines.append(f"| {caller.name} | " + " | ".join(column[n] for column in columns) + " |")
    return "\n".join(lines)
