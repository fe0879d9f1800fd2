"""Types: enums whose new values have to wait, domains that are checked in tables, composite types that tables use."""

from __future__ import annotations

import pytest

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import Database, Name
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect

STATE = """
create type mood as enum ('sad', 'ok');
create type other as enum ('new');
create table people (id int, feels mood, note text, kind other);
create domain positive as int check (value > 0);
create domain loose as text;
create domain over_loose as loose;
create table uses (id int, p positive, l loose);
create table uses_too (o over_loose);
create type pair as (x int, y text);
create table typed of pair;
create table has_pair (p pair)
"""


def run(change: str, *, transactions: str = "each", version: int = 18, before: str = STATE) -> Run:
    files = [
        MigrationFile(None, "a", before, before, "psql", "each"),
        MigrationFile(None, "b", change, change, "psql", transactions),  # type: ignore[arg-type]
    ]
    found = replay(files, version=version)
    assert [step.refusal for step in found.steps if step.file == 0 and step.refusal] == []
    return found


def effects(found: Run) -> list[Effect]:
    own = {step.number for step in found.steps if step.file == 1}
    return [effect for effect in found.effects if effect.step in own]


def refusal(found: Run) -> str | None:
    return next((step.refusal for step in found.steps if step.refusal), None)


def name(text: str) -> Name:
    return Name("public", text)


# enums


@pytest.mark.parametrize(
    ("use", "is_refused"),
    [
        ("insert into people (feels) values ('new')", True),
        ("insert into people values (1, 'new', 'x')", True),
        ("insert into people (id, feels) select 1, 'new'", True),
        ("insert into people (note) values ('new')", False),
        ("insert into people (kind) values ('new')", False),
        ("update people set feels = 'new'", True),
        ("update people set note = 'new' where feels = 'ok'", False),
        ("delete from people where feels in ('ok', 'new')", True),
        ("alter table people alter feels set default 'new'", True),
        ("alter table people alter note set default 'new'", False),
        ("alter table people add f mood default 'new'", True),
        ("alter table people add check (feels <> 'new')", True),
        ("create index on people (id) where feels = 'new'", True),
        ("select 'new'::mood", True),
        ("select 'new'::text::mood", True),
        ("create table more (f mood default 'new')", True),
        ("do $$ begin insert into people (feels) values ('new'); end $$", True),
        ("alter type mood rename value 'new' to 'newer'", False),
        ("alter type mood add value 'newer' after 'new'", False),
        ("update unknown_table set feels = 'new'", True),
    ],
)
def test_a_value_waits_for_the_end_of_its_transaction(use: str, is_refused: bool) -> None:
    change = f"alter type mood add value 'new'; {use}"
    together = refusal(run(change, transactions="file"))
    if is_refused:
        assert together == 'unsafe use of new value "new" of enum type public.mood'
    else:
        assert together is None
    assert refusal(run(change)) is None  # each statement in a transaction of its own


def test_an_enum_of_the_same_transaction_may_be_used_at_once() -> None:
    change = "create type fresh as enum ('a'); alter type fresh add value 'b'; select 'b'::fresh"
    assert refusal(run(change, transactions="file")) is None


def test_values_have_their_order() -> None:
    found = run("alter type mood add value 'meh' before 'ok'; alter type mood rename value 'ok' to 'fine'")
    assert found.databases[0].enums[name("mood")].values == ["sad", "meh", "fine"]
    assert [(e.action, e.object_name, e.new_name, e.lock_level, e.is_breaking) for e in effects(found)] == [
        ("add enum value", "meh", None, 0, False),
        ("rename enum value", "ok", "fine", 0, True),
    ]
    assert effects(run("alter type mood add value if not exists 'ok'"))[0].is_present is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter type mood add value 'ok'", "already exists"),
        ("alter type mood add value 'x' before 'y'", "not an existing enum label"),
        ("alter type mood rename value 'x' to 'y'", "not an existing enum label"),
        ("alter type mood rename value 'sad' to 'ok'", "already exists"),
        ("create type mood as enum ('x')", "already exists"),
        ("create type people as enum ('x')", "already exists"),
        ("create type twice as enum ('x', 'x')", "twice"),
        ("create domain mood as int", "already exists"),
        ("alter domain mood set not null", "no domain"),
        ("alter domain positive drop constraint missing", "does not exist"),
        ("alter domain positive validate constraint missing", "does not exist"),
        ("alter domain positive add constraint positive_check check (value > 1)", "already exists"),
        ("alter type pair add attribute x int", "already exists"),
        ("alter type pair add attribute z int", "typed table"),
        ("alter type pair alter attribute x type bigint cascade", "uses it"),
        ("alter type pair drop attribute missing", "does not exist"),
    ],
)
def test_what_is_refused_for_sure(change: str, words: str) -> None:
    assert words in (refusal(run(change)) or "")


def test_an_enum_that_nobody_made_is_taken_to_be_there() -> None:
    found = run("alter type elsewhere add value 'x'; alter type elsewhere add value 'z' after 'y'")
    assert refusal(found) is None
    assert effects(found)[0].is_known is False


# domains


@pytest.mark.parametrize(
    ("change", "scanned"),
    [
        ("alter domain positive add check (value < 10)", ["public.uses"]),
        ("alter domain positive add constraint c check (value < 10) not valid", []),
        (
            "alter domain loose add constraint c check (true) not valid; alter domain loose validate constraint c",
            ["public.uses", "public.uses_too"],
        ),
        ("alter domain loose set not null", ["public.uses", "public.uses_too"]),
        ("alter domain loose drop not null", []),
        ("alter domain loose set default 'x'", []),
        ("alter domain positive drop constraint positive_check", []),
        ("alter domain loose add constraint filled not null", ["public.uses", "public.uses_too"]),
    ],
)
def test_a_domain_is_checked_where_it_is_used(change: str, scanned: list[str]) -> None:
    found = [effect for effect in effects(run(change)) if effect.action == "also lock"]
    assert [(effect.relation, effect.is_scan, effect.lock_level) for effect in found] == [
        (relation, True, 5) for relation in scanned
    ]


def test_a_domain_inside_another_type_cannot_be_checked() -> None:
    before = STATE + "; create table lists (p positive[])"
    change = "alter domain positive add constraint c check (value < 10)"
    assert "uses it" in (refusal(run(change, before=before)) or "")
    assert refusal(run(f"{change} not valid", before=before)) is None


def test_a_domain_is_remembered() -> None:
    domains = (
        run("alter domain loose set not null; alter domain positive drop constraint positive_check")
        .databases[0]
        .domains
    )
    assert domains[name("loose")].is_not_null
    assert domains[name("positive")].checks == {}
    assert "needs PostgreSQL 17" in (refusal(run("alter domain loose add not null", version=16)) or "")


# composite and range types


def test_typed_tables_follow_their_type() -> None:
    found = run("alter type pair add attribute z int cascade")
    relations = found.databases[0].relations
    assert list(relations[name("typed")].columns) == ["x", "y", "z"]
    assert ("also lock", "public.typed", 8) in [(e.action, e.relation, e.lock_level) for e in effects(found)]
    dropped = run("alter type pair drop attribute y cascade").databases[0]
    assert list(dropped.relations[name("typed")].columns) == ["x"]


def test_the_row_type_of_a_table_holds_it() -> None:
    before = "create table book (a int); create table shelf (b book)"
    assert "uses its row type" in (refusal(run("alter table book alter a type bigint", before=before)) or "")
    assert "row type" in (refusal(run("alter table book add b int default 1", before=before)) or "")
    assert refusal(run("alter table book add b int", before=before)) is None


def test_a_range_type_has_its_multirange() -> None:
    types = (
        run("create type span as range (subtype = int4); create type int_range as range (subtype = int8)")
        .databases[0]
        .types
    )
    assert {name("span"), name("span_multirange"), name("int_range"), name("int_multirange")} <= types.keys()
    assert (
        name("span_multirange") not in run("create type span as range (subtype = int4)", version=13).databases[0].types
    )


def test_the_state_before_may_be_empty() -> None:
    assert replay([], before=Database()).effects == []
