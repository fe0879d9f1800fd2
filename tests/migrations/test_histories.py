"""The model's schema after a whole history of migrations is the server's: our own histories, and real ones.

QUERYFIT_TEST_HISTORIES names a folder with a repository in each of its folders. Where a history needs what its platform
brings, PRELUDES make it; `<repository>.prelude.sql` beside a repository does so for that one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from queryfit.migrations.files import MigrationFile, find_files
from queryfit.migrations.model import Database, Name
from queryfit.migrations.replay import replay
from queryfit.migrations.trace.agree import Disagreement
from queryfit.migrations.trace.host import embedded_host
from queryfit.migrations.trace.observed import Failure
from tests.migrations import histories

REPOSITORIES = Path(os.environ.get("QUERYFIT_TEST_HISTORIES", ""))
EXAMPLES = Path(__file__).parents[2] / "examples" / "migrations"
LEAST_FILES = 5  # fewer are no history
MOST_UNPARSED = 0.05  # of the statements: more are another database's
PRELUDES = {
    "diesel": """
        create table __diesel_schema_migrations (
            version varchar(50) primary key, run_on timestamp not null default now()
        );
    """,
    "sqlx": """
        create table _sqlx_migrations (
            version bigint primary key, description text not null, installed_on timestamptz not null default now(),
            success boolean not null, checksum bytea not null, execution_time bigint not null
        );
    """,
    "supabase": """
        create role anon; create role authenticated; create role service_role;
        create schema auth; create schema storage; create schema extensions;
        create extension "uuid-ossp" schema extensions;
        create table auth.users (id uuid primary key, aud text, role text, email text, raw_user_meta_data jsonb,
            raw_app_meta_data jsonb, created_at timestamptz, updated_at timestamptz);
        create function auth.uid() returns uuid stable language sql as 'select null::uuid';
        create function auth.role() returns text stable language sql as 'select null::text';
        create function auth.jwt() returns jsonb stable language sql as 'select null::jsonb';
        create table storage.buckets (id text primary key, name text not null, owner uuid, public boolean default false,
            created_at timestamptz default now(), updated_at timestamptz default now(),
            file_size_limit bigint, allowed_mime_types text[]);
        create table storage.objects (id uuid primary key default gen_random_uuid(),
            bucket_id text references storage.buckets, name text, owner uuid, owner_id text, metadata jsonb,
            created_at timestamptz default now(), updated_at timestamptz default now());
        alter table storage.objects enable row level security;
        create function storage.foldername(name text) returns text[] language sql
            as 'select string_to_array(name, ''/'')';
        create function storage.filename(name text) returns text language sql as 'select name';
        create publication supabase_realtime;
        alter role current_user set search_path = public, extensions;
    """,
}
# what real histories do to their tables, in small: made, changed, renamed, moved and dropped
OWN = {
    "0001_shop.up.sql": """
        create type status as enum ('open', 'paid');
        create domain email as text check (value ~ '@');
        create table customers (id serial primary key, email email not null unique, name varchar(50), note text);
        create table orders (
            id bigint generated always as identity primary key,
            customer_id int not null references customers on delete cascade,
            status status not null default 'open', total numeric(10, 2) not null default 0 check (total >= 0),
            gross numeric generated always as (total * 1.19) stored, at timestamptz not null default now()
        );
        create index on orders (customer_id, at desc);
        create unique index open_orders on orders (customer_id) where status = 'open';
        create table events (id bigint, at date not null, body jsonb, primary key (id, at)) partition by range (at);
        create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
        create index events_at on events (at);
    """,
    "0001_shop.down.sql": "drop table events, orders, customers; drop domain email; drop type status;",
    "0002_changes.up.sql": """
        alter type status add value 'sent' before 'paid';
        alter table customers alter column name type text, alter column name set not null, add column vip boolean;
        alter table customers drop column note, add constraint customers_name_check check (name <> '') not valid;
        alter table customers validate constraint customers_name_check;
        alter table orders rename column at to ordered_at;
        alter table orders rename to purchases;
        alter index open_orders rename to open_purchases;
        alter table purchases rename constraint orders_total_check to total_is_positive;
        create table events_2026 (like events including all);
        alter table events attach partition events_2026 for values from ('2026-01-01') to ('2027-01-01');
        create view customer_totals as select c.id, sum(p.total) as total from customers as c
            join purchases as p on p.customer_id = c.id group by c.id;
        create materialized view totals as select * from customer_totals;
        create unique index on totals (id);
    """,
    "0003_more.up.sql": """
        create schema archive;
        create table archive.purchases as
            select id, status, max(ordered_at) as ordered_at from purchases group by id, status;
        alter table archive.purchases add primary key (id), alter column ordered_at set default now();
        do $$ begin
            if not exists (select from pg_tables where tablename = 'tags') then
                create table tags (name text constraint tags_key primary key using index tablespace pg_default);
            end if;
        end $$;
        create function touch() returns trigger language plpgsql as 'begin return new; end';
        create trigger touched before update on tags for each row execute function touch();
        drop trigger touched on tags;
        drop function touch();
        create table scratch (a int, b int, unique (a, b));
        alter table scratch drop column a;
        alter table scratch set schema archive;
        create table kept (id int primary key);
        create table keeper (id int references kept, old int);
        drop table kept cascade;
        alter table events detach partition events_2025;
        drop index events_at;
    """,
    "0004_quietly.up.sql": "create index concurrently tags_upper on tags (upper(name)) include (name);",
}


@pytest.fixture
def own(tmp_path: Path) -> list[MigrationFile]:
    for name, text in OWN.items():
        (tmp_path / name).write_text(text)
    return find_files([tmp_path], root=tmp_path)


def test_after_our_own_history_the_model_has_what_the_server_has(own: list[MigrationFile]) -> None:
    assert {file.runner for file in own} == {"golang-migrate"}
    with embedded_host(60) as place:
        told = histories.tell(own, place)
    assert told.failures == ()
    assert told.agreement.differences == ()
    assert told.agreement.unseen == ()
    assert told.agreement.compared > 60  # facts


def test_after_the_examples_the_model_has_what_the_server_has() -> None:
    with embedded_host(60) as place:
        told = histories.tell(find_files([EXAMPLES], root=EXAMPLES), place)
    assert told.agreement.differences == told.agreement.refused == ()
    refused = [step.refusal for step in told.run.steps if step.refusal]
    assert refused == ["CREATE INDEX CONCURRENTLY cannot run inside a transaction block"]


def _forget_column(database: Database) -> None:
    del database.relations[Name("public", "customers")].columns["vip"]


def _nullable(database: Database) -> None:
    database.relations[Name("public", "customers")].columns["name"].is_not_null = False


def _other_type(database: Database) -> None:
    columns = database.relations[Name("public", "customers")].columns
    columns["name"].type = columns["id"].type


def _no_default(database: Database) -> None:
    database.relations[Name("public", "purchases")].columns["status"].default = None


def _forget_index(database: Database) -> None:
    database.forget_index(Name("public", "open_purchases"))


def _invalid_index(database: Database) -> None:
    database.indexes[Name("public", "open_purchases")].is_valid = False


def _unvalidated(database: Database) -> None:
    database.relations[Name("public", "customers")].constraints["customers_name_check"].is_validated = False


def _elsewhere(database: Database) -> None:
    table = database.relations[Name("public", "tags")]
    database.move(table, Name("archive", "tags"))


def _no_partition(database: Database) -> None:
    database.relations[Name("public", "events_2026")].parents = ()


def _other_enum(database: Database) -> None:
    database.enums[Name("public", "status")].values.reverse()


@pytest.mark.parametrize(
    ("falsify", "parts"),
    [
        (_forget_column, {"columns"}),
        (_nullable, {"columns"}),
        (_other_type, {"columns"}),
        (_no_default, {"columns"}),
        (_forget_index, {"indexes"}),
        (_invalid_index, {"indexes"}),
        (_unvalidated, {"constraints"}),
        (_elsewhere, {"tables", "columns", "constraints"}),
        (_no_partition, {"parents"}),
        (_other_enum, {"types"}),
    ],
)
def test_a_wrong_model_is_noticed(
    own: list[MigrationFile], falsify: Callable[[Database], None], parts: set[str]
) -> None:
    """Against the model itself, which the test above holds against a server."""
    right = histories.of_model(replay(own).databases[0])
    database = replay(own).databases[0]
    falsify(database)
    found = histories.compare(histories.of_model(database), right)
    assert {line.partition(":")[0] for line in found.differences} == parts


def test_what_the_server_refused_or_nobody_saw_is_told_apart() -> None:
    facts: histories.Facts = {part: set() for part in histories.PARTS}
    model, real = {**facts, "tables": {("public.a", "r")}}, {**facts, "tables": {("public.b", "r")}}
    failure = Failure("42P01", "no", statement="create table a (id int)")
    found = histories.compare(model, real, failures=[failure], has_unseen=True)
    assert found.differences == ()
    assert found.refused == ("tables: only the model has ('public.a', 'r')",)
    assert found.unseen == ("tables: only the server has ('public.b', 'r')",)


def _repositories() -> list[Path]:
    if not os.environ.get("QUERYFIT_TEST_HISTORIES") or not REPOSITORIES.is_dir():
        return []
    return sorted(path for path in REPOSITORIES.iterdir() if path.is_dir())


def _groups(repository: Path) -> Iterator[Sequence[MigrationFile]]:
    """The histories of a repository: folders of migrations for PostgreSQL, with a runner's marks or numbers."""
    files = find_files([repository], root=repository)
    for group in sorted({file.group for file in files}):
        found = [file for file in files if file.group == group]
        is_short = len(found) < LEAST_FILES and found[0].runner != "rails"  # whose history is one file
        if is_short or found[0].runner == "psql":
            continue
        steps = replay(found).steps
        if sum(step.kind == "unparsed" for step in steps) <= MOST_UNPARSED * len(steps):
            yield found


def _with_prelude(repository: Path, files: Sequence[MigrationFile]) -> list[MigrationFile]:
    beside = repository.with_name(f"{repository.name}.prelude.sql")
    text = PRELUDES.get(files[0].runner, "") + (beside.read_text() if beside.exists() else "")
    prelude = MigrationFile(None, "prelude", text, text, "psql", "each", files[0].group)
    return [prelude, *files] if text else list(files)


@pytest.mark.skipif(not _repositories(), reason="QUERYFIT_TEST_HISTORIES names no folder of repositories")
@pytest.mark.parametrize("repository", _repositories(), ids=lambda path: path.name)
def test_after_a_real_history_the_model_has_what_the_server_has(repository: Path) -> None:
    told = {}
    for files in _groups(repository):
        with embedded_host(60) as place:
            told[files[0].name] = (files, histories.tell(_with_prelude(repository, files), place))
    if not told:
        pytest.skip("no history of PostgreSQL migrations")
    for name, (files, one) in told.items():
        print("\n".join(_report(repository.name, name, files, one)))
    assert not [line for _, one in told.values() for line in one.agreement.differences]
    assert not [failure for _, one in told.values() for name, failure in one.failures if name == "prelude"]


def test_each_statement_of_our_own_history_does_what_the_model_says(own: list[MigrationFile]) -> None:
    with embedded_host(60) as place:
        found = list(histories.observe(own, place))
    assert [(one.observed.text, one.observed.error) for one in found if one.observed.error] == []
    assert [(one.observed.text, one.disagreements) for one in found if one.disagreements] == []
    work = [one.observed for one in found if one.observed.rewritten or one.observed.scanned or one.observed.built]
    assert len(work) > 3  # statements that find rows


@pytest.mark.skipif(not _repositories(), reason="QUERYFIT_TEST_HISTORIES names no folder of repositories")
@pytest.mark.parametrize("repository", _repositories(), ids=lambda path: path.name)
def test_each_statement_of_a_real_history_does_what_the_model_says(repository: Path) -> None:
    wrong: list[str] = []
    for files in _groups(repository):
        count = 0
        with embedded_host(60) as place:
            for one in histories.observe(_with_prelude(repository, files), place):
                count += 1
                about = f"{one.file}:{one.steps[0].line}"
                wrong += [f"{about}: {point}" for point in one.disagreements if not _is_of_the_rows(one, point)]
                if one.observed.error:
                    print(f"{about}: refused: {one.observed.error.message}")
        print(f"{repository.name}: {count} statements compared, {files[0].runner}")
    assert wrong == []


def _is_of_the_rows(one: histories.Compared, point: Disagreement) -> bool:
    """What the rows or the server decide: triggers of rows, cascades, queries in blocks, what is not there."""
    if point.kind == "refusal":
        return one.observed.error is not None
    if one.steps[0].kind in {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt"}:
        return True
    if point.kind == "lock":
        return {point.model, point.observed.partition(",")[0]} <= {"none", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE"}
    return len(one.steps) > 1 or one.steps[0].kind == "DoStmt"


def _report(repository: str, name: str, files: Sequence[MigrationFile], told: histories.Told) -> Iterator[str]:
    agreement = told.agreement
    yield (
        f"{repository}: {files[0].runner}, {len(files)} files from {name}, {len(told.run.steps)} statements, "
        f"{told.unfollowed.total()} not followed or not seen whole, {agreement.compared} facts compared, "
        f"{len(agreement.differences)} differences, {len(agreement.unseen)} facts by what was not seen, "
        f"{len(told.failures)} statements refused by the server with {len(agreement.refused)} facts"
    )
    yield from (f"    not followed, {count} times: {why}" for why, count in told.unfollowed.most_common())
    yield from (f"    refused: {name}: {failure.message}" for name, failure in told.failures)
    yield from (f"    refused by the model: {step.refusal}" for step in told.run.steps if step.refusal)
    yield from (f"    difference: {line}" for line in agreement.differences)
    yield from (f"    by a refused statement: {line}" for line in agreement.refused)
