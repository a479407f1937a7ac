# SPDX-License-Identifier: EUPL-1.2
"""A year of follow-up by a moved clock, beside a plain model (R21, R22, R23; followup.year, followup.model)."""

import os
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from followup.year import _DELAYED, _STEPS, Year
from matching.model import day_of
from support import Index

LONG = bool(os.environ.get("TEST_LONG"))
SEED = int(os.environ.get("YEAR_SEED", "1"))


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.parametrize("quiet", [True, False] if LONG else [True])
def test_a_year_is_as_the_model_says(index: Index, quiet: bool) -> None:
    """Two dozen youngsters; with TEST_LONG a thousand, twice: with quiet matches (R23) and without.

    Rounds, states, deadlines and steps are those of the model each evening, and who leads after each run; in the end
    all that was told, the day of each step, and that no mail but a quiet one waited for more than a tick. YEAR_SEED=n
    plays another year. It found that something at one end of a chain of half siblings took the lead away at the other,
    that nobody was told of a lead that was open to all, and that who left led for ever.

    Seen failing (a step came twice) with the matcher's lock and FOR UPDATE both out of the clock; with the lock alone
    out it was not (nor anything in `test_life_at_once`, two runs): each is enough for that.
    """
    year = Year(index, SEED, *((1000, 30, 10) if LONG else (24, 8, 3)), quiet=quiet)
    for day in range(365):
        year.day(day)
        begin = datetime.combine(year.today + timedelta(days=1), datetime.min.time(), index.clock().tzinfo)
        index.clock.now = begin + timedelta(hours=year.chance.randrange(6, 17))
    year.tick()
    year.mail()
    year.beside.compare()
    year.beside.compare_notices()
    steps = Counter(
        (year.beside.known[UUID(row.match)], row.step, day_of(row.at)) for row in index.database.rows(_STEPS)
    )
    print("with quiet matches" if quiet else "without quiet matches")
    for what, number in year.figures().items():
        print(f"{what}: {number}")
    print(dict(sorted(year.acts.items())))
    assert steps == year.steps
    assert index.database.rows(_DELAYED) == []
