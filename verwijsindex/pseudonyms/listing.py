# SPDX-License-Identifier: EUPL-1.2
"""What the next list of key versions says: the rules by which one version follows another (decision 0020).

A sender takes the highest version that is accepted, and may go on with a list of up to an hour ago. So what has begun
goes on until its end, and two versions are accepted together for an hour at least.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from verwijsindex.pseudonyms.key_list import KeyListError, KeyVersion

OVERLAP = timedelta(hours=1)
"""How long a version is accepted at least after the next one is."""


def next_list(
    before: Mapping[int, KeyVersion],
    held: Mapping[int, bytes],
    now: datetime,
    begins: datetime | None = None,
    ends: Mapping[int, datetime] | None = None,
) -> list[KeyVersion]:
    """The versions of the list to sign after the list `before` (empty: the first).

    Args:
        held: public key by version, of the service's key files. A version that ended needs none, and stays listed, so
            that its number is never another key's.
        begins: from when the newest version is accepted; the first of all from now when left out.
        ends: for versions, from when they are accepted no more.

    Raises:
        KeyListError: says which rule is not kept, and what to do.
    """
    for version, public_key in held.items():
        if version in before and before[version].public_key != public_key:
            raise KeyListError(f"version {version} has another public key in the list that is there")
    for version, one in before.items():
        if version not in held and not one.ended(now):
            raise KeyListError(f"version {version} is still accepted, and its key file is not here")
    newest = max({*before, *held})
    added = held.keys() - before.keys()
    if added > {newest}:
        raise KeyListError(f"versions {sorted(added)} are new, and one at a time follows another: leave the newest")
    if added and newest not in added:
        raise KeyListError(f"version {min(added)} is older than version {newest}, which is listed")
    listed = {
        version: KeyVersion(
            version=version,
            public_key=before[version].public_key if version in before else held[version],
            accepted_from=before[version].accepted_from if version in before else now,
            accepted_until=before[version].accepted_until if version in before else None,
        )
        for version in sorted({*before, *held})
    }
    if begins or (newest in added and before):
        listed[newest] = _beginning(listed[newest], begins, now, is_new=newest in added)
    for version, end in (ends or {}).items():
        listed[version] = _ending(listed.get(version), version, end, now)
    for one in listed.values():
        _check_overlap(one, listed.values(), now)
    return list(listed.values())


def _beginning(one: KeyVersion, begins: datetime | None, now: datetime, *, is_new: bool) -> KeyVersion:
    if begins is None:
        raise KeyListError(
            f"version {one.version} is new: say from when it is accepted, after index and service have the list"
        )
    if not is_new and one.accepted_from <= now:
        raise KeyListError(f"version {one.version} is accepted since {one.accepted_from:%FT%TZ}: that stays as it is")
    if begins <= now:
        raise KeyListError(f"version {one.version} cannot be accepted from a moment that is past")
    return one.model_copy(update={"accepted_from": begins})


def _ending(one: KeyVersion | None, version: int, end: datetime, now: datetime) -> KeyVersion:
    if one is None or one.ended(now):
        raise KeyListError(f"version {version} is not accepted: it cannot end")
    if end <= now:
        raise KeyListError(f"version {version} cannot end at a moment that is past")
    return one.model_copy(update={"accepted_until": end})


def _check_overlap(one: KeyVersion, listed: Iterable[KeyVersion], now: datetime) -> None:
    end = one.accepted_until
    if end is None or one.ended(now):
        return
    newer = (other for other in listed if other.version > one.version and not other.ended(end))
    if not any(other.accepted_from + OVERLAP <= end for other in newer):
        raise KeyListError(
            f"version {one.version} can end an hour after a newer one is accepted, not sooner: senders may go on with"
            " the list they have for an hour"
        )
