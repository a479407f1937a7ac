# SPDX-License-Identifier: EUPL-1.2
"""The words of the report in Dutch and English. Kinds of events keep the names that docs/ledger.md lists them by."""

from typing import NamedTuple

from verwijsindex.auditing.reports_schemas import Language


class Words(NamedTuple):
    """What stands in the PDF; names in braces are filled in."""

    title: str
    subject: str
    whole_index: str
    institution: str
    municipality: str
    period: str
    made_at: str
    page: str
    intro: str
    summary: str
    sorts: tuple[str, str, str, str]
    number: str
    by_week: str
    week: str
    hours: str
    hours_intro: str
    hour: str
    working_days: str
    other_days: str
    desk: str
    purpose: str
    no_searches: str
    unjustified: str
    alerts: str
    alert: str
    state: str
    no_alerts: str
    samples: str
    month: str
    accesses: str
    to_sign: str
    findings: tuple[str, str, str]
    not_signed: str
    not_made: str
    no_samples: str
    kinds: str
    kind: str
    sort: str
    success: str
    refused: str
    proof: str
    proof_intro: str
    dropped: str
    nothing_dropped: str
    codes: dict[str, str]
    """Of the API's codes: purposes, kinds and states of alerts."""


_NL = Words(
    title="Verslag van het logboek van de verwijsindex",
    subject="Wie wat deed en zag, in aantallen",
    whole_index="de hele verwijsindex",
    institution="instantie {code}",
    municipality="gemeente {code}",
    period="{since} tot en met {until}",
    made_at="gemaakt op {at} (UTC)",
    page="bladzijde {number}",
    intro=(
        "Dit verslag telt wat in het logboek staat en noemt niemand. Het is gemaakt voor de functionaris"
        " gegevensbescherming, die toezicht houdt en niets beslist. Dagen en uren zijn die van Amsterdam."
    ),
    summary="Samenvatting",
    sorts=("handelingen", "inzagen", "weigeringen", "van het systeem zelf"),
    number="aantal",
    by_week="Per week",
    week="week",
    hours="Inzagen per uur van de dag",
    hours_intro=(
        "Van de {reads} inzagen vielen er {outside} ({share}) buiten kantooruren: op werkdagen vóór 7 uur of vanaf"
        " 19 uur, of op zaterdagen, zondagen en feestdagen. Dat kan gewoon zijn, zoals bij een crisisdienst."
    ),
    hour="uur",
    working_days="op werkdagen",
    other_days="op andere dagen",
    desk="Zoeken in het logboek",
    purpose="doel",
    no_searches="In deze periode is niet in het logboek gezocht.",
    unjustified="Van de {withdrawn} intrekkingen van een signaal waren er {unjustified} met de reden “onterecht”.",
    alerts="Waarschuwingen",
    alert="soort",
    state="stand nu",
    no_alerts="In deze periode waren er geen waarschuwingen.",
    samples="Maandelijkse steekproef",
    month="maand",
    accesses="inzagen",
    to_sign="steekproef",
    findings=("zoals verwacht", "nagevraagd", "niet verklaard"),
    not_signed="nog open",
    not_made="nog niet opgevraagd",
    no_samples="In deze periode eindigde geen maand.",
    kinds="Gebeurtenissen naar soort",
    kind="soort",
    sort="wat het is",
    success="gelukt",
    refused="geweigerd",
    proof="Hoe dit na te rekenen is",
    proof_intro=(
        "Het logboek is verzegeld. Het onderstaande controlepunt dekt de hele periode. Wie een export van het logboek"
        " heeft, gaat met <font face='{mono}'>verwijsindex ledger verify</font> na dat er niets aan veranderd is,"
        " en telt de aantallen na."
    ),
    dropped="Gebeurtenissen met een plaats vóór {before} zijn na vijf jaar vernietigd.",
    nothing_dropped="Er is nog niets vernietigd: alle gebeurtenissen zijn er nog.",
    codes={
        "request_of_youngster": "verzoek van een jeugdige of ouder",
        "complaint": "klacht",
        "incident": "incident",
        "alert": "waarschuwing",
        "sample": "steekproef",
        "periodic_review": "periodieke controle",
        "pseudonym_burst": "uitschieter in pseudoniemen",
        "signal_burst": "uitschieter in signalen",
        "read_burst": "uitschieter in inzagen",
        "refusal_series": "reeks weigeringen",
        "unjustified_after_read": "als onterecht ingetrokken na inzage",
        "open": "open",
        "assessed": "beoordeeld",
        "closed": "gesloten",
    },
)
_EN = Words(
    title="Report on the ledger of the verwijsindex",
    subject="Who did and saw what, in figures",
    whole_index="the whole index",
    institution="institution {code}",
    municipality="municipality {code}",
    period="{since} up to and including {until}",
    made_at="made on {at} (UTC)",
    page="page {number}",
    intro=(
        "This report counts what is in the ledger, and names nobody. It is made for the privacy officer, who audits and"
        " decides nothing. Days and hours are those of Amsterdam."
    ),
    summary="Summary",
    sorts=("acts", "reads", "refusals", "of the system itself"),
    number="number",
    by_week="By week",
    week="week",
    hours="Reads by hour of the day",
    hours_intro=(
        "Of the {reads} reads {outside} ({share}) were outside office hours: on working days before 7:00 or from 19:00"
        " on, or on Saturdays, Sundays and public holidays. That can be as it should, as with a crisis team."
    ),
    hour="hour",
    working_days="on working days",
    other_days="on other days",
    desk="Searches of the ledger",
    purpose="purpose",
    no_searches="The ledger was not searched in this period.",
    unjustified="Of the {withdrawn} withdrawals of a signal, {unjustified} gave the reason “unjustified”.",
    alerts="Alerts",
    alert="kind",
    state="state now",
    no_alerts="There were no alerts in this period.",
    samples="Monthly sample",
    month="month",
    accesses="accesses",
    to_sign="sample",
    findings=("as expected", "asked the person", "not explained"),
    not_signed="still open",
    not_made="not asked for yet",
    no_samples="No month ended in this period.",
    kinds="Events by kind",
    kind="kind",
    sort="what it is",
    success="success",
    refused="refused",
    proof="How to count this again",
    proof_intro=(
        "The ledger is sealed. The checkpoint below covers the whole period. Who has an export of the ledger sees with"
        " <font face='{mono}'>verwijsindex ledger verify</font> that nothing in it was changed, and can count the"
        " figures again."
    ),
    dropped="Events with a place before {before} were destroyed after five years.",
    nothing_dropped="Nothing was destroyed yet: all events are there.",
    codes={},
)
WORDS: dict[Language, Words] = {"nl": _NL, "en": _EN}


def of_code(words: Words, code: str) -> str:
    """A code of the API in words."""
    return words.codes.get(code, code.replace("_", " "))
