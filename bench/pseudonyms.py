# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym service: evaluations a second of one core, with proof, by HTTP, beside libsodium doing the same.

The service's process has one thread, as docs/operations.md advises, and is kept on one core, the load on the others.
The ceiling is the arithmetic of the same batch on that core and nothing else: for each element k·C and d·C and one
sum, for the batch the rest of the proof, by calls of libsodium whose arguments stand ready.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

import psutil
import rbcl
import typer
from rich.console import Console

from bench.figures import Figure, show
from bench.load import request, run
from verwijsindex.access.caller import PSEUDONYMS_EVALUATE
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import encode_base64url, read_signing_key
from verwijsindex.pseudonyms.ristretto import multiply_base, random_scalar
from verwijsindex.pseudonyms.voprf import MAX_BATCH

CORE = 0
OIN = "00000001111111111000"


def measure(console: Console, *, full: bool) -> list[Figure]:
    """Evaluations a second for one core."""
    batches = 400 if full else 60
    settings = {
        "VERWIJSINDEX_WORKERS": "1",
        "VERWIJSINDEX_THREADS": "1",
        **{f"VERWIJSINDEX_ELEMENTS_PER_{who}": "100000000" for who in ("REPORTER", "INSTITUTION", "COUNTRY")},
    }
    with Stack(say=lambda what: console.print(f"starting {what}"), settings=settings) as stack:
        service = psutil.Process(stack.process("pseudonyms").pid)
        for process in (service, *service.children(recursive=True)):
            for thread in process.threads():  # also those that are there already
                os.sched_setaffinity(thread.id, [CORE])
        others = sorted(set(os.sched_getaffinity(0)) - {CORE}) or [CORE]
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, others)
        load = run(stack.pseudonyms, _requests(stack, batches), connections=4, expect=b"HTTP/1.1 200")
        os.sched_setaffinity(0, [CORE])
        ceiling = _libsodium(batches // 4)
        os.sched_setaffinity(0, own)
    return [
        Figure(
            f"evaluations with proof, batches of {MAX_BATCH}, by HTTP, one core",
            load.per_second * MAX_BATCH,
            "a second",
            "libsodium alone, the same arithmetic",
            ceiling,
            goal=0.8,
        )
    ]


def _requests(stack: Stack, count: int) -> list[bytes]:
    signer = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
    terms = Terms(stack.pseudonyms, frozenset({PSEUDONYMS_EVALUATE}), timedelta(minutes=50))
    token = signer.machine_token("bench", OIN, terms, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    reporter = str(uuid4())
    elements = [encode_base64url(multiply_base(random_scalar())) for _ in range(MAX_BATCH)]
    body = {"keyVersion": 1, "reporters": [reporter] * MAX_BATCH, "blindedElements": elements}
    return [request(f"{stack.pseudonyms}/api/v1/evaluations", headers, json.dumps(body).encode())] * count


def _libsodium(batches: int) -> float:
    """Evaluations a second of the bare arithmetic."""
    k = random_scalar()
    elements = [multiply_base(random_scalar()) for _ in range(MAX_BATCH)]
    weights = [random_scalar() for _ in range(MAX_BATCH)]
    multiply, add = rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero, rbcl.crypto_core_ristretto255_add
    began = time.perf_counter()
    for _ in range(batches):
        total = bytes(32)
        for weight, element in zip(weights, elements, strict=True):
            multiply(k, element)
            total = add(total, multiply(weight, element))
        multiply(k, total)
        multiply(k, total)
        multiply_base(k)
    return batches * MAX_BATCH / (time.perf_counter() - began)


def main(full: Annotated[bool, typer.Option(help="Longer.")] = False) -> None:
    """Measure the pseudonym service."""
    console = Console(width=140)
    show(console, "Pseudonym service", measure(console, full=full))
    console.print(f"python -m bench.pseudonyms{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
