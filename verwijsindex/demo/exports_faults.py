# SPDX-License-Identifier: EUPL-1.2
"""Every way in which a row of an export is wrong, and the codes under which that must be reported."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

Cells = dict[str, str]
Rewrite = Callable[[bytes, bytes], bytes]


def _as_it_is(line: bytes, _: bytes) -> bytes:
    return line


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What must be reported of a spoiled row; and how its line is broken, from the line and the delimiter."""

    codes: frozenset[str]
    rewrite: Rewrite = _as_it_is


Spoil = Callable[[Cells, random.Random, datetime], Spoiled]
"""Spoils the cells of a good row. Gets chance and the present moment in UTC."""


def _cells(*codes: str, **changes: str) -> Spoil:
    def spoil(cells: Cells, *_: object) -> Spoiled:
        cells.update(changes)
        return Spoiled(frozenset(codes))

    return spoil


def _broken(code: str, rewrite: Rewrite) -> Spoil:
    return lambda *_: Spoiled(frozenset({code}), rewrite)


def _eleven_test(cells: Cells, *_: object) -> Spoiled:
    """Two digits swapped in typing, or where they are the same, the last one another."""
    bsn = cells["bsn"]
    swapped = bsn[:7] + bsn[8] + bsn[7]
    cells["bsn"] = swapped if swapped != bsn else bsn[:8] + str((int(bsn[8]) + 1) % 10)
    return Spoiled(frozenset({"bsn-eleven-test"}))


def _adult(cells: Cells, _: random.Random, now: datetime) -> Spoiled:
    cells["birth_date"] = str(now.date() - timedelta(days=24 * 366))
    return Spoiled(frozenset({"not-under-23"}))


def _unborn(cells: Cells, _: random.Random, now: datetime) -> Spoiled:
    cells["birth_date"] = str(now.date() + timedelta(days=30))
    return Spoiled(frozenset({"not-born-yet"}))


def _made_at(delta: timedelta) -> Spoil:
    def spoil(cells: Cells, _: random.Random, now: datetime) -> Spoiled:
        cells["made_at"] = f"{now + delta:%Y-%m-%dT%H:%M:%SZ}"
        return Spoiled(frozenset({"out_of_time"}))

    return spoil


def _unknown_reporter(cells: Cells, chance: random.Random, _: datetime) -> Spoiled:
    cells["reporter"] = str(UUID(int=chance.getrandbits(128), version=4))
    return Spoiled(frozenset({"reporter-not-designated"}))


def _bsn_as_reference(cells: Cells, *_: object) -> Spoiled:
    cells["case_reference"] = cells["bsn"]
    return Spoiled(frozenset({"case-reference-hides-bsn"}))


def _own_parents(cells: Cells, *_: object) -> Spoiled:
    cells |= dict.fromkeys(("parent1_bsn", "parent2_bsn"), cells["bsn"])
    return Spoiled(frozenset({"parent-is-youngster", "parent-twice"}))


def _dotted(cells: Cells, *_: object) -> Spoiled:
    bsn = cells["bsn"]
    cells["bsn"] = f"{bsn[:4]}.{bsn[4:6]}.{bsn[6:]}"
    return Spoiled(frozenset({"bsn-form"}))


_NOT_INFORMED = {"informed_on": "", "informed_to": "", "postponed_ground": "", "review_date": ""}

SPOILED: tuple[Spoil, ...] = (
    _eleven_test,
    _adult,
    _unknown_reporter,
    _made_at(timedelta(days=-9)),
    _cells("informing-missing", **_NOT_INFORMED),
    _bsn_as_reference,
    _cells("municipality-form", residence_municipality="Stein"),
    _dotted,
    _cells("unknown", residence_municipality="0000"),
    _cells("suspicion-not-confirmed", reasonable_suspicion="no"),
    _cells("moment-form", made_at="vorige week"),
    _cells("informed-to", **{**_NOT_INFORMED, "informed_on": "2020-01-01", "informed_to": "neighbour"}),
    _cells("postponed-ground", **{**_NOT_INFORMED, "postponed_ground": "busy", "review_date": "2020-01-01"}),
    _cells("missing", bsn=""),
    _cells("reporter-form", reporter="A. Voorbeeld"),
    _cells("case-reference-form", case_reference="dossier 12/3"),
    _cells("date-form", birth_date="31-02-2015"),
    _unborn,
    _made_at(timedelta(days=1)),
    _cells("informing-both", informed_on="2020-01-01", postponed_ground="safety"),
    _cells(
        "bsn-form", "reporter-form", "suspicion-not-confirmed", bsn="unknown", reporter="?", reasonable_suspicion="?"
    ),
    _own_parents,
    _cells("shielded", shielded="secret"),
    _cells("age-group", age_group="13"),
    _cells(
        "age-group-unfit",
        **{**_NOT_INFORMED, "informed_on": "2020-01-01", "informed_to": "both", "age_group": "under_12"},
    ),
    _cells(
        "age-group-alone",
        **{**_NOT_INFORMED, "postponed_ground": "safety", "review_date": "2020-01-01", "age_group": "from_16"},
    ),
    _broken("width", lambda line, delimiter: line.rstrip() + delimiter + b"Zomaar\r\n"),
    _broken("nul-byte", lambda line, delimiter: line.replace(delimiter, b"\x00" + delimiter, 1)),
    _broken("not-utf-8", lambda line, _: b"\xebZ" + line),
    _broken("quotes", lambda line, _: b'"' + line),
    _broken("line-too-long", lambda line, _: b"Z" * 5000 + line),
)
"""Each kind in turn: those that occur most in practice first."""
