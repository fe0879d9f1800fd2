"""What a statement costs the real table, in words."""

from __future__ import annotations

from typing import Any

import pytest

from queryfit.migrations.stake import stake, wait_ms
from queryfit.migrations.steps import Effect

GB = 2**30


def effect(**facts: Any) -> Effect:
    facts = {"size_bytes": 41 * GB, "writes_per_s": 120.4, "reads_per_s": 3.0, **facts}
    return Effect(1, "alter column type", "public.orders", **facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"lock_level": 8, "is_rewrite": True},
            "rewrites 41 GB; reads and writes wait for about 7 min at 3 scans/s and 120 writes/s",
        ),
        (
            {"lock_level": 5, "is_index_build": True},
            "builds an index over 41 GB; writes wait for about 14 min at 120 writes/s",
        ),
        ({"lock_level": 4, "is_scan": True}, "reads 41 GB in about 3.5 min"),
        ({"lock_level": 6, "is_scan": True}, "reads 41 GB; writes wait for about 3.5 min at 120 writes/s"),
        (
            {"lock_level": 8, "is_scan": True, "writes_per_s": None, "reads_per_s": None},
            "reads 41 GB; reads and writes wait for about 3.5 min",
        ),
        ({"lock_level": 8, "is_scan": True, "reads_per_s": 0.0, "writes_per_s": 0.01, "size_bytes": 100 * 2**20},
         "reads 100 MB; reads and writes wait for about 500 ms"),
        ({"lock_level": 8}, None),
        ({"lock_level": 8, "is_rewrite": True, "size_bytes": None}, None),
    ],
)  # fmt: skip
def test_words(facts: dict[str, Any], words: str | None) -> None:
    assert stake(effect(**facts)) == words


def test_a_rewrite_takes_as_long_as_its_slowest_part() -> None:
    whole = wait_ms(effect(is_rewrite=True, is_index_rebuild=True, is_scan=True))
    parts = [wait_ms(effect(**{name: True})) for name in ("is_rewrite", "is_index_rebuild", "is_scan")]
    assert whole == max(part for part in parts if part is not None)
    assert wait_ms(effect()) is None
