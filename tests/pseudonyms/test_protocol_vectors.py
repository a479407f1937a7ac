# SPDX-License-Identifier: EUPL-1.2
"""docs/protocol-vectors.json is what the code does; run this file to write it anew.

What the code keeps inside (uniform bytes, weights, composites) is computed here a second time, from the text of
docs/protocol.md, so that the page is tested too. Fixed secrets, fixed blinds and test BSNs only.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from standardwebhooks.webhooks import Webhook
from voprf import ristretto as oracle

from verwijsindex.client.draft import Informed, SignalDraft
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms import ristretto, voprf
from verwijsindex.pseudonyms.bsn import Bsn, BsnError, hides_bsn
from verwijsindex.pseudonyms.key_list import KeyVersion, read_key_list, sign_key_list
from verwijsindex.pseudonyms.pseudonym import Kind, Pseudonym
from verwijsindex.pseudonyms.voprf import Evaluator
from verwijsindex.signals.dates import NotUnder23, ends

FILE = Path(__file__).resolve().parents[2] / "docs" / "protocol-vectors.json"
CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
ISSUER, SERVICE = "https://issuer.example", "https://pseudonyms.example"
REPORTER = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
FAMILY: tuple[tuple[Kind, str], ...] = (
    ("youngster", "999900006"),
    ("parent", "999900018"),
    ("parent", "99990003"),
)


def fixed(name: str, length: int = 32) -> bytes:
    """Bytes that anyone can make again."""
    return hashlib.sha512(f"verwijsindex test vector: {name}".encode()).digest()[:length]


def scalar(name: str) -> bytes:
    return ristretto.hash_to_scalar(fixed(name), b"verwijsindex test vector")


def ed25519(name: str) -> OKPKey:
    """The key whose 32 private bytes are `fixed(name)`."""
    private = encode_base64url(fixed(name))
    jwk: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "d": private, "x": ""}
    key = OKPKey.import_key(jwk)
    public = encode_base64url(key.public_key.public_bytes_raw())
    return OKPKey.import_key({**jwk, "x": public})


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def expand(message: bytes, dst: bytes) -> bytes:
    """Section 4.2 of the page, written out."""
    tag = dst + bytes([len(dst)])
    b0 = hashlib.sha512(bytes(128) + message + b"\x00\x40" + b"\x00" + tag).digest()
    return hashlib.sha512(b0 + b"\x01" + tag).digest()


def to_scalar(message: bytes) -> bytes:
    """Section 4.2 of the page, with Python's numbers in the place of libsodium."""
    number = int.from_bytes(expand(message, b"HashToScalar-" + CONTEXT), "little")
    return (number % (2**252 + 27742317777372353535851937790883648493)).to_bytes(32, "little")


def weighted(weights: Iterable[bytes], points: Iterable[bytes]) -> bytes:
    total = bytes(32)
    for weight, point in zip(weights, points, strict=True):
        total = ristretto.add(total, ristretto.multiply(weight, point))
    return total


def of_bsns() -> dict[str, Any]:
    accepted = ["999900006", " 999900018\n", "99990003"]
    refused = ["999900007", "9999", "9999000067", "9999.00.006", "000000000", "99990000x", ""]
    for text in refused:
        with pytest.raises(BsnError):
            Bsn.parse(text)
    return {
        "accepted": [{"text": text, "nineDigits": Bsn.parse(text).digits.decode()} for text in accepted],
        "refused": refused,
    }


def of_the_voprf() -> dict[str, Any]:
    k, r = scalar("k"), scalar("r")
    evaluator = Evaluator(k)
    inputs = [voprf.voprf_input(kind, Bsn.parse(text)) for kind, text in FAMILY]
    blinded = voprf.blind(inputs, blinds=[scalar(f"blind {i}") for i in range(len(inputs))])
    evaluation = evaluator.evaluate(blinded.elements, r=r)
    voprf.verify(evaluator.public_key, blinded.elements, evaluation.elements, evaluation.proof)
    pseudonyms = voprf.unblind(evaluation.elements, blinded.blinds)

    seed = hashlib.sha512(framed(evaluator.public_key, b"Seed-" + CONTEXT)).digest()
    weights = [
        to_scalar(framed(seed) + i.to_bytes(2, "big") + framed(c_i, d_i) + b"Composite")
        for i, (c_i, d_i) in enumerate(zip(blinded.elements, evaluation.elements, strict=True))
    ]
    m, z = weighted(weights, blinded.elements), weighted(weights, evaluation.elements)
    t2, t3 = ristretto.multiply_base(r), ristretto.multiply(r, m)
    c = to_scalar(framed(evaluator.public_key, m, z, t2, t3) + b"Challenge")
    assert c == evaluation.proof[:32]
    return {
        "contextString": CONTEXT.hex(),
        "hashToGroupTag": (b"HashToGroup-" + CONTEXT).hex(),
        "hashToScalarTag": (b"HashToScalar-" + CONTEXT).hex(),
        "k": k.hex(),
        "publicKey": evaluator.public_key.hex(),
        "elements": [
            {
                "kind": kind,
                "bsn": text,
                "input": message.decode(),
                "uniformBytes": expand(message, b"HashToGroup-" + CONTEXT).hex(),
                "hashToGroup": voprf.hash_to_group(message).hex(),
                "blind": blinded.blinds[i].hex(),
                "blindedElement": blinded.elements[i].hex(),
                "evaluatedElement": evaluation.elements[i].hex(),
                "pseudonym": pseudonyms[i].hex(),
                "pseudonymOnTheWire": Pseudonym(pseudonyms[i], 1).to_text(),
            }
            for i, ((kind, text), message) in enumerate(zip(FAMILY, inputs, strict=True))
        ],
        "proof": {
            "seed": seed.hex(),
            "weights": [weight.hex() for weight in weights],
            "M": m.hex(),
            "Z": z.hex(),
            "r": r.hex(),
            "t2": t2.hex(),
            "t3": t3.hex(),
            "c": c.hex(),
            "s": evaluation.proof[32:].hex(),
            "proof": evaluation.proof.hex(),
        },
        "request": {
            "keyVersion": 1,
            "blindedElements": [encode_base64url(e) for e in blinded.elements],
            "reporters": [REPORTER] * len(FAMILY),
        },
        "response": {
            "keyVersion": 1,
            "evaluatedElements": [encode_base64url(e) for e in evaluation.elements],
            "proof": encode_base64url(evaluation.proof),
        },
        "noElements": {
            "the identity": bytes(32).hex(),
            "negative": (b"\x01" + bytes(31)).hex(),
            "the field's prime, a second form of the identity": (b"\xed" + b"\xff" * 30 + b"\x7f").hex(),
            "the public key with the highest bit set": (
                evaluator.public_key[:31] + bytes([evaluator.public_key[31] | 0x80])
            ).hex(),
        },
    }


def of_the_key_list() -> dict[str, Any]:
    signer, now = ed25519("list signer"), datetime(2026, 11, 22, 10, tzinfo=UTC)
    version = KeyVersion(
        version=1,
        public_key=Evaluator(scalar("k")).public_key,
        accepted_from=datetime(2026, 11, 1, tzinfo=UTC),
        accepted_until=None,
    )
    signed = sign_key_list([version], now, signer)
    assert read_key_list(signed, signer).versions == (version,)
    header, payload, _ = (part + "=" * (-len(part) % 4) for part in signed.split("."))
    return {
        "signingKey": signer.as_dict(private=True),
        "header": base64.urlsafe_b64decode(header).decode(),
        "payload": base64.urlsafe_b64decode(payload).decode(),
        "jws": signed,
    }


def of_a_key_turn() -> dict[str, Any]:
    """A list with two versions, which of them to use when, and the factor between their pseudonyms of one youngster."""
    signer, k = ed25519("list signer"), {1: scalar("k"), 2: scalar("k of version 2")}
    day = datetime(2026, 12, 1, 10, tzinfo=UTC)
    times = {1: (datetime(2026, 11, 1, tzinfo=UTC), day + timedelta(days=7)), 2: (day, None)}
    versions = [
        KeyVersion(version=n, public_key=Evaluator(k[n]).public_key, accepted_from=since, accepted_until=until)
        for n, (since, until) in times.items()
    ]
    signed = sign_key_list(versions, datetime(2026, 11, 22, 10, tzinfo=UTC), signer)
    listed = read_key_list(signed, signer)
    moments = [day - timedelta(seconds=1), day, day + timedelta(days=7, seconds=-1), day + timedelta(days=7)]
    factor = ristretto.multiply_scalars(k[2], ristretto.invert(k[1]))
    message = voprf.voprf_input("youngster", Bsn.parse("999900006"))
    pseudonym = {n: ristretto.multiply(k[n], voprf.hash_to_group(message)) for n in k}
    assert ristretto.multiply(factor, pseudonym[1]) == pseudonym[2]
    assert ristretto.multiply(factor, versions[0].public_key) == versions[1].public_key
    return {
        "jws": signed,
        "moments": [
            {
                "at": f"{at:%FT%TZ}",
                "use": listed.current(at).version,
                "accepted": [one.version for one in versions if one.accepted(at)],
            }
            for at in moments
        ],
        "k1": k[1].hex(),
        "k2": k[2].hex(),
        "publicKey1": versions[0].public_key.hex(),
        "publicKey2": versions[1].public_key.hex(),
        "factor": factor.hex(),
        "pseudonym1": pseudonym[1].hex(),
        "pseudonym2": pseudonym[2].hex(),
    }


def of_the_client_assertion() -> dict[str, Any]:
    client = ed25519("client")
    header = {"alg": "Ed25519", "typ": "JWT"}
    begins = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp())
    claims = {
        "iss": "school-a",
        "sub": "school-a",
        "aud": ISSUER,
        "jti": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "iat": begins,
        "exp": begins + 60,
    }
    assertion = jwt.encode(header, claims, client, ["Ed25519"])
    return {
        "clientKey": client.as_dict(private=True),
        "header": header,
        "claims": claims,
        "assertion": assertion,
        "form": {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "resource": SERVICE,
        },
    }


def of_the_removal_date() -> list[dict[str, Any]]:
    cases = [
        ("2026-11-22T10:00:00Z", "2012-05-03"),  # the birthday is far: neither bound nor told
        ("2026-11-22T10:00:00Z", "2010-05-03"),  # within seven years: told
        ("2026-11-22T10:00:00Z", "2010-11-22"),  # exactly seven years: told
        ("2026-11-22T10:00:00Z", "2010-11-23"),  # a day later: not told
        ("2026-11-22T10:00:00Z", "2005-11-22"),  # both on one day: the birthday counts
        ("2026-11-22T10:00:00Z", "2005-02-01"),  # the birthday first
        ("2026-11-22T23:30:00Z", "2012-05-03"),  # the next day in Amsterdam
        ("2027-07-22T22:30:00Z", "2012-05-03"),  # likewise, in summer
        ("2028-02-29T10:00:00Z", "2012-05-03"),  # two years after 29 February
        ("2026-11-22T10:00:00Z", "2008-02-29"),  # born on 29 February
        ("2026-11-22T10:00:00Z", "2003-11-22"),  # 23 on the day itself
        ("2026-11-22T22:30:00Z", "2003-11-23"),  # not yet 23: it is 23:30 in Amsterdam
        ("2026-11-22T23:30:00Z", "2003-11-23"),  # 23, for in Amsterdam it is the 23rd
    ]
    rows = []
    for made_at, born in cases:
        row: dict[str, Any] = {"madeAt": made_at, "birthDate": born}
        try:
            told = ends(datetime.fromisoformat(made_at), date.fromisoformat(born))
        except NotUnder23:
            row["refused"] = "23 or older"
        else:
            row["turns23On"] = told.turns23_on.isoformat() if told.turns23_on else None
            row["removalDate"] = told.removal_date.isoformat()
        rows.append(row)
    return rows


def of_a_signal() -> dict[str, Any]:
    """A body with everything that may be in it, of the family of the `voprf` vectors."""
    youngster, *parents = (Bsn.parse(text) for _, text in FAMILY)
    draft = SignalDraft(
        reporter=UUID(REPORTER),
        bsn=youngster,
        birth_date=date(2010, 5, 3),
        residence_municipality="1701",
        made_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        reasonable_suspicion=True,
        informing=Informed(date(2026, 11, 20), "youngster", "from_16"),
        case_reference="2026-4711",
        parents=tuple(parents),
        shielded=True,
    )
    k, kinds = scalar("k"), [kind for kind, _ in FAMILY]
    assert [kind for kind, _ in draft.people()] == kinds
    hashed = [voprf.hash_to_group(voprf.voprf_input(kind, bsn)) for kind, bsn in draft.people()]
    return {"birthDate": "2010-05-03", "body": draft.body(1, [Pseudonym(ristretto.multiply(k, n), 1) for n in hashed])}


def of_case_references() -> list[dict[str, Any]]:
    texts = ["2026-4711", "A999900006", "12-999900006", "99990003", "9999-00006", "9999000061", "999900007"]
    return [{"text": text, "refused": hides_bsn(text)} for text in texts]


def of_a_webhook() -> dict[str, Any]:
    secret = "whsec_" + base64.b64encode(fixed("webhook", 32)).decode()
    message, at, body = "msg_01", datetime(2026, 11, 22, 10, tzinfo=UTC), '{"specversion":"1.0","id":"msg_01"}'
    content = f"{message}.{int(at.timestamp())}.{body}"
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content.encode(), "sha256")
    signature = "v1," + base64.b64encode(mac).decode()
    assert Webhook(secret).sign(message, at, body) == signature
    return {
        "secret": secret,
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "body": body,
        "signedContent": content,
        "webhook-signature": signature,
    }


def vectors() -> dict[str, Any]:
    return {
        "about": "Test vectors of docs/protocol.md. Bytes are in hex, except on the wire. Never use these keys.",
        "bsn": of_bsns(),
        "voprf": of_the_voprf(),
        "keyList": of_the_key_list(),
        "keyTurn": of_a_key_turn(),
        "clientAssertion": of_the_client_assertion(),
        "removalDate": of_the_removal_date(),
        "caseReference": of_case_references(),
        "signal": of_a_signal(),
        "webhook": of_a_webhook(),
    }


def written() -> str:
    return json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"


def test_the_published_vectors_are_what_the_code_does() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), f"write it anew: python {Path(__file__).name}"


def test_an_independent_sender_accepts_the_published_proof() -> None:
    """Its unblinding needs its own blinds, but that it reads the elements and the key says they are in form."""
    published = json.loads(FILE.read_text(encoding="utf-8"))["voprf"]
    oracle.PublicKey.deserialize(bytes.fromhex(published["publicKey"]))
    oracle.Proof.deserialize(bytes.fromhex(published["proof"]["proof"]))
    for element in published["elements"]:
        oracle.BlindedInput.deserialize(bytes.fromhex(element["blindedElement"]))
        oracle.EvaluatedElement.deserialize(bytes.fromhex(element["evaluatedElement"]))
    for bad in published["noElements"].values():
        with pytest.raises(ValueError, match=r"."):
            oracle.BlindedInput.deserialize(bytes.fromhex(bad))


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
