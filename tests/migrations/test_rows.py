"""Statements on rows that PostgreSQL refuses: what the model says of them is what each server says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from queryfit.migrations.files import find_files
from queryfit.migrations.model import Database
from queryfit.migrations.replay import replay
from tests.migrations.replaying import last_step, replayed
from tests.migrations.truth import file_of
from tests.servers import Cluster, available

STATE = """
    create type mood as enum ('sad', 'ok');
    alter type mood add value 'happy' after 'ok';
    alter type mood rename value 'sad' to 'glum';
    create schema other;
    create type other.size as enum ('s', 'm');
    create domain feeling as mood;
    create domain filled as text not null default 'filled';
    create table t (
        id int generated always as identity primary key, mood mood, size other.size, feeling feeling, few smallint,
        name text not null, code varchar(3), at date, flag boolean default true, key uuid, body jsonb,
        price numeric(5, 2), tags text[], moods mood[], twice int generated always as (few * 2) stored, filled filled
    );
    create table keys (
        a int, b int, c int, d int, e int, f int, span int4range, t text,
        constraint keys_ab unique (a, b), constraint late unique (c) deferrable, constraint positive check (a > 0),
        constraint apart exclude using gist (span with &&), constraint keys_t unique (t) include (a)
    );
    create unique index keys_d on keys (d) where e > 0;
    create unique index keys_e on keys ((e));
    create unique index keys_f on keys (lower(t), f);
    create unique index keys_true on keys (f) where true;
    create index keys_plain on keys (e);
    create table plain (a int, b int not null, c int not null default 3);
    create table touched (a int not null);
    create function fill() returns trigger language plpgsql as 'begin new.a = 1; return new; end';
    create trigger fill before insert on touched for each row execute function fill();
    create table quiet (a int not null);
    create rule quiet as on insert to quiet do instead nothing;
    create table parts (a int not null, b int) partition by range (a);
    create table parts_1 partition of parts for values from (0) to (10);
    create unique index parts_a on only parts (a);
    create table whole (a int primary key, b mood) partition by range (a);
    create table whole_1 partition of whole for values from (0) to (10);
    create view seen as select id, mood from t;
    insert into plain values (1, 2, 3);
"""
NO_INDEX = "there is no unique or exclusion constraint matching the ON CONFLICT specification"
DEFERRABLE = "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters"
NOT_MOOD = 'invalid input value for enum mood: "sad"'
REFUSED = {
    # constants
    "insert into t (name, mood) values ('a', 'sad')": NOT_MOOD,
    "insert into t (name, mood) values ('a', 'glum'), ('b', default), ('c', 'sad')": NOT_MOOD,
    "insert into t (name, mood) select 'a', 'sad'": NOT_MOOD,
    "insert into t (name, mood) select 'a', 'sad' where not exists (select from keys)": NOT_MOOD,
    "insert into t (name, feeling) values ('a', 'sad')": NOT_MOOD,
    "insert into t (name, mood) values ('a', 'sad'::mood)": NOT_MOOD,
    "insert into t (name, size) values ('a', 'xl')": 'invalid input value for enum other.size: "xl"',
    "insert into t values (default, 'sad')": NOT_MOOD,
    "with made as (insert into t (name, mood) values ('a', 'sad') returning 1) select 1": NOT_MOOD,
    "insert into t (name, mood) values ('a', 'OK')": 'invalid input value for enum mood: "OK"',
    "insert into t (name, mood) values ('a', 1)": 'column "mood" is of type mood but expression is of type integer',
    "insert into t (name, mood) values ('a', 'ok'::text)": 'column "mood" is of type mood but expression is of type te',
    "insert into t (name, few) values ('a', 'one')": 'invalid input syntax for type smallint: "one"',
    "insert into t (name, few) values ('a', '')": 'invalid input syntax for type smallint: ""',
    "insert into t (name, few) values ('a', 40000)": "smallint out of range",
    "insert into t (name, few) values ('a', '40000')": 'value "40000" is out of range for type smallint',
    "insert into t (name, few) values ('a', true)": 'column "few" is of type smallint but expression is of type bool',
    "insert into t (name, flag) values ('a', 1)": 'column "flag" is of type boolean but expression is of type integer',
    "insert into t (name, flag) values ('a', 'maybe')": 'invalid input syntax for type boolean: "maybe"',
    "insert into t (name, code) values ('a', 'long')": "value too long for type character varying(3)",
    "insert into t (name, at) values ('a', '2024-02-30')": 'date/time field value out of range: "2024-02-30"',
    "insert into t (name, at) values ('a', 'someday')": 'invalid input syntax for type date: "someday"',
    "insert into t (name, at) values ('a', 20240101)": 'column "at" is of type date but expression is of type integer',
    "insert into t (name, key) values ('a', 'abc')": 'invalid input syntax for type uuid: "abc"',
    "insert into t (name, body) values ('a', '{a: 1}')": "invalid input syntax for type json",
    "insert into t (name, price) values ('a', 1000)": "numeric field overflow",
    "insert into t (name, price) values ('a', '1,5')": 'invalid input syntax for type numeric: "1,5"',
    "insert into t (name, tags) values ('a', 'b')": 'malformed array literal: "b"',
    "insert into t (name, tags) values ('a', '[]')": 'malformed array literal: "[]"',
    "update t set mood = 'sad'": NOT_MOOD,
    "update t set mood = 'sad' where id = 1 returning id": NOT_MOOD,
    "update t set few = 100000 where false": "smallint out of range",
    "update t set mood = 'sad' from plain where plain.a = t.id": NOT_MOOD,
    "update t set id = 5": 'column "id" can only be updated to DEFAULT',
    "update whole set b = 'sad'": NOT_MOOD,
    "update t set name = 'x' where mood = 'sad'": NOT_MOOD,
    "delete from t where t.mood in ('ok', 'sad')": NOT_MOOD,
    "delete from t where id = 1 and not (few = 'one' or flag)": 'invalid input syntax for type smallint: "one"',
    "alter table t alter mood set default 'sad'": NOT_MOOD,
    "alter table t alter few set default 'one'": 'invalid input syntax for type smallint: "one"',
    "create table n (a feeling default 'sad')": NOT_MOOD,
    "create table n (a boolean default 'maybe')": 'invalid input syntax for type boolean: "maybe"',
    # columns and counts
    "insert into t (nope) values (1)": 'column "nope" of relation "t" does not exist',
    "insert into plain values (1, 2, 3, 4)": "INSERT has more expressions than target columns",
    "insert into plain (a, b) values (1)": "INSERT has more target columns than expressions",
    "insert into plain (a, b) values (1, 2), (3)": "VALUES lists must all be the same length",
    "insert into t (id, name) values (5, 'a')": 'cannot insert a non-DEFAULT value into column "id"',
    "insert into t (id, name) values (default, 'a'), (1, 'b')": 'cannot insert a non-DEFAULT value into column "id"',
    "insert into t (id, name) select 5, 'a'": 'cannot insert a non-DEFAULT value into column "id"',
    "insert into t (name, twice) values ('a', null)": 'cannot insert a non-DEFAULT value into column "twice"',
    # nulls
    "insert into plain (a) values (1)": 'null value in column "b" of relation "plain" violates not-null constraint',
    "insert into plain values (1)": 'null value in column "b" of relation "plain" violates not-null constraint',
    "insert into plain select 1": 'null value in column "b" of relation "plain" violates not-null constraint',
    "insert into plain default values": 'null value in column "b" of relation "plain" violates not-null constraint',
    "insert into plain values (1, default)": 'null value in column "b" of relation "plain" violates not-null',
    "insert into plain values (1, 2), (1, null)": 'null value in column "b" of relation "plain" violates not-null',
    "insert into plain values (1, 2, null)": 'null value in column "c" of relation "plain" violates not-null',
    "insert into whole values (null)": 'no partition of relation "whole" found for row',
    # ON CONFLICT
    "insert into keys values (1) on conflict (a) do nothing": NO_INDEX,
    "insert into keys values (1) on conflict (a, b, c) do nothing": NO_INDEX,
    "insert into keys values (1) on conflict (d) do nothing": NO_INDEX,
    "insert into keys values (1) on conflict (t, a) do nothing": NO_INDEX,
    "insert into keys values (1) on conflict (span) do nothing": NO_INDEX,
    "insert into keys select a from plain on conflict (a) do update set b = 1": NO_INDEX,
    "insert into plain values (1, 1) on conflict (a) do nothing": NO_INDEX,
    "insert into keys values (1) on conflict (nope) do nothing": 'column "nope" does not exist',
    "insert into keys values (1) on conflict (c) do nothing": DEFERRABLE,
    "insert into keys values (1) on conflict do nothing": DEFERRABLE,
    "insert into keys values (1) on conflict on constraint late do nothing": DEFERRABLE,
    "insert into keys values (1) on conflict on constraint nope do nothing": 'constraint "nope" for table "keys" does',
    "insert into keys values (1) on conflict on constraint keys_d do nothing": 'constraint "keys_d" for table "keys"',
    "insert into keys values (1) on conflict on constraint positive do nothing": (
        "constraint in ON CONFLICT clause has no associated index"
    ),
    "insert into keys values (1) on conflict on constraint apart do update set b = 1": (
        "ON CONFLICT DO UPDATE not supported with exclusion constraints"
    ),
    "insert into keys values (1) on conflict do update set b = 1": (
        "ON CONFLICT DO UPDATE requires inference specification or constraint name"
    ),
    "insert into keys values (1) on conflict (a, b) do update set nope = 1": 'column "nope" of relation "keys"',
    "insert into whole values (1) on conflict (a) do update set b = 'sad'": NOT_MOOD,
    "insert into whole values (1) on conflict (b) do nothing": NO_INDEX,
}
ACCEPTED = [
    "insert into t (name, mood) values ('a', 'glum'), ('a', null), ('a', default), ('a', 'happy')",
    "insert into t (name, mood, size, feeling) values ('a', lower('OK')::mood, 's', 'ok')",
    "insert into t (name, few) values ('a', ' 1 '), ('a', 1.4), ('a', '-32768'), ('a', '5'::text::smallint)",
    "insert into t (name, flag) values ('a', 'of'), ('a', ' T '), ('a', '1')",
    "insert into t (name, code) values ('abcdef', 'abc   '), ('a', 'long'::varchar(3)), ('a', 12)",
    "insert into t (name, at) values ('a', 'today'), ('a', 'Jan 5, 2024'), ('a', '2024-02-29')",
    "insert into t (name, key) values ('a', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}')",
    "insert into t (name, body) values ('a', ' [1, \"x\"] '), ('a', 'null')",
    "insert into t (name, price) values ('a', 999.99), ('a', '1e2')",
    "insert into t (name, tags, moods) values ('a', ' {b}', '{ok}'), ('a', '[1:1]={b}', array['ok']::mood[])",
    "insert into t (name) values (1)",
    "insert into t (id, name) overriding system value values (5, 'a')",
    "insert into t (id, name) overriding user value values (null, 'a')",
    "insert into t (id, name, twice) values (default, 'a', default)",
    "insert into t (name, filled) values ('a', default)",
    "insert into t (tags[1], tags[2], name) values ('a', 'b', 'c')",
    "update t set tags[1] = 'a', moods[1] = 'ok'",
    "update t set mood = null, few = default, name = null where id = 1",
    "update t set name = null",
    "delete from t where mood in ('ok', 'happy') and few = '1' or name = 'sad' or code = 'very long'",
    "update t set name = 'x' where few = 100000",
    "insert into seen (mood) select 'ok' where false",
    "insert into touched values (null)",
    "insert into touched default values",
    "insert into quiet values (null)",
    "insert into parts values (1)",
    "insert into whole values (1, 'ok') on conflict (a) do update set b = 'ok'",
    "insert into plain select 1, null where false",
    "insert into plain select 1, null limit 0",
    "insert into plain select 1, unnest(array[]::int[])",
    "insert into keys (a) select 1 where false on conflict do nothing",
    "insert into keys (a) select 1 where false on conflict (c) do nothing",
    "insert into keys values (1) on conflict (b, a) do nothing",
    "insert into keys values (1) on conflict (a, b, a) do update set b = 1 where keys.c > 0",
    "insert into keys values (1) on conflict (d) where e > 0 do nothing",
    "insert into keys values (1) on conflict (e) do nothing",
    "insert into keys values (1) on conflict (t) do nothing",
    "insert into keys values (1) on conflict (f, lower(t)) do nothing",
    "insert into keys values (1) on conflict on constraint keys_ab do update set b = 1",
    "insert into keys values (1) on conflict on constraint apart do nothing",
]
SINCE_18 = {
    "update plain set a = 1 returning old.a": 'missing FROM-clause entry for table "old"',
    "delete from plain returning NEW.*": 'missing FROM-clause entry for table "new"',
    "insert into plain values (1, 2) returning a, coalesce(old.a, new.a)": 'missing FROM-clause entry for table "old"',
}
ALWAYS = [
    "update plain as old set a = 1 returning old.a",
    'update plain as "new" set a = 1 returning new.a',
    "delete from plain using touched old where false returning old.a",
    "insert into plain values (1, 2) returning (select old.a from touched as old limit 1)",
    "insert into plain values (1, 2) returning a as old",
]


@pytest.fixture(params=sorted(available()), scope="module")
def server(
    request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]
) -> Iterator[tuple[int, Callable[[str], str | None]]]:
    """A version, and what its server says of a statement on the state above: None where it takes it."""
    cluster = cluster_of(request.param)
    cluster.create_database("rows")
    cluster.run(STATE, database="rows")
    with psycopg.connect(cluster.dsn("rows"), prepare_threshold=None) as connection:

        def run(statement: str) -> str | None:
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                return str(error).splitlines()[0]
            finally:
                connection.rollback()
            return None

        yield request.param, run
    cluster.drop_database("rows")


_Model = Callable[[str], str | None]


def modelled(version: int, state: str = STATE) -> _Model:
    """What the model says of a statement on a state."""
    first = replay([file_of("state.sql", [state], "each")], version=version, before=Database(is_complete=True))
    assert [step.refusal for step in first.steps if step.refusal is not None] == []

    def said(statement: str) -> str | None:
        run = replay([file_of("case.sql", [statement], "each")], version=version, before=first.databases[0])
        return next((step.refusal for step in run.steps if step.refusal is not None), None)

    return said


def test_what_a_server_refuses_the_model_refuses_in_its_words(server: tuple[int, _Model]) -> None:
    version, run = server
    said = modelled(version)
    wrong = []
    for statement, message in REFUSED.items():
        answer, word = run(statement) or "", said(statement) or "nothing"
        is_same = answer.startswith(word) or message.startswith("no partition")
        if not answer.startswith(message) or word == "nothing" or not is_same:
            wrong.append((statement, answer, word))
    assert wrong == [], "\n".join(map(str, wrong))


def test_what_a_server_takes_the_model_takes(server: tuple[int, _Model]) -> None:
    version, run = server
    said = modelled(version)
    for statement in ACCEPTED:
        assert (statement, run(statement), said(statement)) == (statement, None, None)


def test_old_and_new_rows_are_returned_since_18(server: tuple[int, _Model]) -> None:
    version, run = server
    said = modelled(version)
    for statement, message in SINCE_18.items():
        expected = message if version < 18 else None
        assert (statement, run(statement), said(statement)) == (statement, expected, expected)
    for statement in ALWAYS:
        assert (statement, run(statement), said(statement)) == (statement, None, None)
    named = "update plain set a = 1 returning with (old as before) before.a"
    assert (run(named) is None, said(named) is None) == (version >= 18, version >= 18)


TYPES = [
    "smallint", "int", "bigint", "numeric", "numeric(5,2)", "numeric(2,4)", "real", "double precision", "boolean",
    "text", "varchar(3)", "char(3)", "char", '"char"', "name", "uuid", "date", "timestamp", "timestamptz", "time",
    "interval", "json", "jsonb", "inet", "cidr", "bytea", "int[]", "text[]", "mood[]", "mood", "other.size", "feeling",
    "filled", "oid", "money", "bit(3)", "int4range", "xml", "regclass",
]  # fmt: skip
CONSTANTS = [
    "'glum'", "'sad'", "'s'", "''", "'abc'", "'abcdef'", "'ab   '", "1", "-1", "32768", "-32769", "3000000000",
    "99999999999999999999", "1.5", "999.994", "999.996", "1000", "0.00001", "1e10", "true", "'t'", "'1'", "'01'",
    "'1e3'", "'NaN'", "'infinity'", "null", "default", "'{}'", "'{1,2}'", "'[]'", "'{\"a\":1}'", "'{a'", "'null'",
    "'2024-01-01'", "'2024-13-01'", "'2024-02-30 10:00'", "'now'", "'not a day'", "'10:00'", "'1 day'", "'P1D'",
    "'10.0.0.1/8'", "'localhost'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'sad'::mood", "'ok'::mood", "'1'::int",
    "'x'::int", "1::text", "'abcdef'::varchar(3)", "date '2024-01-01'", "now()", "1 + 1", "'a' || 'b'", "array[1]",
    "array['a']", "(select 1)", "null::int", "null::mood", "x'1f'", "b'101'", "'\\x00'", "cast('q' as boolean)",
    "5::feeling", "'abc'::filled", "row(1, 'a')", "coalesce(null, 'glum')", "e'a\\tb'", "'[1,5)'", "interval '1 day'",
]  # fmt: skip
FORMS = [
    "insert into made (c) values ({})", "insert into made values (1, {}), (2, {})", "insert into made (c) select {}",
    "insert into made (c) values (default), ({})", "insert into made (c) select {} where false",
    "insert into made (c) select {} union all select {}", "insert into made (c) (values ({}) limit 1)",
    "insert into made (c) values ({}) on conflict do nothing", "update made set c = {}",
    "update made set c = {} where false", "update made x set c = {} where x.id = 5", "update made set (c) = row({})",
    "insert into made (id) values (1) on conflict (id) do update set c = {}", "delete from made where c = {}",
    "delete from made where made.c in ({}, {})", "delete from made where id = 1 and not (c <> {})",
    "delete from made where c in ({}, 'zz')", "alter table made alter c set default {}",
    "create table n (c {type} default {})",
]  # fmt: skip
EACH = 60
LEAST_FOUND = 0.35  # of what a server refuses; the model judges constants, not expressions and their operators


def test_constants_of_all_kinds_raise_no_false_alarm(server: tuple[int, _Model]) -> None:
    version, run = server
    chance = random.Random(version)
    combinations = [(form, constant) for form in FORMS for constant in CONSTANTS]
    false, refused, found = [], 0, 0
    for kind in TYPES:
        made = f"create table made (id serial primary key, c {kind});"
        said = modelled(version, STATE + made)
        for form, constant in chance.sample(combinations, EACH):
            statement = form.replace("{type}", kind).replace("{}", constant)
            answer, word = run(f"{made} {statement}"), said(statement)
            refused += answer is not None
            found += answer is not None and word is not None
            if answer is None and word is not None:
                false.append((kind, statement, word))
    assert false == []
    assert found / refused >= LEAST_FOUND


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t (mood) values ('nope')", "insert into t (id) values (1) on conflict (mood) do nothing",
        "update t set mood = 'nope'", "insert into t default values", "delete from t where mood = 'nope'",
    ],
)  # fmt: skip
def test_what_is_not_known_for_sure_is_not_judged(statement: str) -> None:
    made = "create type mood as enum ('ok'); create table t (id int not null, mood mood);"
    assert last_step(replayed(made, statement)).refusal is not None
    unseen = "do $$ begin execute current_setting('app.change'); end $$;"
    for before in (
        "",
        made + unseen,
        f"{made} update pg_catalog.pg_enum set enumlabel = 'nope';",
        "create table t (like elsewhere);",
    ):
        assert last_step(replayed(before, statement)).refusal is None
    guarded = f"do $$ begin if current_setting('a') = 'b' then {statement}; end if; end $$;"
    assert [step.refusal for step in replayed(made, guarded).steps if step.refusal] == []


def test_labels_are_those_of_that_place_in_the_history() -> None:
    made = "create type mood as enum ('ok'); create table t (mood mood);"
    insert = "insert into t values ('new');"
    run = replayed(made + insert, f"alter type mood add value 'new'; {insert}", f"{insert} drop table t;")
    assert [step.refusal for step in run.steps if step.kind == "InsertStmt"] == [
        'invalid input value for enum mood: "new"', None, None,
    ]  # fmt: skip
    run = replayed(f"{made} alter type mood rename value 'ok' to 'new';", insert, "insert into t values ('ok')")
    assert [step.refusal for step in run.steps if step.kind == "InsertStmt"] == [
        None, 'invalid input value for enum mood: "ok"',
    ]  # fmt: skip


def test_indexes_are_those_of_that_place_in_the_history() -> None:
    made = "create table t (a int, b int);"
    insert = "insert into t values (1) on conflict (a) do nothing;"
    run = replayed(made + insert, f"create unique index i on t (a); {insert}", "drop index i;", insert)
    refused = [step.refusal for step in run.steps if step.kind == "InsertStmt"]
    assert refused == [NO_INDEX, None, NO_INDEX]


def test_a_program_may_have_variables_of_these_names() -> None:
    block = "do $$ declare old t; begin select * into old from t; insert into t values (1) returning old.a; end $$"
    run = replayed("create table t (a int)", block, version=17)
    assert [step.refusal for step in run.steps if step.refusal] == []


@pytest.mark.parametrize("value", ["'${mood}'", ":'mood'", "'{{ mood }}'", "'a', :more"])
def test_values_that_are_filled_in_are_not_judged(value: str, tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text("create type mood as enum ('ok'); create table t (mood mood);")
    (tmp_path / "2.sql").write_text(f"insert into t values ({value}); insert into t values ('other');")
    run = replay(find_files([tmp_path], root=tmp_path))
    refused = [step.refusal for step in run.steps]
    assert refused == [None, None, None, 'invalid input value for enum mood: "other"']
