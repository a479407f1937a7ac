# SPDX-License-Identifier: EUPL-1.2
"""Writes exports of invented institutions into a folder: `python examples/generate.py FOLDER`.

With `--reporter` (as often as you like) the rows are one institution's and name your reporters; else four
invented institutions are played. The moments in the rows are of the last six days, so that the index takes
them today. All BSNs are test BSNs.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from verwijsindex.demo.exports import ExportPlan, write_exports

INVENTED = [
    ExportPlan(name, tuple(UUID(int=(number << 64) + r, version=4) for r in range(1, 4)), places)
    for number, (name, places) in enumerate(
        [
            ("jeugdhulp", ("1701", "0505", "0971")),
            ("ggd", ("0505", "0971")),
            ("basisschool", ("1701",)),
            ("politie", ("1701", "0505", "0971")),
        ],
        start=1,
    )
]


def main() -> None:
    """Reads the command line and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the files are written; made where it is not there")
    parser.add_argument("--rows", type=int, help="in all files together (default 3000; with --reporter 500 for each)")
    parser.add_argument("--seed", type=int, default=1, help="another number makes other rows (default 1)")
    parser.add_argument("--reporter", type=UUID, action="append", help="the id of a reporter of yours")
    parser.add_argument("--municipality", action="append", help="a CBS code where they live (default 0971)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    plans = INVENTED
    if given.reporter:
        plans = [ExportPlan("export", tuple(given.reporter), tuple(given.municipality or ["0971"]))]
    # Two files a day of one reporter stay within the limit of a day (R37).
    rows = given.rows or (500 * len(given.reporter) if given.reporter else 3000)
    expected = write_exports(given.folder, plans, given.seed, datetime.now(UTC), rows)
    for export in expected.exports.values():
        print(f"{export.path}: {len(export.accepted)} good rows, {len(export.refused)} faulty ones")
    matches = sum(len(reporters) > 1 for reporters in expected.reporters_of().values())
    print(f"youngsters with two or more reporters: {matches}")


if __name__ == "__main__":
    main()
