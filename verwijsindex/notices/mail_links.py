# SPDX-License-Identifier: EUPL-1.2
"""The link in a mail by which its recipient turns mail into a digest, or back, without signing in (RFC 8058).

Which inbox, and into what, is sealed with a subkey of the index key: the link tells nothing, not even by its length
(R33, R36), and nobody makes another.
It works as long as that version of the key is there (R16), at least 35 days.
"""

import json
from dataclasses import astuple, dataclass
from uuid import UUID

from verwijsindex.keyfiles import decode_base64url, encode_base64url
from verwijsindex.pseudonyms.sealing import IndexKey, IndexKeys, SealError
from verwijsindex.settings import API_PREFIX

PATH = f"{API_PREFIX}/mail-choices"
_LENGTH = 72  # of what is sealed, in characters: a reporter's id is the longest


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose inbox (one of the four), and whether mail about it becomes a digest."""

    reporter_id: UUID | None
    municipality_code: str | None
    officer_oin: str | None
    coordinator_oin: str | None
    digest: bool


def link(base_url: str, key: IndexKey, choice: Choice) -> str:
    """The address that makes this choice."""
    said = json.dumps(astuple(choice), default=str).ljust(_LENGTH).encode()
    sealed = key.version.to_bytes(4) + key.seal("mail-link", b"", said)
    return f"{base_url.rstrip('/')}{PATH}/{encode_base64url(sealed)}"


def read(keys: IndexKeys, token: str) -> Choice | None:
    """The choice in the last part of such an address; None for anything else."""
    try:
        sealed = decode_base64url(token)
        key = keys.get(int.from_bytes(sealed[:4]))
        said = json.loads(key.open("mail-link", b"", sealed[4:])) if key else None
    except (ValueError, SealError):
        return None
    if said is None:
        return None
    reporter, *others = said
    return Choice(UUID(reporter) if reporter else None, *others)
