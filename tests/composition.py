# SPDX-License-Identifier: EUPL-1.2
"""docker-compose.yml as an engine would read it: merged, with its variables filled in."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:\?|:-)([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """One service, with its secrets and bound folders by the path that they have inside."""

    name: str
    raw: dict[str, Any]

    @property
    def ours(self) -> bool:
        """Whether it runs this repository's image."""
        return bool(self.raw["image"] == "verwijsindex")

    @property
    def command(self) -> list[str]:
        """What it runs, as a list of words; none where the image decides."""
        return [*self.raw.get("entrypoint", []), *self.raw.get("command", [])]

    @property
    def environment(self) -> dict[str, str]:
        return dict(self.raw.get("environment", {}))

    @property
    def networks(self) -> set[str]:
        return set(self.raw.get("networks", ()))

    @property
    def secrets(self) -> dict[str, str]:
        """The name below /run/secrets of each of its secrets, and the secret's own name."""
        named = [{"source": s, "target": s} if isinstance(s, str) else s for s in self.raw.get("secrets", ())]
        return {one["target"]: one["source"] for one in named}

    @property
    def bound(self) -> dict[str, str]:
        """The folders of the host that it sees, by the path inside."""
        return {one["target"]: one["source"] for one in self.raw.get("volumes", ()) if isinstance(one, dict)}


class Composition:
    """The whole file. `variables` are those of `.env`; a missing one that has to be there is a KeyError."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self.raw: dict[str, Any] = self._filled(YAML(typ="safe").load(COMPOSE.read_text()))
        self.services = {name: Service(name, raw) for name, raw in self.raw["services"].items()}

    def file_of(self, secret: str) -> str:
        """Where on the host a secret's file is."""
        return str(self.raw["secrets"][secret]["file"])

    def _filled(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {key: self._filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._filled(value) for value in node]
        return _VARIABLE.sub(self._value, node) if isinstance(node, str) else node

    def _value(self, match: re.Match[str]) -> str:
        name, form, default = match.groups()
        return self._variables.get(name, default) if form == ":-" else self._variables[name]
