"""All benchmarks: `python -m tests.bench`."""

from __future__ import annotations

import sys

from tests.bench import lint, scale, startup

if __name__ == "__main__":
    sys.exit(startup.main() | lint.main() | scale.main())
