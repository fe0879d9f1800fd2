"""The benchmarks that need nothing but this checkout: `python -m tests.bench`.

Those of the lab and of advice work on TPC data, on servers that the environment names; each says in its own words how
it is run: `fidelity`, `index_sizes`, `advise_quality`, `real_time`, `writes`, `upkeep`, `advise_scale`.
"""

from __future__ import annotations

import sys

from tests.bench import lint, scale, startup

if __name__ == "__main__":
    sys.exit(startup.main() | lint.main() | scale.main())
