# SPDX-License-Identifier: EUPL-1.2
"""A sender as somebody may write it from docs/protocol.md alone, with a way to go wrong at each step."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jws, jwt
from joserfc.jwk import OKPKey

from verwijsindex.client.check.cases import MUNICIPALITY, REPORTER, Round, Row
from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.bsn import Bsn, BsnError
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, read_key_list
from verwijsindex.pseudonyms.voprf import ProofError, blind, unblind, verify
from verwijsindex.signals.dates import NotUnder23, amsterdam_date, ends, two_years_after, years_after

ONE, SEVEN = (1).to_bytes(32, "little"), (7).to_bytes(32, "little")
FORM = "application/x-www-form-urlencoded"


class Stop(Exception):  # noqa: N818
    """Nothing more is sent."""


class HomemadeSender:
    """Sends the rows of a round, right but for one fault."""

    def __init__(self, addresses: dict[str, str], key: OKPKey, signer: OKPKey, fault: str = "") -> None:
        self.at = addresses
        self.key = key
        self.signer = signer
        self.fault = fault
        self.tokens: dict[str, str] = {}
        self.http = httpx.Client(trust_env=False)

    def send(self, one: Round) -> None:
        """What a tester does in a round."""
        with suppress(Stop):
            self._send(self._checked(one.rows))

    def _checked(self, rows: Sequence[Row]) -> list[tuple[Row, bytes]]:
        good = []
        for row in rows:
            digits = row.bsn.zfill(9).encode()
            try:
                Bsn.parse(row.bsn)
            except BsnError:
                if self.fault != "takes any number":
                    continue
            if self.fault == "does not pad":
                digits = row.bsn.encode()
            try:
                ends(datetime.now(UTC), row.birth_date)
            except NotUnder23:
                if self.fault != "takes adults":
                    continue
            good.append((row, digits))
        return good

    def _keys(self) -> KeyList:
        services = ["index"] if self.fault == "reads one list" else ["index", "pseudonyms"]
        texts = [self.http.get(f"{self.at[one]}/api/v1/key-versions").json()["keyList"] for one in services]
        if self.fault == "believes any list":
            payload = jws.extract_compact(texts[0].encode()).payload
            return KeyList.model_validate_json(payload, by_alias=True, by_name=False)
        try:
            lists = [read_key_list(text, self.signer) for text in texts]
        except KeyListError:
            raise Stop from None
        if lists[0] != lists[-1] and self.fault != "compares no lists":
            raise Stop
        return lists[-1]

    def _bearer(self, service: str) -> dict[str, str]:
        wanted = "index" if self.fault == "one token for all" else service
        if wanted not in self.tokens or self.fault == "a token for each request":
            now = int(time.time())
            life = 3600 if self.fault == "an assertion for an hour" else 60
            claims = {
                "iss": "me",
                "sub": "me",
                "aud": self.at["issuer"],
                "jti": "one" if self.fault == "one jti" else str(uuid4()),
                "iat": now,
                "exp": now + life,
            }
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": kind,
                "client_assertion": jwt.encode({"alg": "Ed25519"}, claims, self.key, ["Ed25519"]),
                "resource": self.at[wanted] + ("/" if self.fault == "a slash more" else ""),
            }
            answer = self.http.post(f"{self.at['issuer']}/token", data=form)
            self.tokens[wanted] = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self.tokens[wanted]}"}

    def _pseudonyms(self, inputs: list[bytes]) -> tuple[int, list[bytes]]:
        keys = self._keys()
        key = keys.versions[0] if self.fault == "uses the first version" else keys.current(datetime.now(UTC))
        fixed = {"blinds once for all": SEVEN, "does not blind": ONE}.get(self.fault)
        blinded = blind(inputs, blinds=[fixed] * len(inputs) if fixed else None)
        body: dict[str, Any] = {
            "keyVersion": key.version,
            "blindedElements": [encode_base64url(one) for one in blinded.elements],
            "reporters": [REPORTER] * len(inputs),
        }
        if self.fault == "names no reporters":
            del body["reporters"]
        url = f"{self.at['pseudonyms']}/api/v1/evaluations"
        answer = self.http.post(url, json=body, headers=self._bearer("pseudonyms")).json()
        elements = [decode_base64url(one) for one in answer["evaluatedElements"]]
        believed = [one.public_key for one in keys.versions] if self.fault == "believes any key" else [key.public_key]
        for public_key in believed:
            try:
                verify(public_key, blinded.elements, elements, decode_base64url(answer["proof"]))
                break
            except ProofError:
                continue
        else:
            if self.fault != "checks no proof":
                raise Stop
        return key.version, unblind(elements, blinded.blinds)

    def _send(self, rows: list[tuple[Row, bytes]]) -> None:
        kind = "parent" if self.fault == "takes them for parents" else "youngster"
        inputs = [f"verwijsindex/1/{kind}/".encode() + digits for _, digits in rows]
        kind = "youngster" if self.fault == "takes parents for youngsters" else "parent"
        inputs += [f"verwijsindex/1/{kind}/{bsn}".encode() for row, _ in rows for bsn in row.parents]
        version, points = self._pseudonyms(inputs)
        others = iter(points[len(rows) :])
        for (row, _), n in zip(rows, points, strict=False):
            value = encode_base64url(hashlib.sha256(n).digest() if self.fault == "hashes N" else n)
            body = self._body(row, version, value)
            if row.parents:
                values = [encode_base64url(next(others)) for _ in row.parents]
                body["parents"] = [{"keyVersion": version, "value": one} for one in values]
            if row.shielded and self.fault != "sends it open":
                body["shielded"] = True
            self._post(row, body, value)

    def _body(self, row: Row, version: int, value: str) -> dict[str, Any]:
        now = datetime.now(UTC).replace(microsecond=0)
        today = amsterdam_date(now)
        birthday = years_after(row.birth_date, 23)
        body: dict[str, Any] = {
            "reporter": REPORTER,
            "pseudonym": {"keyVersion": version, "value": value},
            "residenceMunicipality": MUNICIPALITY,
            "madeAt": now.isoformat().replace("+00:00", "Z"),
            "removalDate": min(birthday, two_years_after(today)).isoformat(),
            "reasonableSuspicion": True,
            "informing": {"status": "informed", "on": today.isoformat(), "to": "both"},
            "caseReference": row.case_reference,
        }
        if birthday <= years_after(today, 7) or self.fault == "tells every birthday":
            body["turns23On"] = birthday.isoformat()
        if self.fault == "always two years":
            body["removalDate"] = two_years_after(today).isoformat()
        if self.fault == "a day too late":
            body["removalDate"] = (two_years_after(today) + timedelta(days=1)).isoformat()
        if self.fault == "a member more":
            body["reason"] = "x"
        if self.fault == "a birth date besides":
            body["birthDate"] = row.birth_date.isoformat()
        if self.fault == "a hashed BSN as reference":
            body["caseReference"] = hashlib.md5(row.bsn.encode(), usedforsecurity=False).hexdigest()
        return body

    def _post(self, row: Row, body: dict[str, Any], value: str) -> None:
        url, key = f"{self.at['index']}/api/v1/signals", str(uuid4())
        keys = {"one key for all": "k", "the BSN as key": row.bsn, "N as key": value, "a key with dots": "a.b"}
        key = keys.get(self.fault, key)
        if self.fault == "the BSN in the address":
            url += f"?who={row.bsn}"
        if self.fault == "N in a header":
            self.http.headers["X-Trace"] = value
        for _ in range(4):
            if self.fault == "a new key for a repeat":
                key = str(uuid4())
            if self.fault == "another time in a repeat":
                body["madeAt"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            try:
                answer = self.http.post(url, json=body, headers={**self._bearer("index"), "Idempotency-Key": key})
            except httpx.TransportError:
                if self.fault == "gives up":
                    raise Stop from None
                continue
            if answer.status_code == 403 and self.fault == "repeats what was refused":
                continue
            if answer.status_code != 503:
                return
            if self.fault != "does not wait":
                time.sleep(int(answer.headers["Retry-After"]))
