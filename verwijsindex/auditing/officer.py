# SPDX-License-Identifier: EUPL-1.2
"""The door of the privacy officer's desk: the one transaction of a look with its event (R25, R28, I4, I8).

All that the desk does runs as the SQL role `verwijsindex_auditor`, in a pool of its own. It reads events within the
officer's scope by row-level security, and can read no contact data, case reference, signal or match. That the officer
signed in with two factors was checked with the token (`access.tokens`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from flask import current_app
from sqlalchemy import Engine, text

from verwijsindex.access.caller import LEDGER_AUDIT
from verwijsindex.access.http import caller as calling
from verwijsindex.acting import Act, OnBehalfOf, actor_of, caller_text
from verwijsindex.database import Scope, transaction
from verwijsindex.problems import NOT_ALLOWED, Problem
from verwijsindex.signals.dates import amsterdam_date

_IN_REGISTER = text("SELECT scope_own_privacy_officer()")


@contextmanager
def auditing(header: OnBehalfOf) -> Iterator[Act]:
    """A transaction in which only what the calling privacy officer audits exists; what is read in it is told in it.

    Raises:
        Problem: 403 for another role or scope, who is not in the register today, and who names a reporter.
    """
    caller = calling()
    caller.require(LEDGER_AUDIT)
    if header.on_behalf_of is not None:
        raise Problem(NOT_ALLOWED)
    now: datetime = current_app.extensions["clock"]()
    pool: Engine = current_app.extensions["auditor_pool"]
    scope = Scope(
        today=amsterdam_date(now),
        oin=caller.oin,
        municipality=caller.municipality,
        privacy_officer_id=caller.person_id,
        caller=caller_text(caller),
    )
    with transaction(pool, scope) as connection:
        if connection.execute(_IN_REGISTER).scalar_one_or_none() is None:
            raise Problem(NOT_ALLOWED)
        yield Act(connection, caller, actor_of(caller, None), now)
