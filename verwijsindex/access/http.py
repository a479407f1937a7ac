# SPDX-License-Identifier: EUPL-1.2
"""Putting the caller of a request where its view finds it.

A blueprint that is not passed through `authenticated` is open to all; say so where it is registered.
"""

from typing import TypeVar

from flask import Blueprint, current_app, g, request

from verwijsindex.access.caller import Caller
from verwijsindex.access.tokens import TokenVerifier

B = TypeVar("B", bound=Blueprint)


def authenticated(blueprint: B) -> B:
    """The same blueprint, with a valid access token demanded before each of its views.

    The app keeps its TokenVerifier in `app.extensions["token_verifier"]`.
    """

    @blueprint.before_request
    def authenticate() -> None:
        verifier: TokenVerifier = current_app.extensions["token_verifier"]
        g.caller = verifier.verify(request.headers.get("Authorization"))
        # Not before: who has no token holds no thread by sending a body slowly. And before anything else is refused:
        # over a body that nobody read the server ends the connection without a word.
        request.get_data()

    return blueprint


def caller() -> Caller:
    """Who is calling, inside a view of an authenticated blueprint."""
    found: Caller = g.caller
    return found
