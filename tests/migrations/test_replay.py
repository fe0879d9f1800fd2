"""The replay: places of statements, transactions, what a rollback takes back, what does not parse."""

from __future__ import annotations

import pytest

from queryfit.migrations.model import Name
from tests.migrations.replaying import last_effects, last_step, relation, replayed


def places(sql: str) -> list[tuple[str, int, int]]:
    return [(sql[step.start : step.end], step.line, step.column) for step in replayed(sql).steps]


def test_a_statement_begins_at_its_first_word() -> None:
    sql = "-- about it\n\n  select 1 ;\n/* a /* nested */ comment */ select 2; select 3"
    assert [place[1:] for place in places(sql)] == [(3, 3), (4, 30), (4, 40)]
    assert [place[0] for place in places(sql)] == ["select 1 ", "select 2", "select 3"]


def test_places_are_characters_also_where_bytes_are_more() -> None:
    sql = "-- größer\nselect 'ü'; select 'é', '漢字';\n  drop table \"tä\""
    assert places(sql) == [("select 'ü'", 2, 1), ("select 'é', '漢字'", 2, 13), ('drop table "tä"', 3, 3)]


def test_what_does_not_parse_is_a_step_of_its_own() -> None:
    sql = "create table a (id int);\nselec 1;\ncreate table b (id int);\nfoo;\nbar"
    run = replayed(sql)
    assert [step.kind for step in run.steps] == ["CreateStmt", "unparsed", "CreateStmt", "unparsed", "unparsed"]
    assert [step.line for step in run.steps] == [1, 2, 3, 4, 5]
    assert run.steps[1].refusal == 'syntax error at or near "selec"'
    assert {name.name for name in run.databases[0].relations} == {"a", "b"}


def test_statements_of_one_word_are_kept_beside_one_that_does_not_parse() -> None:
    run = replayed("begin;\nselec;\ncommit;\nvacuum")
    assert [step.kind for step in run.steps] == ["TransactionStmt", "unparsed", "TransactionStmt", "VacuumStmt"]
    assert last_step(run).refusal is None


def test_the_place_of_an_error_is_where_the_parser_gave_up() -> None:
    step = replayed("select 1;\n-- ä\nselect 'ü' frm t where x = 1;\n").steps[1]
    assert (step.line, step.column) == (3, 16)


@pytest.mark.parametrize("text", ["select 'abc", "do $$ begin", "/* never closed", 'drop table "a'])
def test_a_quote_that_nobody_closes(text: str) -> None:
    run = replayed(text)
    assert [step.kind for step in run.steps] == ["unparsed"]
    assert run.steps[0].refusal is not None


@pytest.mark.parametrize("text", ["", " \n", "-- only a comment", "/* and this */", ";;;", "\ufeff"])
def test_nothing_is_no_step(text: str) -> None:
    assert [step.kind for step in replayed(text.lstrip("\ufeff")).steps] == []


def test_statements_of_a_transaction_share_its_number() -> None:
    run = replayed("select 1; begin; select 2; select 3; commit; select 4; start transaction; select 5; end")
    numbers = [step.transaction for step in run.steps]
    assert numbers[0] is None
    assert numbers[2] == numbers[3] == numbers[4] is not None
    assert numbers[5] is None
    assert numbers[7] not in {None, numbers[2]}


def test_a_runners_transaction_holds_the_whole_file() -> None:
    run = replayed("select 1; select 2", "select 3", transactions="file")
    first, second, third = (step.transaction for step in run.steps)
    assert first == second is not None
    assert third not in {None, first}


def test_begin_inside_a_runners_transaction_begins_nothing() -> None:
    run = replayed("begin; select 1; commit; select 2", transactions="file")
    assert run.steps[0].transaction == run.steps[1].transaction is not None
    assert run.steps[3].transaction is None


def test_commit_and_chain_begins_anew() -> None:
    run = replayed("begin; select 1; commit and chain; select 2; commit")
    assert run.steps[3].transaction not in {None, run.steps[1].transaction}


def test_a_rollback_takes_back_what_was_made() -> None:
    run = replayed("create table a (id int); begin; create table b (id int); drop table a; rollback; select 1")
    assert {name.name for name in run.databases[0].relations} == {"a"}


def test_a_rollback_takes_back_changes_of_what_was_there() -> None:
    run = replayed("create table a (id int); begin; alter table a add b text; rollback")
    assert list(relation(run, "a").columns) == ["id"]


def test_a_rollback_takes_back_what_a_select_made() -> None:
    run = replayed("begin; select 1 as one into a; rollback")
    assert run.databases[0].relations == {}
    made = "create function f() returns void language plpgsql as 'begin create table a (id int); end';"
    assert replayed(made + "begin; select f(); rollback").databases[0].relations == {}


def test_a_rollback_to_a_savepoint_takes_back_only_what_came_after() -> None:
    run = replayed(
        "begin; create table a (id int); savepoint s; create table b (id int); rollback to s; "
        "create table c (id int); rollback to s; create table d (id int); commit"
    )
    assert {name.name for name in run.databases[0].relations} == {"a", "d"}


def test_a_runners_transaction_rolls_back_too() -> None:
    run = replayed("create table a (id int); rollback; create table b (id int)", transactions="file")
    assert {name.name for name in run.databases[0].relations} == {"b"}


def test_what_is_born_in_the_file_is_new_until_it_ends() -> None:
    run = replayed("create table a (id int); create index on a (id)", "create index on a (id)")
    assert [effect.is_new for effect in run.effects if effect.action == "create index"] == [True, False]


def test_files_of_one_group_see_each_other() -> None:
    run = replayed("create table a (id int)", "alter table a add b int")
    assert set(relation(run, "a").columns) == {"id", "b"}
    assert Name("public", "a") in run.databases[0].relations


def test_identical_statements_have_their_own_places() -> None:
    sql = "create table a (id int);\ndrop table a;\ncreate table a (id int);\ndrop table a;"
    assert [line for _, line, _ in places(sql)] == [1, 2, 3, 4]


def test_a_branch_that_would_be_refused_does_not_run() -> None:
    """The way to make a migration run twice: what is there already is not made again."""
    before = "create table t (id int primary key, a int, constraint k check (a > 0)); create index i on t (a)"
    block = """do $$ begin
        if not exists (select from pg_constraint where conname = 'k') then
            alter table t add constraint k check (a > 0);
        end if;
        if not exists (select from pg_class where relname = 'i') then
            create index i on t (a);
        end if;
        if not exists (select from pg_class where relname = 'j') then
            create index j on t (a);
        end if;
    end $$"""
    run = replayed(before, block)
    assert [step.refusal for step in run.steps[2:]] == [None] * 4
    assert [(effect.action, effect.object_name) for effect in run.effects if effect.step > 2] == [
        ("create index", "public.j")
    ]


def test_of_two_branches_that_do_the_same_either_may_run() -> None:
    block = """do $$ begin
        if current_setting('x') = 'y' then
            create index i on t (a);
        else
            create index i on t (a, b);
        end if;
    end $$"""
    run = replayed("create table t (a int, b int)", block)
    assert [effect.columns for effect in run.effects if effect.action == "create index"] == ["a", "a, b"]
    assert [step.refusal for step in run.steps] == [None] * 4


@pytest.mark.parametrize(
    "before",
    ["", "select 1; ", "create tabl x; ", "create tabl é; select 'é'; ", f"select 1; /* {'x' * 5000} */ "],
    ids=["alone", "second", "behind one that does not parse", "the same in bytes", "behind a long comment"],
)
@pytest.mark.parametrize("comment", ["", f"/* {'x' * 5000} */ "], ids=["short", "long"])
def test_the_text_of_a_definition_is_found_wherever_the_statement_stands(before: str, comment: str) -> None:
    run = replayed(f"{before}alter table t add column a int default 3 + 4 not null, {comment}add check (n > 9);")
    assert {effect.action: effect.definition for effect in last_effects(run)} == {
        "add column": "3 + 4",
        "add check": "check (n > 9)",
    }


def test_the_text_of_a_definition_is_found_in_each_statement_of_a_block() -> None:
    run = replayed("do $$ begin alter table t add a int default 1 + 1; alter table t add b int default 2 + 2; end $$;")
    assert [effect.definition for effect in run.effects if effect.action == "add column"] == ["1 + 1", "2 + 2"]
