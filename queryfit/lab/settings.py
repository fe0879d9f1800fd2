"""The captured settings that move plans, given to every session of the lab's database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from queryfit.lab.carried import NotCarried
from queryfit.lab.facts import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = frozenset({
    "seq_page_cost", "random_page_cost", "cpu_tuple_cost", "cpu_index_tuple_cost", "cpu_operator_cost",
    "parallel_setup_cost", "parallel_tuple_cost", "effective_cache_size", "work_mem", "hash_mem_multiplier",
    "maintenance_work_mem", "temp_buffers", "min_parallel_table_scan_size", "min_parallel_index_scan_size",
    "max_parallel_workers", "max_parallel_workers_per_gather", "parallel_leader_participation",
    "force_parallel_mode", "debug_parallel_query", "from_collapse_limit", "join_collapse_limit",
    "default_statistics_target", "constraint_exclusion", "cursor_tuple_fraction", "recursive_worktable_factor",
    "plan_cache_mode", "jit", "geqo", "TimeZone", "DateStyle", "IntervalStyle", "search_path",
    "default_text_search_config", "row_security", "transform_null_equals", "array_nulls", "backslash_quote",
    "standard_conforming_strings", "escape_string_warning", "extra_float_digits", "xmlbinary", "xmloption",
    "gin_fuzzy_search_limit", "gin_pending_list_limit", "default_table_access_method",
    "effective_io_concurrency",
})  # fmt: skip
# What a planner can do since a version, and can be told not to.
_ABILITIES = {
    "enable_memoize": 14,
    "enable_presorted_aggregate": 16,
    "enable_group_by_reordering": 17,
    "enable_self_join_elimination": 18,
    "enable_distinct_reordering": 18,
}
_RENAMED = {"force_parallel_mode": ("debug_parallel_query", 16)}
_PREFIXES = ("enable_", "geqo_", "jit_")
_OF_A_SESSION = frozenset({"client", "session", "interactive", "override"})  # of the capture's own connection
_NO_DIFFERENCE = frozenset(
    {"jit_debugging_support", "jit_provider", "jit_dump_bitcode", "jit_profiling_support", "jit_expressions"}
)


def planner_settings(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Name and value of the settings that a plan may depend on, as the captured server had them."""
    for row in rows:
        name, value = row["name"], row["value"]
        if name not in _NAMES and not name.startswith(_PREFIXES):
            continue
        if row["source"] in _OF_A_SESSION:
            value = row["boot_value"] if row["boot_value"] and name == "search_path" else None
        if value is not None and name not in _NO_DIFFERENCE:
            yield name, value


def abilities(captured: int, version: int) -> Iterator[tuple[str, str]]:
    """Settings that keep a planner of `version` from what one of the `captured` major version could not do."""
    for name, since in _ABILITIES.items():
        if captured < since <= version:
            yield name, "off"


def apply(
    connection: psycopg.Connection[Any], database: str, rows: Iterable[Row], *, captured: int, version: int
) -> list[NotCarried]:
    """Set them for the database, as superuser; returns those that this server does not take."""
    missing: list[NotCarried] = []
    for own_name, value in [*planner_settings(rows), *abilities(captured, version)]:
        later, since = _RENAMED.get(own_name, (own_name, 0))
        name = later if version >= since else own_name
        # an empty search_path is a list of nothing, not one of an empty name
        given = sql.SQL(value or "''") if name == "search_path" and not value else _value(name, value)
        try:
            connection.execute(
                sql.SQL("alter database {} set {} = {}").format(sql.Identifier(database), sql.Identifier(name), given)
            )
        except psycopg.Error as error:
            missing.append(NotCarried("setting", name, str(error).partition("\n")[0], changes_plans=False))
    return missing


def _value(name: str, value: str) -> sql.Composable:
    if name != "search_path":
        return sql.Literal(value)
    names = [word.strip() for word in value.split(",")]
    return sql.SQL(", ").join(sql.Literal(word.strip('"').replace('""', '"')) for word in names)
