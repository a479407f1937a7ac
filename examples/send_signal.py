# SPDX-License-Identifier: EUPL-1.2
"""Sends one signal and reads the inbox: `python examples/send_signal.py client.toml REPORTER`."""

import argparse
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from verwijsindex.client import Accepted, Bsn, ClientConfig, Informed, SignalDraft, VerwijsindexClient

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("config", type=Path, help="the client's configuration, such as client.toml")
parser.add_argument("reporter", type=UUID, help="the id of a reporter of yours")
given = parser.parse_args()
reporter, now = given.reporter, datetime.now(UTC)
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
with VerwijsindexClient(ClientConfig.load(given.config)) as client:
    for outcome in client.submit([draft]):
        print(f"accepted as {outcome.id}" if isinstance(outcome, Accepted) else f"refused: {outcome.problem}")
    for notice in client.notices(reporter):
        # A match, one in which a party withdrew or the youngster moved, or an archived signal: the link says where.
        print(f"{notice['placedAt']} {notice['kind']}: read {notice['link']} to see whom to call")
