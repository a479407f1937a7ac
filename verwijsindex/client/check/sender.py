# SPDX-License-Identifier: EUPL-1.2
"""Judges what a sender asked of the stand-ins, rule by rule (S1 to S22)."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from verwijsindex.client.check.cases import CURRENT, Round, Row
from verwijsindex.client.check.forms import Evaluation, Signal, faults, token_faults
from verwijsindex.client.check.leaks import holds_birth_date, holds_bsn
from verwijsindex.client.check.rules import SENDER
from verwijsindex.client.check.standins import RETRY_AFTER, Seen, StandIns, of_round
from verwijsindex.client.check.verdicts import Verdicts
from verwijsindex.keyfiles import decode_base64url
from verwijsindex.pseudonyms.bsn import hides_bsn
from verwijsindex.pseudonyms.ristretto import check_point
from verwijsindex.pseudonyms.voprf import PointError
from verwijsindex.signals.dates import ends

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOTHING_CAME = "nothing came that shows it"
_MUST_STOP = {
    "proof": ("S5", "an evaluation with another's proof"),
    "key": ("S6", "an evaluation under another key, with its proof"),
    "signature": ("S7", "a list that a stranger signed"),
    "lists": ("S8", "two lists that differ"),
}


class SenderCheck:
    """One run with one sender.

    Args:
        services: what the sender talks to.
        rounds: what it was asked to send.
        public_key: of the sender, as it would be registered.
    """

    def __init__(self, services: StandIns, rounds: Sequence[Round], public_key: OKPKey) -> None:
        self.verdicts = Verdicts(SENDER)
        self._services = services
        self._rounds = rounds
        self._key = public_key
        self._jtis: set[str] = set()
        self._pseudonyms_before: set[str] = set()
        self._clocks_differ = time.time() - time.monotonic()
        for rule in SENDER:
            self.verdicts.unseen(rule.id, _NOTHING_CAME)

    def judge(self) -> Verdicts:
        """Judges all that was seen by now."""
        for one in self._rounds:
            seen = of_round(self._services.seen, one.number)
            for each in seen:
                self._secrets(each, one.rows)
                self._place_of_n(each)
                self._tokens(each)
                if each.path == "/api/v1/evaluations":
                    self._evaluation(each)
                for key, signal in each.signals():
                    self._signal(one, key, signal, each)
            self._count_tokens(seen)
            if one.trouble == "none":
                self._plain(one, seen)
            elif one.trouble == "away":
                self._away(seen)
            elif one.trouble == "refused":
                self._refused(seen)
            else:
                self._must_stop(one, seen)
        self._blinds()
        return self.verdicts

    def _secrets(self, seen: Seen, rows: Sequence[Row]) -> None:
        content = seen.whole()
        for what, found in (("a BSN, or a plain hash of one,", holds_bsn), ("a birth date", holds_birth_date)):
            if found(content, rows):
                self.verdicts.judge("S19", "all requests", f"{what} in a request to {seen.service}")
        self.verdicts.judge("S19", "all requests")

    def _place_of_n(self, seen: Seen) -> None:
        rightly = Counter(n for _, signal in seen.signals() for n in (_pseudonym(signal), *_of_parents(signal)))
        values = set(rightly) - {""}
        everywhere = seen.whole()
        for n in values | self._pseudonyms_before:
            if everywhere.count(n.encode()) > rightly[n]:
                self.verdicts.judge("S20", "all requests", f"N in another place of a request to {seen.service}")
        self._pseudonyms_before |= values
        if values:
            self.verdicts.judge("S20", "all requests")

    def _tokens(self, seen: Seen) -> None:
        if (seen.service, seen.path) == ("issuer", "/token"):
            issuer, now = self._services.addresses["issuer"], seen.at + self._clocks_differ
            wrong, jti = token_faults(seen.body, seen.headers, self._key, issuer, now)
            if jti and jti in self._jtis:
                wrong = f"{wrong}; jti: used before"
            self._jtis.add(jti)
            self.verdicts.judge("S10", "each request for a token", wrong.removeprefix("; "))
        elif seen.method == "POST":
            bearer = seen.headers.get("authorization", "")
            right = bearer.startswith("Bearer ") and self._services.token_for(bearer)
            wrong = "" if right == self._services.addresses[seen.service] else f"no token of its own for {seen.service}"
            self.verdicts.judge("S11", "each request with a token", wrong)

    def _count_tokens(self, seen: Sequence[Seen]) -> None:
        asked = sum((one.service, one.path) == ("issuer", "/token") for one in seen)
        used = sum(one.method == "POST" and one.service != "issuer" for one in seen)
        if asked > 4 and asked >= used:
            self.verdicts.judge("S11", "how many tokens were asked for", f"{asked} tokens for {used} requests")

    def _evaluation(self, seen: Seen) -> None:
        body = seen.json()
        self.verdicts.judge("S18", "each evaluation", faults(Evaluation, body))
        version = body.get("keyVersion") if isinstance(body, dict) else None
        self.verdicts.judge("S9", "each evaluation", "" if version == CURRENT else "another version than 2 was used")

    def _blinds(self) -> None:
        elements: list[str] = []
        for seen in self._services.seen:
            body = seen.json() if seen.path == "/api/v1/evaluations" else None
            blinded = body.get("blindedElements") if isinstance(body, dict) else None
            elements += map(str, blinded if isinstance(blinded, list) else [])
        bare = {element for one in self._rounds for row in one.rows for element in row.hashed()}
        wrong = ""
        if len(set(elements)) < len(elements):
            wrong = "an element came twice: its blind was used again"
        elif bare & set(elements):
            wrong = "an element is the bare hash of a BSN: anybody can try out which"
        elif not all(map(_is_element, elements)):
            wrong = "an element that is none of the group"
        if elements:
            self.verdicts.judge("S3", f"{len(elements)} blinded elements", wrong)

    def _signal(self, one: Round, key: str, signal: Any, seen: Seen) -> None:
        wrong = faults(Signal, signal)
        if not seen.headers.get("content-type", "").startswith("application/json"):
            wrong = f"{wrong}; Content-Type".removeprefix("; ")
        self.verdicts.judge("S18", "each signal", wrong)
        wrong = "" if _KEY.fullmatch(key) else "no key of 1 to 64 characters of A-Z a-z 0-9 _ -"
        if hides_bsn(key) and not _UUID.fullmatch(key):  # of random ones, some pass the 11-test
            wrong = "a key with a number in it that can be a BSN"
        self.verdicts.judge("S12", "each signal", wrong)
        row = next((row for row in one.rows if row.pseudonym() == _pseudonym(signal)), None)
        if row and row.to_be_sent:
            self.verdicts.judge("S16", "signals of youngsters of 9, 12, 20 and 22", _wrong_dates(signal, row))
            self._family(signal, row)

    def _family(self, signal: Any, row: Row) -> None:
        sent = set(_of_parents(signal))
        if sent:
            wrong = "" if sent <= row.of_parents() else "an N among the parents is of none of them"
            self.verdicts.judge("S21", "a signal with two parents", wrong)
        if row.shielded:
            wrong = "" if signal.get("shielded") is True else "it was sent without its shield"
            self.verdicts.judge("S22", "a shielded signal", wrong)

    def _plain(self, one: Round, seen: Sequence[Seen]) -> None:
        sent = [(key, _pseudonym(signal)) for each in seen for key, signal in each.signals()]
        if not sent:
            return
        values = {n for _, n in sent}
        good = [row for row in one.rows if row.to_be_sent]
        no_bsn, adult = [row for row in one.rows if not row.to_be_sent]
        short = next(row for row in good if len(row.bsn) == 8)
        self.verdicts.judge("S1", "999900007", "it was sent" if no_bsn.pseudonym() in values else "")
        self.verdicts.judge("S17", "a person of 23", "it was sent" if adult.pseudonym() in values else "")
        self.verdicts.judge("S2", "99990003", "" if short.pseudonym() in values else "its N did not come")
        missing = sum(row.pseudonym() not in values for row in good if row is not short)
        others = len(values - {row.pseudonym() for row in one.rows}) - (short.pseudonym() not in values)
        wrong = f"{missing} of the youngsters did not come" if missing else ""
        if others > 0:
            wrong = f"{others} N are of none of the youngsters" + (f", and {wrong}" if wrong else "")
        self.verdicts.judge("S4", f"{len(good) - 1} signals", wrong)
        for n, count in Counter(n for _, n in set(sent)).items():
            wanted = sum(row.pseudonym() == n for row in good)
            if count < wanted:
                self.verdicts.judge("S12", "two signals on one youngster", "one key for two signals")
        keys = Counter(key for key, _ in set(sent))
        if max(keys.values()) > 1:
            self.verdicts.judge("S12", "all signals", "one key for two signals")
        lists = {each.service for each in seen if each.path == "/api/v1/key-versions"}
        wrong = "" if lists == {"index", "pseudonyms"} else "it was not fetched from both"
        self.verdicts.judge("S8", "where the list came from", wrong)

    def _away(self, seen: Sequence[Seen]) -> None:
        posts = [each for each in seen if each.signals()]
        if not posts:
            return
        tries = [[(key, signal) for key, signal in each.signals()] for each in posts]
        wrong = ""
        if len(posts) < 3:
            wrong = f"it gave up after {len(posts)} tries, or sent nothing again after an answer that got lost"
        elif any({key for key, _ in one} != {key for key, _ in tries[0]} for one in tries):
            wrong = "another key at the repeat: that is a second signal"
        elif any(one != tries[0] for one in tries):
            wrong = "another content at the repeat"
        self.verdicts.judge("S13", "a connection cut, then 503", wrong)
        if len(posts) > 2:
            waited = posts[2].at - posts[1].at
            wrong = "" if waited > RETRY_AFTER - 0.1 else f"it waited {waited:.1f} s in the place of {RETRY_AFTER}"
            self.verdicts.judge("S14", f"503 with Retry-After: {RETRY_AFTER}", wrong)

    def _refused(self, seen: Sequence[Seen]) -> None:
        times = Counter(_pseudonym(signal) for each in seen for _, signal in each.signals())
        if times:
            wrong = "" if max(times.values()) == 1 else f"it came {max(times.values())} times"
            self.verdicts.judge("S15", "a 403", wrong)

    def _must_stop(self, one: Round, seen: Sequence[Seen]) -> None:
        rule, tried = _MUST_STOP[one.trouble]
        evaluated = any(each.path == "/api/v1/evaluations" for each in seen)
        posted = any(each.signals() for each in seen)
        listed = any(each.path == "/api/v1/key-versions" for each in seen)
        if posted:
            self.verdicts.judge(rule, tried, f"{tried}: a signal came all the same")
        elif one.trouble in {"signature", "lists"}:
            if evaluated:
                self.verdicts.judge(rule, tried, f"{tried}: it was used for an evaluation")
            elif listed:
                self.verdicts.judge(rule, tried)
            else:
                self.verdicts.unseen(
                    rule, f"{tried}: the list was not fetched; start the sender anew before this round"
                )
        elif evaluated:
            self.verdicts.judge(rule, tried)


def _pseudonym(signal: Any) -> str:
    pseudonym = signal.get("pseudonym") if isinstance(signal, dict) else None
    value = pseudonym.get("value") if isinstance(pseudonym, dict) else None
    return value if isinstance(value, str) else ""


def _of_parents(signal: Any) -> list[str]:
    parents = signal.get("parents") if isinstance(signal, dict) else None
    values = [one.get("value") for one in parents if isinstance(one, dict)] if isinstance(parents, list) else []
    return [value for value in values if isinstance(value, str)]


def _is_element(text: str) -> bool:
    try:
        check_point(decode_base64url(text))
    except (PointError, ValueError):
        return False
    return True


def _wrong_dates(signal: Any, row: Row) -> str:
    try:
        right = ends(datetime.fromisoformat(signal["madeAt"]), row.birth_date)
    except (KeyError, TypeError, ValueError):
        return "madeAt"
    wrong = []
    if signal.get("removalDate") != right.removal_date.isoformat():
        wrong.append("removalDate")
    if signal.get("turns23On") != (right.turns23_on.isoformat() if right.turns23_on else None):
        wrong.append("turns23On")
    return ", ".join(wrong)
