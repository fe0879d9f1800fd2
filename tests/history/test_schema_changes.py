"""Changes of a schema in words: what belongs together is one line, and what was not seen is no change."""

from __future__ import annotations

from queryfit.evidence.session import example_session
from queryfit.history.schema_changes import schema_changes, setting_changes

DATABASE = "insert into database (database) values ('app');"


def said(before: str, now: str) -> list[str]:
    with example_session(DATABASE + before) as was, example_session(DATABASE + now) as is_now:
        return [change.words for change in schema_changes(was, is_now)]


def table(name: str, oid: int = 1, **columns: object) -> str:
    facts = {"relation": name, "root": name, "kind": "table", "relation_oid": oid, **columns}
    values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value).lower() for value in facts.values())
    return f"insert into relation ({', '.join(facts)}) values ({values});"


def test_a_table_comes_with_its_columns_and_indexes_in_one_line() -> None:
    parts = """
        insert into relation_column (relation, column_name, type) values ('public.a', 'id', 'integer');
        insert into relation_index (relation, index, definition) values ('public.a', 'public.a_pkey', 'x');
    """
    assert said("", table("public.a") + parts) == ["table public.a added"]
    assert said(table("public.a") + parts, "") == ["table public.a dropped"]


def test_many_partitions_that_come_are_one_line_and_few_are_named() -> None:
    parts = [table(f"public.log_{n}", n, root="public.log", is_partition=True) for n in range(20)]
    assert said(table("public.log", 99), table("public.log", 99) + "".join(parts)) == [
        "20 partitions of public.log added"
    ]
    assert said(table("public.log", 99), table("public.log", 99) + "".join(parts[:2])) == [
        "table public.log_0 added",
        "table public.log_1 added",
    ]


def test_a_column_that_changes_in_all_partitions_is_told_once() -> None:
    def parts(kind: str) -> str:
        rows = ", ".join(f"('public.log_{n}', 'id', '{kind}')" for n in range(5))
        made = "".join(table(f"public.log_{n}", n, root="public.log", is_partition=True) for n in range(5))
        return made + f"insert into relation_column (relation, column_name, type) values {rows};"

    (only,) = said(parts("integer"), parts("bigint"))
    assert only == ("column id of public.log_0: type integer → bigint (and 4 partitions of public.log likewise)")


def test_what_one_of_the_captures_could_not_read_is_not_called_dropped() -> None:
    locked = """
        insert into unread (table_name, database, subject, reason) values
            ('relation', 'app', 'public.b', 'locked'), ('relation_index', 'app', 'public.a', 'locked');
    """
    index = "insert into relation_index (relation, index, definition) values ('public.a', 'public.a_i', 'x');"
    everything = table("public.a", 1) + table("public.b", 2) + table("public.c", 3) + index
    assert said(everything, table("public.a", 1) + locked) == ["table public.c dropped"]


def test_a_renamed_table_keeps_its_columns_and_another_of_its_name_does_not() -> None:
    column = "insert into relation_column (relation, column_name, type) values ('{}', 'id', 'integer');"
    before = table("public.a", 7) + column.format("public.a")
    assert said(before, table("public.b", 7) + column.format("public.b")) == ["table public.a renamed to public.b"]
    assert sorted(said(before, table("public.b", 8) + column.format("public.b"))) == [
        "table public.a dropped",
        "table public.b added",
    ]


def test_an_index_of_a_constraint_is_told_with_the_constraint() -> None:
    made = """
        insert into relation_constraint (relation, constraint_name, kind, definition) values
            ('public.a', 'a_pkey', 'primary_key', 'PRIMARY KEY (id)');
        insert into relation_index (relation, index, definition) values ('public.a', 'public.a_pkey', 'x');
    """
    assert said(table("public.a"), table("public.a") + made) == [
        "constraint a_pkey of public.a added (PRIMARY KEY (id))"
    ]


def test_databases_that_only_one_capture_read_are_left_out() -> None:
    other = "insert into database (database) values ('other');"
    with (
        example_session(DATABASE + other + table("public.a", 1, database="other")) as was,
        example_session(DATABASE) as is_now,
    ):
        assert schema_changes(was, is_now) == []


def test_settings_have_their_units() -> None:
    setting = "insert into setting (name, value, value_bytes, value_ms) values "
    with (
        example_session(setting + "('work_mem', '4096', 4194304, null), ('lock_timeout', '-1', null, -1)") as was,
        example_session(setting + "('work_mem', '65536', 67108864, null), ('lock_timeout', '5000', null, 5000)") as now,
    ):
        assert [change.words for change in setting_changes(was, now)] == [
            "lock_timeout: -1 → 5 s",
            "work_mem: 4 MB → 64 MB",
        ]
