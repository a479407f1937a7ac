# SPDX-License-Identifier: EUPL-1.2
"""The one form of all mail (R5, R12, R33): a link, the national numbers, and nothing of whom or what it is about.

Dutch and English in one message, as text and as plain HTML (RFC 2046, 5.1.4). A digest differs from a mail that goes at
once in nothing but its link to choose otherwise.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from sqlalchemy import Row

from verwijsindex.notices.mail_links import Choice, link
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.registry.contacts import NATIONAL_NUMBERS

SUBJECT = "Nieuw in de Verwijsindex / New in the Verwijsindex"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "mail"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
)
_NUMBERS = [(one.name.partition(" (")[0], one.telephone) for one in NATIONAL_NUMBERS]
_IN_ENGLISH = {"Alarmnummer": "Emergency number", "Veilig Thuis": "Veilig Thuis (advice on child abuse)"}
_ENGLISH_NUMBERS = [(_IN_ENGLISH[name], telephone) for name, telephone in _NUMBERS]


_AS_SENT = SMTPUTF8.clone(max_line_length=990)
"""A header is one line (of 998 characters at most, RFC 5322): a long link that is cut would be encoded, and is then no
link to a mail program."""
# Nothing that a header would decode (RFC 2047): another address could be in it.
_ADDRESS = re.compile(r"(?!.*=\?)([^\s@<>()\[\]\\,;:\"]{1,64})@([^\s@<>()\[\]\\,;:\"]{1,190})")


class NoAddressError(ValueError):
    """What stands as an address is none; nothing of it is told."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a mail is made with.

    `base_url`: of the index, for the link to choose otherwise; `link`: where the recipient reads; `sender`: the address
    it comes from, to which a server tells what it could not deliver.
    """

    keys: IndexKeys
    base_url: str
    link: str
    sender: str

    @property
    def domain(self) -> str:
        """The sender's."""
        return self.sender.rpartition("@")[2]


def deliverable(address: str) -> str:
    """The address with its domain in ASCII (IDNA), so that most servers take it.

    Raises NoAddressError for what is not one plain address: nothing of it can become a header or another recipient.
    """
    parts = _ADDRESS.fullmatch(address)
    if not parts or not address.isprintable():
        raise NoAddressError
    name, domain = parts.groups()
    try:
        return f"{name}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise NoAddressError from None


def message(form: Form, mail: Row[Any], address: str) -> EmailMessage:
    """A mail to this address: the same bytes at every try, but for the link to choose otherwise.

    Args:
        mail: a claimed row of `mail`.
        address: as `deliverable` gives it.
    """
    choice = Choice(
        mail.reporter_id, mail.municipality_code, mail.officer_oin, mail.coordinator_oin, digest=not mail.digest
    )
    address_of_choice = link(form.base_url, form.keys.current, choice)
    one_click = address_of_choice.startswith("https:")  # RFC 8058 knows no other
    numbers = {"numbers": _NUMBERS, "english_numbers": _ENGLISH_NUMBERS}
    said = {"link": form.link, "choice": address_of_choice, "digest": mail.digest, **numbers}
    made = EmailMessage(SMTPUTF8)
    made["From"] = Address("Verwijsindex", addr_spec=form.sender)
    made["To"] = address
    made["Subject"] = SUBJECT
    made["Date"] = mail.made_at.astimezone(UTC)
    made["Message-ID"] = f"<{mail.id}@{form.domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    if mail.digest and one_click:
        made["List-Unsubscribe"] = f"<{address_of_choice}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(_TEMPLATES.get_template("mail.txt").render(said), cte="quoted-printable")
    made.add_alternative(_TEMPLATES.get_template("mail.html").render(said), subtype="html", cte="quoted-printable")
    made["Content-Language"] = "nl, en"  # not before: it would be taken along into the first part
    made.set_boundary(f"=_{mail.id.hex}")
    return made


def as_sent(made: EmailMessage) -> bytes:
    """The bytes of a mail, with the line ends of SMTP."""
    return made.as_bytes(policy=_AS_SENT)
