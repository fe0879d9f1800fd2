"""Truth by execution: runs migrations on a real server and tells what each statement locked, rewrote and read.

`tracing.trace` is the whole of it; its modules import psycopg, so they are imported by what needs them.
"""

from __future__ import annotations

from queryfit.migrations.trace.agree import Disagreement, agree
from queryfit.migrations.trace.observed import Failure, Observed

__all__ = ["Disagreement", "Failure", "Observed", "agree"]
