# SPDX-License-Identifier: EUPL-1.2
"""The client against the real services."""

from client.services import Services, draft

from verwijsindex.client import Accepted


def test_a_signal_is_accepted_and_can_be_read_back(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    with services.client() as client:
        [outcome] = client.submit([draft(reporter)])
        assert isinstance(outcome, Accepted)
        [own] = client.signals(reporter)
        assert own["id"] == str(outcome.id)
