"""The dictionary is the contract between capture and rules: every column has a type, a unit and a meaning."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
import sqlglot

from queryfit.evidence import dictionary
from queryfit.evidence.dictionary import Column, Table, tables

FOLDER = Path(dictionary.__file__).parent / "tables"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))
TYPES = {"varchar", "boolean", "integer", "bigint", "double", "timestamp", "double[]"}

# what a number counts stands at the end of its name; these are counts and places that name their thing themselves
UNITS = (
    "_ms",
    "_bytes",
    "_rows",
    "_pages",
    "_blocks",
    "_xids",
    "_s",
    "_days",
    "_ms_per_day",
    "_rows_per_day",
    "_per_day",
)


def columns() -> list[tuple[Table, Column]]:
    return [(table, column) for table in tables().values() for column in table.columns]


def test_every_file_is_a_table_of_its_name() -> None:
    assert NAMES
    assert sorted(tables()) == NAMES
    for name, table in tables().items():
        assert f"create table {name} (" in table.create


@pytest.mark.parametrize("name", NAMES)
def test_no_column_is_overlooked(name: str) -> None:
    """Every line between the parentheses is a column that the reader of the dictionary understood."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    body = text.partition("(\n")[2].partition("\n);")[0]
    with duckdb.connect() as connection:
        connection.execute(tables()[name].create)
        made = [(row[0], row[1]) for row in connection.execute(f"describe {name}").fetchall()]
    assert [column.name for column in tables()[name].columns] == [row[0] for row in made]
    assert len(body.splitlines()) == len(made), "a column's comment has to stand on its own line"


def test_every_table_says_what_it_is_and_where_it_comes_from() -> None:
    for table in tables().values():
        assert len(table.meaning) > 5, table.name
        assert table.source, table.name
        assert table.capture in {"full", "sample", "derived", "migration", "lab", "history"}, table.name
        assert (table.derivation is not None) == (table.capture == "derived"), table.name


def test_every_column_has_a_known_type_and_a_meaning() -> None:
    for table, column in columns():
        assert column.type in TYPES, f"{table.name}.{column.name}: {column.type}"
        assert len(column.meaning) >= 4, f"{table.name}.{column.name}"


def test_boolean_columns_ask_a_question_and_only_they_do() -> None:
    asks = re.compile(r"^(is|has|allows|tracks)_")
    for table, column in columns():
        assert bool(asks.match(column.name)) == (column.type == "boolean"), f"{table.name}.{column.name}"


def test_moments_end_in_at_or_since() -> None:
    for table, column in columns():
        assert column.name.endswith(("_at", "_since")) == (column.type == "timestamp"), f"{table.name}.{column.name}"


def test_a_duration_or_a_size_names_its_unit() -> None:
    """A measure without a unit in its name is read wrongly sooner or later."""
    for table, column in columns():
        if column.type in {"double", "bigint", "integer"} and not column.name.endswith(UNITS):
            assert not re.search(r"(time|duration|size|lag|memory|width)$", column.name), f"{table.name}.{column.name}"


def test_no_name_is_a_reserved_word() -> None:
    with duckdb.connect() as connection:
        reserved = {
            row[0]
            for row in connection.execute(
                "select keyword_name from duckdb_keywords() where keyword_category = 'reserved'"
            ).fetchall()
        }
    assert {"select", "column", "constraint"} <= reserved
    assert not reserved & {*tables(), *(column.name for _, column in columns())}


def _tables_of(query: str) -> set[str]:
    tree = sqlglot.parse_one(query, read="duckdb")
    own = {common.alias_or_name for common in tree.find_all(sqlglot.exp.CTE)}
    return {found.name for found in tree.find_all(sqlglot.exp.Table)} - own


@pytest.mark.parametrize("name", [name for name, table in tables().items() if table.derivation])
def test_a_derived_table_names_exactly_what_it_is_made_from(name: str) -> None:
    """A gap in a source is told for the rules that read the derived table: the list has to be right."""
    table = tables()[name]
    assert table.derivation
    query = table.derivation.partition("\n")[2]
    assert sorted(table.source.split(", ")) == sorted(_tables_of(query))


def test_derived_tables_come_after_what_they_are_made_from() -> None:
    order = list(tables())
    for table in tables().values():
        if table.derivation:
            for source in table.source.split(", "):
                assert order.index(source) < order.index(table.name), f"{table.name} is made before {source}"
