# ruff: noqa: E501 - tables of statements
"""Functions, CALL, and the statements inside DO blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.migrations.interpret.blocks import RUN_TIME, read_block
from queryfit.migrations.replay import Run
from tests.migrations.replaying import last_effects, last_step, relation, replayed


def inside(body: str) -> list[str]:
    """The statements that a block runs."""
    block = read_block(body)
    assert block.refusal is None, block.refusal
    return [inner.control or inner.sql for inner in block.statements]


def nested(run: Run, sql: str) -> list[tuple[str, str, bool]]:
    return [(step.kind, sql[step.start : step.end], step.is_conditional) for step in run.steps if step.is_nested]


def test_statements_of_a_block_are_steps_with_their_own_places() -> None:
    sql = """select 1;
do $$
declare n int;
begin
  alter table orders add column extra int;
  if not exists (select from pg_class) then
    create index on orders (extra);
  end if;
  perform setval('orders_id_seq', 1);
  begin
    create type mood as enum ('a');
  exception when duplicate_object then
    drop table backup;
  end;
end $$;
select 2"""
    run = replayed(sql)
    assert nested(run, sql) == [
        ("AlterTableStmt", "alter table orders add column extra int", False),
        ("IndexStmt", "create index on orders (extra)", True),
        ("SelectStmt", "setval('orders_id_seq', 1)", False),
        ("CreateEnumStmt", "create type mood as enum ('a')", True),
        ("DropStmt", "drop table backup", True),
    ]
    assert [(step.line, step.column) for step in run.steps if step.is_nested] == [
        (5, 3),
        (7, 5),
        (9, 11),
        (11, 5),
        (13, 5),
    ]
    assert [effect.action for effect in run.effects] == [
        "add column",
        "create index",
        "select",
        "create type",
        "drop table",
    ]


def test_the_same_statement_twice_on_one_line_has_two_places() -> None:
    sql = "do $$ begin drop table a; if true then drop table b; end if; drop table a; end $$"
    starts = [step.start for step in replayed(sql).steps[1:]]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("begin execute 'drop table a'; end", ["drop table a"]),
        ("begin execute 'drop ' || 'table ' || 'a'; end", ["drop table a"]),
        ("begin execute format('drop table %I', 'A b'); end", ['drop table "A b"']),
        ("begin execute format('drop table %I.%I', 'x', 'y'); end", ["drop table x.y"]),
        ("begin execute format('alter table t alter a set default %L', 'it''s'); end",
         ["alter table t alter a set default 'it''s'"]),
        ("begin execute format('select %2$s, %1$s, 100%%', 'a', 1); end", ["select 1, a, 100%"]),
        ("begin execute 'drop table ' || quote_ident('A'); end", ['drop table "A"']),
        ("declare k constant text := 'a'; begin execute 'drop table ' || k; end", ["drop table a"]),
        ("declare k text := 'a'; begin execute 'drop table ' || k; end", ["drop table a"]),
        ("declare t text; begin foreach t in array array['a', 'b'] loop execute format('drop table %I', t); end loop; end",
         ["drop table a", "drop table b"]),
        ("declare t text; l text[] := array['a', 'b']; begin foreach t in array l loop execute 'drop table ' || t; end loop; end",
         ["drop table a", "drop table b"]),
        ("declare t text; begin foreach t in array '{a,b}'::text[] loop execute 'drop table ' || t; end loop; end",
         ["drop table a", "drop table b"]),
        ("declare k text := 'a'; begin k := k || 'b'; execute 'drop table ' || k; end", ["drop table ab"]),
        ("declare k text; begin if f() then k := 'a'; else k := 'a'; end if; execute 'drop table ' || k; end", ["drop table a"]),
        ("declare t text; o text; begin foreach t in array array['a', 'b'] loop o := t || '_old'; execute 'drop table ' || o; end loop; end",
         ["drop table a_old", "drop table b_old"]),
        ("begin for i in 1..3 loop execute format('drop table p%s', i); end loop; end", ["drop table p1", "drop table p2", "drop table p3"]),
        ("begin for i in reverse 3..1 by 2 loop execute 'drop table p' || i; end loop; end", ["drop table p3", "drop table p1"]),
        ("declare l text[] := array['a', 'b']; begin for i in 1..array_length(l, 1) loop execute 'drop table ' || l[i]; end loop; end",
         ["drop table a", "drop table b"]),
        ("declare r record; begin for r in select * from (values ('a', 'x'), ('b', 'y')) as t(n, c) loop execute format('alter table %I drop %I', r.n, r.c); end loop; end",
         ["alter table a drop x", "alter table b drop y"]),
        ("declare r record; begin for r in select unnest(array['a', 'b']) as n loop execute 'drop table ' || r.n; end loop; end",
         ["drop table a", "drop table b"]),
        ("declare r record; begin for r in select n from unnest(array['a', 'b']) as n loop execute 'drop table ' || r.n; end loop; end",
         ["drop table a", "drop table b"]),
        ("begin execute format('grant connect on database %I to joe', current_database()); end",
         ["grant connect on database current_database to joe"]),
        ("begin if f() then drop table a; elsif g() then drop table b; else drop table c; end if; end",
         ["drop table a", "drop table b", "drop table c"]),
        ("begin if true then drop table a; elsif f() then drop table b; else drop table c; end if; end", ["drop table a"]),
        ("begin if 'a' = 'b' then drop table a; elsif 'a' in ('a', 'b') and not false then drop table b; else drop table c; end if; end",
         ["drop table b"]),
        ("begin if 1 = 2 then drop table a; elsif 'x' <> 'x' then drop table b; else drop table c; end if; end", ["drop table c"]),
        ("begin if 1 = 01 then drop table a; else drop table b; end if; end", ["drop table a"]),
        ("begin if 1 = 1.5 then drop table a; else drop table b; end if; end", ["drop table a", "drop table b"]),
        ("begin case 1 when 1 then drop table a; else drop table b; end case; end", ["drop table a", "drop table b"]),
        ("begin for i in 1..3 loop drop table a; end loop; while true loop drop table b; end loop; end",
         ["drop table a", "drop table b"]),
        ("begin drop table a; commit; drop table b; rollback; end", ["drop table a", "commit", "drop table b", "rollback"]),
        ("begin call p(); end", ["call p()"]),
        ("declare x shop.mood; r shop.orders%rowtype; begin drop table a; end", ["drop table a"]),
        ("begin raise notice 'x'; null; end", []),
    ],
)  # fmt: skip
def test_what_a_block_runs(body: str, expected: list[str]) -> None:
    assert inside(body) == expected
    assert read_block(body).unseen is None


@pytest.mark.parametrize(
    "body",
    [
        "declare r record; begin for r in select relname from pg_class loop execute format('drop table %I', r.relname); end loop; end",
        "declare k text := 'a'; begin k := f(); execute 'drop table ' || k; end",
        "declare k text := 'a'; begin if f() then k := 'b'; end if; execute 'drop table ' || k; end",
        "declare k text := 'a'; begin while f() loop execute 'drop table ' || k; k := k || 'b'; end loop; end",
        "declare k text := 'a'; begin begin k := 'b'; exception when others then null; end; execute 'drop table ' || k; end",
        "declare k text := 'a'; begin declare k text; begin execute 'drop table ' || k; end; end",
        "declare r record; begin for r in select * from (values ('a')) as t(x) where f() loop execute 'drop table ' || r.x; end loop; end",
        "begin for i in 1..100000 loop execute format('drop table p%s', i); end loop; end",
        "declare k text := 'a'; begin select 'c' into k; execute 'drop table ' || k; end",
        "begin execute (select 'drop table a'); end",
        "begin execute format('drop table %I', current_user); end",
        "begin execute format('%10s', 'a'); end",
        "declare t text; begin foreach t in array (select array_agg(x) from y) loop execute t; end loop; end",
    ],
)  # fmt: skip
def test_what_is_put_together_at_run_time_is_said_to_be_unseen(body: str) -> None:
    assert [sql for sql in inside(body) if not sql.startswith("select 'c'")] == []
    assert replayed(f"do $$ {body} $$").steps[0].unseen == RUN_TIME


def test_what_follows_a_conditional_return_may_not_run() -> None:
    run = replayed("do $$ begin drop table a; if exists (select from b) then return; end if; drop table c; end $$")
    assert [(step.kind, step.is_conditional) for step in run.steps[1:]] == [("DropStmt", False), ("DropStmt", True)]


def test_what_follows_a_conditional_continue_may_not_run() -> None:
    run = replayed(
        "do $$ declare t text; begin foreach t in array array['a', 'b'] loop continue when f(); "
        "execute 'drop table ' || t; end loop; drop table c; end $$"
    )
    assert [step.is_conditional for step in run.steps[1:]] == [True, True, False]


def test_a_block_is_followed_for_so_many_statements() -> None:
    loops = "for i in 1..99 loop for j in 1..99 loop execute format('drop table p%s_%s', i, j); end loop; end loop;"
    block = read_block(f"begin {loops} end")
    assert len(block.statements) <= 2_000
    assert block.unseen == "more turns of loops than are followed"
    assert read_block("begin " + "drop table a;" * 2_001 + " end").unseen == "more statements than are followed"


def test_a_text_that_doubles_ends() -> None:
    doubling = "for i in 1..99 loop k := k || k; execute k; end loop;"
    assert read_block(f"declare k text := 'a'; begin {doubling} end").unseen == RUN_TIME
    formatted = "for i in 1..99 loop k := format('%s%s', k, k); execute k; end loop;"
    assert read_block(f"declare k text := 'a'; begin {formatted} end").unseen == RUN_TIME


def test_a_static_statement_in_a_loop_over_rows_is_seen() -> None:
    run = replayed("do $$ declare r record; begin for r in select 1 loop delete from t; end loop; end $$")
    assert [(step.kind, step.is_conditional) for step in run.steps[1:]] == [("DeleteStmt", True)]
    assert run.steps[0].unseen is None


def test_a_block_of_another_language_is_unseen() -> None:
    assert last_step(replayed("do language plpython3u $$ import os $$")).unseen == "a block in plpython3u"


def test_a_block_that_does_not_parse_is_refused() -> None:
    run = replayed("do $$ begin drop table a; drop tabel b; end $$")
    assert [(step.kind, step.refusal) for step in run.steps] == [("DoStmt", 'syntax error at or near "tabel"')]
    assert (last_step(replayed("do $$ begin if true the null; end $$")).refusal or "").startswith('missing "THEN"')


def test_a_string_to_execute_that_does_not_parse_is_refused_where_it_runs() -> None:
    run = replayed("do $$ begin drop table a; execute 'drop tabel b'; end $$")
    assert [(step.kind, step.refusal) for step in run.steps[1:]] == [
        ("DropStmt", None), ("unparsed", 'syntax error at or near "tabel"'),
    ]  # fmt: skip


def test_a_body_in_plain_quotes_has_the_place_of_the_block() -> None:
    sql = "select 1; do 'begin execute ''drop table a''; end'"
    run = replayed(sql)
    assert [(step.kind, step.start) for step in run.steps[1:]] == [("DoStmt", 10), ("DropStmt", 10)]


def test_statements_of_a_block_are_in_one_transaction() -> None:
    run = replayed("do $$ begin drop table a; drop table b; end $$; drop table c")
    block, first, second, after = run.steps
    assert block.transaction is None
    assert first.transaction == second.transaction is not None
    assert after.transaction is None


def test_no_block_runs_what_a_transaction_refuses() -> None:
    step = last_step(replayed("do $$ begin create index concurrently on t (id); end $$"))
    assert step.refused_in_transaction == "CREATE INDEX CONCURRENTLY"
    assert step.refusal is not None


def test_a_block_alone_may_commit() -> None:
    run = replayed("do $$ begin drop table a; commit; drop table b; end $$")
    assert run.steps[0].refusal is None
    assert run.steps[1].transaction != run.steps[2].transaction
    assert replayed("begin; do $$ begin commit; end $$").steps[1].refusal == "invalid transaction termination"


def test_set_local_in_a_block_ends_with_it() -> None:
    run = replayed("do $$ begin set local lock_timeout = 5; drop table a; end $$; select 1")
    assert [step.lock_timeout_ms for step in run.steps] == [None, None, 5, None]


def test_a_conditional_statement_is_not_surely_refused() -> None:
    run = replayed(
        "create table a (id int); do $$ begin if exists (select from b) then create table a (id int); end if; end $$"
    )
    assert (last_step(run).is_conditional, last_step(run).refusal) == (True, None)


def test_blocks_within_blocks() -> None:
    run = replayed("do $a$ begin execute 'do $b$ begin drop table x; end $b$'; end $a$")
    assert [step.kind for step in run.steps] == ["DoStmt", "DoStmt", "DropStmt"]


def test_a_call_is_unseen() -> None:
    step = last_step(replayed("call shop.archive(1)"))
    assert step.unseen == "what the procedure shop.archive does"


def test_a_function_of_the_migrations_is_followed_where_it_is_called() -> None:
    made = "create function f() returns void language plpgsql as 'begin delete from t; end';"
    for call in ("select f()", "call f()", "do $$ begin perform f(); end $$"):
        run = replayed(
            made.replace("function", "procedure").replace("returns void", "") + call if "call" in call else made + call
        )
        assert (last_step(run).kind, last_step(run).is_nested, last_step(run).unseen) == ("DeleteStmt", True, None)
    assert last_step(replayed(made + "select * from f()")).unseen == "what f() does"
    assert last_step(replayed(made + "select f() from t")).unseen == "what f() does"
    assert last_step(replayed(made + "insert into t values (f())")).unseen == "what f() does"
    assert last_step(replayed(made + "insert into t select 1 + f()")).unseen == "what f() does"
    assert last_step(replayed(made + "update t set a = f()")).unseen == "what f() does"
    assert last_step(replayed(made + "delete from t where a = f()")).unseen == "what f() does"
    assert last_step(replayed("select now(), lower('A'), f()")).unseen is None
    immutable = "create function g() returns int immutable language sql as 'select 1';"
    assert last_step(replayed(immutable + "select g()")).unseen is None


@pytest.mark.parametrize(
    ("function", "call", "expected"),
    [
        (
            "f(t text) returns void language plpgsql as 'begin execute format(''drop table %I'', t); end'",
            "f('A')",
            ['DROP "A"'],
        ),
        ("f(text) returns void language plpgsql as 'begin execute ''drop table '' || $1; end'", "f('a')", ["DROP a"]),
        (
            "f(t text, s text default 'x') returns void language plpgsql as 'begin execute format(''drop table %I.%I'', s, t); end'",
            "f('a')",
            ["DROP x.a"],
        ),
        (
            "f(t text, s text default 'x') returns void language plpgsql as 'begin execute format(''drop table %I.%I'', s, t); end'",
            "f(s => 'y', t => 'a')",
            ["DROP y.a"],
        ),
        (
            "f(t regclass) returns setof text language plpgsql as 'begin execute ''drop table '' || t; return next ''x''; end'",
            "f('a'::regclass)",
            ["DROP a"],
        ),
        (
            "f(t text, out n int) language plpgsql as 'begin n := 1; execute ''drop table '' || t; end'",
            "f('a')",
            ["DROP a"],
        ),
        (
            "f(t text) returns table (n int) language plpgsql as 'begin execute ''drop table '' || t; return query select 1; end'",
            "f('a')",
            ["DROP a"],
        ),
        (
            "f(k text) returns void language plpgsql as 'begin if k = ''a'' then drop table a; else drop table b; end if; end'",
            "f('b')",
            ["DROP b"],
        ),
        ("f() returns void language sql as 'drop table a; drop table b'", "f()", ["DROP a", "DROP b"]),
        (
            "f() returns void language plpgsql set search_path = other as 'begin drop table a; end'",
            "f()",
            ["DROP other.a"],
        ),
    ],
)
def test_a_function_runs_with_its_arguments(function: str, call: str, expected: list[str]) -> None:
    run = replayed(f"create function {function}; select {call}")
    found = [effect for effect in run.effects if effect.action == "drop table"]
    assert [effect.relation for effect in found] == [
        name if "." in name else f"public.{name}" for name in (words.removeprefix("DROP ") for words in expected)
    ]
    assert run.steps[1].unseen is None


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("f(t text) returns void language plpgsql as 'begin execute ''drop table '' || t; end'", "f(g())"),
        ("f(t text) returns void language plpgsql as 'begin execute ''drop table '' || t; end'", "f(null)"),
        ("f(t text) returns void language plpgsql as 'begin execute (select ''drop table '' || t); end'", "f('a')"),
        ("f() returns void language plpython3u as 'plpy.execute(x)'", "f()"),
        ("f() returns void language plpgsql as 'begin perform f(); drop table a; end'", "f()"),
        ("f() returns void language c as 'x', 'y'", "f()"),
    ],
)
def test_what_a_function_does_is_unseen_where_it_depends_on_more(function: str, call: str) -> None:
    run = replayed(f"create function {function}; select {call}")
    assert any(step.unseen for step in run.steps)


def test_a_write_in_an_expression_is_said_to_be_unseen() -> None:
    made = "create function f() returns int language plpgsql as 'begin delete from t; return 1; end';"
    assert replayed(made + "do $$ declare n int; begin n := f(); end $$").steps[1].unseen == "what f() does"
    assert replayed(made + "do $$ begin if f() = 1 then null; end if; end $$").steps[1].unseen == "what f() does"
    assert replayed(made + "do $$ begin perform f(); end $$").steps[1].unseen is None


def test_settings_of_a_call_end_with_it() -> None:
    made = "create function f() returns void language plpgsql as 'begin set local lock_timeout = 5; drop table a; end';"
    assert [step.lock_timeout_ms for step in replayed(made + "select f(); select 1").steps] == [
        None,
        None,
        None,
        5,
        None,
    ]


def test_a_function_whose_body_changes_nothing_hides_nothing() -> None:
    harmless = "create function h(p text) returns text language plpgsql as 'begin return p || gen_random_uuid(); end';"
    assert last_step(replayed(harmless + "update t set id = h(id) where id is null")).unseen is None
    assert last_step(replayed(harmless + "select h('a')")).unseen is None
    through = (
        "create function f() returns void language plpgsql as 'begin execute x; end';"
        "create function h() returns void language plpgsql as 'begin perform f(); end';"
    )
    assert any(step.unseen for step in replayed(through + "select h()").steps)


def test_a_function_is_made_and_replaced() -> None:
    run = replayed(
        "create function f(int) returns int language sql as 'select 1';"
        "create or replace function f(int) returns int language sql as 'select 2';"
        "create function f(text) returns int language sql as 'select 3'"
    )
    assert [effect.action for effect in run.effects] == ["create function", "replace function", "create function"]
    assert [effect.relation for effect in run.effects] == ["public.f"] * 3


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("create function f(a int) returns int language sql as 'select 1'", 'function "f" already exists with same argument types'),
        ("create or replace function f(int) returns text language sql as 'select 1'", "cannot change return type of existing function"),
        ("create or replace procedure f(int) language sql as 'select 1'", "cannot change routine kind"),
        ("create or replace function f(int) returns int language sql as 'select 2'", None),
        ("create function f(int, int) returns int language sql as 'select 2'", None),
        ("create function other.f(int) returns int language sql as 'select 2'", None),
    ],
)  # fmt: skip
def test_a_function_that_is_there(statement: str, refusal: str | None) -> None:
    run = replayed("create function f(int) returns int language sql as 'select 1'; " + statement)
    assert last_step(run).refusal == refusal


@pytest.mark.parametrize(
    ("options", "definition", "is_validated"),
    [
        ("", None, None),
        ("security definer", "security definer", False),
        ("security definer set search_path = ''", "security definer", True),
        ("security definer set search_path from current", "security definer", True),
        ("security definer set work_mem = '1GB'", "security definer", False),
        ("security invoker set search_path = ''", None, None),
    ],
)
def test_security_definer_with_and_without_search_path(
    options: str, definition: str | None, is_validated: bool | None
) -> None:
    (effect,) = last_effects(replayed(f"create function f() returns int language sql {options} as 'select 1'"))
    assert (effect.definition, effect.is_validated) == (definition, is_validated)


def test_alter_function_is_held_against_the_function() -> None:
    run = replayed(
        "create function f() returns int language sql set search_path = '' as 'select 1'; alter function f() security definer"
    )
    (effect,) = last_effects(run)
    assert (effect.action, effect.definition, effect.is_validated) == ("alter object", "security definer", True)
    (effect,) = last_effects(replayed("alter function f() security definer"))
    assert (effect.definition, effect.is_validated, effect.is_known) == ("security definer", False, False)


def test_a_block_changes_the_schema() -> None:
    run = replayed("create table t (id int); do $$ begin execute 'alter table t add column extra text'; end $$")
    assert list(relation(run, "t").columns) == ["id", "extra"]


@given(st.text(alphabet="begin end;if then loop execute '|$()x \n", max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_body_is_read(body: str) -> None:
    block = read_block(body)
    for inner in block.statements:
        assert -1 <= inner.start <= inner.end <= len(body)


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [("'t'", ["id", "a", "b"]), ("'t', false", ["id", "b"]), ("'t', true, false", ["id", "a"])],
)
def test_a_branch_by_a_boolean_argument_runs_or_not(arguments: str, columns: list[str]) -> None:
    function = """create function grow(place text, with_a boolean default true, with_b boolean default true) returns void
        language plpgsql as $$ begin
            if with_a = true then execute 'alter table ' || place || ' add column if not exists a int'; end if;
            if with_b then execute format('alter table %I add column if not exists b int', place); end if;
        end $$"""
    run = replayed("create table t (id int)", function, f"select grow({arguments})")
    assert list(relation(run, "t").columns) == columns
