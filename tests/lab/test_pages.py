"""Pages and files written by hand, names and texts taken apart: without a server."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.lab import btree_page, extended, files, schema, settings, statistics, stubs
from queryfit.lab.carried import EVERY_RELATION, NotCarried, doubts
from queryfit.sql.names import qualified


def empty_metapage() -> bytes:
    page = bytearray(btree_page.PAGE_BYTES)
    struct.pack_into("=II", page, 24, 0x053162, 4)
    return bytes(page)


@given(st.integers(0, 6))
def test_a_tree_says_its_height_and_has_a_page_a_level(levels: int) -> None:
    tree = btree_page.tree(empty_metapage(), levels)
    assert btree_page.is_empty(empty_metapage())
    assert not btree_page.is_empty(tree[: btree_page.PAGE_BYTES])
    assert btree_page.read_height(tree) == levels
    assert len(tree) == (levels + 2) * btree_page.PAGE_BYTES


def test_what_is_no_metapage_is_not_patched() -> None:
    with pytest.raises(ValueError, match="no metapage"):
        btree_page.is_empty(bytes(btree_page.PAGE_BYTES))
    with pytest.raises(ValueError, match="no metapage"):
        btree_page.is_empty(b"")


@pytest.mark.parametrize(
    ("pages", "width", "is_built", "levels"),
    [(1, 4, True, 0), (2, 4, True, 0), (3, 4, True, 1), (286, 4, True, 1), (300, 4, True, 2), (300, 4, False, 1),
     (16_400, 4, True, 2), (1_000_000, 8, True, 3)],
)  # fmt: skip
def test_heights_are_those_of_postgresql(pages: int, width: int, is_built: bool, levels: int) -> None:
    assert btree_page.height(pages, width, is_built=is_built) == levels


def test_a_file_grows_in_segments_and_shrinks_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "16384"
    path.touch(mode=0o600)
    files.extend(path, 2 * files.SEGMENT_PAGES + 5, lambda _: b"x" * btree_page.PAGE_BYTES)
    sizes = [part.stat().st_size // btree_page.PAGE_BYTES for part in sorted(tmp_path.iterdir())]
    assert sizes == [files.SEGMENT_PAGES, files.SEGMENT_PAGES, 5]
    assert sum(part.stat().st_blocks for part in tmp_path.iterdir()) * 512 < 1 << 20
    with path.open("rb") as stream:
        assert stream.read(1) == b"x"
    assert {os.stat(part).st_mode & 0o777 for part in tmp_path.iterdir()} == {0o600}  # noqa: PTH116
    files.extend(path, 0)
    assert {part.stat().st_size for part in tmp_path.iterdir()} == {0}
    files.extend(path, files.SEGMENT_PAGES)
    assert path.stat().st_size == files.SEGMENT_PAGES * btree_page.PAGE_BYTES


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=4))
def test_qualified_names_come_apart_again(names: list[tuple[str, str]]) -> None:
    written = [qualified(*name) for name in names]
    assert schema.split_names(", ".join(written)) == written
    assert [schema.schema_of(name) for name in written] == [
        qualified(space, "x").removesuffix(".x") for space, _ in names
    ]


@given(st.lists(st.text(st.characters(exclude_characters="\x00")), min_size=2, max_size=5))
def test_the_ends_of_a_histogram_are_exchanged_and_nothing_else(values: list[str]) -> None:
    words = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    row = {
        "relation": "a.b",
        "column_name": "c",
        "is_inherited": False,
        "histogram_bounds": "{" + ",".join(words) + "}",
    }
    extreme = {"relation": "a.b", "column_name": "c", "least_value": 'le"ast', "greatest_value": "great\\est"}
    (changed,) = statistics.with_extremes([row], [extreme])
    items = statistics.array_items(changed["histogram_bounds"])
    assert items == ['"le\\"ast"', *words[1:-1], '"great\\\\est"']
    whole = {**row, "is_inherited": True}
    assert list(statistics.with_extremes([whole], [extreme])) == [whole]


def test_counts_and_dependencies_are_serialised_with_the_numbers_of_the_lab() -> None:
    counts = extended.distinct_counts('{"2, 3": 1000, "2, -1": 7}', {2: 1, 3: 2})
    assert counts == struct.pack("=IIIdihhdihh", 0xA352BFA4, 1, 2, 1000.0, 2, 1, 2, 7.0, 2, 1, -1)
    found = extended.dependencies('{"2 => 3": 0.5}', {2: 1, 3: 2})
    assert found == struct.pack("=IIIdhhh", 0xB4549A2C, 1, 1, 0.5, 2, 1, 2)
    with pytest.raises(KeyError):
        extended.dependencies('{"2 => 9": 0.5}', {2: 1})


def test_only_settings_of_the_planner_are_taken_and_not_those_of_the_captures_session() -> None:
    rows = [
        {"name": "work_mem", "value": "4096", "source": "database", "boot_value": "4096"},
        {"name": "enable_hashjoin", "value": "off", "source": "user", "boot_value": "on"},
        {"name": "search_path", "value": "pg_catalog", "source": "session", "boot_value": '"$user", public'},
        {"name": "TimeZone", "value": "UTC", "source": "client", "boot_value": "GMT"},
        {"name": "archive_command", "value": "rm -rf /", "source": "configuration file", "boot_value": ""},
    ]
    assert list(settings.planner_settings(rows)) == [
        ("work_mem", "4096"), ("enable_hashjoin", "off"), ("search_path", '"$user", public'),
    ]  # fmt: skip


ROUTINE = {
    "language": "sql",
    "kind": "function",
    "is_set_returning": False,
    "routine": "a.f",
    "arguments": "x integer, y text",
    "defaulted_arguments": 1,
    "result": "integer",
    "volatility": "stable",
    "is_strict": True,
    "parallel_safety": "safe",
    "call_cost": 12.0,
    "expected_rows": 0.0,
    "definition": None,
    "name": "f",
    "routine_oid": 1,
    "input_types": "integer",
}


@pytest.mark.parametrize(
    ("body", "is_kept"),
    [
        ("select x + 1", True),
        ("select count(*) from a.t", False),
        ("select (select max(i) from a.t)", False),
        ("select count(*) from a.rows_of(x)", False),
        ("select length(query_to_xml('select 1', true, true, '')::text)", False),
    ],
)
def test_a_scalar_function_that_reads_rows_is_a_stub(body: str, is_kept: bool) -> None:
    text = f"create function a.f(x integer, y text default 'z') returns integer language sql leakproof as $$ {body} $$"
    whole = stubs.whole_text({**ROUTINE, "definition": text}, {"rows_of"})
    assert (whole is not None) == is_kept
    assert whole is None or "leakproof" not in whole.lower()


def test_a_stub_keeps_what_the_planner_asks_about() -> None:
    (step,) = stubs.steps([{**ROUTINE, "language": "c"}])
    assert step.sql.startswith("create function a.f(x integer, y text default null) returns integer stable strict ")
    assert "parallel safe cost 12 language plpgsql" in step.sql
    assert stubs.STUB_SQLSTATE in step.sql


def test_doubts_are_about_what_a_statement_reaches() -> None:
    items = (
        NotCarried("statistics", "a.t.c", "why", ("a.t",), column="c"),
        NotCarried("function", "a.f", "why"),
        NotCarried("default", "a.t.d", "why", ("a.t",), changes_plans=False),
    )
    assert doubts(items, ["a.t"]) == items[:1]
    assert doubts(items, ["a.t"], columns=[("a.t", "d")]) == ()
    assert doubts(items, ["a.u"], ["a.f"]) == items[1:2]
    everywhere = NotCarried("evidence", "column_statistics", "why", EVERY_RELATION)
    assert doubts([everywhere], ["a.u"]) == (everywhere,)
    assert doubts([everywhere], []) == ()
    assert doubts(items, ["pg_catalog.pg_class"])[0].name == "pg_catalog.pg_class"
