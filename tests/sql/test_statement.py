"""A text comes back as a statement whatever it holds: kinds, fingerprints, rows, and the hostile."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryfit import evidence
from queryfit.sql.catalog import Catalog, Relation
from queryfit.sql.ledger import MAX_ROWS
from queryfit.sql.parse import MAX_CHAIN
from queryfit.sql.statement import Statement, analyse, fingerprint
from tests.sql.shop import SHOP
from tests.sql.test_references import READ_AND_WRITTEN, STATEMENTS

VALID = [sql for sql, _ in [*STATEMENTS.values(), *READ_AND_WRITTEN.values()]]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", "select"),
        ("values (1)", "select"),
        ("insert into t values (1)", "insert"),
        ("update t set a = 1", "update"),
        ("delete from t", "delete"),
        ("merge into t using s on true when matched then delete", "merge"),
        ("begin", "transaction"),
        ("rollback to savepoint s", "transaction"),
        ("select 1 into t", "utility"),
        ("explain select 1", "utility"),
        ("explain execute p(1)", "utility"),
        ("copy t from stdin", "utility"),
        ("fetch 100 from c", "utility"),
        ("set local x = 'y'", "utility"),
        ("vacuum", "utility"),
        ("prepare p as select $1", "utility"),
        ("<insufficient privilege>", "hidden"),
        ("", "unparsed"),
        ("select 1; select 2", "unparsed"),
        ("selekt 1", "unparsed"),
    ],
)
def test_kind(sql: str, kind: str) -> None:
    assert analyse(sql, SHOP).kind == kind


@pytest.mark.parametrize("sql", ["vacuum", "begin", "selekt", "<insufficient privilege>", "copy t from stdin"])
def test_what_is_not_planned_has_no_shape(sql: str) -> None:
    statement = analyse(sql, SHOP)
    assert statement.shape is None
    assert statement.shape_row() is None
    assert statement.reference_rows("shop") == []


@pytest.mark.parametrize(
    ("sql", "is_truncated"),
    [
        ("select * from orders where id = ", True),
        ("select * from orders where id = $", True),
        ("select * from orders where note = 'it", True),
        ('select "id', True),
        ("select 1 /* and so", True),
        ("select * form orders", False),
        ("select ) from orders", False),
        ("select 1; select 2", False),
        ("select 1", False),
    ],
)
def test_truncation_is_told_from_nonsense(sql: str, is_truncated: bool) -> None:
    assert analyse(sql, SHOP).is_truncated == is_truncated


HOSTILE = {
    "a NUL byte": "select 1 \0 from orders",
    "a lone surrogate": "select '\ud800'",
    "nested parentheses": "select " + "(" * 10_000 + "1" + ")" * 10_000,
    "unbalanced parentheses": "select " + "(" * 100_000,
    "a chain that would overflow the parser's stack": "select " + "-".join("1" * 100_000),
    "a chain of casts": "select 1" + "::int" * 100_000,
    "a chain of unions": " union all ".join(["select 1"] * 30_000),
    "a chain of joins": "select from t" + " join t on true" * 30_000,
    "too many constants": "select " + "1," * 150_000 + "1",
    "one megabyte of name": "select " + "x" * 1_000_000 + "(",
    "subqueries in subqueries": "select " + "(select " * 2_500 + "1" + ")" * 2_500,
    "nots": "select from orders where " + "not " * 9_000 + "id = 1",
    "several statements": "select 1; drop table orders",
    "unbalanced quotes": "select 'it''s",
    "terminal escapes": "\x1b[31mselect\x07",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_unparsed_with_a_reason(text: str) -> None:
    statement = analyse(text, SHOP)
    assert statement.kind == "unparsed"
    assert statement.parse_error
    assert len(statement.parse_error) < 1_000
    assert_rows_fit(statement, text)


BIG = {
    "a long list": ("select from orders where id in (" + ",".join(map(str, range(50_000))) + ")", 1),
    "a long OR": ("select from orders where " + " or ".join(f"id = {n}" for n in range(10_000)), 10_000),
    "a long insert": ("insert into item (id) values " + ",".join(f"({-n})" for n in range(20_000)), 1),
    "a long concatenation": ("select " + " || ".join(["note"] * 2_000) + " from orders", 1),
    "many unions": (" union all ".join(["select id from orders where total = 1"] * 1_000), 2_000),
    "a long literal": (f"select id from orders where note = '{'x' * 1_000_000}'", 2),
}


@pytest.mark.parametrize(("text", "references"), BIG.values(), ids=BIG)
def test_big_texts_are_read(text: str, references: int) -> None:
    statement = analyse(text, SHOP)
    assert statement.parse_error is None
    assert len(statement.references) == references
    assert_rows_fit(statement, text)


def doubling() -> str:
    """CTEs that name the one before twice: what they read doubles at each of 40 levels."""
    levels = [f", c{n} as (select * from c{n - 1} union all select * from c{n - 1})" for n in range(1, 40)]
    return f"with c0 as (select id, total from orders){''.join(levels)} select * from c39 where id = 1"


GROWING = {
    "doubling CTEs": doubling(),
    "conditions times arms": "select from ("
    + " union all ".join(["select id from orders"] * 1_000)
    + ") s where "
    + " and ".join(f"id <> {n}" for n in range(1_000)),
    "columns times tables": "select "
    + ",".join(["nothing"] * 20_000)
    + " from "
    + ",".join(f"item i{n}" for n in range(20_000)),
}


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_work_does_not_grow_beyond_bounds(text: str) -> None:
    statement = analyse(text, SHOP)
    assert statement.kind == "select"
    assert len(statement.references) <= MAX_ROWS


def test_views_that_double_are_expanded_up_to_a_bound() -> None:
    views = [Relation("public.v0", "public", "v0", "table", ("id",))]
    for level in range(1, 14):
        below = f"public.v{level - 1}"
        text = f"select a.id from {below} a join {below} b on a.id = b.id"
        views.append(Relation(f"public.v{level}", "public", f"v{level}", "view", ("id",), text))
    statement = analyse("select from v13 where id = 1", Catalog(views))
    assert statement.kind == "select"
    assert len({row.block for row in statement.references}) <= 201


def test_an_honest_chain_is_read() -> None:
    statement = analyse("select " + "+".join(["1"] * (MAX_CHAIN - 1)), SHOP)
    assert statement.kind == "select"


def columns(table: str) -> dict[str, bool]:
    """Columns of an evidence table, and whether each may be null."""
    text = (Path(evidence.__file__).parent / "tables" / f"{table}.sql").read_text()
    lines = [line.split("--")[0].strip() for line in text.split("(", 1)[1].splitlines()]
    return {line.split()[0]: "not null" not in line for line in lines if line and line[0] in string.ascii_lowercase}


def assert_rows_fit(statement: Statement, text: str) -> None:
    """Rows have exactly the columns of their tables, in order, and null only where those allow it."""
    rows: list[tuple[str, dict[str, Any]]] = [("statement_text", statement.text_row(text))]
    rows += [("reference", row) for row in statement.reference_rows("shop")[:50]]
    if statement.shape is not None:
        rows.append(("shape", statement.shape_row() or {}))
    for table, row in rows:
        expected = columns(table)
        assert list(row) == list(expected)
        assert [name for name, value in row.items() if value is None and not expected[name]] == []


@pytest.mark.parametrize("sql", VALID)
def test_rows_fit_the_dictionary(sql: str) -> None:
    assert_rows_fit(analyse(sql, SHOP), sql)


def test_fingerprints_do_not_depend_on_constants_and_space() -> None:
    one = "select * from orders where id = 5 and note in ('a', 'b')"
    other = "SELECT *\n  FROM orders -- here\n WHERE id = $1 AND note IN ($2 /*, ... */)"
    assert fingerprint(one) == fingerprint(other)
    assert len(fingerprint(one)) == 16
    assert fingerprint(one) != fingerprint("select * from orders where id = 5 or note in ('a', 'b')")


def test_fingerprints_of_nonsense_are_stable_and_distinct() -> None:
    assert fingerprint("selekt 1") == fingerprint("selekt 1")
    assert fingerprint("selekt 1") != fingerprint("selekt 2")
    assert int(fingerprint("\ud800"), 16) >= 0


@given(st.sampled_from(VALID), st.data())
def test_space_and_constants_move_no_fingerprint(sql: str, data: st.DataObject) -> None:
    gap = data.draw(st.sampled_from(["  ", "\n", "\t ", " /* note */ ", " -- note\n"]))
    number = data.draw(st.integers(0, 2**40))
    # Literals keep their spaces: only texts without any are stretched.
    stretched = sql if "'" in sql or '"' in sql else sql.replace(" ", gap)
    assert fingerprint(stretched) == fingerprint(sql)
    assert fingerprint(f"select id from orders where id = {number}{gap}") == fingerprint(
        "select id from orders where id = 1"
    )


@given(st.text(max_size=300))
def test_any_text_is_a_statement(text: str) -> None:
    statement = analyse(text, SHOP)
    assert statement.kind
    assert (statement.kind == "unparsed") == (statement.parse_error is not None)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(VALID), st.sampled_from(VALID), st.data())
def test_any_mutation_is_a_statement(one: str, other: str, data: st.DataObject) -> None:
    """Words of two statements cut, swapped and spliced: many still parse, to what no one would write."""
    words, others = one.split(" "), other.split(" ")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(words) - 1))
        match data.draw(st.sampled_from(["cut", "double", "splice", "replace"])):
            case "cut" if len(words) > 1:
                del words[place]
            case "double":
                words[place:place] = words[place : place + 3]
            case "splice":
                words[place:] = others[data.draw(st.integers(0, len(others) - 1)) :]
            case _:
                words[place] = data.draw(st.sampled_from(others))
        words = words or ["select"]
    statement = analyse(" ".join(words), SHOP)
    assert (statement.kind == "unparsed") == (statement.parse_error is not None)
    assert_rows_fit(statement, " ".join(words))


NAMES = st.sampled_from(["id", "total", "note", "o.id", "i.order_id", "i.price", "s.id", "nowhere", "c.*", "o"])
VALUES = st.sampled_from(["$1", "5", "'x'", "null", "now()", "array[1]", "(select max(id) from item)", "(1, 2)"])
OPERATORS = st.sampled_from(["=", "<", "<>", "~~", "@>", "||", "in", "not in", "like", "is distinct from", "= any"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map(lambda parts: f"({parts[0]} {parts[1]} ({parts[2]}))"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"lower({text})"),
        inner.map(lambda text: f"{text}::date"),
        inner.map(lambda text: f"({text} is null)"),
        inner.map(lambda text: f"({text} is not true)"),
        inner.map(lambda text: f"({text} between 1 and {text})"),
        inner.map(lambda text: f"exists (select from product p where p.id = {text})"),
        inner.map(lambda text: f"(id in (select order_id from item where {text}))"),
        inner.map(lambda text: f"case when {text} then 1 end"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]}, {parts[1]})"),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(NAMES | VALUES, combined, max_leaves=12), st.sampled_from(["where", "having", "order by", "group by"])
)
def test_any_condition_is_read(condition: str, clause: str) -> None:
    sql = f"select o.id as s from orders o left join item i on ({condition}) {clause} {condition}"
    statement = analyse(sql, SHOP)
    assert statement.kind == "select"
    assert_rows_fit(statement, sql)


def test_numbered_tables_are_different_statements() -> None:
    one, other = (
        "select id from orders_2025 where note = 'é' and total > 1",
        "select id from orders_2026 where note = 'é' and total > 1",
    )
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint("SELECT id FROM orders_2025 WHERE note = $1 AND total > $2")
