# SPDX-License-Identifier: EUPL-1.2
"""Idempotency keys that a repeat finds again, without a store and without telling a BSN (I5).

The key of a signal is an HMAC over all that it says, BSN included, under a secret derived from the client's own
private key. So the same signal in the same or another file has the same key, and is one signal (R9), while who
sees keys but has no such secret, the index for one, cannot try out BSNs. The price: under a new private key a
repeat is a second signal of its reporter, which makes no second match and no second notice.
"""

import hmac
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import OKPKey

from verwijsindex.client.draft import SignalDraft
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.pseudonyms.bsn import hides_bsn

_INFO = b"verwijsindex/1/client/idempotency-key"
_FILE_INFO = b"verwijsindex/1/client/file-fingerprint"
_CHUNK = 1 << 16  # bytes


class IdempotencyKeys:
    """The keys of one client's signals."""

    def __init__(self, own_key: OKPKey) -> None:
        """`own_key`: the client's private Ed25519 key. Its secret is HKDF-SHA-256 (RFC 5869) of the 32 bytes
        `d`, without salt."""
        private = own_key.private_key
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("not a private Ed25519 key")
        self._secret, self._file_secret = (
            HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(private.private_bytes_raw())
            for info in (_INFO, _FILE_INFO)
        )

    def of(self, draft: SignalDraft) -> str:
        """HMAC-SHA-256 over the draft's canonical bytes, 43 characters of unpadded base64url; a few more where the
        index would take digits in it for a BSN."""
        key = encode_base64url(hmac.digest(self._secret, draft.canonical(), "sha256"))
        # One in a million has by chance a run of digits that passes the 11-test; in parts of seven none is so long.
        return "-".join(key[i : i + 7] for i in range(0, len(key), 7)) if hides_bsn(key) else key

    def of_file(self, file: BinaryIO) -> str:
        """HMAC-SHA-256 over all bytes from where the file stands to its end, 43 characters of unpadded base64url.

        Without the secret a digest of a short file would let its BSNs be tried out.
        """
        made = hmac.new(self._file_secret, digestmod="sha256")
        while chunk := file.read(_CHUNK):
            made.update(chunk)
        return encode_base64url(made.digest())
