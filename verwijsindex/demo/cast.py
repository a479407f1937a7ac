# SPDX-License-Identifier: EUPL-1.2
"""Who plays in the demo: three municipalities, eight institutions of seven domains, and invented persons only."""

from collections.abc import Iterator
from dataclasses import dataclass

WESTERVELD, DORDRECHT, STEIN = "1701", "0505", "0971"


@dataclass(frozen=True, slots=True)
class Place:
    """A municipality and its case supervisor."""

    code: str
    name: str
    area_code: str


@dataclass(frozen=True, slots=True)
class Role:
    """An institution: its agreements, and what its reporters are and how many."""

    number: int
    client_id: str
    name: str
    domain: str
    category: str
    municipalities: tuple[str, ...]
    position: str
    reporters: int
    may_send_parents: bool = False

    @property
    def oin(self) -> str:
        """An OIN that nobody has."""
        return f"00000099{self.number:09d}000"


@dataclass(frozen=True, slots=True)
class Person:
    """An invented person."""

    name: str
    telephone: str
    email: str


PLACES = (
    Place(WESTERVELD, "Westerveld", "0521"),
    Place(DORDRECHT, "Dordrecht", "078"),
    Place(STEIN, "Stein", "046"),
)

_ALL = (WESTERVELD, DORDRECHT, STEIN)

# fmt: off
ROLES = (
    Role(1, "waterlelie", "Jeugdhulp Waterlelie", "youth care", "youth_care_provider", _ALL, "jeugdhulpverlener", 4,
         may_send_parents=True),
    Role(2, "ggd", "GGD Voorbeeld", "youth health care", "youth_health_care", _ALL, "verpleegkundige", 4,
         may_send_parents=True),
    Role(3, "ggz", "GGZ De Kade", "health care", "mental_health_care", (DORDRECHT, STEIN), "behandelaar", 3),
    Role(4, "kompas", "Basisschool Het Kompas", "education", "primary_education", (WESTERVELD,),
         "intern begeleider", 2),
    Role(5, "roc", "ROC De Proefmerwe", "education", "vocational_education", (DORDRECHT,), "zorgcoördinator", 3),
    Role(6, "thuisbasis", "Stichting Thuisbasis", "social support", "social_support_provider", (WESTERVELD, STEIN),
         "gezinsbegeleider", 3),
    Role(7, "kredietbank", "Kredietbank Drie Beken", "work and income", "municipal_credit_bank", (DORDRECHT,),
         "schuldhulpverlener", 2),
    Role(8, "politie", "Politie Nergenshuizen", "police and justice", "police", _ALL, "wijkagent", 3),
)
# fmt: on

_FIRST = (
    *("Anna", "Bram", "Chaima", "Daan", "Esra", "Floor", "Guus", "Hanna", "Imran"),
    *("Jip", "Karim", "Lotte", "Mees", "Noor", "Otto", "Pien", "Quinten", "Roos"),
)
_LAST = ("Voorbeeld", "Verzonnen", "van Nergens", "Bedacht", "de Proef", "Fictief", "Zomaar")


def persons() -> Iterator[Person]:
    """Invented persons without end, always the same ones; no two have one name."""
    number = 0
    while True:
        first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        address = f"{first[0]}.{last.replace(' ', '')}@vb.example".lower()
        yield Person(f"{first} {last}", f"000-555 {number + 1:04d}", address)
        number += 1
