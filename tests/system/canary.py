# SPDX-License-Identifier: EUPL-1.2
"""Looking for BSNs and pseudonyms in every place where the system leaves bytes (I5)."""

import base64
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from redis import Redis
from support import bsn
from system.world import System

from verwijsindex.embedded.postgres import programs_folder
from verwijsindex.pseudonyms.pseudonym import Pseudonym

Places = dict[str, bytes]


def forms(youngster: int, pseudonym: Pseudonym) -> dict[str, bytes]:
    """Every form in which a BSN or its pseudonym N may stand somewhere, by a name of the form.

    A BSN also without the zeros in front, and in bytes that a dump shows as hex; of base64 the characters that
    do not depend on padding.
    """
    digits, n = bsn(youngster).digits, pseudonym.value
    return {
        "BSN": digits.lstrip(b"0"),
        "BSN in UTF-16": digits.decode().encode("utf-16-le"),
        "BSN as hex": digits.hex().encode(),
        "BSN in base64": base64.b64encode(digits).rstrip(b"="),
        "N": n,
        "N as hex": n.hex().encode(),
        "N as upper hex": n.hex().upper().encode(),
        "N in base64": base64.b64encode(n)[:42],
        "N in base64url": base64.urlsafe_b64encode(n)[:42],
        "N in base64 as hex": base64.urlsafe_b64encode(n)[:42].hex().encode(),
        "N as a list of numbers": ",".join(map(str, n)).encode(),
    }


def found(places: Places, wanted: dict[int, dict[str, bytes]]) -> set[tuple[str, int, str]]:
    """Where which form of which youngster stands: (place, youngster, form)."""
    return {
        (place, youngster, form)
        for place, content in places.items()
        for youngster, by_form in wanted.items()
        for form, needle in by_form.items()
        if needle in content
    }


def places(system: System) -> Places:
    """All that the system's processes have left: a dump of PostgreSQL, its very files, Redis, all logs."""
    with system.superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")
    left = {f"dump of {database}": _dump(system, database) for database in ("verwijsindex", "verwijsindex_issuer")}
    left["files of PostgreSQL"] = b"\n".join(_files(system.stack.postgres._folder / "data"))
    left["Redis"] = b"\n".join(_redis(system.stack.redis.url))
    left |= {f"log {log.name}": log.read_bytes() for log in system.stack.folder.glob("*.log")}
    return left


def _dump(system: System, database: str) -> bytes:
    url = system.stack.postgres.url(database).replace("+psycopg", "")
    dumped = subprocess.run(
        [programs_folder() / "bin" / "pg_dump", "--inserts", url], capture_output=True, check=False, env={"LC_ALL": "C"}
    )
    assert dumped.returncode == 0, dumped.stderr.decode()
    return dumped.stdout


def _files(folder: Path) -> Iterator[bytes]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).read_bytes()
            except FileNotFoundError:  # PostgreSQL was quicker
                continue


def _redis(url: str) -> Iterable[bytes]:
    with Redis.from_url(url) as redis:
        for key in redis.scan_iter():
            yield key
            kind = redis.type(key)
            if kind == b"string":
                yield redis.get(key) or b""
            elif kind == b"list":
                yield from redis.lrange(key, 0, -1)
            elif kind == b"set":
                yield from redis.smembers(key)
            elif kind == b"zset":
                yield from redis.zrange(key, 0, -1)
            elif kind == b"hash":
                for name, value in redis.hgetall(key).items():
                    yield name + b" " + value
            else:
                raise AssertionError(f"a kind of key that nobody looks into: {kind!r}")
