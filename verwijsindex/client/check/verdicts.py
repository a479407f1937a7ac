# SPDX-License-Identifier: EUPL-1.2
"""What was seen of each rule, and the table of it. Holds no value that a sender sent (I5)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from rich.table import Table
from rich.text import Text

from verwijsindex.client.check.rules import Rule

State = Literal["ok", "failed", "not seen"]
_STYLES = {"ok": "green", "failed": "bold red", "not seen": "yellow"}


@dataclass(slots=True)
class Verdict:
    """Of one rule."""

    rule: Rule
    tried: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unseen: str = ""

    @property
    def state(self) -> State:
        """Failed when anything was wrong; not seen when nothing was tried."""
        if self.wrong:
            return "failed"
        return "ok" if self.tried else "not seen"


class Verdicts:
    """Of all rules, in their order."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.by_id = {rule.id: Verdict(rule) for rule in rules}

    def judge(self, rule: str, tried: str, wrong: str = "") -> None:
        """Something that shows whether the rule holds was tried; `wrong` says why it does not."""
        verdict = self.by_id[rule]
        if tried not in verdict.tried:
            verdict.tried.append(tried)
        if wrong and wrong not in verdict.wrong:
            verdict.wrong.append(wrong)

    def unseen(self, rule: str, why: str) -> None:
        """Nothing showed whether the rule holds."""
        self.by_id[rule].unseen = why

    def states(self) -> dict[str, State]:
        """By the rule's id."""
        return {name: verdict.state for name, verdict in self.by_id.items()}

    @property
    def passed(self) -> bool:
        """Whether every rule that was seen holds, and one was seen."""
        states = self.states().values()
        return "failed" not in states and "ok" in states

    def table(self, title: str) -> Table:
        """A row for each rule: what was tried, what came of it, what to do."""
        table = Table(title=title, title_justify="default", show_lines=True)
        for heading in ("rule", "what must hold", "what was tried", "", "what to do"):
            table.add_column(heading, overflow="fold")
        for verdict in self.by_id.values():
            rule, state = verdict.rule, verdict.state
            todo = "; ".join(verdict.wrong[:3])
            if state == "failed":
                todo = f"{todo}. {rule.advice} (section {rule.section})"
            elif state == "not seen":
                todo = verdict.unseen
            texts = rule.id, rule.holds, "; ".join(verdict.tried)
            table.add_row(*map(Text, texts), Text(state, style=_STYLES[state]), Text(todo))
        return table
