# SPDX-License-Identifier: EUPL-1.2
"""The client's own webhook subscription: where it is told that an inbox of its institution has something new.

with VerwijsindexClient(config) as client:
    made = client.subscriptions.create("https://case-system.example/verwijsindex")
    keep(made["secret"])  # told this one time

The receiver at that address must answer the challenge (`webhooks.challenge_answer`) before it gets anything else.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from verwijsindex.client.authorized import OBJECT, Authorized, Json, content

PATH = "/api/v1/webhook-subscriptions"


class Subscriptions:
    """Of one client. Every method raises ClientError: ClientProblem for what the index refuses, 404 above all."""

    def __init__(self, authorized: Authorized, index: str) -> None:
        self._authorized = authorized
        self._index = index

    def create(self, address: str) -> Json:
        """Subscribe: the subscription, pending, with its `secret`, which is told this one time."""
        return self._post("", {"address": address})

    def every(self) -> list[Json]:
        """None or one: a client has one subscription."""
        items: list[Json] = self._send("GET", "")["items"]
        return items

    def read(self, subscription: UUID) -> Json:
        """How it stands."""
        return self._send("GET", f"/{subscription}")

    def pause(self, subscription: UUID) -> Json:
        """Deliver nothing until `resume`; what comes meanwhile waits."""
        return self._change(subscription, {"state": "paused"})

    def resume(self, subscription: UUID) -> Json:
        """Go on, with what waits first."""
        return self._change(subscription, {"state": "active"})

    def move(self, subscription: UUID, address: str) -> Json:
        """Deliver to another address, once its receiver has answered the challenge."""
        return self._change(subscription, {"address": address})

    def challenge(self, subscription: UUID) -> Json:
        """Ask for the challenge of a pending or failed subscription anew."""
        return self._post(f"/{subscription}/challenges")

    def rotate(self, subscription: UUID) -> Json:
        """A new `secret`, told this one time; both sign until `previousSecretEndsAt`."""
        return self._post(f"/{subscription}/secrets")

    def delete(self, subscription: UUID) -> int:
        """End it. How many deliveries were never taken, and are gone; the inboxes keep every notice."""
        gone: int = self._send("DELETE", f"/{subscription}")["discarded"]
        return gone

    def attempts(self, subscription: UUID) -> Iterator[Json]:
        """What became of each try, newest first."""
        return self._authorized.pages(self._index, f"{PATH}/{subscription}/attempts", {})

    def replay(self, subscription: UUID, *, delivery: UUID | None = None, since: datetime | None = None) -> int:
        """Have one delivery sent again, or all that were taken since a moment and all that wait; how many. Each has the
        id that it had, by which a receiver drops what it has seen."""
        if since is not None:
            text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            return int(self._post(f"/{subscription}/replays", {"since": text})["count"])
        return int(self._post(f"/{subscription}/replays", {"delivery": str(delivery)})["count"])

    def _post(self, path: str, body: Json | None = None) -> Json:
        # Made once for all tries of this request, so that a try whose answer was lost is not done twice.
        return self._send("POST", path, headers={"Idempotency-Key": str(uuid4())}, json=body)

    def _change(self, subscription: UUID, body: Json) -> Json:
        return self._send("PATCH", f"/{subscription}", json=body)

    def _send(self, method: str, path: str, **more: Any) -> Json:
        return content(self._authorized.send(self._index, method, PATH + path, **more), OBJECT, {200, 201, 202})
