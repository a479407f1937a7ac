# SPDX-License-Identifier: EUPL-1.2
"""What an institution installs: it blinds, sends and reads; no BSN leaves it (R7).

from verwijsindex.client import ClientConfig, SignalDraft, VerwijsindexClient

with VerwijsindexClient(ClientConfig.load(Path("client.toml"))) as client:
    for outcome in client.submit(drafts):
        ...
"""

from verwijsindex.client.acts import Acts
from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.config import ClientConfig
from verwijsindex.client.draft import DraftError, Informed, Postponed, SignalDraft
from verwijsindex.client.errors import (
    ClientError,
    ClientProblem,
    ConfigError,
    ProblemFault,
    PseudonymError,
    TokenError,
    UnreachableError,
)
from verwijsindex.client.faults import Fault
from verwijsindex.client.follow_up import FollowUp
from verwijsindex.client.journal import Journal, JournalError
from verwijsindex.client.outcome import Accepted, Limited, Outcome, Refused
from verwijsindex.client.report import Report, ReportLine
from verwijsindex.client.rows import FileRefused, RefusedRow, SignalRow, read_rows
from verwijsindex.client.sending import submit_rows
from verwijsindex.client.subscriptions import Subscriptions
from verwijsindex.client.webhooks import Event, WebhookError, challenge_answer
from verwijsindex.client.webhooks import verify as verify_webhook
from verwijsindex.pseudonyms.bsn import Bsn, BsnError

__all__ = [
    "Accepted",
    "Acts",
    "Bsn",
    "BsnError",
    "ClientConfig",
    "ClientError",
    "ClientProblem",
    "ConfigError",
    "DraftError",
    "Event",
    "Fault",
    "FileRefused",
    "FollowUp",
    "Informed",
    "Journal",
    "JournalError",
    "Limited",
    "Outcome",
    "Postponed",
    "ProblemFault",
    "PseudonymError",
    "Refused",
    "RefusedRow",
    "Report",
    "ReportLine",
    "SignalDraft",
    "SignalRow",
    "Subscriptions",
    "TokenError",
    "UnreachableError",
    "VerwijsindexClient",
    "WebhookError",
    "challenge_answer",
    "read_rows",
    "submit_rows",
    "verify_webhook",
]
