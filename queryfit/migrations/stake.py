"""What a statement costs the real table: how much it works through, and who waits how long meanwhile."""

from __future__ import annotations

from queryfit.migrations.steps import Effect


def stake(effect: Effect) -> str | None:
    """In words; None where the size of the table is not known, or nothing is worked through."""
    del effect
    return None
