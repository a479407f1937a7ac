# SPDX-License-Identifier: EUPL-1.2
"""When a reporter wants mail, and of whom it waits for the digest (R23; docs/mail.md).

with VerwijsindexClient(config) as client:
    client.mail.choose_digest(reporter, "16:30")
"""

from collections.abc import Iterator
from uuid import UUID

from verwijsindex.client.authorized import OBJECT, Authorized, Json, content

_PREFERENCE = "/api/v1/mail-preference"


class Mail:
    """Every method raises ClientError: ClientProblem for what the index refuses."""

    def __init__(self, authorized: Authorized, index: str) -> None:
        self._authorized = authorized
        self._index = index

    def preference(self, reporter: UUID) -> Json:
        """When mail is wanted, chosen or not: `mail` (`at_once` or `digest`) and `digestAt`."""
        return self._send(reporter, "GET", _PREFERENCE)

    def choose_at_once(self, reporter: UUID) -> Json:
        """Mail within a minute or so of what is told."""
        return self._send(reporter, "PUT", _PREFERENCE, {"mail": "at_once"})

    def choose_digest(self, reporter: UUID, at: str) -> Json:
        """One mail a day, at this time in Europe/Amsterdam (`16:30`); not from 02:00 to 03:00, when clocks change."""
        return self._send(reporter, "PUT", _PREFERENCE, {"mail": "digest", "digestAt": at})

    def mutes(self, reporter: UUID) -> Iterator[Json]:
        """With whom the reporter said to work together already (`FollowUp.close`): each an `id`, and the `contact` of
        that party in the open `match` in which it is shown now."""
        return self._authorized.pages(self._index, "/api/v1/mutes", {}, _on_behalf_of(reporter))

    def undo_mute(self, reporter: UUID, mute: UUID) -> Json:
        """Mail of that party comes again as of any other. A ClientProblem with status 404 where it was not said, or is
        undone already."""
        return self._send(reporter, "DELETE", f"/api/v1/mutes/{mute}")

    def _send(self, reporter: UUID, method: str, path: str, body: Json | None = None) -> Json:
        headers = _on_behalf_of(reporter)
        return content(self._authorized.send(self._index, method, path, headers=headers, json=body), OBJECT)


def _on_behalf_of(reporter: UUID) -> dict[str, str]:
    return {"On-Behalf-Of": str(reporter)}
