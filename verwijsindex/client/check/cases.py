# SPDX-License-Identifier: EUPL-1.2
"""What a sender is asked to send, and the fixed keys it is judged with. All know these keys: never trust them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from verwijsindex.client.rows import COLUMNS
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.key_list import KeyVersion, sign_key_list
from verwijsindex.pseudonyms.pseudonym import Kind
from verwijsindex.pseudonyms.voprf import Evaluator, hash_to_group
from verwijsindex.signals.dates import amsterdam_date

REPORTER = "7b0f3c66-3b0e-4c53-9d6e-2f6f1f0b8a11"
MUNICIPALITY = "1701"
CURRENT = 2
"""The version of the key that is to be used: 1 is accepted too, 3 not yet."""
EVALUATORS = {version: Evaluator((10_000 + version).to_bytes(32, "little")) for version in (1, CURRENT, 3)}
_SIGNER_SEED, _STRANGER_SEED = b"verwijsindex-check-list-signer-1", b"verwijsindex-check-a-stranger-01"

Trouble = Literal["none", "away", "refused", "proof", "key", "signature", "lists"]


@dataclass(frozen=True, slots=True)
class Row:
    """A signal that the sender is asked to send."""

    case_reference: str
    bsn: str
    birth_date: date
    to_be_sent: bool = True
    parents: tuple[str, ...] = ()
    shielded: bool = False

    def pseudonym(self) -> str:
        """N of the youngster, as it stands in a body."""
        return _pseudonym("youngster", self.bsn)

    def of_parents(self) -> set[str]:
        """N of the parents."""
        return {_pseudonym("parent", bsn) for bsn in self.parents}

    def hashed(self) -> set[str]:
        """What must be blinded before it leaves, of all of them."""
        bare = [hash_to_group(_input("youngster", self.bsn))]
        bare += [hash_to_group(_input("parent", bsn)) for bsn in self.parents]
        return set(map(encode_base64url, bare))


def _input(kind: Kind, bsn: str) -> bytes:
    return f"verwijsindex/1/{kind}/{bsn.zfill(9)}".encode()


def _pseudonym(kind: Kind, bsn: str) -> str:
    [element] = EVALUATORS[CURRENT].evaluate([hash_to_group(_input(kind, bsn))]).elements
    return encode_base64url(element)


@dataclass(frozen=True, slots=True)
class Round:
    """Signals to send while the services behave in one way."""

    number: int
    trouble: Trouble
    about: str
    rows: tuple[Row, ...]


def rounds(now: datetime) -> tuple[Round, ...]:
    """All rounds of a run that begins now. All BSNs are test BSNs."""
    today = amsterdam_date(now)

    def born(years: int, days: int = 0) -> date:
        """The birth date of who is that many years old today, and turns one older in so many days."""
        day = today + timedelta(days=days)
        return date(day.year - years, day.month, min(day.day, 28))

    child = born(12, -200)
    plain = (
        Row("CHECK-1", "999900006", child),
        Row("CHECK-2", "999900006", child),
        Row("CHECK-3", "99990003", born(9, -100)),
        Row("CHECK-4", "999900018", born(20, -60), parents=("999900067", "999900079")),
        Row("CHECK-5", "999900031", born(23, 90), shielded=True),
        Row("CHECK-6", "999900007", child, to_be_sent=False),
        Row("CHECK-7", "999900043", born(23, -40), to_be_sent=False),
    )
    single = (Row("CHECK-8", "999900055", child),)
    played: tuple[tuple[Trouble, str, tuple[Row, ...]], ...] = (
        ("none", "all is well; two of these must not be sent, and your sender knows which", plain),
        ("away", "the index is cut off once, then asks for patience: this must end well by itself", single),
        ("refused", "the index refuses; tell a person, and let it be", single),
        ("proof", "the pseudonym service gives no valid proof; nothing may be sent", single),
        ("key", "it proves for another key than the listed one; nothing may be sent", single),
        ("signature", "a stranger signed the key list; start the sender anew, nothing may be sent", single),
        ("lists", "the two key lists differ; start the sender anew, nothing may be sent", single),
    )
    return tuple(Round(number, *one) for number, one in enumerate(played, start=1))


def write_export(path: Path, rows: Sequence[Row], now: datetime) -> None:
    """The rows as a case system's export of the form that `client send` takes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    "case_reference": row.case_reference,
                    "bsn": row.bsn,
                    "birth_date": row.birth_date.isoformat(),
                    "residence_municipality": MUNICIPALITY,
                    "reporter": REPORTER,
                    "made_at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "informed_on": amsterdam_date(now).isoformat(),
                    "informed_to": "both",
                    "reasonable_suspicion": "yes",
                    **{f"parent{n}_bsn": bsn for n, bsn in enumerate(row.parents, 1)},
                    "shielded": "yes" if row.shielded else "",
                }
            )


def signer() -> OKPKey:
    """Who signs the list of key versions: its public half is to be pinned by the sender."""
    return _key(_SIGNER_SEED)


def key_list(trouble: Trouble, service: str, now: datetime) -> str:
    """The signed list that `index` or `pseudonyms` serves."""
    keys = {version: one.public_key for version, one in EVALUATORS.items()}
    if trouble == "lists" and service == "index":
        keys[CURRENT] = Evaluator((20_000).to_bytes(32, "little")).public_key
    begins = {1: now - timedelta(days=60), CURRENT: now - timedelta(days=30), 3: now + timedelta(days=30)}
    versions = [
        KeyVersion(version=version, public_key=key, accepted_from=begins[version], accepted_until=None)
        for version, key in keys.items()
    ]
    key = _key(_STRANGER_SEED) if trouble == "signature" else signer()
    return sign_key_list(versions, now - timedelta(minutes=1), key)


def _key(seed: bytes) -> OKPKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = encode_base64url(private.public_key().public_bytes_raw())
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public, "d": encode_base64url(seed)})
