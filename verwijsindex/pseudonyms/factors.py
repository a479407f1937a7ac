# SPDX-License-Identifier: EUPL-1.2
"""From one version of the pseudonym key to another, without the key: D = k2/k1 (docs/decisions/0020).

D · (k1 · H(input)) = k2 · H(input), so that who has D turns a pseudonym of version 1 into that of version 2 without
knowing either key, or whom it is of. D alone computes no pseudonym; with k1 it gives k2.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from verwijsindex.keyfiles import KeyFileError, read_secret, write_secret
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.ristretto import PointError, check_secret, invert, multiply, multiply_scalars


class FactorError(ValueError):
    """Bytes that are not the factor between two public keys."""


class KeyMissingError(KeyError):
    """A key that this process does not hold. Its text says which, and what to do."""


class FactorMissingError(KeyMissingError):
    """Two versions of the pseudonym key that this process cannot turn into each other."""

    def __init__(self, old: int, new: int) -> None:
        super().__init__(
            f"nothing here turns version {old} of the pseudonym key into version {new}: put factor-*.key of the index's"
            " folder of keys into this one (`verwijsindex pseudonym-key --help` says how it is made), and restart"
        )


@dataclass(frozen=True, slots=True)
class Factor:
    """D = k_new / k_old, proved by the two public keys it stands between. Shows its bytes to no log and no traceback.

    Raises FactorError unless D · pk_old = pk_new: no file that was swapped or damaged turns anything.
    """

    old: int
    new: int
    scalar: bytes
    old_public_key: bytes
    new_public_key: bytes

    def __post_init__(self) -> None:
        try:
            right = multiply(check_secret(self.scalar), self.old_public_key) == self.new_public_key
        except (PointError, ValueError):
            right = False
        if not right:
            raise FactorError(f"not the factor from the public key of version {self.old} to that of version {self.new}")

    def __repr__(self) -> str:
        return f"Factor({self.old} to {self.new})"

    @property
    def file_name(self) -> str:
        """Where `load` looks for it in a folder."""
        return f"factor-{self.old}-{self.new}.key"

    @classmethod
    def read(cls, path: Path) -> "Factor":
        """The factor in a file `factor-<old>-<new>.key`. Raises KeyFileError."""
        form = re.fullmatch(r"factor-([1-9][0-9]{0,8})-([1-9][0-9]{0,8})\.key", path.name)
        if form is None:
            raise KeyFileError(f"key file {path} is not named factor-<version>-<version>.key")
        data = read_secret(path, (96,))
        try:
            return cls(int(form[1]), int(form[2]), data[:32], data[32:64], data[64:])
        except FactorError as error:
            raise KeyFileError(f"key file {path} is damaged: {error}") from None

    def write(self, folder: Path) -> None:
        """To a new file of mode 0600: D and both public keys, 96 bytes. Raises KeyFileError where it exists."""
        write_secret(folder / self.file_name, self.scalar + self.old_public_key + self.new_public_key)


class Factors:
    """What one process can turn into each other: along every way of factors, forward and back."""

    def __init__(self, factors: Iterable[Factor] = ()) -> None:
        self.known = tuple(factors)
        self.public_keys: dict[int, bytes] = {}
        """Of the versions that they stand between."""
        self._scalars: dict[tuple[int, int], bytes] = {}
        for one in self.known:
            self.public_keys |= {one.old: one.old_public_key, one.new: one.new_public_key}
            self._scalars |= {(one.old, one.new): one.scalar, (one.new, one.old): invert(one.scalar)}
        versions = {version for pair in self._scalars for version in pair}
        for via, a, b in product(versions, repeat=3):  # the first one varies slowest: every way is found
            if a != b and (a, b) not in self._scalars and {(a, via), (via, b)} <= self._scalars.keys():
                self._scalars[a, b] = multiply_scalars(self._scalars[a, via], self._scalars[via, b])

    @classmethod
    def load(cls, folder: Path) -> "Factors":
        """Of the files `factor-<old>-<new>.key` in the folder; there may be none. Raises KeyFileError."""
        return cls(map(Factor.read, sorted(folder.glob("factor-*.key"))))

    def __repr__(self) -> str:
        return f"Factors({list(self.known)})"

    def check(self, old: int, new: int) -> None:
        """Raises FactorMissingError unless pseudonyms of these two versions can be turned into each other."""
        if old != new and (old, new) not in self._scalars:
            raise FactorMissingError(old, new)

    def turned(self, pseudonym: Pseudonym, version: int) -> Pseudonym:
        """The same person's pseudonym by another version of the key. Raises FactorMissingError."""
        if pseudonym.version == version:
            return pseudonym
        self.check(pseudonym.version, version)
        return Pseudonym(multiply(self._scalars[pseudonym.version, version], pseudonym.value), version)
