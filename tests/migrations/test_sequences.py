"""Changes at random, one after the other: after each the model has the schema that the server has."""

from __future__ import annotations

import random
from collections.abc import Callable

import psycopg
import pytest

from queryfit.migrations.model import Database
from queryfit.migrations.replay import replay
from tests.migrations.histories import of_model, of_server
from tests.migrations.truth import file_of
from tests.servers import Cluster, available

STATE = """
create domain positive as int check (value > 0);
create domain loose as text;
create type mood as enum ('ok', 'bad');
create function touch() returns trigger language plpgsql as 'begin return new; end';
create table u (a int primary key, b text);
create table t (a int, b varchar(10), c numeric(10,2));
create table c1 () inherits (t);
create table c2 () inherits (c1);
create table p (a int, b varchar(10), c text) partition by list (a);
create table p1 partition of p for values in (1);
create table p2 partition of p for values in (2) partition by list (b);
create table p2a partition of p2 default
"""
TABLES = ("t", "t", "u", "c1", "c2", "p", "p1", "p2", "p2a")
COLUMNS = "abcdefgh"
TYPES = (
    "int", "bigint", "int2", "oid", "text", 'text collate "C"', "varchar(10)", "varchar(20)", "char(5)", "numeric",
    "numeric(10,2)", "numeric(12,2)", "timestamptz", "timestamp", "timestamp(3)", "interval(3)", "date", "bool",
    "jsonb", "text[]", "int[]", "uuid", "bit(3)", "varbit", "positive", "loose", "mood",
)  # fmt: skip
DEFAULTS = {
    "int": "random()::int", "text": "md5(random()::text)", "timestamptz": "now()", "bool": "true", "jsonb": "'{}'",
    "uuid": "gen_random_uuid()", "positive": "1", "mood": "'ok'", "date": "current_date", "bigint": "2",
}  # fmt: skip
STATEMENTS = 45


def change(chance: random.Random, version: int) -> str:
    """A statement: an ALTER TABLE of one to three actions, or another one."""
    if chance.random() < 0.7:
        table = chance.choice(TABLES)
        actions = [action(chance, table, version) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        only = "only " if chance.random() < 0.15 else ""
        return f"alter table {only}{table} {', '.join(actions)}"
    return other(chance)


def action(chance: random.Random, table: str, version: int) -> str:
    column, another = chance.choice(COLUMNS), chance.choice(COLUMNS)
    kind = chance.choice(TYPES)
    added = f"add {column} {kind}"
    if kind in DEFAULTS and chance.random() < 0.5:
        added += f" default {DEFAULTS[kind]}"
    added += chance.choice(("", "", "", "", " not null", " unique", f" check ({column} is not null)", " primary key"))
    kept = "virtual" if version >= 18 and chance.random() < 0.5 else "stored"
    using = chance.choice(("", f" using {column}::{kind}", f" using ({column}::text)::{kind}"))
    return chance.choice((
        added, added, added,
        f"add {column} serial",
        f"add {column} int generated always as identity",
        f"add {column} int generated always as (a + 1) {kept}",
        f"drop {column}", f"drop {column} cascade",
        f"alter {column} type {kind}{using}", f"alter {column} type {kind}{using}",
        f"alter {column} set not null", f"alter {column} drop not null",
        f"alter {column} set default {chance.choice(('1', '2 + 3', 'true'))}", f"alter {column} drop default",
        f"alter {column} drop identity if exists", f"alter {column} add generated always as identity",
        f"alter {column} drop expression if exists", f"alter {column} set statistics 5",
        f"add check ({column} is not null){chance.choice(('', ' not valid'))}",
        f"add foreign key ({column}) references u (a){chance.choice(('', ' not valid'))}",
        f"add primary key ({column})", f"add unique ({column}, {another})",
        f"drop constraint if exists {table}_{column}_{chance.choice(('check', 'key', 'fkey', 'not_null'))}",
        f"drop constraint if exists {table}_pkey",
    ))  # fmt: skip


def other(chance: random.Random) -> str:
    table, column, another = chance.choice(TABLES), chance.choice(COLUMNS), chance.choice(COLUMNS)
    number = chance.randrange(3)
    return chance.choice((
        f"create index on {table} ({column})", f"create index on {table} ({column}, a)",
        f"create index on {table} (lower({column}::text))", f"create index on {table} (a) where {column} is not null",
        f"create unique index on {table} ({column})", f"create index on {table} using hash ({column})",
        f"alter table {table} rename {column} to {another}",
        f"create view v{number} as select {column} from {table}", f"drop view if exists v{number}",
        f"create materialized view m{number} as select {column}, a from {table}",
        f"drop materialized view if exists m{number}",
        f"create policy q{number} on {table} using ({column} is not null)",
        f"drop policy if exists q{number} on {table}",
        f"create trigger g{number} before update of {column} on {table} for each row execute function touch()",
        f"drop trigger if exists g{number} on {table}",
        "alter domain positive add check (value < 100) not valid", "alter domain loose set not null",
        "alter domain loose drop not null", "alter type mood add value if not exists 'new'",
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("version", sorted(available())[-1:] + sorted(available())[:-1][:1])
def test_the_model_keeps_up_with_the_server(version: int, seed: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    name = f"sequences_{seed}"
    cluster.create_database(name)
    chance = random.Random(seed)
    database = replay([file_of("state.sql", [STATE], "each")], version=version, before=Database()).databases[0]
    done: list[str] = []
    with psycopg.connect(cluster.dsn(name), autocommit=True, prepare_threshold=None) as connection:
        connection.execute("drop extension if exists pg_stat_statements")
        connection.execute("set client_min_messages = error")
        connection.execute(STATE.encode())
        while len(done) < STATEMENTS:
            statement = change(chance, version)
            run = replay([file_of("change.sql", [statement], "each")], version=version, before=database)
            refusals = [step.refusal or step.unfollowed for step in run.steps if step.refusal or step.unfollowed]
            try:
                connection.execute(statement.encode())
            except psycopg.Error:
                continue  # what the rows or the types of expressions forbid is not foreseen
            done.append(statement)
            assert not refusals, (done[-1], refusals, done)
            database = run.databases[0]
            server, model = of_server(connection), of_model(database)
            connection.execute("reset search_path")  # which asking the server changed
            for part in server:
                assert model[part] == server[part], (part, model[part] ^ server[part], done)
