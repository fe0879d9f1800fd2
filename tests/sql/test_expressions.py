"""Expressions in one plain form: what a person writes in a query equals what the server writes of an index."""

from typing import TYPE_CHECKING

import pytest

from queryfit.sql.expressions import plain_expression
from queryfit.sql.statement import analyse
from tests.sql.shop import SHOP

if TYPE_CHECKING:
    from tests.servers import Cluster

WRITTEN = {
    "lower(email)": "lower(email)",
    "lower(customer.email)": "lower(email)",
    "(created_at at time zone 'UTC')::date": "timezone('UTC', created_at)::date",
    "date_trunc('day', created_at at time zone 'UTC')": "date_trunc('day', timezone('UTC', created_at))",
    "extract(year from created_at at time zone 'UTC')": "extract('year', timezone('UTC', created_at))",
    "name || ' ' || country": "name || ' ' || country",
    "name || (' ' || country)": "name || (' ' || country)",
    "coalesce(name, country, '')": "coalesce(name, country, '')",
    "id + 1": "id + 1",
    "(id + 1) * 2": "(id + 1) * 2",
    "(id::bigint)": "id::int8",
    "-id": "- id",
    'upper(name collate "C")': 'upper(name collate "C")',
    "to_tsvector('english', name)": "to_tsvector('english', name)",
    "name::varchar(3)": "name::varchar(3)",
}  # fmt: skip


@pytest.mark.parametrize(("written", "plain"), WRITTEN.items(), ids=WRITTEN)
def test_an_expression_is_said_plainly(written: str, plain: str) -> None:
    assert plain_expression(written) == plain
    rows = analyse(f"select from customer where {written} = $1", SHOP).references
    assert {row.expression for row in rows} == {plain}


def test_an_expression_keeps_its_casts_and_is_compared_without() -> None:
    rows = analyse("select from customer where date_trunc('day'::text, lower(id::text)::date) = $1", SHOP).references
    assert [row.expression for row in rows] == ["date_trunc('day'::text, lower(id::text)::date)"]
    assert plain_expression(rows[0].expression or "") == "date_trunc('day', lower(id)::date)"


def test_the_text_of_an_index_says_the_same(newest: "Cluster", database: str) -> None:
    newest.run("create table customer (id int, name varchar(50), email varchar, country text, created_at timestamptz)",
               database=database)  # fmt: skip
    for written, plain in WRITTEN.items():
        rows = newest.run(
            f"create index i on customer (({written})); select pg_get_indexdef('i'::regclass, 1, false) as text;"
            " drop index i",
            database=database,
        )
        assert plain_expression(rows[0]["text"]) == plain


@pytest.mark.parametrize("text", ["", "lower(", "a, b", "1; drop table t", "\0", "x from t, u where"])
def test_what_is_no_expression_has_no_form(text: str) -> None:
    assert plain_expression(text) is None
