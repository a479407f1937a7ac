# SPDX-License-Identifier: EUPL-1.2
"""The test vectors of docs/ledger-vectors.json, from fixed keys, nonces and events."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from verwijsindex.keyfiles import encode_base64url
from verwijsindex.ledger import tree
from verwijsindex.ledger.base64 import encode
from verwijsindex.ledger.checkpoint import Signer

SEED = bytes(range(32))
ORIGIN = "index.example/ledger"
AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
SIZE = 7


def signer(seed: bytes = SEED, origin: str = ORIGIN) -> Signer:
    """Signs with a key that anybody knows."""
    d = encode_base64url(seed)
    x = encode_base64url(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())
    return Signer(origin, OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": d, "x": x}))


def event(place: int) -> tuple[bytes, bytes]:
    """Nonce and canonical bytes."""
    at = f"2026-11-22T10:00:0{place}.000000Z"
    body = f'{{"actor":{{"role":"matcher"}},"at":"{at}","id":"{place}","kind":"match.opened"}}'
    return hashlib.sha256(bytes([place])).digest()[:16], body.encode()


def made() -> dict[str, Any]:
    """All of them."""
    leaves = [tree.leaf_hash(*event(place)) for place in range(SIZE)]
    frontier, by = tree.Frontier(), signer()
    roots, notes = [], []
    for place, leaf in enumerate(leaves):
        frontier.push(leaf)
        roots.append(frontier.root())
        notes.append(by.sign(place + 1, roots[-1], AT + timedelta(minutes=place)))

    def proof(ranges: list[tree.Range]) -> list[str]:
        found = []
        for start, end in ranges:
            part = tree.Frontier()
            for leaf in leaves[start:end]:
                part.push(leaf)
            found.append(encode(part.root()))
        return found

    return {
        "privateKey": SEED.hex(),
        "verifierKey": str(by.key),
        "emptyRoot": tree.Frontier().root().hex(),
        "events": [
            {"place": n, "nonce": event(n)[0].hex(), "event": event(n)[1].decode(), "leaf": leaves[n].hex()}
            for n in range(SIZE)
        ],
        "checkpoints": [{"size": n + 1, "root": roots[n].hex(), "note": note} for n, note in enumerate(notes)],
        "sample": {
            "seed": roots[-1].hex(),
            "order": sorted(range(SIZE), key=lambda place: hashlib.sha256(roots[-1] + leaves[place]).digest()),
        },
        "inclusion": [{"place": n, "size": SIZE, "proof": proof(tree.inclusion_ranges(n, SIZE))} for n in range(SIZE)],
        "consistency": [
            {"from": old, "to": new, "proof": proof(tree.consistency_ranges(old, new))}
            for new in range(1, SIZE + 1)
            for old in range(1, new + 1)
        ],
    }
