"""Facts about a server that no server at hand can show."""

from __future__ import annotations

import pytest

from queryfit.capture.column_statistics import extremes
from queryfit.capture.scope import Filter
from queryfit.capture.server_facts import in_base_units, provider


@pytest.mark.parametrize(
    ("roles", "settings", "is_aurora", "name"),
    [
        ([], [], False, "self-hosted"),
        (["rds_superuser"], ["rds"], False, "rds"),
        (["rds_superuser"], ["rds"], True, "aurora"),
        (["cloudsqlsuperuser"], [], False, "cloudsql"),
        ([], ["azure"], False, "azure"),
        (["supabase_admin"], ["supautils"], False, "supabase"),
    ],
)
def test_providers_are_known_by_what_only_they_create(
    roles: list[str], settings: list[str], is_aurora: bool, name: str
) -> None:
    assert provider(roles=roles, settings=settings, is_aurora=is_aurora) == name


@pytest.mark.parametrize(
    ("value", "unit", "column", "amount"),
    [
        ("16384", "8kB", "value_bytes", 128 * 2**20),
        ("4096", "kB", "value_bytes", 4 * 2**20),
        ("1024", "MB", "value_bytes", 2**30),
        ("-1", "kB", "value_bytes", None),
        ("0", "ms", "value_ms", 0),
        ("5", "min", "value_ms", 300_000),
        ("0.2", None, "value_number", 0.2),
        ("on", None, "value_number", None),
        (None, None, "value_number", None),
        ("nan", None, "value_number", None),
    ],
)
def test_settings_in_base_units(value: str | None, unit: str | None, column: str, amount: float | None) -> None:
    amounts = in_base_units(value, unit)
    assert amounts.pop(column) == amount
    assert set(amounts.values()) == {None}


@pytest.mark.parametrize(
    ("common", "histogram", "bounds"),
    [
        (None, None, (None, None)),
        ("{5}", None, (5, 5)),
        (None, "{1,2,3}", (1, 3)),
        ("{-7,9}", "{1,2,3}", (-7, 9)),
        ("{NaN,Infinity,2}", None, (2, 2)),
        ('{"$1,000.00",$2.00}', None, (None, None)),
        ("{}", None, (None, None)),
    ],
)
def test_extremes(common: str | None, histogram: str | None, bounds: tuple[float | None, float | None]) -> None:
    assert extremes(common, histogram) == bounds


def test_globs_become_anchored_patterns_with_nothing_special_in_them() -> None:
    assert Filter(("a",), ("tmp_*", "x.y?", "a(b")).params() == [["a"], ["^tmp_.*$", r"^x\.y.$", r"^a\(b$"]]
    assert Filter().params() == [None, []]
