"""`python -m tests.month FOLDER`: make a store that holds the captures of the month, and the truth about it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.month.month import Month
from tests.servers import available


def main() -> None:
    servers = available()
    parser = argparse.ArgumentParser(prog="python -m tests.month", description=__doc__)
    parser.add_argument("folder", type=Path, help="the store that is made")
    parser.add_argument("--captures-per-day", type=int, default=6, metavar="N")
    parser.add_argument("--server", type=int, choices=sorted(servers), default=max(servers), help="major version")
    options = parser.parse_args()
    start = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {words}", file=sys.stderr)

    options.folder.mkdir(parents=True, exist_ok=True)
    with Month(servers[options.server], options.folder, captures_a_day=options.captures_per_day, say=say) as month:
        truth = month.live()
    print(f"{len(truth.intervals)} captures in {options.folder}, and the truth in {options.folder / 'truth.json'}")


if __name__ == "__main__":
    main()
