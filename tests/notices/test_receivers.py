# SPDX-License-Identifier: EUPL-1.2
"""How many tries each receiver has at once: one that hangs slows itself and no other."""

from verwijsindex.notices.receivers import MOST, Receivers


def begin(receivers: Receivers, *due: str) -> dict[str, int]:
    """Begin what there is room for; how much of whom."""
    room = dict(receivers.room(due))
    receivers.began([one for one, size in room.items() for _ in range(size)])
    return room


def test_a_receiver_begins_with_one_and_grows_with_what_it_takes() -> None:
    receivers = Receivers(100)
    sizes = []
    for _ in range(7):
        size = begin(receivers, "a")["a"]
        sizes.append(size)
        for _ in range(size):
            receivers.ended("a", taken=True)
    assert sizes == [1, 2, 8, MOST, MOST, MOST, MOST]
    begin(receivers, "a")
    for _ in range(MOST):
        receivers.ended("a", taken=False)
    assert begin(receivers, "a") == {"a": 1}


def test_a_receiver_that_hangs_holds_one_thread() -> None:
    receivers = Receivers(100)
    begin(receivers, "hangs", "quick")
    for _ in range(6):
        receivers.ended("quick", taken=True)
        receivers.began(["quick"])
    assert begin(receivers, "hangs", "quick") == {"quick": MOST - 1}


def test_however_many_hang_the_others_have_half_of_the_threads() -> None:
    """Seen failing (no room for who takes everything) without a bound on those who have taken nothing yet."""
    receivers = Receivers(64)
    begin(receivers, "quick")
    receivers.ended("quick", taken=True)
    hanging = [f"hangs {n}" for n in range(500)]
    assert sum(begin(receivers, *hanging).values()) == 32
    assert begin(receivers, *hanging) == {}
    assert begin(receivers, *hanging, "quick") == {"quick": 2}
    receivers.ended("hangs 0" if "hangs 0" in receivers._on_the_way else next(iter(receivers._on_the_way)), taken=False)
    assert receivers.on_the_way == 33


def test_who_takes_everything_slowly_holds_one_thread_of_that_half() -> None:
    """Seen failing, with all threads held by three of them, when only who refused was made small."""
    receivers = Receivers(48)
    for one in ("slow 1", "slow 2", "slow 3"):
        for _ in range(5):
            receivers.began([one])
            receivers.ended(one, taken=True)
        receivers.began([one])
        receivers.ended(one, taken=True, milliseconds=14_900)
    assert begin(receivers, "slow 1", "slow 2", "slow 3") == {"slow 1": 1, "slow 2": 1, "slow 3": 1}


def test_all_threads_are_used_and_no_more() -> None:
    receivers = Receivers(20)
    for one in ("a", "b", "c"):
        for _ in range(5):
            receivers.began([one])
            receivers.ended(one, taken=True)
    assert sum(begin(receivers, "a", "b", "c").values()) == 20
    assert begin(receivers, "a", "b", "c") == {}
