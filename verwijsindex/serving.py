# SPDX-License-Identifier: EUPL-1.2
"""What each process of a server makes of itself before its first request.

What is there by then stays as long as the process does, so the garbage collector need not look through it: each time it
did, everyone who waited for that process waited a tenth of a second more.
"""

import gc

from flask import Flask


def index() -> Flask:
    """The index (docs/operations.md)."""
    from verwijsindex.app import create_app  # noqa: PLC0415 (of the three, a process needs one)

    return _settled(create_app())


def pseudonyms() -> Flask:
    """The pseudonym service."""
    from verwijsindex.pseudonyms.app import create_app  # noqa: PLC0415

    return _settled(create_app())


def issuer() -> Flask:
    """The issuer."""
    from verwijsindex.issuer.app import create_app  # noqa: PLC0415

    return _settled(create_app())


def _settled(app: Flask) -> Flask:
    gc.collect()
    gc.freeze()
    return app
