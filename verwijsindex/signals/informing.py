# SPDX-License-Identifier: EUPL-1.2
"""Who of the family is informed, by the youngster's age (R26; Jeugdwet 7.1.5.1).

Pure, and without any import from the house: the sender checks with it what the index checks.
"""

from typing import Literal

AgeGroup = Literal["under_12", "12_to_15", "from_16"]
"""Stated for each act by who performs it, and never kept."""
InformedTo = Literal["youngster", "representative", "both"]
TO_INFORM: dict[AgeGroup, InformedTo] = {"under_12": "representative", "12_to_15": "both", "from_16": "youngster"}
