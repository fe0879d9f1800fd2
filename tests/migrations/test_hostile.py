"""Nothing breaks the model: no SQL that PostgreSQL parses, no text, no bytes, no depth."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pglast.parser import ParseError, parse_sql_json

from queryfit.migrations.files import MigrationFile, Transactions, decode
from queryfit.migrations.masking import mask
from queryfit.migrations.replay import Run, replay
from queryfit.sql import ddl_script
from tests.migrations.corpus import cases

NAMES = ("a", "b", "orders", "customers", "pg_temp", "public", '"Odd Name"', "id", "n", "mood", "absent", "other")
RUNNERS: tuple[Transactions, ...] = ("each", "batch", "file")
FOLDERS = os.environ.get("QUERYFIT_TEST_SQL", "")
_WORD = re.compile(r"\b[a-z_]{1,12}\b")


def run(text: str, transactions: Transactions = "each", version: int = 18) -> Run:
    found = replay([MigrationFile(None, "-", text, text, "psql", transactions)], version=version)
    for step in found.steps:
        assert 0 <= step.start <= step.end <= len(text)
        assert step.line >= 1
        assert step.column >= 1
    numbers = {step.number for step in found.steps}
    assert all(effect.step in numbers for effect in found.effects)
    assert len(msgspec.json.encode(found.effects)) > 1  # every field is of a plain kind
    return found


@cache
def pool() -> tuple[str, ...]:
    """Statements of the corpus, each once."""
    found: dict[str, None] = {}
    for case in cases():
        for statement in (*case.before, *case.statements):
            found[statement] = None
    return tuple(found)


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.sampled_from(RUNNERS),
    st.sampled_from((13, 14, 15, 16, 17, 18)),
)
@settings(max_examples=200, deadline=None)
def test_statements_in_any_order(choices: list[int], transactions: Transactions, version: int) -> None:
    statements = pool()
    run(";\n".join(statements[choice % len(statements)] for choice in choices), transactions, version)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from(NAMES)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_statements_with_a_word_exchanged(choices: list[tuple[int, int, str]]) -> None:
    statements = pool()
    texts = []
    for choice, place, name in choices:
        statement = statements[choice % len(statements)]
        words = list(_WORD.finditer(statement))
        word = words[place % len(words)]
        texts.append(statement[: word.start()] + name + statement[word.end() :])
    run("; ".join(texts))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 200), st.integers(0, 200)), min_size=2, max_size=8))
@settings(max_examples=200, deadline=None)
def test_pieces_of_statements_put_together(choices: list[tuple[int, int, int]]) -> None:
    statements = pool()
    run(" ".join(statements[choice % len(statements)][start : start + length] for choice, start, length in choices))


@given(st.text(max_size=200), st.sampled_from(RUNNERS))
@example("\0", "each")
@example("select 1;\0drop table t", "batch")
@example("select '\ud800'; select 1", "each")
@example("é;é", "file")
@settings(max_examples=150, deadline=None)
def test_any_text(text: str, transactions: Transactions) -> None:
    run(text, transactions)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes(data: bytes) -> None:
    text, _ = decode(data)
    for is_psql in (True, False):
        sql, _ = mask(text, is_psql=is_psql)
        assert len(sql) == len(text)
        run(sql)


DEEP = {
    "brackets": "select " + "(" * 10_000 + "1" + ")" * 10_000,
    "or": "select 1 where " + " or ".join(["a = 1"] * 20_000),
    "plus": "select " + "+".join(["1"] * 20_000),
    "plus, less often": "select " + "+".join(["1"] * 4_000),
    "strings with semicolons": "select " + "||".join(["'a;'"] * 20_000),
    "a check": "create table t (a int check (a > " + "+".join(["1"] * 4_000) + "))",
    "calls": "alter table t add a int default " + "f(" * 3_000 + "1" + ")" * 3_000,
    "calls, fewer": "alter table t add a int default " + "f(" * 400 + "1" + ")" * 400,
    "a view of sums": "create view v as select " + "+".join(["1"] * 450),
    "a view of unions": "create view v as " + " union all ".join(["select 1"] * 400),
    "a view of subqueries": "create view v as " + "select * from (" * 450 + "select 1" + ") x" * 450,
    "unions": " union all ".join(["select 1"] * 10_000),
    "joins": "select * from a " + " ".join(["join b using (x)"] * 8_000),
    "not": "select " + "not " * 9_000 + "true",
    "casts": "select 1" + "::int" * 20_000,
    "subscripts": "select a" + "[1]" * 20_000,
    "comments": "/*" * 50_000 + "select 1",
    "blocks": "do $$ " + "begin " * 30_000 + "null;" + " end;" * 30_000 + " $$",
    "blocks, fewer": "do $$ " + "begin " * 3_000 + "null;" + " end;" * 3_000 + " $$",
    "conditions": "do $$ begin " + "if true then " * 3_000 + "null;" + " end if;" * 3_000 + " end $$",
    "a long string to execute": "do $$ begin execute " + "||".join(["'a'"] * 20_000) + "; end $$",
    "loops": "do $$ begin " + "loop " * 250 + "x;" * 20_000 + " end loop;" * 250 + " end $$",
    "loops around inserts": "do $$ begin "
    + "loop " * 250
    + "insert into t values (1);" * 8_000
    + " end loop;" * 250
    + " end $$",
    "types": "create table t (a int" + "[]" * 20_000 + ")",
    "with": "with a as (" * 2_000 + "select 1" + ") select 1" * 2_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_depth_ends_in_a_step(text: str) -> None:
    found = run(text)
    assert len(found.steps) == 1
    run("select 1;" + text + "; select 2")
    run(text + "; selec")


def test_what_is_too_deep_says_so() -> None:
    step = run(DEEP["plus"]).steps[0]
    assert (step.kind, step.refusal) == ("unparsed", "the statement chains more than 5000 operators")
    step = run(DEEP["plus, less often"]).steps[0]
    assert (step.kind, step.refusal) == ("unparsed", "it nests too deeply")
    assert run(DEEP["blocks"]).steps[0].unseen == "the block is too large"


def test_one_deep_statement_leaves_the_others_alone() -> None:
    found = run("create table a (id int);" + DEEP["plus"] + "; create table b (id int)")
    assert [step.kind for step in found.steps] == ["CreateStmt", "unparsed", "CreateStmt"]


def test_a_hundred_thousand_statements() -> None:
    assert len(run("select 1;" * 100_000).steps) == 100_000
    assert len(run("select 1;" * 20_000 + "selec").steps) == 20_001


def test_a_large_text_of_rows_is_not_too_deep() -> None:
    rows = ",".join("(-1, 'a||b', 2.5 - 1, '2024-01-01T10:00:00+00')" for _ in range(3_000))
    assert [step.kind for step in run(f"insert into t values {rows}").steps] == ["InsertStmt"]


def test_savepoints_do_not_copy_the_schema_without_end() -> None:
    tables = "".join(f"create table t{number} (id int);" for number in range(100))
    found = run(tables + "begin;" + "savepoint a; create table x (id int); rollback to a;" * 3_000 + "rollback")
    assert any(step.unfollowed for step in found.steps)


@pytest.mark.parametrize("text", ["select 1", "select '+-*/' from t where a is null and b::text = 'x'", ";" * 20_000])
def test_common_texts_reach_the_parser(text: str) -> None:
    assert ddl_script.refusal(text) is None


@pytest.mark.skipif(not FOLDERS, reason="QUERYFIT_TEST_SQL names no folders of SQL files")
@pytest.mark.parametrize("version", [13, 18])
def test_files_of_others(version: int) -> None:
    steps = 0
    unfollowed: Counter[str] = Counter()
    for folder in FOLDERS.split(":"):
        for path in sorted(Path(folder).rglob("*.sql")):
            text, _ = decode(path.read_bytes())
            sql, _ = mask(text, is_psql=True)
            found = run(sql, version=version)
            steps += len(found.steps)
            unfollowed.update(f"{step.kind}: {step.unfollowed}" for step in found.steps if step.unfollowed)
            try:
                parse_sql_json(sql)
            except (ParseError, ValueError):
                continue
            assert not any(step.kind == "unparsed" for step in found.steps)
    assert steps > 0
    print(f"\n{steps} steps, {unfollowed.total()} not followed", *unfollowed.most_common(30), sep="\n")
