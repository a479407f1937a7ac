# SPDX-License-Identifier: EUPL-1.2
"""Keeping checkpoints of the ledger, so that who changes it later is found out (R25, docs/ledger.md).

What is kept is a file of signed notes: the newest of each day, and the newest. A signal never waits for this: the
client looks when its work is done.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from verwijsindex.client.authorized import content
from verwijsindex.client.channel import Channel, utc_now
from verwijsindex.client.config import Address
from verwijsindex.client.errors import ClientError, ConfigError
from verwijsindex.ledger.base64 import decode
from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, VerifierKey, read_notes, read_verifier_keys
from verwijsindex.ledger.tree import extends


class LedgerChangedError(ClientError):
    """The ledger is not what it was, or somebody shows us another one."""


class _Newest(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    checkpoint: str = Field(max_length=10_000)


class _Proof(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    proof: list[str] = Field(max_length=100)


_NEWEST, _PROOF = TypeAdapter(_Newest), TypeAdapter(_Proof)


class Watch:
    """Looks whether the ledger of an index only grew since the last look.

    Args:
        index: its address.
        keys: the verifier keys that are pinned.
        kept: file of the checkpoints; made at the first look. Processes and threads may share it.
    """

    def __init__(self, channel: Channel, index: str, keys: Sequence[VerifierKey], kept: Path) -> None:
        self._channel, self._index, self._keys, self._kept = channel, index, keys, kept

    def look(self) -> Checkpoint:
        """Get the newest checkpoint, compare it with the one that is kept, and keep it; what it is.

        Raises:
            LedgerChangedError: it was rolled back, is another one, or is signed by another. Nothing is kept then.
            ClientError: no answer, or no checkpoint yet.
            OSError: the file cannot be written.
        """
        with self._locked():  # from before it is asked for: another's newer one would make ours look like a roll-back
            notes = read_notes(self._kept.read_text("utf-8")) if self._kept.exists() else []
            response = self._channel.send("GET", f"{self._index}/api/v1/checkpoints/newest")
            if notes and response.status_code == 404:
                raise self._changed("it has no checkpoint any more")
            note = content(response, _NEWEST).checkpoint
            newest = self._open(note)
            if notes:
                old = self._open(notes[-1])
                self._compare(old, newest)
                if old.at.date() == newest.at.date():
                    notes.pop()
            self._keep([*notes, note])
        return newest

    def _compare(self, old: Checkpoint, new: Checkpoint) -> None:
        if new.size < old.size:
            raise self._changed(
                f"it was rolled back: it has {new.size} events, and had {old.size} at {old.at:%F %T} UTC"
            )
        if old == new:
            return
        response = self._channel.send(
            "GET", f"{self._index}/api/v1/consistency-proofs", params={"from": str(old.size), "to": str(new.size)}
        )
        try:
            proof = [decode(one) for one in content(response, _PROOF).proof]
        except ValueError:
            proof = []
        if not extends(old.size, old.root, new.size, new.root, proof):
            raise self._changed(
                f"it does not begin with the {old.size} events of {old.at:%F %T} UTC: it is another one"
            )

    def _open(self, note: str) -> Checkpoint:
        try:
            return Checkpoint.open(note, self._keys)
        except LedgerError as error:
            raise LedgerChangedError(f"the ledger of {self._index}: {error}") from None

    def _changed(self, what: str) -> LedgerChangedError:
        return LedgerChangedError(
            f"the ledger of {self._index} is not what it was: {what}. Keep {self._kept}: it is your proof. Tell your"
            " privacy officer, and compare with another institution. Only if the operator announced a restore from a"
            " backup: move the file away, and the next look begins anew"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """By the folder, since the file itself is replaced."""
        folder = os.open(self._kept.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _keep(self, notes: list[str]) -> None:
        """All of it or nothing, also when the machine stops meanwhile."""
        beside = self._kept.with_name(f"{self._kept.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(notes)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._kept)


def read_keys(path: Path) -> list[VerifierKey]:
    """The verifier keys of a file. Raises ConfigError."""
    try:
        return read_verifier_keys(path.read_text("utf-8"))
    except (LedgerError, UnicodeDecodeError):
        raise ConfigError(f"{path} holds no verifier key of a ledger: ask the operator for it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def watch_of(index: str, public_key: Path, kept: Path) -> Watch:
    """For who has no configuration: a token is not needed. Raises ConfigError."""
    channel = Channel(transport=None, clock=utc_now, wait=Event.wait)
    try:
        address = TypeAdapter(Address).validate_python(index)
    except ValidationError:
        raise ConfigError("an address starts with https://; http:// only on this machine itself") from None
    return Watch(channel, address, read_keys(public_key), kept)
