# SPDX-License-Identifier: EUPL-1.2
"""Sends one signal and reads the inbox: `python examples/send_signal.py client.toml REPORTER`."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from verwijsindex.client import Accepted, Bsn, ClientConfig, Informed, SignalDraft, VerwijsindexClient

reporter, now = UUID(sys.argv[2]), datetime.now(UTC)
draft = SignalDraft(
    reporter=reporter,
    bsn=Bsn.parse("999900006"),  # a test BSN; it does not leave this machine
    birth_date=date(now.year - 12, 5, 5),  # nor does this: only when the signal ends
    residence_municipality="0971",
    made_at=now,
    reasonable_suspicion=True,  # the reporter's own confirmation
    informing=Informed(on=now.date(), to="both"),
    case_reference="Z26-00001",
)
with VerwijsindexClient(ClientConfig.load(Path(sys.argv[1]))) as client:
    for outcome in client.submit([draft]):
        print(f"accepted as {outcome.id}" if isinstance(outcome, Accepted) else f"refused: {outcome.problem}")
    for notice in client.notices(reporter):
        print(f"{notice['placedAt']}: read match {notice['match']} to see whom to call")
