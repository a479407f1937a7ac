# SPDX-License-Identifier: EUPL-1.2
"""Every process killed, again and again, at random moments under load (I1 to I4; docs/reliability.md)."""

import os
import random
import secrets
import time

import pytest
from system.fire.chaos import VICTIMS, Kill, Victim, choose, strike
from system.fire.fire import BACK_WITHIN, fire
from system.fire.results import keep

pytestmark = pytest.mark.system

LONG = bool(os.environ.get("TEST_LONG"))
KILLS, RUNS = (50, 20) if LONG else (len(VICTIMS) // 2, 1)
AT_ONCE = 4
SEED = int(os.environ.get("FIRE_SEED", "0")) or 1 + secrets.randbelow(10**6)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("run", range(RUNS))
def test_kills(run: int) -> None:
    """Up to four victims at a time, each of fourteen kinds in turn, while eight senders send, some with parents, and
    others withdraw, hand over, restrict, move and tell deaths. A round is over when a
    new pair of signals has gone all the way: token, evaluation, 201, match, inbox, webhook.

    Repeat a run: FIRE_SEED=<seed> and the same number of runs.
    """
    seed = SEED + run
    print(f"FIRE_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311 (repeatable)
    bag: list[Victim] = []
    kills: list[Kill] = []
    began = time.monotonic()
    with fire(seed, youngsters=400, probes=KILLS + 1) as burning:
        burning.act()
        with burning.load:
            burning.probe(time.monotonic())
            while len(kills) < KILLS:
                time.sleep(chance.uniform(0, 1))
                struck = strike(burning.system, choose(chance, bag, AT_ONCE), chance)
                burning.probe(max(kill.at for kill in struck))
                for kill in struck:
                    kill.back_after = time.monotonic() - kill.at
                    print(f"{kill.victim}: {kill.back_after:.1f} s")
                kills += struck
                burning.system.stack.check()
        counts = burning.judge()
        keep("kills", seed, began, kills, counts, burning.load.statuses)
    late = [kill for kill in kills if kill.back_after > BACK_WITHIN]
    assert late == []
